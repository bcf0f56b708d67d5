"""Master weights: the model in bfloat16, and the optimizer's own copy of the weights in float32.

A bfloat16 has 8 significant bits: between 0.5 and 1 its numbers are 2^-8 apart. A step of less than half of that,
which is what most steps are, is rounded away, and the weight stands still for good: 1.0 - 0.001, a hundred times,
is 1.0. So the sum is kept where small steps add up, and what the model computes with is its rounding. Micikevicius
et al. 2018 (arXiv:1710.03740), section 3.1.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

MakeOptimizer = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]
"""makes an optimizer of groups of parameters, such as lambda groups: torch.optim.AdamW(groups, lr=1e-3)"""


class MasterWeights(torch.optim.Optimizer):
    """Any optimizer, on float32 copies of the parameters, which are rounded to the parameters after each step.

    `param_groups` are groups of the model's own parameters, as everyone expects who clips, unscales or sets a rate;
    each has the options of the inner optimizer's group. `masters` has the float32 copies, in the order of all
    groups' parameters, and `inner` is the optimizer of them. Raises TypeError for a parameter that is not bfloat16
    or float16, naming its dtype: float32 needs no copy.
    """

    def __init__(self, params: Iterable[nn.Parameter] | Iterable[dict[str, Any]], make: MakeOptimizer):
        """Copy the parameters to `masters`, and `make` the inner optimizer of them, group by group.

        A group may have options of its own beside "params": they go to `make` with its copies.
        """
        super().__init__(params, {})
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for parameter in parameters:
            if parameter.dtype not in (torch.bfloat16, torch.float16):
                raise TypeError(f"master weights are for bfloat16 and float16, not for {parameter.dtype}")
        self.masters: list[Tensor] = [parameter.detach().float() for parameter in parameters]
        copies = iter(self.masters)
        self.inner = make(
            [{**group, "params": [next(copies) for _ in group["params"]]} for group in self.param_groups]
        )
        for group, theirs in zip(self.param_groups, self.inner.param_groups, strict=True):
            group.update({name: value for name, value in theirs.items() if name != "params"})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Let the inner optimizer step on the masters, and round them to the parameters.

        The options of each of `param_groups`, all but "params", go to the inner optimizer's group first: a schedule
        sets the rate there. A master gets its parameter's gradient in float32; one without a gradient stays as it
        is, and so does its parameter. Afterwards no master holds a gradient. Rounding is to the nearest, and never
        reads the parameter: what it cannot hold is not lost, it is in the master.
        """
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for group, theirs in zip(self.param_groups, self.inner.param_groups, strict=True):
            theirs.update({name: value for name, value in group.items() if name != "params"})
        for parameter, master in zip(parameters, self.masters, strict=True):
            master.grad = None if parameter.grad is None else parameter.grad.float()
        self.inner.step()
        for parameter, master in zip(parameters, self.masters, strict=True):
            if master.grad is not None:
                parameter.copy_(master)
            master.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The masters and the inner optimizer's state: from the rounded weights alone, a run could not go on."""
        return {"masters": list(self.masters), "inner": self.inner.state_dict()}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what `state_dict` gave. Raises ValueError for another number of masters, naming both."""
        found = state_dict["masters"]
        if len(found) != len(self.masters):
            raise ValueError(f"the state has {len(found)} master weights, and there are {len(self.masters)}")
        for master, other in zip(self.masters, found, strict=True):
            master.copy_(other)
        self.inner.load_state_dict(state_dict["inner"])
        for group, theirs in zip(self.param_groups, self.inner.param_groups, strict=True):
            group.update({name: value for name, value in theirs.items() if name != "params"})
