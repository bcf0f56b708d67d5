"""Rounding compared with torch's, for every pattern of 32 bits there is, or for every so-manyth."""

from collections.abc import Callable

import torch
from torch import Tensor

from phase03_core_inference.project07_mixed_precision.rounding import (
    FLOAT8,
    round_to_bfloat16,
    round_to_float8,
    round_to_float16,
)

PATTERNS = 2**32
CHUNK = 2**22
WAYS: dict[torch.dtype, Callable[[Tensor], Tensor]] = {
    torch.bfloat16: round_to_bfloat16,
    torch.float16: round_to_float16,
    **{dtype: lambda x, dtype=dtype: round_to_float8(x, dtype) for dtype in FLOAT8},
}


def differences(dtype: torch.dtype, every: int = 1) -> tuple[int, int]:
    """How many float32 numbers our way rounds otherwise than torch, bit for bit, and how many were asked about.

    `every` 1 asks about all of them. Of NaN it is asked that it stays NaN; its payload is nobody's business.
    """
    integer = {1: torch.uint8, 2: torch.int16}[dtype.itemsize]
    differing = asked = 0
    for start in range(0, PATTERNS, CHUNK * every):
        patterns = torch.arange(start, min(start + CHUNK * every, PATTERNS), every, dtype=torch.int64)
        x = patterns.to(torch.uint32).view(torch.float32)
        ours, theirs = WAYS[dtype](x), x.to(dtype)
        nan = x.isnan()
        differing += int(((ours.view(integer) != theirs.view(integer)) & ~nan).sum())
        differing += int((nan & ~ours.float().isnan()).sum())
        asked += len(x)
    return differing, asked
