"""Integer grids: a weight becomes a small whole number, its code, and many codes share one scale.

    weight ≈ (code - zero) · scale          code = round(weight / scale + zero), kept within the grid

A grid of b bits has the codes -2^(b-1) ... 2^(b-1) - 1. A symmetric one has zero = 0, and a scale that makes the range,
2^b - 1 steps wide, reach from -amax to amax: amax / 7.5 at four bits. The largest weight then lies half a step outside,
and every other one gets finer steps than amax / 7 would give. An asymmetric grid reaches from the smallest weight to
the largest. compressed-tensors and torchao choose scales so; others do not, so name your convention. Jacob et al. 2018
(arXiv:1712.05877).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int8
from torch import Tensor

Group = int | str  # a number, "channel" or "tensor"


@dataclass(frozen=True)
class Grid:
    """How many bits a code has, and which weights share a scale. Raises ValueError for what cannot be, naming it."""

    bits: int = 4
    """2 to 8"""
    group: Group = "channel"
    """as many neighbours in a row as this share a scale; or all of a row ("channel"), or all there are ("tensor")"""
    symmetric: bool = True
    scale_dtype: torch.dtype = torch.float32
    """of the scales; float16 has eleven bits, and halves what they take"""

    def __post_init__(self):
        if not 2 <= self.bits <= 8:
            raise ValueError(f"a code has from 2 to 8 bits, not {self.bits}")
        if isinstance(self.group, str) and self.group not in ("channel", "tensor"):
            raise ValueError(f"a group is a number of weights, 'channel' or 'tensor', not {self.group!r}")
        if isinstance(self.group, int) and self.group < 1:
            raise ValueError(f"a group has at least 1 weight, not {self.group}")

    @property
    def lowest(self) -> int:
        """The smallest code."""
        return -(2 ** (self.bits - 1))

    @property
    def highest(self) -> int:
        """The largest code."""
        return 2 ** (self.bits - 1) - 1

    def width(self, inputs: int) -> int:
        """How many neighbours of a row with so many weights share a scale."""
        return self.group if isinstance(self.group, int) else inputs

    def groups(self, inputs: int) -> int:
        """How many scales a row of so many weights has; the last group may be shorter: 704 = 5 · 128 + 64."""
        return -(-inputs // self.width(inputs))


@dataclass(frozen=True)
class QParams:
    """Scales and zeros of a matrix, one row of them for each of its rows, or a single one for all of it."""

    scale: Float[Tensor, "rows groups"]
    zero: Int8[Tensor, "rows groups"]


def choose_qparams(weight: Float[Tensor, "outputs inputs"], grid: Grid) -> QParams:
    """The scale and the zero of each group, from its largest and smallest weight; all in float32.

    Symmetric: scale = amax / ((highest - lowest) / 2), with amax the largest absolute weight, and zero = 0. Asymmetric:
    the range is from lo = min(0, smallest) to hi = max(0, largest), so that 0 is always on the grid; scale =
    (hi - lo) / (highest - lowest), and zero = lowest - lo / scale, rounded to the nearest whole number and kept within
    the grid. The last group may be shorter, and nothing but its own weights counts for it. With group "tensor" both are
    (1, 1).

    Scales are rounded to the grid's `scale_dtype` before zeros are made; what is 0 then becomes 1 (a group of zeros, or
    weights too small for the format), so that nothing is divided by 0. Raises ValueError for weights that are not
    finite, and for scales too large for their dtype.
    """
    weight = weight.detach().float()
    if not weight.isfinite().all():
        raise ValueError("weights that are not finite cannot be quantized")
    low, high = _extremes(weight, grid)
    low, high = low.clamp(max=0), high.clamp(min=0)
    steps = grid.highest - grid.lowest
    scale = torch.maximum(-low, high) / (steps / 2) if grid.symmetric else (high - low) / steps
    scale = scale.to(grid.scale_dtype)
    if not scale.isfinite().all():
        name = str(grid.scale_dtype).removeprefix("torch.")
        raise ValueError(f"weights up to {weight.abs().max():.3g} have scales too large for {name}")
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    if grid.symmetric:
        return QParams(scale, torch.zeros_like(scale, dtype=torch.int8))
    zero = (grid.lowest - low / scale.float()).round().clamp(grid.lowest, grid.highest)
    return QParams(scale, zero.to(torch.int8))


def _extremes(weight: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """The smallest and the largest weight of each group, (rows, groups)."""
    if grid.group == "tensor":
        return weight.min().view(1, 1), weight.max().view(1, 1)
    parts = weight.split(grid.width(weight.shape[1]), dim=1)  # the last one may be narrower
    low, high = zip(*(part.aminmax(dim=1) for part in parts), strict=True)
    return torch.stack(low, dim=1), torch.stack(high, dim=1)


def spread(numbers: Tensor, grid: Grid, outputs: int, inputs: int) -> Tensor:
    """Scales or zeros (rows, groups) as one for each weight, (outputs, inputs), in float32."""
    each = numbers.float().repeat_interleave(grid.width(inputs), dim=1)[:, :inputs]
    return each.expand(outputs, inputs)


def round_to_grid(weight: Tensor, scale: Tensor, zero: Tensor, grid: Grid) -> Tensor:
    """The code of each weight, as a float: round(weight / scale + zero), of two equally near the even one, kept within
    the grid's codes. Scale and zero are one for each weight, or broadcast to that.
    """
    return (weight / scale + zero).round().clamp(grid.lowest, grid.highest)


def quantize(
    weight: Float[Tensor, "outputs inputs"], qparams: QParams, grid: Grid
) -> Int8[Tensor, "outputs inputs"]:
    """The codes of a matrix, made in float32 (`spread`, `round_to_grid`).

    Raises ValueError where the scales are not as many as the grid asks for, naming both shapes, (rows, groups).
    """
    check_qparams(qparams, grid, *weight.shape)
    scale, zero = (spread(one, grid, *weight.shape) for one in (qparams.scale, qparams.zero))
    return round_to_grid(weight.detach().float(), scale, zero, grid).to(torch.int8)


def dequantize(
    codes: Int8[Tensor, "outputs inputs"], qparams: QParams, grid: Grid
) -> Float[Tensor, "outputs inputs"]:
    """(code - zero) · scale for each code, in float32. Raises ValueError as `quantize` does."""
    check_qparams(qparams, grid, *codes.shape)
    scale, zero = (spread(one, grid, *codes.shape) for one in (qparams.scale, qparams.zero))
    return (codes.float() - zero) * scale


def check_qparams(qparams: QParams, grid: Grid, outputs: int, inputs: int) -> None:
    """Raises ValueError where there are not as many scales and zeros as this grid has for such a matrix."""
    wanted = (1 if grid.group == "tensor" else outputs, grid.groups(inputs))
    for name, one in (("scales", qparams.scale), ("zeros", qparams.zero)):
        if tuple(one.shape) != wanted:
            raise ValueError(f"this grid has {name} of shape {wanted} here, not {tuple(one.shape)}")


@dataclass(frozen=True)
class Quantized:
    """A matrix in whole numbers, and what turns them back."""

    codes: Int8[Tensor, "outputs inputs"]
    qparams: QParams
    grid: Grid

    def dequantized(self) -> Float[Tensor, "outputs inputs"]:
        """The matrix in float32."""
        return dequantize(self.codes, self.qparams, self.grid)


def nearest(weight: Float[Tensor, "outputs inputs"], grid: Grid) -> Quantized:
    """Every weight to the nearest code (RTN): what all else is measured against."""
    qparams = choose_qparams(weight, grid)
    return Quantized(quantize(weight, qparams, grid), qparams, grid)
