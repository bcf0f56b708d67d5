"""Whether values are of the kinds they are declared to be: those of a dataclass, or what a JSON file has for them."""

import math
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, Literal, get_args, get_origin, get_type_hints

WORDS = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a text"}


def check_kinds(config: Any) -> None:
    """Raises ValueError for a field of a dataclass that `check_kind` refuses."""
    kinds = get_type_hints(type(config))
    for field in fields(config):
        check_kind(field.name, getattr(config, field.name), kinds[field.name])


def check_kind(name: str, value: object, kind: Any) -> None:
    """Raises ValueError, naming it, for a value not of this kind: int, float, bool, str, or one of them or None.

    A whole number is as good as a float, but 32.0 is no whole number, True no number at all, and NaN and infinity are
    refused. Of other kinds anything goes.
    """
    if get_origin(kind) is Literal:
        return
    allowed = get_args(kind) or (kind,)
    if not set(allowed) <= {*WORDS, type(None)} or any(_is(value, one) for one in allowed):
        return
    words = [word for one, word in WORDS.items() if one in allowed]
    words += ["nothing"] if type(None) in allowed else []
    raise ValueError(f"{name} must be {' or '.join(words)}, not {value!r}")


def _is(value: object, kind: type) -> bool:
    if kind in (int, float) and isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, Real) and _finite(value)
    return isinstance(value, Integral if kind is int else kind)


def _finite(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False
