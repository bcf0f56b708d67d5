"""The forward pass tile by tile: output and log-sum-exp, without the (queries, keys) matrix.

A tile of queries meets one tile of keys after the other, and carries on what it has found (`online_softmax.py`). What
is held at once is one tile of scores. Dao et al. 2022, FlashAttention (arXiv:2205.14135), algorithm 1, with the loops
of FlashAttention-2 (arXiv:2307.08691): queries outside, keys inside.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from phase03_core_inference.project09_flash_attention.online_softmax import finish, start, update
from phase03_core_inference.project09_flash_attention.tiles import key_tiles, visible


def forward(
    q: Float[Tensor, "batch head queries dim"],
    k: Float[Tensor, "batch kv_head keys dim"],
    v: Float[Tensor, "batch kv_head keys dim"],
    causal: bool,
    window: int | None,
    tile: tuple[int, int] = (64, 64),
) -> tuple[Float[Tensor, "batch head queries dim"], Float[Tensor, "batch head queries"]]:
    """softmax(q kᵀ / √dim) v over the keys that each query sees, and the log-sum-exp of those scores.

    `tile` is how many queries and how many keys a tile has; the last ones may have fewer. Nothing larger than a tile of
    scores for each head is made, besides the results and tensors of the size of q, k and v. Only the tiles of
    `key_tiles` are computed, and masked only where it says so, by scores of -inf. A query that sees no key gets 0 and
    -inf, also where there are no keys at all.

    Query head h reads key and value head h // (head / kv_head), which is not repeated. The work is done in float32 at
    least; the output has q's dtype, the log-sum-exp that of the work.
    """
    (batch, heads, queries, dim), (kv_heads, keys) = q.shape, k.shape[1:3]
    exact = torch.promote_types(q.dtype, torch.float32)
    # Query heads that share a key head lie side by side: (batch, kv_head, group, time, dim) against a group of one.
    grouped = q.to(exact).reshape(batch, kv_heads, heads // kv_heads, queries, dim) * dim**-0.5
    k, v = k.to(exact)[:, :, None], v.to(exact)[:, :, None]
    out = torch.empty(grouped.shape, dtype=q.dtype, device=q.device)
    lse = torch.empty(grouped.shape[:-1], dtype=exact, device=q.device)
    places = torch.arange(max(queries, keys), device=q.device)
    for first in range(0, queries, tile[0]):
        stop = min(first + tile[0], queries)
        rows = grouped[..., first:stop, :]
        running = start(rows, dim)
        for begin, end, masked in key_tiles(first, stop, queries, keys, causal, window, tile[1]):
            scores = rows @ k[..., begin:end, :].mT  # (batch, kv_head, group, row, key)
            if masked:
                seen = visible(places[first:stop], places[begin:end], queries, keys, causal, window)
                scores = scores.masked_fill(~seen, float("-inf"))
            running = update(running, scores, v[..., begin:end, :])
        out[..., first:stop, :], lse[..., first:stop] = finish(running)
    return out.flatten(1, 2), lse.flatten(1, 2)
