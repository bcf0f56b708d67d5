"""Launches the Triton kernels of `triton_kernels.py`: how large the tiles are, how many programs, what is handed over.

    out, lse = forward(q, k, v, causal=True, window=None)
    dq, dk, dv = backward(q, k, v, out, lse, dout, causal=True, window=None)

On a machine without a GPU, `interpreted()` gives the kernels as Triton's interpreter runs them, on the CPU: they are
passed as `kernels`. There, bfloat16 products are silently wrong (Triton 3.7); float32 and float16 are right.
"""

import contextlib
import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

DTYPES = (torch.float16, torch.bfloat16, torch.float32)
HEAD_SIZES = (16, 32, 64, 128)
KERNELS = "phase03_core_inference.project09_flash_attention.triton_kernels"


@dataclass(frozen=True)
class Tiles:
    """How a kernel is cut: queries and keys a tile, warps a program, and how many loads are under way at once."""

    block_q: int
    block_k: int
    warps: int = 4
    stages: int = 2

    def options(self) -> dict[str, int]:
        """As a kernel's launch takes them."""
        return {
            "BLOCK_Q": self.block_q,
            "BLOCK_K": self.block_k,
            "num_warps": self.warps,
            "num_stages": self.stages,
        }


HOPPER: dict[tuple[str, int], Tiles] = {
    ("forward", 64): Tiles(64, 128, 4, 2),
    ("forward", 128): Tiles(64, 64, 4, 3),
    ("key gradient", 64): Tiles(32, 64, 4, 3),
    ("key gradient", 128): Tiles(64, 64, 4, 2),
    ("query gradient", 64): Tiles(64, 64, 4, 3),
    ("query gradient", 128): Tiles(128, 32, 8, 3),
}
"""the fastest for 16-bit numbers on an H100, by kernel and head size, of those that the gpu preset tries"""
SMALL = Tiles(64, 32, 4, 2)  # fits in the shared memory of any GPU with tensor cores
FLOAT32 = Tiles(32, 32, 4, 2)
INTERPRETED = Tiles(32, 16)


def forward(
    q: Float[Tensor, "batch head queries dim"],
    k: Float[Tensor, "batch kv_head keys dim"],
    v: Float[Tensor, "batch kv_head keys dim"],
    causal: bool,
    window: int | None,
    kernels: Any = None,
    tiles: Tiles | None = None,
) -> tuple[Float[Tensor, "batch head queries dim"], Float[Tensor, "batch head queries"]]:
    """The output, in q's dtype, and the log-sum-exp, in float32."""
    kernels = kernels or compiled()
    batch, heads, queries, _ = q.shape
    keys = k.shape[2]
    out = torch.empty_like(q, memory_format=torch.contiguous_format)
    lse = torch.empty(batch, heads, queries, dtype=torch.float32, device=q.device)
    if not q.numel():
        return out, lse
    if not keys:
        return out.zero_(), lse.fill_(float("-inf"))
    q, k, v = map(readable, (q, k, v))
    fill(q, k, v, out, lse, causal, window, kernels, tiles or tiles_for("forward", q))
    return out, lse


def fill(
    q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor,
    causal: bool, window: int | None, kernels: Any, tiles: Tiles,
) -> None:  # fmt: skip
    """Fill out and lse. All tensors but lse are `readable`."""
    (batch, heads, queries, dim), (kv_heads, keys) = q.shape, k.shape[1:3]
    descriptor = describe(kernels)
    with errors_of(kernels):
        kernels.forward_kernel[(-(-queries // tiles.block_q), batch * heads)](
            descriptor(q, tiles.block_q), descriptor(k, tiles.block_k), descriptor(v, tiles.block_k),
            descriptor(out, tiles.block_q), lse, dim**-0.5, heads, heads // kv_heads, queries, keys,
            CAUSAL=causal, WINDOW=window or 0, HEAD=dim, PRECISION=precision(q), **tiles.options(),
        )  # fmt: skip


def backward(
    q: Float[Tensor, "batch head queries dim"],
    k: Float[Tensor, "batch kv_head keys dim"],
    v: Float[Tensor, "batch kv_head keys dim"],
    out: Float[Tensor, "batch head queries dim"],
    lse: Float[Tensor, "batch head queries"],
    dout: Float[Tensor, "batch head queries dim"],
    causal: bool,
    window: int | None,
    kernels: Any = None,
    key_tiles: Tiles | None = None,
    query_tiles: Tiles | None = None,
) -> tuple[
    Float[Tensor, "batch head queries dim"],
    Float[Tensor, "batch kv_head keys dim"],
    Float[Tensor, "batch kv_head keys dim"],
]:
    """dq, dk and dv, in q's dtype."""
    kernels = kernels or compiled()
    dq, dk, dv = (torch.empty_like(x, memory_format=torch.contiguous_format) for x in (q, k, v))
    if not q.numel() or not k.numel():
        return dq.zero_(), dk.zero_(), dv.zero_()
    q, k, v, out, dout = map(readable, (q, k, v, out, dout))
    dots = row_dots(out, dout, kernels)
    sides = q, k, v, dout, lse, dots
    key_gradient(*sides, dk, dv, causal, window, kernels, key_tiles or tiles_for("key gradient", q))
    query_gradient(*sides, dq, causal, window, kernels, query_tiles or tiles_for("query gradient", q))
    return dq, dk, dv


def row_dots(
    out: Tensor, dout: Tensor, kernels: Any, dots: Tensor | None = None
) -> Float[Tensor, "batch head queries"]:
    """D = rowsum(dout · out), in float32, into `dots` if it is given."""
    batch, heads, queries, dim = out.shape
    if dots is None:
        dots = torch.empty(batch, heads, queries, dtype=torch.float32, device=out.device)
    descriptor = describe(kernels)
    with errors_of(kernels):
        kernels.dots_kernel[(-(-queries // 64), batch * heads)](
            descriptor(out, 64), descriptor(dout, 64), dots, heads, queries, HEAD=dim, BLOCK_Q=64
        )
    return dots


def key_gradient(
    q: Tensor, k: Tensor, v: Tensor, dout: Tensor, lse: Tensor, dots: Tensor, dk: Tensor, dv: Tensor,
    causal: bool, window: int | None, kernels: Any, tiles: Tiles,
) -> None:  # fmt: skip
    """Fill dk and dv. All tensors but lse and dots are `readable`."""
    (batch, kv_heads, keys, dim), (heads, queries) = k.shape, q.shape[1:3]
    descriptor = describe(kernels)
    with errors_of(kernels):
        kernels.key_gradient_kernel[(-(-keys // tiles.block_k), batch * kv_heads)](
            descriptor(q, tiles.block_q), descriptor(k, tiles.block_k), descriptor(v, tiles.block_k),
            descriptor(dout, tiles.block_q), lse, dots, descriptor(dk, tiles.block_k), descriptor(dv, tiles.block_k),
            dim**-0.5, kv_heads, heads // kv_heads, queries, keys,
            CAUSAL=causal, WINDOW=window or 0, HEAD=dim, PRECISION=precision(q), **tiles.options(),
        )  # fmt: skip


def query_gradient(
    q: Tensor, k: Tensor, v: Tensor, dout: Tensor, lse: Tensor, dots: Tensor, dq: Tensor,
    causal: bool, window: int | None, kernels: Any, tiles: Tiles,
) -> None:  # fmt: skip
    """Fill dq. All tensors but lse and dots are `readable`."""
    (batch, heads, queries, dim), (kv_heads, keys) = q.shape, k.shape[1:3]
    descriptor = describe(kernels)
    with errors_of(kernels):
        kernels.query_gradient_kernel[(-(-queries // tiles.block_q), batch * heads)](
            descriptor(q, tiles.block_q), descriptor(k, tiles.block_k), descriptor(v, tiles.block_k),
            descriptor(dout, tiles.block_q), lse, dots, descriptor(dq, tiles.block_q),
            dim**-0.5, heads, heads // kv_heads, queries, keys,
            CAUSAL=causal, WINDOW=window or 0, HEAD=dim, PRECISION=precision(q), **tiles.options(),
        )  # fmt: skip


def fault(q: Tensor) -> str | None:
    """What the kernels were not made for in these queries, and what is allowed; None where it is all right."""
    if q.dtype not in DTYPES:
        return f"the Triton kernels take {', '.join(map(str, DTYPES))}, not {q.dtype}"
    if q.shape[-1] not in HEAD_SIZES:
        return f"the Triton kernels take heads of {', '.join(map(str, HEAD_SIZES))}, not of {q.shape[-1]}"
    if q.device.type != "cuda":
        return f"the Triton kernels take tensors on a cuda device, not on {q.device}"
    return None if has_triton() else "the Triton kernels need the package triton, which is not installed"


def has_triton() -> bool:
    """Whether the package triton is there; it comes with torch for GPUs, and there is none but for Linux."""
    return importlib.util.find_spec("triton") is not None


def tiles_for(kernel: str, q: Tensor) -> Tiles:
    """The tiles of a kernel for these queries, on their device."""
    if q.device.type == "cpu":
        return INTERPRETED
    if q.dtype == torch.float32:
        return FLOAT32
    hopper = torch.cuda.get_device_capability(q.device)[0] == 9
    return HOPPER.get((kernel, q.shape[-1]), SMALL) if hopper else SMALL


def precision(q: Tensor) -> str:
    """How products of float32 are made: from three of TF32 each, which keeps all but float32's last digits."""
    return "tf32x3" if q.dtype == torch.float32 else "tf32"


def readable(x: Tensor) -> Tensor:
    """x itself where a descriptor can point at it, else a copy in one piece: rows begin at multiples of 16 bytes."""
    *outer, inner = x.stride()
    fits = inner == 1 and all(stride > 0 and stride * x.itemsize % 16 == 0 for stride in outer)
    return x if fits and x.data_ptr() % 16 == 0 else x.contiguous()


def describe(kernels: Any) -> Callable[[Tensor, int], Any]:
    """What tells these kernels where tiles of so many rows × dim lie in (batch, head, time, dim)."""

    def descriptor(x: Tensor, rows: int) -> Any:
        block = [1, 1, rows, x.shape[-1]]
        return kernels.triton.tools.tensor_descriptor.TensorDescriptor(
            x, list(x.shape), list(x.stride()), block
        )

    return descriptor


@functools.cache
def compiled() -> ModuleType:
    """The kernels for the GPU."""
    return importlib.import_module(KERNELS)


@functools.cache
def interpreted() -> ModuleType:
    """The kernels as Triton's interpreter runs them, on tensors on the CPU.

    Triton decides by TRITON_INTERPRET, as it meets `@triton.jit`, what a kernel is, those of its own library among
    them. So both are loaded once more with that set, and what was there before stays for the GPU.
    """
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if is_reloaded(name)}
    environment = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1"
    try:
        return importlib.import_module(KERNELS)
    finally:
        for name in list(filter(is_reloaded, sys.modules)):
            del sys.modules[name]
        sys.modules.update(before)
        if environment is None:
            del os.environ["TRITON_INTERPRET"]
        else:
            os.environ["TRITON_INTERPRET"] = environment


def is_reloaded(module: str) -> bool:
    """Whether a module has a second copy for the interpreter. The compiled part of Triton has one for all."""
    return module == KERNELS or (f"{module}.".startswith("triton.") and not module.startswith("triton._C"))


@contextlib.contextmanager
def errors_of(kernels: Any) -> Iterator[None]:
    """The interpreter wraps what a kernel raises; inside, the error itself comes out."""
    wrapper = kernels.triton.runtime.errors.InterpreterError
    try:
        yield
    except wrapper as problem:
        cause: BaseException = problem
        while isinstance(cause, wrapper) and cause.__cause__ is not None:
            cause = cause.__cause__
        raise cause from None
