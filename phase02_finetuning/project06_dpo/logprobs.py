"""How likely a model finds an answer: the sum of its tokens' log-probabilities, and how many there are.

All of preference training stands on this one number. What goes wrong with it goes wrong in silence: a sum over the
padding, or a mean in a sum's place, trains as well, and something else.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from shared.phase01 import IGNORED


class LogProbs(NamedTuple):
    """Of each sequence: the sum of its answer's log-probabilities, in nats, and over how many tokens."""

    sums: Tensor
    counts: Tensor

    @property
    def means(self) -> Tensor:
        """Nats a token, for the losses that do not want long answers to count more; 0 where there is no token."""
        return self.sums / self.counts.clamp(min=1)


def token_logprobs(
    logits: Float[Tensor, "*rest time vocab"], targets: Int[Tensor, "*rest time"]
) -> Float[Tensor, "*rest time"]:
    """log p of each target under the logits of the same place; 0 where the target is IGNORED.

    As everywhere in the trainer, targets are one place ahead: targets[..., t] is the token that comes after place t, so
    nothing is shifted here. The log-softmax is made in float32 at least, whatever the logits are in, for bfloat16 has
    three digits; that is the result's dtype. Gradients reach the logits of places that count, and no others.
    """
    exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
    nats = F.cross_entropy(
        exact.flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )  # (rest × time)
    return -nats.view(targets.shape)


def sequence_logprobs(
    logits: Float[Tensor, "*rest time vocab"], targets: Int[Tensor, "*rest time"]
) -> LogProbs:
    """The log-probability of each sequence's answer: sums and counts, both (*rest), over targets that are not IGNORED.

    The sum has the dtype of `token_logprobs`, and counts are int64. It is a sum, not a mean: the probability of a text
    is the product over its tokens. A sequence without any token to count has 0 and 0.

    Padding must not change a sum by a single bit. As floats are added, (a + b) + c is not a + (b + c), and `sum` goes
    another way through a longer row; added up from the left (`cumsum`, and its last entry), zeros at the end of a row
    change nothing.
    """
    logps = token_logprobs(logits, targets)
    return LogProbs(logps.cumsum(dim=-1)[..., -1], (targets != IGNORED).sum(dim=-1))
