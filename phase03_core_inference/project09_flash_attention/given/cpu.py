"""The backend in C++ for CPUs, `flash.cpp`, compiled on first use: forward and backward as flash.py calls them.

It computes in float32. bfloat16 comes in and goes out by a copy, whose size grows with the length alone; where the
processor multiplies bfloat16 itself, the forward pass takes it as it is (`flash_bfloat16.cpp`).
"""

import ctypes
import functools
from ctypes import c_float, c_int64
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from shared.native import ADDRESS, function, load

DTYPES = (torch.float32, torch.bfloat16)
HEAD_STEP, LARGEST_HEAD = 16, 256
FOLDER = Path(__file__).parent
SOURCES = ("flash.cpp", "flash_bfloat16.cpp")
FLAGS = ("-pthread",)  # and not -ffast-math: -inf is an honest value here, and a sum keeps its order


class Shape(ctypes.Structure):
    """As in flash.cpp."""

    _fields_ = tuple(
        (name, c_int64)
        for name in ("batch", "heads", "kv_heads", "queries", "keys", "dim", "causal", "window")
    )


@functools.cache
def kernels() -> dict[str, Any] | None:
    """The C++ functions by name, or None where there is no compiler, which is said once.

    "flash_forward_bfloat16" is there only where the processor has products of bfloat16.
    """
    # #line: an error names the file it is in, though the compiler sees one text.
    text = "".join(f'#line 1 "{name}"\n{(FOLDER / name).read_text(encoding="utf-8")}' for name in SOURCES)
    library = load(text, "flash", FLAGS)
    if library is None:
        return None
    shape = ctypes.POINTER(Shape)
    addresses = {"flash_forward": 5, "flash_backward": 9}
    if function(library, "has_bfloat16", c_int64, [])():
        addresses["flash_forward_bfloat16"] = 5
    return {
        name: function(library, name, None, [shape, c_float, *[ADDRESS] * count, c_int64])
        for name, count in addresses.items()
    }


def fault(q: Tensor) -> str | None:
    """What the kernel was not made for in these queries, and what is allowed; None where it is all right."""
    if q.dtype not in DTYPES:
        return f"the C++ kernel takes torch.float32 and torch.bfloat16, not {q.dtype}"
    if q.device.type != "cpu":
        return f"the C++ kernel takes tensors on the cpu, not on {q.device}"
    dim = q.shape[-1]
    if dim % HEAD_STEP or not 0 < dim <= LARGEST_HEAD:
        return f"the C++ kernel takes heads of a multiple of {HEAD_STEP}, up to {LARGEST_HEAD}, not of {dim}"
    return None


def forward(
    q: Float[Tensor, "batch head queries dim"],
    k: Float[Tensor, "batch kv_head keys dim"],
    v: Float[Tensor, "batch kv_head keys dim"],
    causal: bool,
    window: int | None,
) -> tuple[Float[Tensor, "batch head queries dim"], Float[Tensor, "batch head queries"]]:
    """The output, in q's dtype, and the log-sum-exp, in float32. Raises ValueError for what `fault` names."""
    found = _checked(q)
    if not q.numel() or not k.numel():
        return torch.zeros_like(q), torch.full(q.shape[:3], float("-inf"))
    run = found.get("flash_forward_bfloat16") if q.dtype == torch.bfloat16 else None
    given = [x.contiguous() if run else _plain(x) for x in (q, k, v)]
    out = torch.empty(q.shape)
    lse = torch.empty(q.shape[:3])
    shape, scale = _shape(q, k, causal, window)
    addresses = [x.data_ptr() for x in (*given, out, lse)]
    (run or found["flash_forward"])(shape, scale, *addresses, torch.get_num_threads())
    return out.to(q.dtype), lse


def backward(
    q: Float[Tensor, "batch head queries dim"],
    k: Float[Tensor, "batch kv_head keys dim"],
    v: Float[Tensor, "batch kv_head keys dim"],
    out: Float[Tensor, "batch head queries dim"],
    lse: Float[Tensor, "batch head queries"],
    dout: Float[Tensor, "batch head queries dim"],
    causal: bool,
    window: int | None,
) -> tuple[
    Float[Tensor, "batch head queries dim"],
    Float[Tensor, "batch kv_head keys dim"],
    Float[Tensor, "batch kv_head keys dim"],
]:
    """dq, dk and dv, in q's dtype. Raises ValueError for what `fault` names."""
    run = _checked(q)["flash_backward"]
    if not q.numel() or not k.numel():
        return torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
    exact = [_plain(x) for x in (q, k, v, out, lse, dout)]
    grads = [torch.zeros(x.shape) for x in (q, k, v)]
    shape, scale = _shape(q, k, causal, window)
    addresses = [x.data_ptr() for x in (*exact, *grads)]
    run(shape, scale, *addresses, torch.get_num_threads())
    dq, dk, dv = (x.to(q.dtype) for x in grads)
    return dq, dk, dv


def _checked(q: Tensor) -> dict[str, Any]:
    if problem := fault(q):
        raise ValueError(problem)
    found = kernels()
    if found is None:
        raise RuntimeError('there is no C++ compiler; the backend "tiles" does the same without')
    return found


def _plain(x: Tensor) -> Tensor:
    """In float32 and in one piece."""
    return x.float().contiguous()


def _shape(q: Tensor, k: Tensor, causal: bool, window: int | None) -> tuple[Any, float]:
    batch, heads, queries, dim = q.shape
    shape = Shape(batch, heads, k.shape[1], queries, k.shape[2], dim, causal, window or 0)
    return ctypes.byref(shape), dim**-0.5
