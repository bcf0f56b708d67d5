"""What a float is made of: rounding to bfloat16, float16 and FP8 by integer arithmetic on the bits.

A float32 is a sign (1 bit), an exponent (8) and a fraction (23):

    value = (-1)^sign × 2^(exponent - 127) × 1.fraction        an exponent of 1 to 254: a normal number
    value = (-1)^sign × 2^(1 - 127)        × 0.fraction        an exponent of 0: subnormal, or zero

An exponent of 255 is infinity (fraction 0) or NaN. Read as an integer, the bits without the sign are in the order
of the values. So rounding up is adding one, and a carry out of the fraction does the right thing: it raises the
exponent, and above the largest number stands infinity. IEEE 754-2019; FP8: Micikevicius et al. 2022
(arXiv:2209.05433).

None of this touches a float: `x.view(torch.int32)` reads the same 32 bits as an integer, `.view(torch.bfloat16)`
makes floats of 16 again.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

MAGNITUDE = 0x7FFF_FFFF  # a float32 without its sign
INFINITY = 0x7F80_0000  # what is above it is NaN


@dataclass(frozen=True)
class Format:
    """How many bits a format has for the exponent and the fraction, and its largest finite number's bits."""

    exponent: int
    fraction: int
    largest: int
    nan: int
    above: int
    """what a number above the largest becomes: infinity, or the largest where there is none"""

    @property
    def bias(self) -> int:
        """What is taken from the exponent's bits: half of their range."""
        return 2 ** (self.exponent - 1) - 1


FLOAT16 = Format(exponent=5, fraction=10, largest=0x7BFF, nan=0x7E00, above=0x7C00)
FLOAT8 = {
    # No infinity, and one NaN: the bits that IEEE 754 would spend on them are numbers, up to 448.
    torch.float8_e4m3fn: Format(exponent=4, fraction=3, largest=0x7E, nan=0x7F, above=0x7E),
    torch.float8_e5m2: Format(exponent=5, fraction=2, largest=0x7B, nan=0x7F, above=0x7C),
}


def round_to_bfloat16(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The nearest bfloat16 of each float32, as a bfloat16 tensor; between two, the one whose last bit is 0.

    A bfloat16 is the upper half of a float32. So round the bits to a multiple of 2^16 and take the upper half: add
    0x7fff, and 1 more where the last bit that stays is 1. What is above the largest number becomes infinity,
    subnormal numbers stay exact, and NaN stays NaN, whatever its payload (adding could carry it away). Zeros keep
    their sign. Integer arithmetic alone: no conversion between formats. Raises TypeError for a dtype that is not
    float32, naming it.
    """
    bits = _bits(x)
    magnitude = bits & MAGNITUDE
    odd = (magnitude >> 16) & 1
    # NaN first: its largest payloads would carry into the sign.
    rounded = (torch.where(magnitude > INFINITY, INFINITY, magnitude) + 0x7FFF + odd) >> 16
    rounded = torch.where(magnitude > INFINITY, 0x7FC0, rounded)
    return (rounded | ((bits >> 16) & 0x8000)).to(torch.uint16).view(torch.bfloat16)


def round_magnitude(magnitude: Int[Tensor, "*shape"], format: Format) -> Int[Tensor, "*shape"]:
    """The bits without sign of the nearest number of `format`, for the bits without sign of float32 numbers (int32).

    Ties go to the even one. For any format of fewer bits:

        significand = fraction, and 2^23 more, the 1 before the point, unless the float32 is subnormal
        exponent    = exponent bits, 1 for a subnormal float32, - 127 + format.bias        may be 0 or less
        drop        = 23 - format.fraction, and 1 - exponent more where the exponent is below 1: subnormal there
        rounded     = significand / 2^drop, rounded to the nearest, ties to even
        bits        = rounded + (exponent - 1) × 2^format.fraction, or rounded alone where the exponent is below 1

    `rounded` still has the 1 before the point, which adds 1 to the exponent: so the formula takes one off. It holds
    for subnormal numbers too, and for a rounding up into the next power of two. A drop of more than 25 gives 0.
    What comes out above format.largest, infinity among it, becomes format.above; NaN becomes format.nan. Integers
    alone.
    """
    exponent = (magnitude >> 23).clamp(min=1) - 127 + format.bias
    significand = (magnitude & 0x7F_FFFF) | torch.where(magnitude >> 23 > 0, 0x80_0000, 0)
    # Beyond 25 nothing is left, and a shift by 32 and more would be undefined.
    drop = (23 - format.fraction + (1 - exponent).clamp(min=0)).clamp(max=25)
    odd = (significand >> drop) & 1
    rounded = (significand + (1 << (drop - 1)) - 1 + odd) >> drop
    bits = rounded + ((exponent - 1).clamp(min=0) << format.fraction)
    bits = torch.where(bits > format.largest, format.above, bits)
    return torch.where(magnitude > INFINITY, format.nan, bits)


def round_to_float16(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The nearest float16 of each float32, as a float16 tensor; ties to even.

    float16 has 5 bits of exponent and 10 of fraction (FLOAT16): from 65,520 on all is infinity, below 2^-14 the
    numbers are subnormal, multiples of 2^-24, and up to 2^-25 all is zero. NaN stays NaN; signs stay, that of zero
    too. Integer arithmetic alone. Raises TypeError for a dtype that is not float32, naming it.
    """
    bits = _bits(x)
    rounded = round_magnitude(bits & MAGNITUDE, FLOAT16)
    return (rounded | ((bits >> 16) & 0x8000)).to(torch.uint16).view(torch.float16)


def round_to_float8(x: Float[Tensor, "*shape"], dtype: torch.dtype) -> Tensor:
    """The nearest FP8 number of each float32, as a tensor of `dtype`; ties to even.

    torch.float8_e4m3fn has 4 bits of exponent and 3 of fraction, no infinity, and saturates: above 448 all is 448,
    infinity too. torch.float8_e5m2 has 5 and 2 and infinities, as float16 has. FLOAT8 has both formats. NaN stays
    NaN, signs stay. Integer arithmetic alone. Raises TypeError for x of a dtype that is not float32, and ValueError
    for another `dtype`; each names it.
    """
    if dtype not in FLOAT8:
        raise ValueError(f"dtype must be {' or '.join(map(str, FLOAT8))}, not {dtype}")
    bits = _bits(x)
    rounded = round_magnitude(bits & MAGNITUDE, FLOAT8[dtype])
    return (rounded | ((bits >> 24) & 0x80)).to(torch.uint8).view(dtype)


def stochastic_round(
    x: Float[Tensor, "*shape"], generator: torch.Generator | None = None
) -> Float[Tensor, "*shape"]:
    """Each float32 as one of its two bfloat16 neighbours, drawn so that the mean is x itself: a bfloat16 tensor.

    The neighbour away from zero is drawn with the share of the way that x has gone to it: a quarter of the way up
    is rounded up one time in four. With nearest rounding, a sum of small numbers can stand still; so, it moves on
    average. A random integer of 16 bits, one for each number, drawn from `generator`, added to the bits does it:
    the lower half carries into the upper one with just that probability, and is then cut off. What is a bfloat16
    already never moves. Infinity stays infinity, and NaN NaN; above the largest bfloat16, the neighbour is
    infinity. `generator` is on x's device. Raises TypeError for a dtype that is not float32, naming it. Gupta et
    al. 2015 (arXiv:1502.02551).
    """
    bits = _bits(x)
    magnitude = bits & MAGNITUDE
    noise = torch.randint(0, 1 << 16, x.shape, generator=generator, dtype=torch.int32, device=x.device)
    rounded = (torch.where(magnitude > INFINITY, INFINITY, magnitude) + noise) >> 16
    rounded = torch.where(magnitude > INFINITY, 0x7FC0, rounded)
    return (rounded | ((bits >> 16) & 0x8000)).to(torch.uint16).view(torch.bfloat16)


def _bits(x: Tensor) -> Int[Tensor, "*shape"]:
    """A float32's bits as an int32. Raises TypeError for another dtype."""
    if x.dtype != torch.float32:
        raise TypeError(f"only float32 can be rounded here, not {x.dtype}")
    return x.view(torch.int32)
