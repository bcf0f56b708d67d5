"""Scales between layers: what one layer divides by, the next one multiplies with, and the function stays the same.

    W x = (W · diag(s)) (x / s)

x / s costs nothing where a layer before makes x: its gain or its rows are divided by s. Two methods choose s:

- AWQ makes the columns larger whose inputs are large, so that these weights are rounded more finely; how much, is
  searched. Lin et al. 2023 (arXiv:2306.00978).
- SmoothQuant makes inputs with outliers smaller, and the weights that read them larger, so that both have eight bits'
  room. Xiao et al. 2022 (arXiv:2211.10438).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from phase05_quantization.project14_ptq.gptq import output_error
from phase05_quantization.project14_ptq.grids import Grid, nearest

SMALLEST = 1e-5
"""no statistic counts as less, or a scale would be 0"""


def search_scale(
    weights: Sequence[Float[Tensor, "_ inputs"]],
    hessian: Float[Tensor, "inputs inputs"],
    mean_abs: Float[Tensor, "inputs"],
    grid: Grid,
    steps: int = 20,
) -> Float[Tensor, "inputs"]:
    """AWQ's scale for matrices that read the same inputs: the best of mean_abs^α for α = 0, 1/steps, ... 1.

    Best is the smallest sum over the matrices of `output_error` of what changes when W · diag(s) is rounded to the
    nearest code and divided by s again; of equally good ones the smallest α. `mean_abs`, the mean of |x| (never of x,
    which may cancel), counts as SMALLEST at least. Each scale is divided by √(largest · smallest) of itself, so that it
    lies around 1. α = 0 is a scale of ones, so the answer is never worse than rounding.

    Raises ValueError for no weights, for steps below 1, naming it, and for a mean_abs below 0.
    """
    if not weights or steps < 1:
        raise ValueError(f"there must be weights, and at least 1 step, not {len(weights)} and {steps}")
    if (mean_abs < 0).any():
        raise ValueError("a mean of absolute values is not below 0: was it of the inputs themselves?")
    best, found = float("inf"), torch.ones_like(mean_abs)
    for step in range(steps + 1):
        scale = mean_abs.clamp(min=SMALLEST) ** (step / steps)
        scale = scale / (scale.max() * scale.min()).sqrt()
        error = 0.0
        for weight in weights:
            rounded = nearest(weight * scale, grid).dequantized() / scale
            error += output_error(weight - rounded, hessian)
        if error < best:
            best, found = error, scale
    return found


def smooth_scale(
    weights: Sequence[Float[Tensor, "_ inputs"]], max_abs: Float[Tensor, "inputs"], alpha: float = 0.5
) -> Float[Tensor, "inputs"]:
    """SmoothQuant's scale: max|x|^α / max|w|^(1-α) for each input, with the largest weight in its column of any matrix.

    At α = 0.5, inputs and weights have the same largest number afterwards. Both count as SMALLEST at least. Raises
    ValueError for no weights, and for an alpha that is not from 0 to 1, naming it.
    """
    if not weights:
        raise ValueError("there must be weights that read these inputs")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is from 0 to 1, not {alpha}")
    largest = torch.stack([weight.abs().amax(dim=0) for weight in weights]).amax(dim=0)
    return max_abs.clamp(min=SMALLEST) ** alpha / largest.clamp(min=SMALLEST) ** (1 - alpha)


@torch.no_grad()
def fold(before: nn.Module, after: Sequence[nn.Linear], scale: Float[Tensor, "inputs"]) -> None:
    """Divide what `before` makes by the scale, and multiply the columns of the layers that read it; both in place.

    `before` is a norm, whose gain `weight` (inputs) is divided, or a linear layer, of whose `weight` (inputs, its own
    inputs) each row is, and of whose bias, where it has one, each number. A tied or shared parameter is changed for all
    who share it, so give none. Raises ValueError, before anything is changed, for a scale that is not positive and
    finite, and where `before` or a layer has not as many outputs or inputs as the scale has numbers, naming both.
    """
    if not (scale > 0).all() or not scale.isfinite().all():
        raise ValueError("a scale must be positive and finite")
    made = before.get_parameter("weight")
    for count in [len(made), *(linear.weight.shape[1] for linear in after)]:
        if count != len(scale):
            raise ValueError(f"the scale has {len(scale)} numbers, and a layer {count}")
    made.div_(scale.to(made.dtype) if made.ndim == 1 else scale.to(made.dtype)[:, None])
    bias = getattr(before, "bias", None)
    if bias is not None:
        bias.div_(scale.to(bias.dtype))
    for linear in after:
        linear.weight.mul_(scale.to(linear.weight.dtype))
