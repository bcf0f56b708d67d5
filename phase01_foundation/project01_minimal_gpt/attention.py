"""Causal self-attention by hand: each position looks back at those before it and takes a weighted mean.

Vaswani et al. 2017, "Attention Is All You Need" (arXiv:1706.03762), section 3.2.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Heads = Float[Tensor, "batch head time dim"]

Attend = Callable[[int, Heads, Heads, Heads], Heads]
"""What a model calls once a layer: the layer's number, from 0, and this step's queries, keys and values in; the
mixed values out.

Whoever passes another function changes how the model attends, and need not touch the model: a KV cache, a fused
kernel or a sparse pattern is an `attend`.
"""


def attention_weights(
    q: Float[Tensor, "batch head time dim"], k: Float[Tensor, "batch head time dim"]
) -> Float[Tensor, "batch head time time"]:
    """How much each position (row) looks at each other (column): softmax(q kᵀ / √dim), the future left out.

    Every row is non-negative and sums to 1. A position's weight on any later position is exactly 0. Large scores
    do not overflow, as torch's softmax sees to. The mask is made on the device of q.
    """
    time, dim = q.shape[-2:]
    # Scores grow with √dim when q and k have unit variance; undone, the softmax starts out soft.
    scores = (q / math.sqrt(dim)) @ k.transpose(-2, -1)  # (batch, head, time, time)
    future = torch.ones(time, time, dtype=torch.bool, device=q.device).triu(diagonal=1)
    return scores.masked_fill(future, float("-inf")).softmax(dim=-1)


def causal_attention(
    layer: int,
    q: Float[Tensor, "batch head time dim"],
    k: Float[Tensor, "batch head time dim"],
    v: Float[Tensor, "batch head time dim"],
) -> Float[Tensor, "batch head time dim"]:
    """Attention written out: at each position, the mean of the values so far, weighted by attention_weights.

    The result has the dtype of v. Queries and keys may have a finer one than v (project 3 passes float32 beside
    bfloat16): the weights are worked out in theirs.
    """
    return attention_weights(q, k).to(v.dtype) @ v


def torch_attention(
    layer: int,
    q: Float[Tensor, "batch head time dim"],
    k: Float[Tensor, "batch head time dim"],
    v: Float[Tensor, "batch head time dim"],
) -> Float[Tensor, "batch head time dim"]:
    """The same by torch's fused kernel, which never holds the (time, time) matrix: the reference and the peer."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)
