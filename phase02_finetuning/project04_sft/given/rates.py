"""Lets project 3's trainer follow another path of the learning rate than its own, which is straight."""

from typing import Any

import torch

from phase02_finetuning.project04_sft.given.settings import SFTConfig
from phase02_finetuning.project04_sft.schedule import cosine
from shared.phase01 import Run, learning_rate


def rate_at(step: int, settings: SFTConfig) -> float:
    """The learning rate of a step: project 1's straight path, or this project's cosine."""
    if settings.schedule == "cosine":
        return settings.learning_rate * cosine(step, settings.steps, settings.warmup, settings.floor)
    return learning_rate(
        step,
        peak=settings.learning_rate,
        warmup=settings.warmup,
        steps=settings.steps,
        decay_share=settings.decay_share,
    )


def follow_schedule(run: Run, settings: SFTConfig) -> None:
    """From now on every optimizer of the run takes its steps at `rate_at`.

    The trainer gives each step its rate just before the optimizer takes it; what is registered here comes in between.
    `run.step` is the number of the step, after a resume too.
    """

    def set_rate(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            group["lr"] = rate_at(run.step, settings)

    for optimizer in run.optimizers:
        optimizer.register_step_pre_hook(set_rate)
