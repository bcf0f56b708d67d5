"""Which guesses may stay, so that the text is what the target alone would have written.

The target has read all guesses in one pass, so its distribution is known at every place: after the text, after the
first guess, and so on to after the last. Guesses are judged from the first on; the first that must go takes all after
it along, for they were guessed after it. One token more is always written: in the place of what had to go, or after the
last guess.

Greedy: a guess stays if it is the likeliest token. Sampling: a guess that was drawn with probability q and has p in the
target stays with probability min(1, p / q); in its place comes a token from the residual distribution, max(0, p - q)
made to sum to 1. Then each token has exactly the distribution p: Leviathan et al. 2023 (arXiv:2211.17192), appendix
A.1; Chen et al. 2023 (arXiv:2302.01318), theorem 1.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from phase04_advanced_inference.project11_speculative_decoding.distribution import (
    distribution,
    draw,
    uniforms,
)
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Proposal
from shared.phase01 import SamplingParams, penalize_repetition


def verify_greedy(
    logits: Float[Tensor, "place vocab"], text: Sequence[int], guessed: Sequence[int], penalty: float = 1.0
) -> list[int]:
    """The tokens that greedy choice writes after `text`: the guesses up to the first that it would not, and one more.

    logits[i] are the target's after text and the first i guesses, so there is one place more than guesses. At each
    place the repetition penalty counts all tokens before it, guesses too; the likeliest token is then what stays there.
    """
    if penalty == 1:
        choices = logits.argmax(dim=-1).tolist()
    else:
        used = torch.tensor([*text, *guessed], device=logits.device)
        choices = [
            int(penalize_repetition(row, used[: len(text) + i], penalty).argmax())
            for i, row in enumerate(logits)
        ]
    same = next((i for i, token in enumerate(guessed) if token != choices[i]), len(guessed))
    return choices[: same + 1]


def targets(
    logits: Float[Tensor, "place vocab"], text: Sequence[int], guessed: Sequence[int], params: SamplingParams
) -> Float[Tensor, "place vocab"]:
    """The target's `distribution` at each place: after text, after text and the first guess, … and the last.

    At each place the tokens before it count as used, the guesses among them too, and no later ones.
    """
    each = [distribution(row, [*text, *guessed[:i]], params) for i, row in enumerate(logits)]
    return torch.stack(each)


def residual(p: Float[Tensor, "vocab"], q: Float[Tensor, "vocab"]) -> Float[Tensor, "vocab"]:
    """What p has more than q: max(0, p - q), divided by its sum.

    Where rounding leaves nothing (p and q are the same, but for the last bits), it is p.
    """
    more = (p - q).clamp(min=0)
    total = more.sum()
    return more / total if total > 0 else p


def rejection_sample(
    target: Float[Tensor, "place vocab"],
    guessed: Sequence[int],
    probabilities: Float[Tensor, "guess vocab"] | None,
    numbers: Sequence[float],
) -> list[int]:
    """The guesses that may stay, and one token more.

    `target` holds the target's distribution at each place, one more than guesses; `probabilities` those that the
    guesses were drawn from, None where nothing was drawn: then the guess had probability 1. `numbers`, as many as
    places, each from 0 to below 1, decide: guess i stays if numbers[i] × q < p, with its probabilities p in the target
    and q in what it was drawn from. At the first that does not stay, `draw` with the *last* number takes a token from
    the `residual` of this place's two distributions; if all stay, from the target's last distribution.
    """
    for i, token in enumerate(guessed):
        p = target[i]
        certain = F.one_hot(torch.tensor(token), len(p)).to(p.dtype)
        q = certain if probabilities is None else probabilities[i]
        if not numbers[i] * float(q[token]) < float(p[token]):
            return [*guessed[:i], draw(residual(p, q), numbers[-1])]
    return [*guessed, draw(target[-1], numbers[-1])]


def verify(
    logits: Float[Tensor, "place vocab"],
    text: Sequence[int],
    proposal: Proposal,
    params: SamplingParams,
    generator: torch.Generator,
) -> list[int]:
    """The tokens that the target writes after `text`, given its logits after it and after each guess of the proposal.

    With temperature 0, `verify_greedy` with the penalty, and nothing is drawn. Else `rejection_sample` on `targets`,
    with as many `uniforms` out of the generator as there are places, however many guesses stay. Logits may be on any
    device, and in any format; the choice is made on the CPU.
    """
    logits = logits.cpu()
    if params.temperature == 0:
        return verify_greedy(logits, text, proposal.tokens, params.repetition_penalty)
    numbers = uniforms(len(logits), generator)
    target = targets(logits, text, proposal.tokens, params)
    return rejection_sample(target, proposal.tokens, proposal.probabilities, numbers)
