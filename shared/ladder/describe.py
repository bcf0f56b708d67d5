"""Shows a value in a few words: a tensor by its dtype, shape and first numbers, the rest by a short repr."""

import dataclasses
import math
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

SHORT = {
    "float64": "f64", "float32": "f32", "float16": "f16", "bfloat16": "bf16",
    "int64": "i64", "int32": "i32", "int16": "i16", "int8": "i8", "uint8": "u8",
    "complex64": "c64", "complex128": "c128",
}  # fmt: skip
LONGEST = 60


def describe(value: Any, numbers: int = 0) -> str:
    """`f32[2,4,8]` for a tensor or array, with its first `numbers` values; a short repr for the rest.

    Never raises: a value whose repr fails is shown by its class.
    """
    try:
        with _unseen():
            return _describe(value, numbers)
    except Exception:
        return f"{type(value).__name__}(…)"


def _unseen() -> AbstractContextManager[Any]:
    """Here torch does not tell those who watch its operations, as a test may that counts what is read."""
    modes = sys.modules.get("torch.utils._python_dispatch")
    return modes._disable_current_modes() if modes else nullcontext()


def _describe(value: Any, numbers: int) -> str:
    if is_array(value):
        return _array(value, numbers)
    match value:
        case None | bool() | int() | float() | complex() | str() | bytes():
            return _clip(repr(value))
        case set() | frozenset() if not value:
            return "set()"
        case list() | tuple() | set() | frozenset():
            return _sequence(value, numbers)
        case dict():
            parts = [f"{_describe(key, 0)}: {_describe(part, 0)}" for key, part in list(value.items())[:3]]
            return "{" + ", ".join(parts) + (f", … {len(value)} in all" if len(value) > 3 else "") + "}"
        case type():
            return value.__name__
    if type(value).__name__ in ("dtype", "device"):
        return str(value)
    if dataclasses.is_dataclass(value) and numbers:
        fields = [field.name for field in dataclasses.fields(value) if field.repr]
        parts = [f"{name}={_describe(getattr(value, name), 0)}" for name in fields[:4]]
        return f"{type(value).__name__}({', '.join(parts)}{', …' if len(fields) > 4 else ''})"
    if isinstance(value, Path):
        return repr(str(value))
    # Anything else by its name alone: the repr of a model is long, and slow to make at each call.
    return getattr(value, "__name__", f"{type(value).__name__}(…)")


def is_array(value: Any) -> bool:
    """Whether the value is a torch tensor or a numpy array. Imports neither."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    return bool(torch and isinstance(value, torch.Tensor)) or bool(numpy and isinstance(value, numpy.ndarray))


def _array(value: Any, numbers: int) -> str:
    dtype = str(value.dtype).removeprefix("torch.")
    text = f"{SHORT.get(dtype, dtype)}[{','.join(map(str, value.shape))}]"
    if value.ndim == 0:
        return f"{text} {_number(_plain(value))}" if numbers else text
    if not numbers or not all(value.shape):
        return text
    # The first row is a view: a large tensor is not copied to show six numbers of it.
    first = _plain(value[(0,) * (value.ndim - 1)][:numbers])
    more = ", …" if len(first) < math.prod(value.shape) else ""
    return f"{text} {', '.join(map(_number, first))}{more}"


def _plain(value: Any) -> Any:
    """A tensor's or an array's numbers, also where a test has put something of its own in the place of `tolist`."""
    torch = sys.modules.get("torch")
    return torch._C.TensorBase.tolist(value) if torch and isinstance(value, torch.Tensor) else value.tolist()


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _sequence(value: Any, numbers: int) -> str:
    open_, close = {list: "[]", tuple: "()"}.get(type(value), "{}")
    parts = [_describe(part, numbers if len(value) <= 2 else 0) for part in list(value)[:8]]
    if sum(map(len, parts)) > 2 * LONGEST:
        parts = parts[:2]
    more = f", … {len(value)} in all" if len(value) > len(parts) else ""
    return f"{open_}{', '.join(parts)}{more}{close}"


def _clip(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
