"""Project 1's attention for grouped heads: several query heads share one head of keys and values.

The seam stays `Attend`: once a layer, attend(layer, q, k, v) -> mixed values. What comes in and goes out:

    q               (batch, heads, time, head_dim)       normalised, if the model does that, and turned
    k, v            (batch, kv_heads, time, head_dim)    not repeated, so that a cache stores the small ones; k turned
    mixed values    (batch, heads, time, head_dim)

Query head h belongs to key and value head h // (heads / kv_heads). Ainslie et al. 2023, "GQA" (arXiv:2305.13245).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from phase01_foundation.project01_minimal_gpt import attention as equal_heads


def repeat_heads(
    x: Float[Tensor, "batch kv_head time dim"], heads: int
) -> Float[Tensor, "batch {heads} time dim"]:
    """Every key or value head once for each query head that shares it: 0, 0, 1, 1 for four heads on two."""
    if x.shape[1] == heads:
        return x
    return x.repeat_interleave(heads // x.shape[1], dim=1)


def causal_attention(
    layer: int,
    q: Float[Tensor, "batch head time dim"],
    k: Float[Tensor, "batch kv_head time dim"],
    v: Float[Tensor, "batch kv_head time dim"],
) -> Float[Tensor, "batch head time dim"]:
    """Attention written out. Scores and softmax are in float32 at least, whatever the model's own precision."""
    exact = torch.promote_types(q.dtype, torch.float32)
    k, v = repeat_heads(k, q.shape[1]), repeat_heads(v, q.shape[1])
    return equal_heads.causal_attention(layer, q.to(exact), k.to(exact), v)


def torch_attention(
    layer: int,
    q: Float[Tensor, "batch head time dim"],
    k: Float[Tensor, "batch kv_head time dim"],
    v: Float[Tensor, "batch kv_head time dim"],
) -> Float[Tensor, "batch head time dim"]:
    """The same by torch's fused kernel, which never holds the (time, time) matrix."""
    k, v = repeat_heads(k, q.shape[1]), repeat_heads(v, q.shape[1])
    return equal_heads.torch_attention(layer, q, k, v)
