"""NF4: four bits a weight. Sixteen levels, as dense as a normal distribution is, and a scale for every block of 64.

    weight ≈ level[code] · absmax of its block

Trained weights are about normal. Levels that are quantiles of that distribution are each used about equally often,
which is the most that sixteen of them can tell. Dettmers et al. 2023, "QLoRA" (arXiv:2305.14314), section 3.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

TAIL = 0.9677083
"""where the outermost quantile is taken, 1 - (1/30 + 1/32) / 2: the one at 1 would be infinite"""


@dataclass(frozen=True)
class NF4:
    """A tensor in four bits: two codes a byte, and a scale a block."""

    codes: UInt8[Tensor, "bytes"]
    absmax: Float[Tensor, "blocks"]
    """in float32"""
    shape: tuple[int, ...]
    """of the tensor that it stands for"""
    block: int


def nf4_levels() -> Float[Tensor, "16"]:
    """The sixteen levels, in float32, rising from -1 to 1, with an exact 0 at number 7.

    Above zero lie the normal quantiles (`torch.special.ndtri`) at evenly spaced places from TAIL down to 1/2, the 1/2
    itself left out: 9 places, of which the first 8 count. Below it lie minus the quantiles at 8 such places, of which
    the first 7 count. Places are float32 (`torch.linspace`), quantiles are taken in float64, rounded to float32, and
    then divided by the largest of all: so every bit is that of the table in the paper.
    """
    above = torch.special.ndtri(torch.linspace(TAIL, 0.5, 9)[:-1].double()).float()  # (8)
    below = -torch.special.ndtri(torch.linspace(TAIL, 0.5, 8)[:-1].double()).float()  # (7)
    levels = torch.cat([below, torch.zeros(1), above.flip(0)])
    return levels / levels.max()


def quantize_nf4(weight: Float[Tensor, "..."], block: int = 64) -> NF4:
    """Four bits a number, in blocks of `block` numbers as they stand in rows, whatever order memory has them in.

    Numbers are read in float32. A block's scale is the largest absolute value in it; a number's code is that of the
    level nearest to number / scale, of two equally near the lower one. The last block may be shorter: its scale is that
    of what is there. A block of zeros has scale 0 and the code of level 0. Bytes have the first number's code in their
    high four bits, and the second's in the low ones; where the count is odd, the last byte's low bits are the code of
    level 0.

    Raises ValueError for a block that is not even or below 2, naming it, and for numbers that are not finite.
    """
    if block < 2 or block % 2:
        raise ValueError(f"a block must have an even number of weights, at least 2, not {block}")
    flat = weight.detach().float().reshape(-1)  # in rows: a transposed weight is put in order here
    if not flat.isfinite().all():
        raise ValueError("weights that are not finite cannot be quantized")
    count = len(flat)
    padded = torch.nn.functional.pad(flat, (0, -count % block)).view(-1, block)  # (blocks, block)
    absmax = padded.abs().amax(dim=1)  # (blocks)
    scaled = padded / torch.where(absmax > 0, absmax, 1.0)[:, None]
    levels = nf4_levels().to(flat.device)
    # Between two levels lies the place where the nearer one changes: no table of 16 distances a number is needed.
    middles = (levels[1:] + levels[:-1]) / 2
    codes = torch.bucketize(scaled, middles).to(torch.uint8).view(-1)[: count + count % 2]
    return NF4(codes[0::2] << 4 | codes[1::2], absmax, tuple(weight.shape), block)


def dequantize_nf4(quantized: NF4, dtype: torch.dtype = torch.float32) -> Float[Tensor, "..."]:
    """level[code] · scale for each number, multiplied in float32, then in `dtype`, in its own shape."""
    count = 1
    for size in quantized.shape:
        count *= size
    codes = torch.stack([quantized.codes >> 4, quantized.codes & 15], dim=1).view(-1)[:count]
    values = nf4_levels().to(codes.device)[codes.int()]
    scales = quantized.absmax.repeat_interleave(quantized.block)[:count]
    return (values * scales).to(dtype).view(quantized.shape)
