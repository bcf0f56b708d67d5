"""The Loss seam: what a batch is trained for. The trainer knows no other thing about its batches.

    loss_fn(model, batch) -> loss, metrics

`loss` is a mean over whatever the loss counts; metrics are numbers to be logged. Where rows do not count alike, as
when only the answer's tokens do, metrics has "weight", how many things the mean is over: then a batch has the same
gradient however it is cut into parts and spread over processes. Without "weight", each row counts the same.
"""

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from phase01_foundation.project03_pretrain.batches import IGNORED, Batch

Metrics = Mapping[str, Tensor | float]
LossFn = Callable[[nn.Module, Batch], tuple[Tensor, Metrics]]


def next_token_loss(model: nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
    """Mean cross-entropy of batch["targets"] under model(batch["tokens"]), in nats a token; IGNORED ones left out."""
    logits, targets = model(batch["tokens"]), batch["targets"]
    weight = (targets != IGNORED).sum()
    total = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")
    return total / weight.clamp(min=1), {"weight": weight}
