"""Clipping: a narrower range makes finer steps for the many, and cuts off the few at the ends.

The cheapest rival of GPTQ: it needs no calibration, and gets back about half of what GPTQ does. At two bits, where a
step is a third of the range, the largest weight of a group is seldom worth its range.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from phase05_quantization.project14_ptq.grids import Grid, QParams, choose_qparams, dequantize, quantize


def search_clip(
    weight: Float[Tensor, "outputs inputs"], grid: Grid, shares: int = 20, narrowest: float = 0.4
) -> QParams:
    """The scales, group by group, under which rounding to the nearest code has the smallest squared error.

    Tried are `shares` shares of the range, evenly spaced from 1 down to `narrowest` (both tried): all weights times
    the share go through `choose_qparams`, so a range shrinks at both ends, and what is beyond is clipped. Each group
    keeps the scale and zero of its own best share, of equally good ones the largest; with group "tensor" the whole
    matrix has one. With `shares` 1 it is `choose_qparams`.

    Raises ValueError for fewer than 1 share, and for a narrowest share that is not above 0 and at most 1, naming it.
    """
    if shares < 1:
        raise ValueError(f"at least 1 share must be tried, not {shares}")
    if not 0 < narrowest <= 1:
        raise ValueError(f"the narrowest share is above 0 and at most 1, not {narrowest}")
    weight = weight.detach().float()
    best, scale, zero = None, None, None
    for share in torch.linspace(1, narrowest, shares).tolist():
        tried = choose_qparams(weight * share, grid)
        error = _group_errors(weight, tried, grid)
        if best is None or scale is None or zero is None:
            best, scale, zero = error, tried.scale, tried.zero
            continue
        better = error < best
        best = torch.where(better, error, best)
        scale, zero = torch.where(better, tried.scale, scale), torch.where(better, tried.zero, zero)
    assert scale is not None  # there was a first share
    assert zero is not None
    return QParams(scale, zero)


def _group_errors(weight: Tensor, qparams: QParams, grid: Grid) -> Tensor:
    """The summed squared error of each group, shaped as the scales are."""
    squares = (weight - dequantize(quantize(weight, qparams, grid), qparams, grid)).square()
    if grid.group == "tensor":
        return squares.sum().view(1, 1)
    parts = squares.split(grid.width(weight.shape[1]), dim=1)
    return torch.stack([part.sum(dim=1) for part in parts], dim=1)
