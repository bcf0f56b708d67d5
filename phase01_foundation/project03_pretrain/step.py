"""One step of training: gradients added up over parts of a batch, over processes, clipped, and applied.

What a batch is trained for is a seam; the trainer knows no other thing about its batches:

    loss_fn(model, batch) -> loss, metrics

`loss` is a mean over whatever the loss counts; metrics are numbers to be logged. Where rows do not count alike, as
when only the answer's tokens do, metrics has "weight", how many things the mean is over: then a batch has the same
gradient however it is cut into parts and spread over processes. Without "weight", each row counts the same.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from phase01_foundation.project03_pretrain.batches import IGNORED, Batch, micro_batches, to_device
from shared.device import autocast

Metrics = Mapping[str, Tensor | float]
LossFn = Callable[[nn.Module, Batch], tuple[Tensor, Metrics]]


def next_token_loss(model: nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
    """Mean cross-entropy of batch["targets"] given batch["tokens"], in nats a token; IGNORED targets left out.

    The model itself gives the sum, model(tokens, targets=targets), so that the logits of all tokens need never exist at
    once. The metrics have "weight", how many targets count; where none does, the loss is 0. Both stay tensors: no
    number is read back from the device.
    """
    targets = batch["targets"]
    weight = (targets != IGNORED).sum()
    total = model(batch["tokens"], targets=targets)
    return total / weight.clamp(min=1), {"weight": weight}


@dataclass(frozen=True)
class Step:
    """What one step was like; all numbers are those of the whole batch, over all processes."""

    loss: float
    gradient_norm: float
    applied: bool
    """False where the gradient was not finite, and the weights were left as they are"""
    metrics: dict[str, float] = field(default_factory=dict)


def training_step(
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    batch: Batch,
    rate: float,
    *,
    loss_fn: LossFn = next_token_loss,
    micro_batch: int = 0,
    max_norm: float = 1.0,
    dtype: torch.dtype = torch.float32,
    scaler: torch.amp.GradScaler | None = None,
) -> Step:
    """Take one step on this process's rows of a batch, `micro_batch` rows at a time (0: all at once), in training mode.

    Gradient accumulation: old gradients go, then those of the parts (`micro_batches`) add up, each part weighed by what
    its loss counts. In the end they are divided by the whole batch's weight (`_rescale`), so the step is the same
    however the batch is cut. The answer has loss and metrics as means over the batch, weighed likewise, without
    "weight" itself. Where nothing counts at all, loss, gradients and norm are 0.

    The forward pass runs in `dtype` (`autocast`); weights and gradients are float32. float16 needs a `scaler`, which
    multiplies each part's loss (`scaler.scale`), so that small gradients do not vanish, and is updated after each step.
    As float16 ends at 65,504, what is scaled is loss × weight / rows of the batch: a sum would grow with the batch.

    A step is applied, with `rate` for every group of every optimizer (`_apply`), unless its loss or its gradient norm
    is not finite.

    Where torch.distributed is initialized, the model is wrapped in DDP or sharded by FSDP. Then the processes share
    gradients once, with the last part: each part's forward and backward pass is inside `gradient_sync` (DDP decides at
    the forward pass), which is told whether it is the last. What all processes' gradients add up to comes back as their
    mean. Loss, metrics and weight are those of all.

    No number is read back from the device before the last part's backward pass (no `.item()`): a GPU works through what
    it was given, and would stand idle for as long as nobody gives it more.
    """
    model.train()
    for optimizer in optimizers:
        optimizer.zero_grad()
    device = next(model.parameters()).device
    # Added up over a large batch, loss × weight would overflow in float16; a mean over its rows does not grow with it.
    # `_rescale` multiplies by as many again, for what counts in the end is the mean by weight.
    all_rows = len(next(iter(batch.values())))
    parts = micro_batches(batch, micro_batch)
    sums: dict[str, Tensor] = {}
    several = dist.is_initialized()
    for number, part in enumerate(parts, start=1):
        part = to_device(part, device)
        with gradient_sync(model, number == len(parts)):
            with autocast(device, dtype):
                loss, metrics = loss_fn(model, part)
            weight = _number(metrics.get("weight", len(next(iter(part.values())))), device)
            scaled = loss * weight / all_rows
            (scaler.scale(scaled) if scaler else scaled).backward()
        for name, value in {**metrics, "loss": loss, "weight": 1.0}.items():
            sums[name] = sums.get(name, 0.0) + _number(value, device) * weight
    together = torch.stack(list(sums.values()))
    if several:
        dist.all_reduce(together)
    # Here, and not before, the device is waited for.
    numbers = dict(zip(sums, together.tolist(), strict=True))
    total = numbers.pop("weight") or 1.0  # where nothing counts, all sums are 0
    means = {name: value / total for name, value in numbers.items()}
    # Of what all processes' gradients add up to, DDP and FSDP hand out the mean.
    processes = dist.get_world_size() if several else 1
    norm = _rescale(model, optimizers, all_rows * processes / total, max_norm, scaler)
    applied = math.isfinite(norm) and math.isfinite(means["loss"])
    if applied:
        _apply(optimizers, rate, scaler)
    if scaler:
        scaler.update()
    return Step(means.pop("loss"), norm, applied, means)


def _number(value: Tensor | float, device: torch.device) -> Tensor:
    """A metric as a tensor in float32 on the device, without its history; nothing waits for it."""
    if isinstance(value, Tensor):
        return value.detach().to(device, torch.float32)
    # Made there: a copy would wait for the device.
    return torch.full((), value, dtype=torch.float32, device=device)


def _rescale(
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    factor: float,
    max_norm: float,
    scaler: torch.amp.GradScaler | None,
) -> float:
    """Multiply the gradients by the factor, then clip them; returns their norm before the clipping.

    Before anything else, a `scaler` takes its scale out of each optimizer's gradients (`unscale_`). The norm is that of
    all gradients together, times the factor; under FSDP it is a DTensor (`full_tensor`). Clipping scales all of them
    down to a norm of `max_norm`, and leaves what is within it as it is. A parameter without a gradient is passed over.
    """
    if scaler:
        for optimizer in optimizers:
            scaler.unscale_(optimizer)
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    norm = factor * (norm.full_tensor() if isinstance(norm, DTensor) else norm).item()
    # All in a few kernels, where a loop starts one for each parameter.
    torch._foreach_mul_(  # pyright: ignore[reportPrivateImportUsage]
        gradients, factor * min(1.0, max_norm / norm) if norm else factor
    )
    return norm


def _apply(
    optimizers: Sequence[torch.optim.Optimizer], rate: float, scaler: torch.amp.GradScaler | None
) -> None:
    """Give every group the rate, and let every optimizer take its step."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        if scaler:
            scaler.step(optimizer)
        else:
            optimizer.step()


@contextmanager
def gradient_sync(model: nn.Module, yes: bool) -> Iterator[None]:
    """Inside, a backward pass of a wrapped model adds the processes' gradients up, or leaves that to a later one.

    A part's forward and backward pass must both be inside: DDP decides at the forward pass. It has a context manager
    for what is left to later (`no_sync`), FSDP a switch (`set_requires_gradient_sync`), which stays as it was put.
    torch.compile puts a wrapper around either, in whose `_orig_mod` it is. For a model that is not shared there is
    nothing to do.
    """
    model = getattr(model, "_orig_mod", model)
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(yes)
        yield
    elif isinstance(model, DistributedDataParallel) and not yes:
        with model.no_sync():
            yield
    else:
        yield
