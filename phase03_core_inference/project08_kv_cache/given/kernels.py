"""The C++ of this project, compiled: vectors, threads, the text that a learner writes, and what calls it."""

import ctypes
import functools
from collections.abc import Callable, Sequence
from ctypes import c_float, c_int, c_int64
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from shared.native import ADDRESS, function, load

FOLDER = Path(__file__).parent
FORMATS = {torch.float32: "float32", torch.bfloat16: "bfloat16"}
"""what the kernels read"""
WIDTHS = range(16, 257, 16)
"""the head sizes that the attention kernel is made for"""
BLOCK = 32
"""rows of weights and activations have a multiple of so many numbers"""
SIGNATURES: dict[str, dict[str, tuple[Any, list[Any]]]] = {
    "frame": {"stream_read": (c_float, [ADDRESS, c_int64, c_int])},
    "product": {
        "product": (None, [*[ADDRESS] * 3, *[c_int64] * 3, c_int]),
        "part": (None, [*[ADDRESS] * 3, *[c_int64] * 5]),
    },
    "attention": {"decode_attention": (None, [*[ADDRESS] * 6, *[c_int64] * 5, c_int])},
    "step": {"decode_step": (None, [ADDRESS, ADDRESS])},
}
"""what each source has for Python; but for the first, once for each format"""

Functions = dict[str, Callable[..., Any]]


@functools.cache
def compiled(name: str, *sources: str, around: str | None = None) -> ctypes.CDLL | None:
    """A kernel's library, or None where there is no compiler, which is said once.

    `sources` are the texts that stand before <name>.cpp: one for a product or attention; for a step those of the
    product, attention and step. A cache that lies otherwise in memory (project 13) brings the text that stands `around`
    its attention, in the place of attention.cpp, for the attention alone and for a step. Raises CompileError, with the
    compiler's own message, for a text that does not compile.
    """
    parts = [(name, _read(name)) for name in ("vectors.cpp", "frame.cpp")]
    if name == "step":
        product, attention, step = sources
        parts += [("product_source", product), ("product.cpp", _read("product.cpp"))]
        parts += [("attention_source", attention), ("attention.cpp", around or _read("attention.cpp"))]
        parts += [
            ("step.cpp", _read("step.cpp")),
            ("step_source", step),
            ("step_calls.cpp", _read("step_calls.cpp")),
        ]
    elif name != "frame":
        parts += [(f"{name}_source", *sources), (f"{name}.cpp", around or _read(f"{name}.cpp"))]
    # #line: an error names the text it is in, though the compiler sees one.
    text = "".join(f'\n#line 1 "{where}"\n{part}' for where, part in parts)
    # A product and a sum are one instruction with any compiler: clang, by itself, does so within an expression only.
    return load(text, f"kv-cache-{name}", ["-pthread", "-ffp-contract=fast"])


@functools.cache
def library(name: str, *sources: str, around: str | None = None) -> Functions | None:
    """The C++ functions of a kernel by name, or None as `compiled` gives it."""
    found = compiled(name, *sources, around=around)
    if found is None:
        return None
    formats = [""] if name == "frame" else [f"_{format}" for format in FORMATS.values()]
    return {
        f"{start}{format}": function(found, f"{start}{format}", *signature)
        for start, signature in SIGNATURES[name].items()
        for format in formats
    }


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def padded(matrix: Float[Tensor, "row inputs"]) -> Float[Tensor, "row filled"]:
    """The matrix, its rows without gaps and filled up with zeros to a multiple of BLOCK; no copy where it is so."""
    if matrix.shape[1] % BLOCK == 0:
        return matrix.detach().contiguous()
    return F.pad(matrix.detach(), (0, -matrix.shape[1] % BLOCK))


def addresses(numbers: Sequence[int]) -> ctypes.Array[c_int64]:
    """Whole numbers as C reads them."""
    return (c_int64 * len(numbers))(*numbers)


def check_threads(threads: int) -> None:
    """Raises ValueError for a number of threads below 1, naming it."""
    if threads < 1:
        raise ValueError(f"the kernels need 1 thread or more, not {threads}")
