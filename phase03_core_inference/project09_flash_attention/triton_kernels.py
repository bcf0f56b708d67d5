"""Flash attention for GPUs, in Triton: the forward pass, and the three kernels of the backward pass.

A program is one tile of queries of one head (or one tile of keys of one key and value head): it keeps that tile in
registers and walks along the tiles of the other side. `given/triton_launch.py` says how many programs there are, and
hands the tensors over as descriptors, which Hopper's copy unit reads by itself: a load or store names its place,
[batch, head, row, 0], and gets a tile of shape [1, 1, rows, HEAD]. What lies behind the last row is read as 0 and never
written. Dao 2023, FlashAttention-2 (arXiv:2307.08691), algorithms 1 and 2.

Powers are of two, since a GPU has an instruction for that: e^x = 2^(x · log2 e), and the scale takes the factor in.

    q, out, dq, dout    (batch, heads, queries, HEAD)
    k, v, dk, dv        (batch, heads / group, keys, HEAD)
    lse, dots           (batch, heads, queries), float32, in one piece

The query in row i has the position i + keys - queries. With CAUSAL it sees the keys j up to its position, and with a
WINDOW above 0 only the last WINDOW of these: position - WINDOW < j ≤ position. Without CAUSAL it sees all keys.
"""

# ruff: noqa: N803 - Triton's constants are written in capitals

from typing import no_type_check

import triton
import triton.language as tl
import triton.tools.tensor_descriptor  # noqa: F401 - the launch takes it from here; Triton does not load it by itself

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit(do_not_specialize=["queries", "keys"])
@no_type_check
def visible(rows, columns, queries, keys, CAUSAL: tl.constexpr, WINDOW: tl.constexpr):
    """Which query sees which key: `rows` and `columns` are numbers of queries and keys that broadcast to a tile.

    A column behind the last key is seen by nobody. The rule of positions, CAUSAL and WINDOW is at the top of the file.
    """
    position = rows + keys - queries
    seen = columns < keys
    if CAUSAL:
        seen = seen & (columns <= position)
    if WINDOW > 0:
        seen = seen & (columns > position - WINDOW)
    return seen


@triton.jit(do_not_specialize=["queries", "keys"])
@no_type_check
def attend_tiles(
    total, peak, mixed, q, k_desc, v_desc, batch, kv_head, rows, start, stop, factor, queries, keys,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, MASKED: tl.constexpr,
    HEAD: tl.constexpr, BLOCK_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One tile of queries meets the keys from `start` (a multiple of BLOCK_K) up to `stop`: online softmax.

    `stop` may lie inside a tile, or not above `start`: then there are none.

    `total` and `peak` (BLOCK_Q) and `mixed` (BLOCK_Q, HEAD), all float32, are what was found so far: the sum of
    2^(score · factor - peak), the largest score · factor, and the sum of values with the same weights. Returns the
    three as they are after these keys. `rows` are the numbers of the queries; the scores are q kᵀ.

    For each tile of keys: the scores; the new peak; the old total and mixed times 2^(old peak - new peak); the new
    weights 2^(score · factor - new peak) into the total, and (in v's dtype) times v into mixed. MASKED says that some
    query may not see some key: such a score is -inf, and while a row has seen no key at all its peak stays -inf, its
    total 0, and no NaN may come of it. Both products take PRECISION as their input_precision.
    """
    for first in tl.range(start, stop, BLOCK_K):
        k = k_desc.load([batch, kv_head, first, 0]).reshape(BLOCK_K, HEAD)
        scores = tl.dot(q, k.T, input_precision=PRECISION)  # (BLOCK_Q, BLOCK_K)
        if MASKED:
            columns = first + tl.arange(0, BLOCK_K)
            seen = visible(rows[:, None], columns[None, :], queries, keys, CAUSAL, WINDOW)
            scores = tl.where(seen, scores, float("-inf"))
        new_peak = tl.maximum(peak, tl.max(scores, 1) * factor)
        # -inf - -inf is NaN: a row that has seen nothing yet subtracts 0 instead, and its weights come out as 0.
        base = tl.where(new_peak == float("-inf"), 0.0, new_peak) if MASKED else new_peak
        weights = tl.math.exp2(scores * factor - base[:, None])
        shrink = tl.math.exp2(peak - base)
        total = total * shrink + tl.sum(weights, 1)
        v = v_desc.load([batch, kv_head, first, 0]).reshape(BLOCK_K, HEAD)
        mixed = tl.dot(weights.to(v.dtype), v, mixed * shrink[:, None], input_precision=PRECISION)
        peak = new_peak
    return total, peak, mixed


@triton.jit(do_not_specialize=["queries", "keys"])
@no_type_check
def forward_kernel(
    q_desc, k_desc, v_desc, out_desc, lse_ptr, scale, heads, group, queries, keys,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr,
    HEAD: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The output and the log-sum-exp (natural logarithm) of one tile of queries. Grid: (tiles, batch × heads).

    Program (t, b × heads + h) has the t-th tile from the *end*, since late queries see most and should begin first.
    Query head h reads key and value head h // group. Scores are q kᵀ · scale.

    Keys that no query of the tile sees are not read. Tiles of keys that every query sees whole take the loop without a
    mask, which are nearly all; at most three calls of `attend_tiles` do it: the window's edge, the inner tiles, and
    the diagonal with the ragged end. A query that sees no key has the output 0 and the log-sum-exp -inf. Rows behind
    the last query write nothing.
    """
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * BLOCK_Q
    batch, head = tl.program_id(1) // heads, tl.program_id(1) % heads
    rows = first + tl.arange(0, BLOCK_Q)
    position = first + keys - queries  # of the tile's first query

    stop, whole_stop = keys, keys
    if CAUSAL:
        stop = tl.minimum(keys, tl.maximum(position + BLOCK_Q, 0))
        whole_stop = tl.minimum(keys, tl.maximum(position + 1, 0))
    whole_stop = whole_stop // BLOCK_K * BLOCK_K
    start, whole_start = 0, 0
    if WINDOW > 0:
        start = tl.maximum(position - WINDOW + 1, 0) // BLOCK_K * BLOCK_K
        whole_start = tl.cdiv(tl.maximum(position + BLOCK_Q - WINDOW, 0), BLOCK_K) * BLOCK_K
    whole_start = tl.minimum(whole_start, stop)
    rest = tl.maximum(whole_stop, tl.cdiv(whole_start, BLOCK_K) * BLOCK_K)

    q = q_desc.load([batch, head, first, 0]).reshape(BLOCK_Q, HEAD)
    total = tl.zeros([BLOCK_Q], tl.float32)
    peak = tl.full([BLOCK_Q], float("-inf"), tl.float32)
    mixed = tl.zeros([BLOCK_Q, HEAD], tl.float32)
    kv_head, factor = head // group, scale * LOG2_E
    if WINDOW > 0:
        total, peak, mixed = attend_tiles(
            total, peak, mixed, q, k_desc, v_desc, batch, kv_head, rows, start, whole_start, factor, queries, keys,
            CAUSAL, WINDOW, True, HEAD, BLOCK_K, PRECISION,
        )  # fmt: skip
    total, peak, mixed = attend_tiles(
        total, peak, mixed, q, k_desc, v_desc, batch, kv_head, rows, whole_start, whole_stop, factor, queries, keys,
        CAUSAL, WINDOW, False, HEAD, BLOCK_K, PRECISION,
    )  # fmt: skip
    total, peak, mixed = attend_tiles(
        total, peak, mixed, q, k_desc, v_desc, batch, kv_head, rows, rest, stop, factor, queries, keys,
        CAUSAL, WINDOW, True, HEAD, BLOCK_K, PRECISION,
    )  # fmt: skip

    divisor = tl.where(total == 0.0, 1.0, total)
    out = (mixed / divisor[:, None]).to(q.dtype)
    out_desc.store([batch, head, first, 0], out.reshape(1, 1, BLOCK_Q, HEAD))
    lse = (peak + tl.math.log2(divisor)) * LN_2
    tl.store(lse_ptr + tl.program_id(1).to(tl.int64) * queries + rows, lse, mask=rows < queries)


@triton.jit(do_not_specialize=["queries", "keys"])
@no_type_check
def dots_kernel(
    out_desc, dout_desc, dots_ptr, heads, queries, HEAD: tl.constexpr, BLOCK_Q: tl.constexpr
):  # fmt: skip
    """D = rowsum(dout · out) of one tile of queries, in float32. Grid: (tiles, batch × heads).

    Program (t, b × heads + h) has the t-th tile of head h. Rows behind the last query write nothing.
    """
    first = tl.program_id(0) * BLOCK_Q
    batch, head = tl.program_id(1) // heads, tl.program_id(1) % heads
    rows = first + tl.arange(0, BLOCK_Q)
    out = out_desc.load([batch, head, first, 0]).reshape(BLOCK_Q, HEAD).to(tl.float32)
    dout = dout_desc.load([batch, head, first, 0]).reshape(BLOCK_Q, HEAD).to(tl.float32)
    dots = tl.sum(out * dout, 1)
    tl.store(dots_ptr + tl.program_id(1).to(tl.int64) * queries + rows, dots, mask=rows < queries)


@triton.jit(do_not_specialize=["queries", "keys"])
@no_type_check
def key_gradient_tiles(
    dk, dv, k, v, q_desc, dout_desc, lse_ptr, dots_ptr, batch, head, columns, start, stop, factor, queries, keys,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, MASKED: tl.constexpr,
    HEAD: tl.constexpr, BLOCK_Q: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One tile of keys meets the queries of one head from `start` up to `stop`: what they add to dk and dv.

    `dk` and `dv` (BLOCK_K, HEAD), float32, are the sums so far, `columns` the numbers of the keys; `lse_ptr` and
    `dots_ptr` point to the head's row. `dk` is still without the scale. Returns both as they are after these queries.

    All is turned on its side, (BLOCK_K, BLOCK_Q), so that no tile of weights has to be transposed:

        weights  = 2^(k qᵀ · factor - lse · log2 e)         0 where a key is not seen (asked only where MASKED)
        dv      += weights dout
        dweights = v doutᵀ
        dk      += weights · (dweights - dots) q

    What goes into a product has the dtype of q. Rows behind the last query have the weight 0: their lse is read as inf.
    """
    for first in tl.range(start, stop, BLOCK_Q):
        rows = first + tl.arange(0, BLOCK_Q)
        q = q_desc.load([batch, head, first, 0]).reshape(BLOCK_Q, HEAD)
        lse = tl.load(lse_ptr + rows, mask=rows < queries, other=float("inf"))
        scores = tl.dot(k, q.T, input_precision=PRECISION)  # (BLOCK_K, BLOCK_Q)
        weights = tl.math.exp2(scores * factor - (lse * LOG2_E)[None, :])
        if MASKED:
            seen = visible(rows[None, :], columns[:, None], queries, keys, CAUSAL, WINDOW)
            weights = tl.where(seen, weights, 0.0)
        dout = dout_desc.load([batch, head, first, 0]).reshape(BLOCK_Q, HEAD)
        dv = tl.dot(weights.to(q.dtype), dout, dv, input_precision=PRECISION)
        dots = tl.load(dots_ptr + rows, mask=rows < queries, other=0.0)
        dweights = tl.dot(v, dout.T, input_precision=PRECISION)
        dscores = weights * (dweights - dots[None, :])
        dk = tl.dot(dscores.to(q.dtype), q, dk, input_precision=PRECISION)
    return dk, dv


@triton.jit(do_not_specialize=["queries", "keys"])
@no_type_check
def key_gradient_kernel(
    q_desc, k_desc, v_desc, dout_desc, lse_ptr, dots_ptr, dk_desc, dv_desc, scale, kv_heads, group, queries, keys,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr,
    HEAD: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dk and dv of one tile of keys. Grid: (tiles, batch × kv_heads).

    Program (t, b × kv_heads + h) has the t-th tile of key and value head h, and sums over the `group` query heads that
    read it, one after the other, so the same input gives the same bits. Only tiles of queries that see some of its
    keys are read; those that see all of them are not masked. Of dk · scale is written what belongs to keys that exist.
    """
    first = tl.program_id(0) * BLOCK_K
    batch, kv_head = tl.program_id(1) // kv_heads, tl.program_id(1) % kv_heads
    columns = first + tl.arange(0, BLOCK_K)
    row = (
        first + queries - keys
    )  # the query at the position of the tile's first key; below 0 where there is none

    start, whole_start = 0, 0
    if CAUSAL:
        start = tl.maximum(row, 0) // BLOCK_Q * BLOCK_Q
        whole_start = tl.cdiv(tl.maximum(row + BLOCK_K - 1, 0), BLOCK_Q) * BLOCK_Q
    stop, whole_stop = queries, tl.cdiv(queries, BLOCK_Q) * BLOCK_Q
    if WINDOW > 0:
        stop = tl.minimum(queries, tl.maximum(row + BLOCK_K - 1 + WINDOW, 0))
        whole_stop = tl.minimum(whole_stop, tl.maximum(row + WINDOW, 0) // BLOCK_Q * BLOCK_Q)
    rest = tl.maximum(whole_start, whole_stop)

    k = k_desc.load([batch, kv_head, first, 0]).reshape(BLOCK_K, HEAD)
    v = v_desc.load([batch, kv_head, first, 0]).reshape(BLOCK_K, HEAD)
    dk = tl.zeros([BLOCK_K, HEAD], tl.float32)
    dv = tl.zeros([BLOCK_K, HEAD], tl.float32)
    factor = scale * LOG2_E
    for member in range(group):
        head = kv_head * group + member
        place = (batch * kv_heads * group + head).to(tl.int64) * queries
        lse, dots = lse_ptr + place, dots_ptr + place
        if CAUSAL:
            dk, dv = key_gradient_tiles(
                dk, dv, k, v, q_desc, dout_desc, lse, dots, batch, head, columns, start,
                tl.minimum(whole_start, stop), factor, queries, keys,
                CAUSAL, WINDOW, True, HEAD, BLOCK_Q, PRECISION,
            )  # fmt: skip
        dk, dv = key_gradient_tiles(
            dk, dv, k, v, q_desc, dout_desc, lse, dots, batch, head, columns, whole_start, whole_stop, factor,
            queries, keys, CAUSAL, WINDOW, False, HEAD, BLOCK_Q, PRECISION,
        )  # fmt: skip
        if WINDOW > 0:
            dk, dv = key_gradient_tiles(
                dk, dv, k, v, q_desc, dout_desc, lse, dots, batch, head, columns, rest, stop, factor,
                queries, keys, CAUSAL, WINDOW, True, HEAD, BLOCK_Q, PRECISION,
            )  # fmt: skip
    dk = (dk * scale).to(k.dtype)
    dk_desc.store([batch, kv_head, first, 0], dk.reshape(1, 1, BLOCK_K, HEAD))
    dv_desc.store([batch, kv_head, first, 0], dv.to(v.dtype).reshape(1, 1, BLOCK_K, HEAD))


@triton.jit(do_not_specialize=["queries", "keys"])
@no_type_check
def query_gradient_tiles(
    dq, q, dout, lse, dots, k_desc, v_desc, batch, kv_head, rows, start, stop, factor, queries, keys,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, MASKED: tl.constexpr,
    HEAD: tl.constexpr, BLOCK_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One tile of queries meets the keys from `start` up to `stop`: what they add to dq, which has no scale yet.

    `lse` (times log2 e) and `dots` are those of the tile's rows. Per tile of keys, (BLOCK_Q, BLOCK_K):

        weights  = 2^(q kᵀ · factor - lse)                  0 where a key is not seen (asked only where MASKED)
        dq      += weights · (dout vᵀ - dots) k
    """
    for first in tl.range(start, stop, BLOCK_K):
        k = k_desc.load([batch, kv_head, first, 0]).reshape(BLOCK_K, HEAD)
        v = v_desc.load([batch, kv_head, first, 0]).reshape(BLOCK_K, HEAD)
        scores = tl.dot(q, k.T, input_precision=PRECISION)  # (BLOCK_Q, BLOCK_K)
        dweights = tl.dot(dout, v.T, input_precision=PRECISION)
        weights = tl.math.exp2(scores * factor - lse[:, None])
        if MASKED:
            columns = first + tl.arange(0, BLOCK_K)
            seen = visible(rows[:, None], columns[None, :], queries, keys, CAUSAL, WINDOW)
            weights = tl.where(seen, weights, 0.0)
        dscores = weights * (dweights - dots[:, None])
        dq = tl.dot(dscores.to(k.dtype), k, dq, input_precision=PRECISION)
    return dq


@triton.jit(do_not_specialize=["queries", "keys"])
@no_type_check
def query_gradient_kernel(
    q_desc, k_desc, v_desc, dout_desc, lse_ptr, dots_ptr, dq_desc, scale, heads, group, queries, keys,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr,
    HEAD: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dq of one tile of queries, with the grid and the three ranges of keys of `forward_kernel`."""
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * BLOCK_Q
    batch, head = tl.program_id(1) // heads, tl.program_id(1) % heads
    rows = first + tl.arange(0, BLOCK_Q)
    position = first + keys - queries

    stop, whole_stop = keys, keys
    if CAUSAL:
        stop = tl.minimum(keys, tl.maximum(position + BLOCK_Q, 0))
        whole_stop = tl.minimum(keys, tl.maximum(position + 1, 0))
    whole_stop = whole_stop // BLOCK_K * BLOCK_K
    start, whole_start = 0, 0
    if WINDOW > 0:
        start = tl.maximum(position - WINDOW + 1, 0) // BLOCK_K * BLOCK_K
        whole_start = tl.cdiv(tl.maximum(position + BLOCK_Q - WINDOW, 0), BLOCK_K) * BLOCK_K
    whole_start = tl.minimum(whole_start, stop)
    rest = tl.maximum(whole_stop, tl.cdiv(whole_start, BLOCK_K) * BLOCK_K)

    q = q_desc.load([batch, head, first, 0]).reshape(BLOCK_Q, HEAD)
    dout = dout_desc.load([batch, head, first, 0]).reshape(BLOCK_Q, HEAD)
    place = tl.program_id(1).to(tl.int64) * queries
    lse = tl.load(lse_ptr + place + rows, mask=rows < queries, other=float("inf")) * LOG2_E
    dots = tl.load(dots_ptr + place + rows, mask=rows < queries, other=0.0)
    dq = tl.zeros([BLOCK_Q, HEAD], tl.float32)
    kv_head, factor = head // group, scale * LOG2_E
    if WINDOW > 0:
        dq = query_gradient_tiles(
            dq, q, dout, lse, dots, k_desc, v_desc, batch, kv_head, rows, start, whole_start, factor, queries, keys,
            CAUSAL, WINDOW, True, HEAD, BLOCK_K, PRECISION,
        )  # fmt: skip
    dq = query_gradient_tiles(
        dq, q, dout, lse, dots, k_desc, v_desc, batch, kv_head, rows, whole_start, whole_stop, factor, queries, keys,
        CAUSAL, WINDOW, False, HEAD, BLOCK_K, PRECISION,
    )  # fmt: skip
    dq = query_gradient_tiles(
        dq, q, dout, lse, dots, k_desc, v_desc, batch, kv_head, rows, rest, stop, factor, queries, keys,
        CAUSAL, WINDOW, True, HEAD, BLOCK_K, PRECISION,
    )  # fmt: skip
    dq_desc.store([batch, head, first, 0], (dq * scale).to(q.dtype).reshape(1, 1, BLOCK_Q, HEAD))
