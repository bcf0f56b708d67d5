"""llama.cpp's simplest blocks, Q8_0 and Q4_0: 32 weights, one float16 scale before their codes, byte for byte.

    Q8_0   d = amax / 127                            d, then 32 signed bytes               34 bytes, 8.5 bits a weight
    Q4_0   d = (the weight that is amax) / -8        d, then 16 bytes of two codes each    18 bytes, 4.5 bits a weight

Q4_0 keeps the sign of the largest weight: it gets the code -8 exactly, and the grid is spent on its side. Codes i and
i + 16 of a block share a byte, the first in the low half: so a vector register gets 16 neighbours by one mask.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

BLOCK = 32


def q8_0_blocks(weight: Float[Tensor, "rows columns"]) -> UInt8[Tensor, "rows bytes"]:
    """Rows as Q8_0 blocks one after the other: d in float16, little-endian, then 32 codes, two's complement.

    In float32: d = amax / 127; codes are weight · (1 / d), rounded to the nearest, halves away from zero (not to even),
    with the d that is not yet rounded to float16. A block of zeros has d 0 and codes 0. Raises ValueError for rows that
    are no multiple of 32, naming their length, and for weights that are not finite.
    """
    blocks = _blocks(weight)  # (rows, blocks, 32)
    d = blocks.abs().amax(dim=2, keepdim=True) / 127
    scaled = blocks * _inverse(d)
    codes = torch.copysign((scaled.abs() + 0.5).floor(), scaled)
    return _with_scale(d, codes.to(torch.int8).view(torch.uint8))


def q4_0_blocks(weight: Float[Tensor, "rows columns"]) -> UInt8[Tensor, "rows bytes"]:
    """Rows as Q4_0 blocks one after the other: d in float16, little-endian, then 16 bytes.

    In float32: d is the weight with the largest absolute value (of two, the first), divided by -8; the unsigned code is
    weight · (1 / d) + 8.5, cut off to a whole number, and at most 15, with the d that is not yet rounded to float16. A
    block of zeros has d -0.0 and codes of 8. Byte i has code i in its low half and code i + 16 in its high one. Raises
    ValueError as `q8_0_blocks` does.
    """
    blocks = _blocks(weight)
    largest = blocks.gather(2, blocks.abs().argmax(dim=2, keepdim=True))
    d = largest / -8
    codes = (blocks * _inverse(d) + 8.5).trunc().clamp(0, 15).to(torch.uint8)
    return _with_scale(d, codes[:, :, :16] | codes[:, :, 16:] << 4)


def _blocks(weight: Tensor) -> Tensor:
    if weight.shape[1] % BLOCK:
        raise ValueError(f"a row is made of blocks of {BLOCK}, and this one has {weight.shape[1]} weights")
    if not weight.isfinite().all():
        raise ValueError("weights that are not finite cannot be quantized")
    return weight.detach().float().contiguous().view(len(weight), -1, BLOCK)


def _inverse(d: Tensor) -> Tensor:
    return torch.where(d == 0, 0.0, 1 / torch.where(d == 0, 1.0, d))


def _with_scale(d: Tensor, codes: Tensor) -> Tensor:
    scale = d.to(torch.float16).view(torch.uint8)  # (rows, blocks, 2)
    return torch.cat([scale, codes], dim=2).view(len(d), -1)
