"""The loss of a large batch, without holding all of its logits: some rows at a time, and again on the way back.

64 rows of 1,024 tokens, each with logits for 10,000 tokens, are 2.6 GB in float32, several times over: the logits,
their log-softmax, its gradient. Nothing needs them as a whole. So the tokens are taken in parts: norm, head and
cross-entropy of one part after the other, under `checkpoint`, which keeps the part's hidden state and makes its logits
anew for the backward pass. That costs one more product with the head's matrix, a fiftieth of a step of the 125M preset,
and the sum is the same, but for the order of its terms. Of 16 such rows, in a model of one narrow block, forward and
backward take 533 MiB so, and 2,033 MiB with all logits at once (measured on a CPU, in bfloat16).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

LOGITS_AT_ONCE = 2**25
"""numbers, 128 MiB in float32: fits beside anything, and keeps a GPU busy. What has no more is taken as it is"""


def summed_cross_entropy(
    logits_of: Callable[[Tensor], Tensor],
    x: Float[Tensor, "batch time dim"],
    targets: Int[Tensor, "batch time"],
    vocab_size: int,
) -> Float[Tensor, ""]:
    """Σ −ln p(target) in nats over all targets but those of -100; `logits_of` turns (1, n, dim) into (1, n, vocab)."""
    rows = max(1, LOGITS_AT_ONCE // vocab_size)
    if targets.numel() <= rows:
        return _part(logits_of, x, targets)
    total = x.new_zeros((), dtype=torch.promote_types(x.dtype, torch.float32))
    parts = zip(x.flatten(0, 1).split(rows), targets.flatten().split(rows), strict=True)
    for hidden, wanted in parts:  # (rows, dim), (rows)
        if torch.is_grad_enabled():
            loss = checkpoint(
                _part, logits_of, hidden[None], wanted[None], use_reentrant=False, preserve_rng_state=False
            )
        else:
            loss = _part(logits_of, hidden[None], wanted[None])
        total = total + loss
    return total


def _part(logits_of: Callable[[Tensor], Tensor], x: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits_of(x).flatten(0, 1), targets.flatten(), reduction="sum")
