"""What lies between the products of a decoding step, in Triton: a kernel each; torch has one for every operator.

    norm_kernel     the stream plus what a half of a block adds, and the RMS norm of that
    place_kernel    queries turned by their angles; keys turned, and values, into their slots
    gate_kernel     silu(gate) × up

All reckon in float32, and round to the model's format where project 3's modules do, but inside of a rotation.
"""

# ruff: noqa: N803 - Triton's constants are written in capitals

from typing import no_type_check

import triton
import triton.language as tl


@triton.jit
@no_type_check
def norm_kernel(
    x_ptr, more_ptr, weight_ptr, out_ptr, eps, dim, ADD: tl.constexpr, WIDTH: tl.constexpr
):  # fmt: skip
    """A program for each row of x (total, dim): x += more, if ADD; out = norm(x) · weight. WIDTH is dim or more."""
    at = tl.arange(0, WIDTH)
    place, ours = tl.program_id(0).to(tl.int64) * dim + at, at < dim
    x = tl.load(x_ptr + place, mask=ours, other=0.0)
    if ADD:
        x = x + tl.load(more_ptr + place, mask=ours, other=0.0)
        tl.store(x_ptr + place, x, mask=ours)
    exact = x.to(tl.float32)
    exact = exact / tl.sqrt(tl.sum(exact * exact, 0) / dim + eps)
    weight = tl.load(weight_ptr + at, mask=ours, other=0.0)
    tl.store(out_ptr + place, weight * exact.to(weight.dtype), mask=ours)


@triton.jit(do_not_specialize=["slots"])
@no_type_check
def place_kernel(
    qkv_ptr, cos_ptr, sin_ptr, places_ptr, slots_ptr, q_ptr, keys_ptr, values_ptr, heads, kv_heads, slots,
    HALF: tl.constexpr,
):  # fmt: skip
    """Grid: (total, heads + 2 · kv_heads), a program for each head of a row of qkv, which holds q, then k, then v.

    cos and sin are (place, HALF); a head has 2 · HALF numbers. q is (total, heads, 2 · HALF), keys and values are
    (kv_heads, slots, 2 · HALF). Places and slots are int64, one for each row.
    """
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    at = tl.arange(0, HALF)
    first = qkv_ptr + (row * (heads + 2 * kv_heads) + head) * 2 * HALF + at
    a, b = tl.load(first), tl.load(first + HALF)
    slot = tl.load(slots_ptr + row)
    if head < heads + kv_heads:
        angle = tl.load(places_ptr + row) * HALF + at
        cos, sin = tl.load(cos_ptr + angle), tl.load(sin_ptr + angle)
        left, right = a.to(tl.float32), b.to(tl.float32)
        turned = left * cos - right * sin
        other = right * cos + left * sin
        if head < heads:
            out = q_ptr + (row * heads + head) * 2 * HALF + at
        else:
            out = keys_ptr + ((head - heads).to(tl.int64) * slots + slot) * 2 * HALF + at
        tl.store(out, turned.to(a.dtype))
        tl.store(out + HALF, other.to(a.dtype))
    else:
        out = values_ptr + ((head - heads - kv_heads).to(tl.int64) * slots + slot) * 2 * HALF + at
        tl.store(out, a)
        tl.store(out + HALF, b)


@triton.jit
@no_type_check
def gate_kernel(both_ptr, out_ptr, hidden, TILE: tl.constexpr):
    """Grid: (total, tiles). A row of both holds the gate and then the way up, `hidden` numbers each."""
    row, at = tl.program_id(0).to(tl.int64), tl.program_id(1) * TILE + tl.arange(0, TILE)
    ours = at < hidden
    gate = tl.load(both_ptr + row * 2 * hidden + at, mask=ours, other=0.0)
    up = tl.load(both_ptr + row * 2 * hidden + hidden + at, mask=ours, other=0.0)
    exact = gate.to(tl.float32)
    tl.store(out_ptr + row * hidden + at, (exact / (1 + tl.exp(-exact))).to(gate.dtype) * up, mask=ours)
