"""Attention by its formula: what the tests hold every backend to, and what the benchmark compares with."""

import torch
from jaxtyping import Float
from torch import Tensor


def attention_written_out(
    q: Float[Tensor, "batch head queries dim"],
    k: Float[Tensor, "batch kv_head keys dim"],
    v: Float[Tensor, "batch kv_head keys dim"],
    causal: bool = True,
    window: int | None = None,
) -> tuple[Float[Tensor, "batch head queries dim"], Float[Tensor, "batch head queries"]]:
    """Output and log-sum-exp with the whole (queries, keys) matrix, in the dtype of the inputs.

    The queries are the last ones of the text. One that sees no key gets 0 and -inf.
    """
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    queries, keys = q.shape[2], k.shape[2]
    position = torch.arange(queries, device=q.device)[:, None] + keys - queries
    column = torch.arange(keys, device=q.device)
    hidden = torch.zeros(queries, keys, dtype=torch.bool, device=q.device)
    if causal:
        hidden |= column > position
    if window is not None:
        hidden |= column <= position - window
    scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(hidden, float("-inf"))
    # softmax of nothing but -inf is NaN, and its gradient too: such rows are masked before and after.
    blind = hidden.all(-1, keepdim=True)
    weights = scores.masked_fill(blind, 0.0).softmax(-1).masked_fill(blind, 0.0)
    return weights @ v, scores.logsumexp(-1)
