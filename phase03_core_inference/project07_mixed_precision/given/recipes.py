"""The ways to train that are compared: what the weights are, what multiplies, and who adds the steps up.

    float32          all of it
    autocast         weights in float32, products in bfloat16, by your Autocast
    bfloat16         weights in bfloat16, torch's AdamW on them: steps too small for the format are lost
    masters          weights in bfloat16, AdamW on float32 copies
    kahan            weights in bfloat16, with what rounding left over beside them
    float16          weights in float32, products in float16, no loss scaling: small gradients are lost
    float16-scaled   the same with your GradScaler

On a CPU, float16 is emulated: the same numbers, at float32's pace. On a GPU it is real.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from phase03_core_inference.project07_mixed_precision.autocast import Autocast
from phase03_core_inference.project07_mixed_precision.given.settings import TrainSettings
from phase03_core_inference.project07_mixed_precision.half_emulation import emulate_half, half_attention
from phase03_core_inference.project07_mixed_precision.kahan import KahanAdamW
from phase03_core_inference.project07_mixed_precision.master_weights import MasterWeights
from phase03_core_inference.project07_mixed_precision.scaler import GradScaler
from phase03_core_inference.project07_mixed_precision.step import ScaledStep, scaled_step
from shared.phase01 import LLM, Batch, next_token_loss

BETAS, EPS = (
    (0.9, 0.95),
    1e-12,
)  # the gradients of a small part of a large batch are small: 1e-8 would be felt
NARROW_WEIGHTS = ("bfloat16", "masters", "kahan")


@dataclass
class Learner:
    """A model with what trains it."""

    model: LLM
    optimizer: torch.optim.Optimizer
    scaler: GradScaler
    block: Callable[[], AbstractContextManager[object]]
    """what its passes run in"""

    def step(self, batch: Batch, rate: float, share: float, max_norm: float) -> ScaledStep:
        """One step on what is a `share` of a larger batch; loss and norm are as if it were all of it."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

        def loss_fn(model: nn.Module, part: Batch) -> Tensor:
            return self.loss(part) * share

        self.model.train()
        done = scaled_step(
            self.model, [self.optimizer], batch, loss_fn, self.scaler, max_norm=max_norm * share
        )
        return ScaledStep(done.loss / share, done.gradient_norm / share, done.applied)

    def loss(self, batch: Batch) -> Tensor:
        """The mean loss in nats a token."""
        with self.block():
            return next_token_loss(self.model, batch)[0]


def prepare(recipe: str, settings: TrainSettings, vocab_size: int, device: torch.device) -> Learner:
    """A new model, the same one for every recipe, and what this recipe trains it with."""
    torch.manual_seed(settings.seed)
    model = LLM(settings.model_config(vocab_size))
    block: Callable[[], AbstractContextManager[object]] = nullcontext
    if recipe in NARROW_WEIGHTS:
        model = model.to(torch.bfloat16)
    model = model.to(device)
    if recipe == "autocast":
        block = lambda: Autocast(torch.bfloat16, device.type)  # noqa: E731
    if recipe.startswith("float16"):
        if device.type == "cuda":
            block = lambda: Autocast(torch.float16, device.type)  # noqa: E731
        else:
            emulate_half(model)
            model.attend = half_attention
    # Without scaling, a scale of 1 that stays: the same code for all.
    scaler = GradScaler(init_scale=1.0, backoff_factor=1 - 2**-20, growth_interval=2**62)
    if recipe == "float16-scaled":
        scaler = GradScaler(growth_interval=settings.growth_interval)
    return Learner(model, make_optimizer(recipe, model, settings.weight_decay), scaler, block)


def make_optimizer(recipe: str, model: LLM, weight_decay: float) -> torch.optim.Optimizer:
    """The recipe's AdamW, with a rate of 0. Only the blocks' matrices decay."""
    matrices = [one for one in model.blocks.parameters() if one.ndim == 2]
    inside = set(map(id, matrices))
    others = [one for one in model.parameters() if id(one) not in inside]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if recipe == "kahan":
        return KahanAdamW(groups, lr=0.0, betas=BETAS, eps=EPS)
    if recipe == "masters":
        return MasterWeights(groups, _adamw)
    return _adamw(groups)


def _adamw(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=EPS, fused=True)
