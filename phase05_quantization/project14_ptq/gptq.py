"""GPTQ: quantize column by column, and let the columns that are still floats make up for each error.

Rounding changes each weight as little as it can. What counts is the change of the outputs, ½ · trace(ΔW H ΔWᵀ), and
there a second error can cancel a first one. After column i is rounded, with error e, the best change of all columns
after it is known (Hassibi & Stork 1993; "OBQ": Frantar & Alistarh 2022, arXiv:2208.11580):

    W[:, j] -= e / [H⁻¹]_ii · [H⁻¹]_ij        H without the columns that are done

One Cholesky factor holds these inverses for every i: H⁻¹ = Uᵀ U with U upper triangular, and row i of U, divided by
U_ii, is what is needed. Frantar et al. 2022, "GPTQ" (arXiv:2210.17323).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from phase05_quantization.project14_ptq.grids import (
    Grid,
    QParams,
    Quantized,
    choose_qparams,
    round_to_grid,
    spread,
)


def inverse_factor(
    hessian: Float[Tensor, "inputs inputs"], damp: float = 0.01
) -> Float[Tensor, "inputs inputs"]:
    """U, upper triangular with a positive diagonal, so that Uᵀ U is the inverse of the damped H; in float64.

    Damped: `damp` times the mean of H's diagonal is added to its diagonal. An input that was always 0 says nothing: its
    diagonal number becomes 1 before that, so that its column is just rounded.

    Raises ValueError for a Hessian that is not finite; for one of zeros alone, for then nothing was observed; for a
    damp below 0, naming it; and where even so it cannot be inverted, saying the damp.
    """
    if damp < 0:
        raise ValueError(f"damp must be at least 0, not {damp}")
    h = hessian.double()
    if not h.isfinite().all():
        raise ValueError("a Hessian that is not finite: did the calibration overflow?")
    if not h.any():
        raise ValueError("the Hessian is 0 everywhere: no inputs were observed")
    diagonal = h.diagonal()
    h = h + torch.diag((diagonal == 0).double() + damp * diagonal.mean())
    lower, failed = torch.linalg.cholesky_ex(h)
    if failed:
        raise ValueError(
            f"the Hessian cannot be inverted with damp {damp}: take more tokens, or a larger damp"
        )
    return torch.linalg.cholesky(torch.cholesky_inverse(lower), upper=True)


def gptq(
    weight: Float[Tensor, "outputs inputs"],
    hessian: Float[Tensor, "columns columns"],
    grid: Grid,
    *,
    qparams: QParams | None = None,
    act_order: bool = False,
    damp: float = 0.01,
    block: int = 128,
) -> Quantized:
    """Codes of a matrix, chosen column by column so that the outputs change little on what gave the Hessian.

    Scales are those of `qparams`, or `choose_qparams` of the weights as they come, before any of them is changed; a
    column has the scale of the group in which it stands in the matrix. Columns are done from first to last, or, with
    `act_order`, from the largest number on H's diagonal to the smallest (of equal ones the first comes first): the
    inputs that matter most are rounded while all others can still make up for them. The codes come back in the order of
    the weight, and groups too are those of the weight, not of the order.

    In float64, with `inverse_factor` of H, permuted first; only `round_to_grid` is given float32, as in `quantize`: the
    largest weight of a symmetric group lies at a half, which finer numbers would put on another side. For a column i:
    the error is (w - its dequantized code) / U_ii, and error · U_ij is taken from each later column j. Done in blocks
    of `block` columns: inside a block at once, after it from all columns behind it, in one product; so the block size
    changes speed and no more than the last bits.

    Raises ValueError for a Hessian of another size than the weight, naming both, for a block below 1, naming it, for
    weights that are not finite, and as `inverse_factor` does.
    """
    outputs, inputs = weight.shape
    if tuple(hessian.shape) != (inputs, inputs):
        raise ValueError(f"the weight has {inputs} inputs, and the Hessian is {tuple(hessian.shape)}")
    if block < 1:
        raise ValueError(f"a block has at least 1 column, not {block}")
    qparams = qparams or choose_qparams(weight, grid)
    scale, zero = (spread(one, grid, outputs, inputs) for one in (qparams.scale, qparams.zero))
    order = torch.arange(inputs)
    if act_order:
        order = hessian.diagonal().argsort(descending=True, stable=True)
    w, scale, zero = weight.detach().double()[:, order], scale[:, order], zero[:, order]
    u = inverse_factor(hessian[order][:, order], damp)
    codes = torch.empty_like(w)
    for start in range(0, inputs, block):
        end = min(start + block, inputs)
        errors = torch.empty(outputs, end - start, dtype=w.dtype)
        for i in range(start, end):
            codes[:, i] = round_to_grid(w[:, i].float(), scale[:, i], zero[:, i], grid)
            error = (w[:, i] - (codes[:, i] - zero[:, i]) * scale[:, i].double()) / u[i, i]
            w[:, i + 1 : end] -= error[:, None] * u[i, i + 1 : end]
            errors[:, i - start] = error
        w[:, end:] -= errors @ u[start:end, end:]
    back = torch.empty_like(codes)
    back[:, order] = codes
    return Quantized(back.to(torch.int8), qparams, grid)


def output_error(change: Float[Tensor, "outputs inputs"], hessian: Float[Tensor, "inputs inputs"]) -> float:
    """½ · trace(ΔW H ΔWᵀ): the squared change of a layer's outputs, summed over them, on average over tokens."""
    change = change.double()
    return 0.5 * ((change @ hessian.double()) * change).sum().item()
