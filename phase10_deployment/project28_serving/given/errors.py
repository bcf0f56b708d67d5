"""Errors as OpenAI's clients read them: {"error": {"message", "type", "param", "code"}}."""

import json
from typing import Any

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
    431: "invalid_request_error",
    500: "server_error",
    503: "service_unavailable",
    504: "timeout_error",
}


class Code:
    """What is wrong, for programs."""

    TOO_DEEP = "too_deep"
    INVALID_ENCODING = "invalid_encoding"
    INVALID_JSON = "invalid_json"
    NOT_AN_OBJECT = "not_an_object"
    MODEL_NOT_FOUND = "model_not_found"
    TOO_LONG = "context_length_exceeded"
    RATE_LIMIT = "rate_limit_exceeded"
    TOO_LARGE = "request_too_large"
    NO_KEY = "invalid_api_key"


class ApiError(Exception):
    """Why a request is answered with an error: what is wrong, with which field, and what is allowed."""

    def __init__(
        self,
        message: str,
        param: str | None = None,
        status: int = 400,
        code: str | None = None,
        retry_after: float | None = None,
    ):
        """`retry_after` is in seconds: after how long it makes sense to try again."""
        super().__init__(message)
        self.message, self.param, self.status, self.code = message, param, status, code
        self.retry_after = retry_after

    @property
    def content(self) -> dict[str, Any]:
        """The body of the answer."""
        kind = TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    @property
    def body(self) -> bytes:
        """The same as bytes."""
        return json.dumps(self.content).encode()

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer; whole seconds, rounded up, for that is what Retry-After has."""
        found = {"content-type": "application/json"}
        if self.retry_after is not None:
            found["retry-after"] = str(max(1, -int(-self.retry_after // 1)))
        if self.status == 401:
            found["www-authenticate"] = "Bearer"
        return found
