"""AdamW for bfloat16 weights without a float32 copy: what rounding takes from a weight is remembered, and added
later.

Kahan's compensated summation (1965): beside the sum stands the error of the last rounding. It is about 256 times
smaller than the sum's last bit is worth, so eight more bits of the sum are known, and a step too small to show
waits there until enough has come together. Zamirai et al. 2020 (arXiv:2010.06192). AdamW: Loshchilov & Hutter 2019
(arXiv:1711.05101).
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class KahanAdamW(torch.optim.Optimizer):
    """AdamW whose weights are bfloat16, each with a compensation in bfloat16; the two moments are float32.

    Two bytes a weight less than with master weights. The moments stay in float32 for the reason that the weights
    need help: with a second beta of 0.999 a moment moves by a thousandth of itself, which bfloat16 rounds away.
    Raises ValueError for an lr, eps or weight_decay below 0 and for a beta outside of [0, 1), and TypeError for a
    parameter that is not bfloat16; each names what was given.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        for name, value in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay)):
            if not value >= 0:
                raise ValueError(f"{name} must be 0 or more, not {value}")
        for beta in betas:
            if not 0 <= beta < 1:
                raise ValueError(f"betas must be at least 0 and below 1, not {beta}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.dtype != torch.bfloat16:
                    raise TypeError(f"the weights must be torch.bfloat16, not {parameter.dtype}")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take one step of AdamW with what rounding left over added back; a parameter without a gradient is left
        alone.

        All is computed in float32, from g, the gradient, and w, the weight with its compensation:

            w = weight + compensation
            m = m + (1 - beta1) (g - m)               v = v + (1 - beta2) (g² - v)
            update = -lr (m / (1 - beta1^t) / (√(v / (1 - beta2^t)) + eps) + weight_decay w)
            correction = compensation + update        new = weight + correction, rounded to bfloat16
            compensation = (weight - new) + correction, rounded to bfloat16          weight = new

        The update itself is never rounded to bfloat16, nor is weight decay a product in bfloat16, in which 1 - lr ×
        weight_decay is 1. The state of a parameter is "step", the t of above as an int, "exp_avg", m, and
        "exp_avg_sq", v, in float32, and "compensation", in bfloat16; all begin as 0. lr, betas, eps and
        weight_decay are the group's.
        """
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state[parameter]
                    if not state:
                        state["step"] = 0
                        for moment in ("exp_avg", "exp_avg_sq"):
                            state[moment] = torch.zeros_like(parameter, dtype=torch.float32)
                        state["compensation"] = torch.zeros_like(parameter)
                    correction = state["compensation"].float()
                    correction += adamw_update(parameter, state, group)
                    weight = parameter.float()
                    parameter.copy_(weight + correction)
                    state["compensation"].copy_((weight - parameter) + correction)


def adamw_update(
    parameter: nn.Parameter, state: dict[str, Any], group: dict[str, Any]
) -> Float[Tensor, "*shape"]:
    """AdamW's update of one parameter, in float32 and not yet added: the formulas of KahanAdamW.step up to `update`.

    `state` is the parameter's, with everything in it: "step" is counted up, and the gradient is taken into
    "exp_avg" and "exp_avg_sq", in place. Parameter, gradient and compensation stay as they are.
    """
    assert parameter.grad is not None
    gradient = parameter.grad.float()
    beta1, beta2 = group["betas"]
    state["step"] += 1
    mean = state["exp_avg"].lerp_(gradient, 1 - beta1) / (1 - beta1 ** state["step"])
    square = state["exp_avg_sq"].lerp_(gradient.square(), 1 - beta2) / (1 - beta2 ** state["step"])
    weight = parameter.float() + state["compensation"].float()
    return -group["lr"] * (mean / (square.sqrt() + group["eps"]) + group["weight_decay"] * weight)


def lost_share(weights: Float[Tensor, "*shape"], updates: Float[Tensor, "*shape"]) -> float:
    """The share of updates, of those that are not 0, which change nothing when they are added to bfloat16 weights.

    `weights` are bfloat16, `updates` float32; the sum is rounded once, from float32, to the nearest bfloat16.
    Without any update that is not 0, the share is 0.
    """
    moving = updates != 0
    still = (weights.float() + updates).bfloat16() == weights
    return (moving & still).sum().item() / max(1, int(moving.sum()))
