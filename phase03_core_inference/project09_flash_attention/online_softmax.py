"""Softmax in pieces: what a query has found among some keys can be carried on, and two such findings can be merged.

Scores s_j and values v_j, of some keys, are all there is to know of them in three things:

    peak  = max_j s_j
    total = Σ_j e^(s_j - peak)
    mixed = Σ_j e^(s_j - peak) v_j

More keys may raise the peak; then what was summed up so far is multiplied by e^(old peak - new peak). At the end the
output is mixed / total, and the log-sum-exp peak + ln total. Milakov & Gimelshein 2018 (arXiv:1805.02867).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Running(NamedTuple):
    """What rows of queries have found so far: peak and total (…, row), mixed (…, row, dim). No key yet: -inf, 0, 0."""

    peak: Tensor
    total: Tensor
    mixed: Tensor


def start(q: Float[Tensor, "*batch row dim"], dim: int) -> Running:
    """For the rows of q, before any key; values will have `dim` numbers."""
    nothing = q.new_zeros(q.shape[:-1])
    return Running(nothing - float("inf"), nothing, q.new_zeros(*q.shape[:-1], dim))


def update(
    running: Running, scores: Float[Tensor, "*batch row key"], values: Float[Tensor, "... key dim"]
) -> Running:
    """What the rows have found when these keys are added to what they had.

    A score of -inf is a key that the row does not see: it gets the weight 0. A row that has seen no key at all, here
    and before, keeps peak -inf, total 0 and mixed 0, with no NaN on the way; but a score that is NaN makes its row NaN.
    The leading dimensions of values broadcast to those of scores. What is given is not changed.
    """
    peak = torch.maximum(running.peak, scores.amax(-1))
    base = peak.masked_fill(peak == float("-inf"), 0.0)  # -inf - -inf would be NaN
    weights = torch.exp(scores - base[..., None])  # (…, row, key)
    shrink = torch.exp(running.peak - base)
    total = running.total * shrink + weights.sum(-1)
    mixed = running.mixed * shrink[..., None] + weights @ values
    return Running(peak, total, mixed)


def finish(running: Running) -> tuple[Float[Tensor, "*batch row dim"], Float[Tensor, "*batch row"]]:
    """Output, mixed / total, and log-sum-exp, peak + ln total. A row that has seen no key gets 0 and -inf."""
    divisor = running.total.masked_fill(running.total == 0, 1.0)
    return running.mixed / divisor[..., None], running.peak + divisor.log()


def merge(
    out: Float[Tensor, "*batch row dim"],
    lse: Float[Tensor, "*batch row"],
    other_out: Float[Tensor, "*batch row dim"],
    other_lse: Float[Tensor, "*batch row"],
) -> tuple[Float[Tensor, "*batch row dim"], Float[Tensor, "*batch row"]]:
    """Output and log-sum-exp over two sets of keys, from those of each.

    The outputs' weights are e^lse and e^other_lse over their sum, and the sum's logarithm is the new log-sum-exp. It
    must hold for log-sum-exps of any size, as e^900 overflows: subtract the larger one first. (0, -inf), which is no
    key at all, changes nothing, and two of them give (0, -inf). What is given is not changed.
    """
    peak = torch.maximum(lse, other_lse)
    base = peak.masked_fill(peak == float("-inf"), 0.0)
    ours, theirs = torch.exp(lse - base), torch.exp(other_lse - base)
    total = ours + theirs
    mixed = ours[..., None] * out + theirs[..., None] * other_out
    return mixed / total.masked_fill(total == 0, 1.0)[..., None], base + total.log()
