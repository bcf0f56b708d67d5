"""One training step with a scaler: what comes after what, where several things could."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from phase03_core_inference.project07_mixed_precision.scaler import GradScaler
from shared.phase01 import Batch, micro_batches

Loss = Callable[[nn.Module, Batch], Tensor]
"""the mean loss of a batch's rows"""


@dataclass(frozen=True)
class ScaledStep:
    """What a step was like. The norm is that of the unscaled gradients, before clipping."""

    loss: float
    gradient_norm: float
    applied: bool
    """False where a gradient was not finite, and at least one optimizer did nothing"""


def scaled_step(
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    batch: Batch,
    loss_fn: Loss,
    scaler: GradScaler,
    micro_batch: int = 0,
    max_norm: float = 1.0,
) -> ScaledStep:
    """Take one step on a batch, `micro_batch` rows at a time (0: all at once), each optimizer with the rates it has.

    In this order: old gradients go, set to None; `micro_batches` of project 3 cuts the batch, and every part's loss,
    times its share of the batch's rows, is scaled, and its gradients add up; then, once, every optimizer's gradients
    are unscaled; only now the norm of all of them together is that of the loss's gradients, and they are clipped to
    `max_norm` (torch.nn.utils.clip_grad_norm_ over the model's parameters does both); every optimizer steps through the
    scaler; the scaler is updated once, also where the step was skipped. With no infinity and a scale that is a power of
    two, it is the step that would be taken without a scaler.

    `loss` is the mean over all rows, unscaled, as a float. Raises ValueError for a negative micro_batch and for a
    max_norm that is not above 0, before any work, naming the number.
    """
    if micro_batch < 0:
        raise ValueError(f"micro_batch must be 0 or more, not {micro_batch}")
    if not max_norm > 0:
        raise ValueError(f"max_norm must be above 0, not {max_norm}")
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    rows = len(next(iter(batch.values())))
    total = 0.0
    for part in micro_batches(batch, micro_batch):
        loss = loss_fn(model, part) * (len(next(iter(part.values()))) / rows)
        scaler.scale(loss).backward()
        total += loss.item()
    for optimizer in optimizers:
        scaler.unscale_(optimizer)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm).item()
    applied = [scaler.step(optimizer) for optimizer in optimizers]
    scaler.update()
    return ScaledStep(total, norm, all(applied))
