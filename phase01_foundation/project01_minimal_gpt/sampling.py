"""From logits to the next token: greedy, temperature, top-k, top-p, repetition penalty.

Each function takes logits (higher is likelier) and returns logits; what is ruled out becomes -inf. The logits that
were given stay as they were.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class SamplingParams:
    """How to choose the next token, and when to end. Raises ValueError for a setting out of range."""

    max_tokens: int = 200
    """the most tokens to write"""
    temperature: float = 1.0
    """below 1 bolder, above 1 wilder; 0 is greedy: always the likeliest token"""
    top_k: int = 0
    """choose among the k likeliest tokens only; 0 is all"""
    top_p: float = 1.0
    """choose among the likeliest tokens that make up this share of the probability; 1 is all"""
    repetition_penalty: float = 1.0
    """above 1, tokens that have been used become less likely; 1 is off"""
    stop: tuple[str, ...] = ()
    """end before any of these texts"""
    stop_ids: tuple[int, ...] = ()
    """end at any of these tokens, such as one that says the text is over"""
    seed: int = 0
    """the same seed writes the same text"""

    def __post_init__(self):
        # Beyond these, a division of logits in float32 may give infinity, and that NaN.
        least, most = 1e-6, 1e6
        allowed = {
            "max_tokens": (self.max_tokens >= 1, "at least 1"),
            "temperature": (
                self.temperature == 0 or least <= self.temperature <= most,
                f"0 (greedy), or from {least:f} to {most:,.0f}",
            ),
            "top_k": (self.top_k >= 0, "0 (all) or more"),
            "top_p": (0 < self.top_p <= 1, "above 0 and at most 1"),
            "repetition_penalty": (
                least <= self.repetition_penalty <= most,
                f"from {least:f} to {most:,.0f}",
            ),
            "stop": ("" not in self.stop, "texts of at least one character"),
            "stop_ids": (all(id >= 0 for id in self.stop_ids), "ids of tokens, 0 or more"),
            "seed": (0 <= self.seed < 2**64, f"from 0 to {2**64 - 1}"),
        }
        for name, (fine, what) in allowed.items():
            if not fine:
                raise ValueError(f"{name} must be {what}, not {getattr(self, name)!r}")


def penalize_repetition(
    logits: Float[Tensor, "vocab"], used: Int[Tensor, "time"], penalty: float
) -> Float[Tensor, "vocab"]:
    """Make the tokens in `used` less likely: positive logits are divided by the penalty, negative ones multiplied.

    However often a token was used, it is penalised once. The logits that were given stay as they were. Keskar et al.
    2019, CTRL (arXiv:1909.05858), section 4.1.
    """
    penalized, before = logits.clone(), logits[used]
    # A token that was used twice is written twice, with the same value.
    penalized[used] = torch.where(before > 0, before / penalty, before * penalty)
    return penalized


def keep_top_k(logits: Float[Tensor, "vocab"], k: int) -> Float[Tensor, "vocab"]:
    """Rule out all but the k likeliest tokens; all stay when k is 0 or more than there are.

    Of equal logits at the border the lower id stays, so that never more than k do. What is ruled out becomes -inf;
    the logits that were given stay as they were. Fan et al. 2018 (arXiv:1805.04833).
    """
    if k == 0:
        return logits
    order = logits.argsort(descending=True, stable=True)
    return logits.index_fill(0, order[k:], float("-inf"))


def keep_top_p(logits: Float[Tensor, "vocab"], p: float) -> Float[Tensor, "vocab"]:
    """Keep the fewest likeliest tokens whose probabilities reach p together; the likeliest always stays.

    Exactly p is enough. Of equal logits the lower id comes first. A p of 1 keeps all. What is ruled out becomes -inf;
    the logits that were given stay as they were. Nucleus sampling: Holtzman et al. 2020 (arXiv:1904.09751).
    """
    if p >= 1:
        return logits
    order = logits.argsort(descending=True, stable=True)
    probabilities = logits.softmax(dim=-1)[order]
    before = probabilities.cumsum(dim=-1) - probabilities  # what the likelier ones reach without this one
    return logits.index_fill(0, order[before >= p], float("-inf"))


def choose(
    logits: Float[Tensor, "vocab"],
    used: Int[Tensor, "time"],
    params: SamplingParams,
    generator: torch.Generator,
) -> int:
    """The next token's id: penalty on the `used`, then temperature, then top-k, then top-p, then a draw.

    `used` are all tokens of the text so far, the prompt's too. The temperature divides the logits. Top-p counts the
    probabilities of what top-k has left, which sum to 1 again. `generator` alone draws. With temperature 0 it is the
    likeliest after the penalty, and nothing is drawn.
    """
    logits = penalize_repetition(logits, used, params.repetition_penalty)
    if params.temperature == 0:
        return int(logits.argmax())
    logits = keep_top_p(keep_top_k(logits / params.temperature, params.top_k), params.top_p)
    return int(torch.multinomial(logits.softmax(dim=-1), 1, generator=generator))
