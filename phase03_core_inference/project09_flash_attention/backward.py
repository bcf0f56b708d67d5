"""The backward pass tile by tile: the weights are computed again from q, k and the log-sum-exp, not kept.

With s = q kᵀ · scale, p = softmax(s) and out = p v, and the gradient dout of the output:

    dv = pᵀ dout
    dp = dout vᵀ
    ds = p · (dp - D),      D = rowsum(p · dp) = rowsum(dout · out)
    dq = ds k · scale
    dk = dsᵀ q · scale

The log-sum-exp gives p of a tile at once, p = e^(s - lse), and D needs no tile at all. Dao et al. 2022, FlashAttention
(arXiv:2205.14135), section B.2 and algorithm 4.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from phase03_core_inference.project09_flash_attention.tiles import key_tiles, visible


def row_dots(
    out: Float[Tensor, "*batch row dim"], dout: Float[Tensor, "*batch row dim"]
) -> Float[Tensor, "*batch row"]:
    """D: for each row the sum of dout · out, in float32 at least, whatever comes in."""
    exact = torch.promote_types(out.dtype, torch.float32)
    return (out.to(exact) * dout).sum(-1)


def backward(
    q: Float[Tensor, "batch head queries dim"],
    k: Float[Tensor, "batch kv_head keys dim"],
    v: Float[Tensor, "batch kv_head keys dim"],
    out: Float[Tensor, "batch head queries dim"],
    lse: Float[Tensor, "batch head queries"],
    dout: Float[Tensor, "batch head queries dim"],
    causal: bool,
    window: int | None,
    tile: tuple[int, int] = (64, 64),
) -> tuple[
    Float[Tensor, "batch head queries dim"],
    Float[Tensor, "batch kv_head keys dim"],
    Float[Tensor, "batch kv_head keys dim"],
]:
    """dq, dk and dv, from what `forward` was given and has returned, and the gradient of its output.

    As in `forward`: the same tiles, nothing larger than a tile of scores for each head, the work in float32 at least,
    and the results in q's dtype. dk and dv of a head are sums over all query heads that read it. A query that sees no
    key (its lse is -inf) has the gradient 0 and adds nothing to any key's, with no NaN on the way.
    """
    (batch, heads, queries, dim), (kv_heads, keys) = q.shape, k.shape[1:3]
    exact, scale = torch.promote_types(q.dtype, torch.float32), dim**-0.5
    split = batch, kv_heads, heads // kv_heads, queries
    dots = row_dots(out, dout).view(split)
    # e^(s - inf) is 0: a query that saw nothing has no weights.
    lse = lse.masked_fill(lse == float("-inf"), float("inf")).view(split)
    rows, drows = (x.to(exact).reshape(*split, dim) for x in (q, dout))
    k, v = k.to(exact)[:, :, None], v.to(exact)[:, :, None]
    dq, dk, dv = (torch.zeros(x.shape, dtype=exact, device=x.device) for x in (rows, k, v))
    places = torch.arange(max(queries, keys), device=q.device)
    for first in range(0, queries, tile[0]):
        stop = min(first + tile[0], queries)
        here = (..., slice(first, stop), slice(None))
        for begin, end, masked in key_tiles(first, stop, queries, keys, causal, window, tile[1]):
            there = (..., slice(begin, end), slice(None))
            scores = rows[here] @ k[there].mT * scale  # (batch, kv_head, group, row, key)
            if masked:
                seen = visible(places[first:stop], places[begin:end], queries, keys, causal, window)
                scores = scores.masked_fill(~seen, float("-inf"))
            weights = torch.exp(scores - lse[..., first:stop, None])
            dweights = drows[here] @ v[there].mT
            dscores = weights * (dweights - dots[..., first:stop, None])
            dv[there] += (weights.mT @ drows[here]).sum(2, keepdim=True)
            dq[here] += dscores @ k[there] * scale
            dk[there] += (dscores.mT @ rows[here]).sum(2, keepdim=True) * scale
    return dq.flatten(1, 2).to(q.dtype), dk.squeeze(2).to(q.dtype), dv.squeeze(2).to(q.dtype)
