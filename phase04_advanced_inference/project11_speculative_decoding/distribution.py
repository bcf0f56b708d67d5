"""The distribution that a token is drawn from, and the draw.

Project 1's `choose` goes from logits to a token at once. Speculation must look at what lies between: whether a guess
may stay depends on the probabilities that the target and the guesser gave it, after penalty, temperature, top-k and
top-p.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from shared.phase01 import SamplingParams, keep_top_k, keep_top_p, penalize_repetition


def distribution(
    logits: Float[Tensor, "vocab"], used: Sequence[int], params: SamplingParams
) -> Float[Tensor, "vocab"]:
    """The probabilities that project 1's `choose` draws with: in float64, on the logits' device, with a sum of 1.

    In this order: the repetition penalty on the `used` tokens (all of the text so far), the temperature, which divides
    the logits, top-k, top-p, softmax. All of it in float64, so that what is drawn from and what is compared later are
    one: the guesser's probabilities must be exactly those it drew with. With temperature 0 the likeliest token after
    the penalty has probability 1; of equal ones the first. What is ruled out has probability 0.
    """
    exact = logits.double()
    if params.repetition_penalty != 1:
        seen = torch.tensor(used, dtype=torch.int64, device=logits.device)
        exact = penalize_repetition(exact, seen, params.repetition_penalty)
    if params.temperature == 0:
        return torch.zeros_like(exact).index_fill_(0, exact.argmax(), 1.0)
    return keep_top_p(keep_top_k(exact / params.temperature, params.top_k), params.top_p).softmax(dim=-1)


def draw(probabilities: Float[Tensor, "vocab"], number: float) -> int:
    """The token at `number`, from 0 to below 1, when all tokens lie side by side, each as wide as it is likely.

    That is the first whose running sum is above number × the sum of all: so a token without probability is never
    drawn, not with 0 either. One number a token, uniform, gives tokens with these probabilities (inverse transform
    sampling), and the same number always the same token, whatever else the machine computes.
    """
    sums = probabilities.cumsum(dim=0)
    return int(torch.searchsorted(sums, number * sums[-1], right=True))


def uniforms(count: int, generator: torch.Generator) -> list[float]:
    """So many numbers from 0 to below 1 out of the generator, in float64."""
    return torch.rand(count, generator=generator, dtype=torch.float64).tolist()
