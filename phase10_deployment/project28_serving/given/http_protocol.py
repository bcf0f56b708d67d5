"""uvicorn's HTTP, whose own refusals, as of headers without end, are errors in the form of all others."""

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from phase10_deployment.project28_serving.given.errors import ApiError

LONGEST_HEADERS = 65_536
"""bytes"""


class Protocol(H11Protocol):
    """What is no HTTP, or too long, is answered with 400 and hung up on."""

    def send_400_response(self, msg: str) -> None:
        """Answer, and hang up."""
        error = ApiError(f"this is no HTTP request: {msg}", code="invalid_http")
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=error.body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
