"""What bodies and answers look like, for the document at /openapi.json, which tools read that try everything."""

from typing import Any

TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 1}
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": TEXT,
                "type": TEXT,
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
JSON = {"application/json": {"schema": {"type": "object"}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "done", "content": {**JSON, "text/event-stream": {}, "text/plain": {}}},
    **{
        status: {"description": said, "content": {"application/json": {"schema": ERROR}}}
        for status, said in {
            400: "wrong",
            401: "no key",
            404: "no such model",
            408: "too slow",
            413: "too large",
            415: "another type",
            429: "too much",
            503: "not now",
            504: "took too long",
        }.items()
    },
}
SAMPLING = {
    "model": TEXT,
    "max_tokens": COUNT,
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "top_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    "n": {"type": "integer", "minimum": 1, "maximum": 16},
    "seed": {"type": "integer"},
    "stream": {"type": "boolean"},
    "stop": {"anyOf": [TEXT, {"type": "array", "items": TEXT, "maxItems": 16}]},
    "presence_penalty": {"type": "number", "minimum": -2, "maximum": 2},
    "frequency_penalty": {"type": "number", "minimum": -2, "maximum": 2},
}
TOKENS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
PROMPT = {
    "anyOf": [
        TEXT,
        {"type": "array", "items": TEXT, "minItems": 1},
        TOKENS,
        {"type": "array", "items": TOKENS},
    ]
}
MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": {"enum": ["system", "user", "assistant"]}, "content": TEXT},
}
BODIES: dict[str, dict[str, Any]] = {
    "chat": {
        "required": ["messages"],
        "properties": {
            "messages": {"type": "array", "items": MESSAGE, "minItems": 1},
            "logprobs": {"type": "boolean"},
            "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 20},
            **SAMPLING,
        },
    },
    "completions": {
        "required": ["prompt"],
        "properties": {
            "prompt": PROMPT,
            "echo": {"type": "boolean"},
            "logprobs": {"type": "integer", "minimum": 0, "maximum": 20},
            **SAMPLING,
        },
    },
    "embeddings": {
        "required": ["input"],
        "properties": {"model": TEXT, "input": PROMPT, "encoding_format": {"enum": ["float", "base64"]}},
    },
    "generate": {"required": ["prompt"], "properties": {"prompt": TEXT, **SAMPLING}},
    "tokenize": {
        "properties": {"prompt": TEXT, "messages": {"type": "array", "items": MESSAGE, "minItems": 1}}
    },
    "detokenize": {"required": ["tokens"], "properties": {"tokens": TOKENS}},
    "attention": {"required": ["tokens"], "properties": {"tokens": {**TOKENS, "maxItems": 256}}},
}


def body_of(name: str) -> dict[str, Any]:
    """The request body of a route, as FastAPI's `openapi_extra`."""
    schema = {"type": "object", **BODIES[name]}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
