"""Loss scaling: keep small gradients above float16's underflow, and find the scale by trying.

float16's smallest number is 2^-24; what is at most half of it becomes zero, and many gradients are. So the loss is
multiplied by a large scale before the backward pass, and with it, by the chain rule, every gradient; before the
optimizer sees them, they are divided by it again, in float32. A scale too large makes infinities: then the step is
skipped and the scale is lowered. After a while without any, it is raised. A power of two changes exponents alone,
so nothing is rounded. Micikevicius et al. 2018 (arXiv:1710.03740), section 3.2.

A step, in this order (`step.py` puts it together):

    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)      where gradients are looked at before the step, as clipping does
    scaler.step(optimizer)          left out where a gradient is not finite
    scaler.update()                 once, for all optimizers
"""

import math
from enum import Enum
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

STATE = ("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")


class Stage(Enum):
    """How far an optimizer is since the last update."""

    UNSCALED = "unscaled"
    STEPPED = "stepped"


class GradScaler:
    """The same as torch.amp.GradScaler, step by step.

    `value` is the scale, a float, and `tracker` how many updates in a row had finite gradients since the last
    growth. Since the last update, by an optimizer's id: `stages` has how far it is, `found_inf` whether one of its
    gradients was not finite. Raises ValueError for a scale that is not above 0 and finite, a growth_factor not
    above 1, a backoff_factor not between 0 and 1, and a growth_interval below 1, naming the argument and what was
    given.
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ):
        self.value, self.tracker = init_scale, 0
        self.growth_factor, self.backoff_factor = growth_factor, backoff_factor
        self.growth_interval = growth_interval
        self.stages: dict[int, Stage] = {}
        self.found_inf: dict[int, bool] = {}
        if not (init_scale > 0 and math.isfinite(init_scale)):
            raise ValueError(f"init_scale must be above 0 and finite, not {init_scale}")
        if not growth_factor > 1:
            raise ValueError(f"growth_factor must be above 1, not {growth_factor}")
        if not 0 < backoff_factor < 1:
            raise ValueError(f"backoff_factor must be between 0 and 1, not {backoff_factor}")
        if growth_interval < 1:
            raise ValueError(f"growth_interval must be at least 1, not {growth_interval}")

    def get_scale(self) -> float:
        """The scale, by the name that torch has for it."""
        return self.value

    def scale(self, loss: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The loss times the scale, in the loss's dtype and with its graph; the loss itself stays as it is."""
        return loss * self.value

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients of the optimizer's parameters by the scale, in place, and note whether all were
        finite.

        Finite they must be before the division: that is where an overflow shows. A parameter without a gradient is
        passed over. All of `optimizer.param_groups` count.

        Raises, before any gradient is touched, RuntimeError where this optimizer's gradients have been unscaled
        since the last update, or its step taken, saying so (the message has "unscale_" or "step"), and ValueError
        for a gradient in float16, naming that dtype: in it, what was saved by scaling would be lost again.
        """
        if id(optimizer) in self.stages:
            raise RuntimeError(
                f"unscale_ was called, but this optimizer's gradients are {self.stages[id(optimizer)].value} since the "
                "last update(): they would be divided twice"
            )
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if any(gradient.dtype == torch.float16 for gradient in gradients):
            raise ValueError("gradients in torch.float16 cannot be unscaled: keep the weights in float32")
        finite = [torch.isfinite(gradient).all() for gradient in gradients]
        for gradient in gradients:
            gradient.mul_(1 / self.value)
        self.stages[id(optimizer)] = Stage.UNSCALED
        if finite:
            # One number is read back from the device, not one for each gradient.
            self.found_inf[id(optimizer)] = not torch.stack(finite).all().item()

    def step(self, optimizer: torch.optim.Optimizer) -> bool:
        """Take the optimizer's step, unless a gradient of its own was not finite; returns whether it was taken.

        Gradients that are not unscaled yet are unscaled first. Another optimizer's infinity does not matter here.
        Raises RuntimeError for a second step without an update in between (the message has "update"), and where no
        parameter has a gradient (the message has "gradient").
        """
        if self.stages.get(id(optimizer)) is Stage.STEPPED:
            raise RuntimeError("step was called twice for this optimizer: call update() in between")
        if id(optimizer) not in self.stages:
            self.unscale_(optimizer)
        if id(optimizer) not in self.found_inf:
            raise RuntimeError("this optimizer's parameters have no gradient: call backward() before step")
        self.stages[id(optimizer)] = Stage.STEPPED
        if self.found_inf[id(optimizer)]:
            return False
        optimizer.step()
        return True

    def update(self) -> None:
        """Set the scale for the next step, and begin anew with every optimizer.

        Where any optimizer found an infinity or NaN, the scale is multiplied by backoff_factor, and the tracker is
        0 again. Otherwise the tracker counts one more; when it reaches growth_interval, the scale is multiplied by
        growth_factor, unless that is beyond float32's largest number (torch.finfo), and the tracker is 0 again in
        either case. Raises RuntimeError where nothing was unscaled since the last update (the message has
        "unscale_" or "step").
        """
        if not self.found_inf:
            raise RuntimeError("update was called before any unscale_ or step: there is nothing to go by")
        if any(self.found_inf.values()):
            self.value, self.tracker = self.value * self.backoff_factor, 0
        else:
            self.tracker += 1
            if self.tracker == self.growth_interval:
                grown = self.value * self.growth_factor
                self.value = grown if grown <= torch.finfo(torch.float32).max else self.value
                self.tracker = 0
        self.stages.clear()
        self.found_inf.clear()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, under torch's names: torch.amp.GradScaler can load it."""
        values = self.value, self.growth_factor, self.backoff_factor, self.growth_interval, self.tracker
        return dict(zip(STATE, values, strict=True))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave, or torch's. Raises ValueError where something is missing, naming it."""
        if missing := [name for name in STATE if name not in state]:
            raise ValueError(f"the scaler's state lacks {', '.join(missing)}")
        self.value, self.growth_factor, self.backoff_factor, self.growth_interval, self.tracker = (
            state[name] for name in STATE
        )
