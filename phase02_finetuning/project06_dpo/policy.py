"""Policy and reference in one model: with its adapter on it is trained, with the adapter off it is what it was.

A second model in memory is not needed, and nothing can train the reference by mistake: its weights are frozen.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from phase02_finetuning.project05_lora.switching import adapters_off
from phase02_finetuning.project06_dpo.logprobs import LogProbs, sequence_logprobs
from shared.device import autocast
from shared.phase01 import Batch


def pair_logprobs(model: nn.Module, batch: Batch) -> LogProbs:
    """The log-probabilities of both answers of each pair: sums and counts, (pair, 2), the chosen answer first.

    `batch` has tokens and targets, both (pair, 2, time), as `collate_pairs` makes them. All answers go through the
    model together, (pair × 2, time), in one pass: two passes would take twice the time, and under dropout or
    sharding see two different models.
    """
    tokens, targets = batch["tokens"], batch["targets"]
    logits = model(tokens.flatten(0, 1))  # (pair × 2, time, vocab)
    sums, counts = sequence_logprobs(logits, targets.flatten(0, 1))
    return LogProbs(sums.view(-1, 2), counts.view(-1, 2))


def sides(pairs: Float[Tensor, "pair 2"]) -> tuple[Float[Tensor, "pair"], Float[Tensor, "pair"]]:
    """The chosen answers' numbers, and the rejected ones'."""
    return pairs[:, 0], pairs[:, 1]


@contextmanager
def reference_of(model: nn.Module) -> Iterator[nn.Module]:
    """Inside the block, the model is its own reference: adapters off, evaluation mode, no gradients. Yields the model.

    In training mode dropout would make another reference of it at every step. After the block, after an error too,
    each module is in the mode that it was in, the parts too (a part may be in evaluation mode while the whole is not),
    adapters are on again, and gradients are as before. Raises ValueError, as `adapters_off` does, for a model without
    adapters: it has no reference in it, and would be its own, at every step anew, with a loss that stays ln 2.
    """
    with adapters_off(model), torch.no_grad():
        modes = {module: module.training for module in model.modules()}
        model.eval()
        try:
            yield model
        finally:
            for module, training in modes.items():
                module.training = training


def reference_logprobs(
    model: nn.Module, batches: Iterable[Batch], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "pair 2"]:
    """What the model says of the pairs of all batches, in order, as a reference does: on the CPU, without a gradient.

    Sums, in nats. The model is taken as it is, in evaluation mode, and left in the mode it was in; who wants the base
    of an adapted model calls this inside `reference_of`. Batches are brought to the model's device, and matrix products
    run in `dtype`.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    found = []
    with torch.no_grad():
        for batch in batches:
            with autocast(device, dtype):
                found.append(
                    pair_logprobs(model, {name: one.to(device) for name, one in batch.items()}).sums.cpu()
                )
    model.train(was_training)
    return torch.cat(found)
