"""Paged attention for GPUs, in Triton: one query a program, which walks along its text's blocks.

A program reads where the next block lies, and then the block: what paged attention costs on a GPU is one more number a
block. `given/paged_launch.py` says how many programs there are, and hands the tensors over. Kwon et al. 2023
(arXiv:2309.06180), section 5.1, with the online softmax of Milakov & Gimelshein 2018 (arXiv:1805.02867).

    q, out          (token, heads, HEAD), each in one piece
    keys, values    (kv_heads, slots, HEAD), in one piece
    tables          (token, columns), int32: the blocks of each token's text, and any number behind the last one needed
    lengths         (token), int32: how many tokens of its text each query sees, 1 or more
"""

# ruff: noqa: N803 - Triton's constants are written in capitals

from typing import no_type_check

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit(do_not_specialize=["slots", "columns"])
@no_type_check
def paged_kernel(
    q_ptr, keys_ptr, values_ptr, tables_ptr, lengths_ptr, out_ptr, scale, heads, group, slots, columns,
    BLOCK_SIZE: tl.constexpr, TILE: tl.constexpr, GROUP: tl.constexpr, HEAD: tl.constexpr,
):  # fmt: skip
    """The output of one token's queries that share a key and value head. Grid: (tokens, kv_heads).

    Program (t, h) has the `group` query heads of token t from h · group on, and reads key and value head h. GROUP and
    TILE are powers of two, for tiles must be: GROUP at least `group`, TILE at least BLOCK_SIZE. What is more of them
    than there is, is neither read nor written. Place p of the text lies in slot
    table[p // BLOCK_SIZE] · BLOCK_SIZE + p % BLOCK_SIZE; the token sees the places 0 to its length - 1, and of all
    other slots nothing may come through, though there may be NaN in them: loads are masked, and such a score is -inf.

    Block by block: scores = q kᵀ · scale; the new peak; the old total and mixed times 2^(old peak - new peak); the new
    weights 2^(score · log2 e - new peak) into the total, and times v into mixed. All in float32, products by
    multiplying and summing, for one query is too few for `tl.dot`. The output is mixed / total, in q's dtype. No block
    behind the length is read, nor its number in the table.

    The store may have more than 2³¹ numbers, so places in it are reckoned in int64.
    """
    token, kv_head = tl.program_id(0), tl.program_id(1)
    length = tl.load(lengths_ptr + token)
    member, dim, offset = tl.arange(0, GROUP), tl.arange(0, HEAD), tl.arange(0, TILE)
    row = token.to(tl.int64) * heads + kv_head * group + member
    place = row[:, None] * HEAD + dim[None, :]
    ours = (member < group)[:, None]
    q = tl.load(q_ptr + place, mask=ours, other=0.0).to(tl.float32)  # (GROUP, HEAD)

    total = tl.zeros([GROUP], tl.float32)
    peak = tl.full([GROUP], float("-inf"), tl.float32)
    mixed = tl.zeros([GROUP, HEAD], tl.float32)
    factor = scale * LOG2_E
    table = tables_ptr + token.to(tl.int64) * columns
    for first in tl.range(0, length, BLOCK_SIZE):
        block = tl.load(table + first // BLOCK_SIZE).to(tl.int64)
        seen = (offset < BLOCK_SIZE) & (first + offset < length)
        slot = kv_head.to(tl.int64) * slots + block * BLOCK_SIZE + offset
        stored = slot[:, None] * HEAD + dim[None, :]
        k = tl.load(keys_ptr + stored, mask=seen[:, None], other=0.0).to(tl.float32)  # (TILE, HEAD)
        scores = tl.sum(q[:, None, :] * k[None, :, :], 2) * factor  # (GROUP, TILE)
        scores = tl.where(seen[None, :], scores, float("-inf"))
        new_peak = tl.maximum(peak, tl.max(scores, 1))
        weights = tl.math.exp2(scores - new_peak[:, None])
        shrink = tl.math.exp2(peak - new_peak)
        total = total * shrink + tl.sum(weights, 1)
        v = tl.load(values_ptr + stored, mask=seen[:, None], other=0.0).to(tl.float32)
        mixed = mixed * shrink[:, None] + tl.sum(weights[:, :, None] * v[None, :, :], 1)
        peak = new_peak
    tl.store(out_ptr + place, (mixed / total[:, None]).to(out_ptr.dtype.element_ty), mask=ours)
