"""Decode attention in C++: one query a text against all the keys and values that its cache holds.

torch's kernel is made for many queries at once. With one, it spends its time on everything but reading keys and values,
and in bfloat16 two to three times as much. `attention_source` gives the text of the kernel, which given/kernels.py
compiles after given/vectors.cpp and before given/attention.cpp.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from phase03_core_inference.project08_kv_cache.given.kernels import (
    FORMATS,
    WIDTHS,
    addresses,
    check_threads,
    library,
)
from phase03_core_inference.project08_kv_cache.kv_cache import KVCache


def attention_source() -> str:
    """C++ of attend_group: the queries of one key and value head against what it holds, in float and bfloat16.

    The text defines, and may define more beside:

        template <class Number>
        static void attend_group(const float* q, const Number* keys, const Number* values, float* scores, float* out,
                                 int64_t group, int64_t held, int64_t width)

    q and out are (group, width), keys and values (held, width), row by row; Number is float or bfloat16, `width` a
    multiple of 16 up to 256, and `held` at least 1. For each query: out = softmax(q · keys / √width) · values, where
    all `held` keys count, in float32. Scores may be large: the largest is taken off before the exponential. `scores`
    is room for group × held numbers, held rounded up to a multiple of 16. What lies beyond `held` must not be read: it
    may be NaN, or no memory at all.

    given/vectors.cpp has what it needs beside `vec`: `widen(from)` (16 numbers of either format as floats), `sum4`,
    `exp` of a vec, `dot`; and given/frame.cpp `with_count<most>(count, work)`, for the sums of width / 16 vectors in
    registers.
    """
    return r"""
template <class Number>
static void attend_group(const float* q, const Number* keys, const Number* values, float* scores, float* out,
                         int64_t group, int64_t held, int64_t width) {
    const int64_t room = (held + 15) / 16 * 16;
    const float scale = 1.0f / std::sqrt(float(width));
    for (int64_t j = 0; j < held; j += 4) {  // four keys at once, for all queries that share them
        const Number* key[4];
        for (int r = 0; r < 4; r++) key[r] = keys + std::min(j + r, held - 1) * width;
        for (int64_t g = 0; g < group; g++) {
            vec sum[4] = {};
            for (int64_t d = 0; d < width; d += 16) {
                const vec part = load(q + g * width + d);
                for (int r = 0; r < 4; r++) sum[r] = dot(sum[r], widen(key[r] + d), part);
            }
            sum4(sum[0], sum[1], sum[2], sum[3], scores + g * room + j);
        }
    }
    for (int64_t g = 0; g < group; g++) {
        float* score = scores + g * room;
        for (int64_t j = held; j < room; j++) score[j] = -INFINITY;
        const float most = *std::max_element(score, score + held);
        vec total = {};
        for (int64_t j = 0; j < room; j += 16) {
            const vec weight = exp((load(score + j) - most) * scale);
            std::memcpy(score + j, &weight, 64);
            total += weight;
        }
        const float share = 1.0f / sum1(total);
        with_count<16>(width / 16, [&](auto count) {
            constexpr int N = decltype(count)::value;
            vec mixed[N] = {};
            for (int64_t j = 0; j < held; j++)
                for (int d = 0; d < N; d++) mixed[d] += score[j] * widen(values + j * width + 16 * d);
            for (int d = 0; d < N; d++) {
                const vec part = mixed[d] * share;
                std::memcpy(out + g * width + 16 * d, &part, 64);
            }
        });
    }
}
"""


class DecodeAttention:
    """The kernel as a cache uses it: cache.decode = DecodeAttention(cache), and steps of one token go through it."""

    def __init__(self, cache: KVCache, threads: int = 1):
        """Raises ValueError for what the kernel was not made for, naming it: a head's width, a dtype, a device."""
        check_threads(threads)
        check_cache(cache)
        self.kernel = library("attention", attention_source())
        self.name = f"decode_attention_{FORMATS[cache.dtype]}"
        self.threads = threads

    def __call__(
        self,
        q: Float[Tensor, "row head dim"],
        keys: Float[Tensor, "rows kv_head slot dim"],
        values: Float[Tensor, "rows kv_head slot dim"],
        rows: list[int],
        lengths: list[int],
    ) -> Float[Tensor, "row head dim"] | None:
        """Query i against the first lengths[i] slots of row rows[i]; None where there is no compiler."""
        if self.kernel is None:
            return None
        queries = q.float().contiguous()
        mixed = torch.empty_like(queries)
        _, kv_heads, capacity, width = keys.shape
        self.kernel[self.name](
            queries.data_ptr(), keys.data_ptr(), values.data_ptr(), addresses(rows), addresses(lengths),
            mixed.data_ptr(), len(rows), q.shape[1], kv_heads, capacity, width, self.threads,
        )  # fmt: skip
        return mixed.to(q.dtype)


def check_cache(cache: KVCache) -> None:
    """Raises ValueError for a cache that the kernel was not made for, naming what it is that does not fit."""
    width = cache.config.head_width
    if width not in WIDTHS:
        made = f"{WIDTHS.start}, {2 * WIDTHS.step}, ... {WIDTHS[-1]}"
        raise ValueError(f"the kernel is made for heads of {made} numbers, not of {width}")
    if cache.dtype not in FORMATS:
        known = " and ".join(FORMATS.values())
        raise ValueError(f"the kernel reads {known}, not {str(cache.dtype).removeprefix('torch.')}")
    if cache.device.type != "cpu":
        raise ValueError(f"the kernel runs on a cpu, and the cache is on {cache.device}")
