"""Activations in eight bits too, so that products are of whole numbers; and LLM.int8(), for the columns that break it.

Each token has its own scale, each output of the layer too, and both are taken out of the sum:

    y[t, o] = scale_x[t] · scale_w[o] · Σ_i x_code[t, i] · w_code[o, i]

One large number in a token makes its scale large, and all its other numbers small codes. In large models such numbers
lie in a few columns, the same for all tokens: these go through the product in floats. Dettmers et al. 2022,
"LLM.int8()" (arXiv:2208.07339).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int8
from torch import Tensor, nn

from phase05_quantization.project14_ptq.given.integers import integer_product

LARGEST = 127
"""the codes of activations and of these weights are -127 to 127, as in bitsandbytes"""


def quantize_rows(
    x: Float[Tensor, "rows inputs"],
) -> tuple[Int8[Tensor, "rows inputs"], Float[Tensor, "rows"]]:
    """Each row in eight bits, and its scale: amax / 127, with amax the largest absolute number of the row.

    In float32. Codes are round(x · (127 / amax)), of two equally near the even one: multiplied, as bitsandbytes does,
    not divided. A row of zeros has codes of 0, and scale 0.
    """
    x = x.float()
    amax = x.abs().amax(dim=1)  # (rows)
    inverse = LARGEST / torch.where(amax > 0, amax, torch.ones_like(amax))
    return (x * inverse[:, None]).round().to(torch.int8), amax / LARGEST


def outlier_columns(x: Float[Tensor, "rows inputs"], threshold: float) -> Bool[Tensor, "inputs"]:
    """Which columns have a number in any row whose absolute value is at least the threshold; with 0, none have."""
    if threshold == 0:
        return torch.zeros(x.shape[1], dtype=torch.bool, device=x.device)
    return (x.abs() >= threshold).any(dim=0)


def int8_linear(
    x: Float[Tensor, "rows inputs"],
    codes: Int8[Tensor, "outputs inputs"],
    scale: Float[Tensor, "outputs"],
    threshold: float = 0.0,
) -> Float[Tensor, "rows outputs"]:
    """x Wᵀ in float32, with W = codes · scale of its row, by products of whole numbers.

    Columns of x that `outlier_columns` names are taken out before rows are quantized, so that no scale sees them: they
    are multiplied in floats with these columns of W, dequantized. All others go through `quantize_rows` and
    `integer_product`. Raises ValueError for a threshold below 0, naming it.
    """
    if threshold < 0:
        raise ValueError(f"the threshold is 0, for no outliers, or above, not {threshold}")
    x = x.float()
    outlier = outlier_columns(x, threshold)
    x_codes, x_scale = quantize_rows(x.masked_fill(outlier, 0.0))
    y = integer_product(x_codes, codes).float() * x_scale[:, None] * scale
    if outlier.any():
        y += F.linear(x[:, outlier], codes[:, outlier].float()) * scale
    return y


class Int8Linear(nn.Module):
    """A linear layer in eight bits, weights and activations (W8A8), with LLM.int8()'s outlier columns."""

    codes: Tensor
    scale: Tensor

    def __init__(self, linear: nn.Linear, threshold: float = 0.0):
        super().__init__()
        codes, scale = quantize_rows(linear.weight.detach())
        self.threshold, self.bias = threshold, linear.bias
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)

    def forward(self, x: Float[Tensor, "*rest inputs"]) -> Float[Tensor, "*rest outputs"]:
        """`int8_linear` of all rows at once, plus the bias, in x's dtype and shape."""
        y = int8_linear(x.reshape(-1, x.shape[-1]), self.codes, self.scale, self.threshold)
        if self.bias is not None:
            y = y + self.bias
        return y.to(x.dtype).view(*x.shape[:-1], len(self.codes))
