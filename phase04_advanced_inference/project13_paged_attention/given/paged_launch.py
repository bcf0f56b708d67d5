"""Launches the Triton kernel of `triton_paged.py`, and makes of it what PagedAttention takes as its `decode`.

On a machine without a GPU, `interpreted()` gives the kernel as Triton's interpreter runs it, on the CPU; it is passed
as `kernels`. There bfloat16 is not to be trusted (Triton 3.7); float32 and float16 are right.
"""

import contextlib
import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore

DTYPES = (torch.float16, torch.bfloat16, torch.float32)
HEAD_SIZES = (16, 32, 64, 128, 256)
KERNELS = "phase04_advanced_inference.project13_paged_attention.triton_paged"


class TritonDecode:
    """PagedAttention(store, TritonDecode(store)): on a GPU, single tokens go through the kernel."""

    def __init__(self, store: BlockStore, kernels: Any = None, warps: int = 4):
        """Each program has so many warps of 32 threads. Raises ValueError for what the kernel was not made for, naming
        it and what is allowed.
        """
        width = store.config.head_width
        if store.dtype not in DTYPES:
            raise ValueError(f"the Triton kernel takes {', '.join(map(str, DTYPES))}, not {store.dtype}")
        if width not in HEAD_SIZES:
            raise ValueError(
                f"the Triton kernel takes heads of {', '.join(map(str, HEAD_SIZES))}, not of {width}"
            )
        if store.device.type != "cuda" and kernels is None:
            raise ValueError(
                f"the Triton kernel takes tensors on a cuda device, and the store is on {store.device}"
            )
        if importlib.util.find_spec("triton") is None:
            raise ValueError("the Triton kernel needs the package triton, which is not installed")
        self.kernels = kernels or importlib.import_module(KERNELS)
        self.block_size, self.warps = store.block_size, warps
        self.known: tuple[list[list[int]], Tensor] | None = None
        """the tables that came last, and where they lie on the device: all layers of a step have the same"""

    def __call__(
        self,
        q: Float[Tensor, "token head dim"],
        keys: Float[Tensor, "kv_head slot dim"],
        values: Float[Tensor, "kv_head slot dim"],
        tables: list[list[int]],
        lengths: list[int],
    ) -> Float[Tensor, "token head dim"]:
        """Query i against the first lengths[i] tokens of the text whose table is tables[i]; in q's dtype."""
        q = q.contiguous()
        out = torch.empty_like(q)
        launch(
            q, keys, values, self.padded(tables, q.device),
            torch.tensor(lengths, dtype=torch.int32, device=q.device), out, self.block_size, self.kernels, self.warps,
        )  # fmt: skip
        return out

    def padded(self, tables: list[list[int]], device: torch.device) -> Tensor:
        """The tables on the device, each as long as the longest; copied there only when they are others than before."""
        if self.known is None or self.known[0] != tables or self.known[1].device != device:
            columns = max(map(len, tables))
            numbers = [[*table, *[0] * (columns - len(table))] for table in tables]
            # A copy of the lists, for their owners change them.
            self.known = (
                [list(table) for table in tables],
                torch.tensor(numbers, dtype=torch.int32).to(device),
            )
        return self.known[1]


def launch(
    q: Tensor, keys: Tensor, values: Tensor, tables: Tensor, lengths: Tensor, out: Tensor, block_size: int,
    kernels: Any, warps: int = 4,
) -> None:  # fmt: skip
    """Fill out: all tensors are in one piece, as the kernel's file says, and on one device."""
    (tokens, heads, width), (kv_heads, slots) = q.shape, keys.shape[:2]
    group = heads // kv_heads
    with errors_of(kernels):
        kernels.paged_kernel[(tokens, kv_heads)](
            q, keys, values, tables, lengths, out, width**-0.5, heads, group, slots, tables.shape[1],
            BLOCK_SIZE=block_size, TILE=power_of_two(block_size), GROUP=power_of_two(group), HEAD=width,
            num_warps=warps,
        )  # fmt: skip


def power_of_two(least: int) -> int:
    """The smallest power of two that is not below."""
    return 1 << (least - 1).bit_length()


@functools.cache
def interpreted(module: str = KERNELS) -> ModuleType:
    """A module's kernels as Triton's interpreter runs them, on tensors on the CPU.

    What `@triton.jit` makes of a function is settled by TRITON_INTERPRET when the function is defined, those of
    Triton's own library among them. So Triton's Python part and the kernels' module are imported a second time, with
    that set; then the first ones take their places again.
    """
    aside = {name: found for name, found in sys.modules.items() if _twice(name, module)}
    for name in aside:
        del sys.modules[name]
    before = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1"
    try:
        return importlib.import_module(module)
    finally:
        for name in [name for name in sys.modules if _twice(name, module)]:
            del sys.modules[name]
        sys.modules.update(aside)
        os.environ.pop("TRITON_INTERPRET")
        if before is not None:
            os.environ["TRITON_INTERPRET"] = before


def _twice(name: str, kernels: str) -> bool:
    """Whether a module is imported a second time; Triton's compiled part cannot be."""
    parts = name.split(".")
    return name == kernels or (parts[0] == "triton" and parts[:2] != ["triton", "_C"])


@contextlib.contextmanager
def errors_of(kernels: Any) -> Iterator[None]:
    """What a kernel raises in the interpreter comes out wrapped; inside, it comes out as it is."""
    wrapper = kernels.triton.runtime.errors.InterpreterError
    try:
        yield
    except wrapper as problem:
        inner: BaseException = problem
        while isinstance(inner, wrapper) and inner.__cause__ is not None:
            inner = inner.__cause__
        raise inner from None
