"""A plan of bits: which layer gets how many, so that a model fits a budget of bytes with the least damage.

Each layer is quantized alone, at each number of bits, and the loss is measured: what it rises is the damage. Damages of
several layers about add up, as long as they are small. Then it is a knapsack: one choice a layer, a budget, the
smallest sum. Compare Yao et al. 2021, "HAWQ-V3" (arXiv:2011.10680), who estimate the damage from the Hessian.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import nn

from phase05_quantization.project14_ptq.grids import Quantized
from phase05_quantization.project14_ptq.quant_linear import QuantLinear

Choices = Mapping[str, Mapping[int, float]]
"""by a layer's name and a number of bits"""


@torch.no_grad()
def measure_damage(
    model: nn.Module,
    layers: list[str],
    bits: list[int],
    quantized: Callable[[nn.Linear, int], Quantized],
    loss: Callable[[nn.Module], float],
) -> dict[str, dict[int, float]]:
    """How much the loss rises when one layer alone is quantized: for each layer's name and each number of bits.

    `quantized` makes the codes of a layer, `loss` measures the model, first as it is, once. Each layer is replaced by a
    QuantLinear in turn, and put back, the very same module, before the next one, also where `loss` raises. What comes
    out may be below 0: a small change may help by chance. Raises ValueError for a name of another module than a linear
    layer, naming it.
    """
    before = loss(model)
    found: dict[str, dict[int, float]] = {}
    for name in layers:
        linear = model.get_submodule(name)
        if not isinstance(linear, nn.Linear):
            raise ValueError(f"{name} is a {type(linear).__name__}, and no linear layer")
        found[name] = {}
        for count in bits:
            try:
                model.set_submodule(name, QuantLinear(linear, quantized(linear, count)))
                found[name][count] = loss(model) - before
            finally:
                model.set_submodule(name, linear)
    return found


def choose_bits(damage: Choices, size: Choices, budget: int) -> dict[str, int]:
    """The bits of each layer with the smallest sum of damages, among all plans whose bytes sum up to at most `budget`.

    `size` has the bytes of each layer at each number of bits that `damage` has for it. The answer is exact: no plan
    that fits has a smaller sum. (Go through the layers, and keep, of all plans for those so far, only what no
    other beats in both bytes and damage.) Of several best plans it is any. Layers stand in it in the order of
    `damage`; without any, it is empty.

    Raises ValueError where not even the fewest bytes of every layer fit, naming them and the budget, and where a layer
    has a damage and no size, or the other way round, or a damage that is no number (NaN), naming the layer.
    """
    for name in damage.keys() | size.keys():
        if damage.get(name, {}).keys() != size.get(name, {}).keys() or not damage.get(name):
            raise ValueError(
                f"{name} must have a damage and a size for the same numbers of bits, and for at least one"
            )
        if any(math.isnan(one) for one in damage[name].values()):
            raise ValueError(f"{name} has a damage that is no number")
    least = sum(int(min(one.values())) for one in size.values())
    if least > budget:
        raise ValueError(f"the smallest plan takes {least} bytes, and the budget is {budget}")
    rest = least  # what the layers that are still to come take at least
    plans: list[tuple[float, float, dict[str, int]]] = [(0, 0.0, {})]  # bytes, damage, and the bits so far
    for name in damage:
        rest -= int(min(size[name].values()))
        longer = [
            (taken + size[name][bits], worse + damage[name][bits], {**chosen, name: bits})
            for taken, worse, chosen in plans
            for bits in damage[name]
            if taken + size[name][bits] + rest <= budget
        ]
        longer.sort(key=lambda plan: plan[:2])
        plans, best = [], float("inf")
        for plan in longer:
            if plan[1] < best:
                plans.append(plan)
                best = plan[1]
    return plans[-1][2]
