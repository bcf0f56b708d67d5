"""A body's JSON, read strictly: what Python's reader lets pass, and a server should not.

`json.loads` takes NaN and Infinity, which are no JSON; of a key that comes twice it keeps the last, while whoever
checked the body before may have read the first; it reads half a surrogate pair, which no text can have, and which fails
only when it is written; and a few thousand brackets end Python's stack.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

from phase10_deployment.project28_serving.given.errors import ApiError, Code

DEEPEST = 64


def depth(body: bytes) -> int:
    """How deeply arrays and objects lie in each other: brackets open at once, at most; those in strings not counted.

    Of a body that is no JSON any number may come out, but none is too low for what `json.loads` will meet before it
    finds out. It does not call itself, and looks at each byte once.
    """
    deepest = level = 0
    quoted = escaped = False
    for byte in body:
        if quoted:
            if escaped:
                escaped = False
            elif byte == 0x5C:  # a backslash
                escaped = True
            elif byte == 0x22:  # a quote
                quoted = False
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif byte in b"]}":
            level -= 1
    return deepest


def read_json(body: bytes) -> dict[str, Any]:
    """The object that a request's body is. Raises ApiError, status 400, where it is none, with the code

    - "invalid_encoding": it is not UTF-8;
    - "too_deep": more than DEEPEST arrays and objects in each other, naming DEEPEST; found before anything is read;
    - "invalid_json": it is no JSON, NaN and Infinity included, and numbers that are too large for a float (1e999) or
      have more digits than Python reads;
    - "duplicate_key": an object, at whatever depth, has a key twice; the message names the key;
    - "lone_surrogate": a text or a key has half a surrogate pair (\\ud800);
    - "not_an_object": it is JSON, but no object.
    """
    brackets = body.count(b"[") + body.count(b"{")  # mostly too few to lie deep, and counted in no time
    if brackets > DEEPEST and depth(body) > DEEPEST:
        raise ApiError(
            f"the body has more than {DEEPEST} arrays and objects in each other", code=Code.TOO_DEEP
        )
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise ApiError(
            f"the body is not UTF-8, at byte {problem.start}", code=Code.INVALID_ENCODING
        ) from None
    try:
        found = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as problem:
        raise ApiError(f"the body is no JSON: {problem}", code=Code.INVALID_JSON) from None
    if "\\ud" in text.lower():  # only an escape can have made one: UTF-8 has none
        _check_surrogates(found)
    if not isinstance(found, dict):
        raise ApiError(f"the body is a JSON object, not {_kind(found)}", code=Code.NOT_AN_OBJECT)
    return found


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ApiError(f"the key {twice!r} comes twice in one object", code="duplicate_key")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:20]} is too large")
    return value


def _check_surrogates(value: Any) -> None:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str) and any("\ud800" <= character <= "\udfff" for character in one):
            raise ApiError("a text has half a surrogate pair, which is no character", code="lone_surrogate")


def _kind(value: Any) -> str:
    return {list: "an array", str: "a string", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )
