"""Paged attention in C++: queries against keys and values that lie in blocks, wherever these are.

It is project 8's decode attention with one thing more: after every `block_size` keys, the next ones are somewhere else.
A processor reads ahead where reads follow each other, and a new block breaks that, so the kernel asks for a later block
while it is in this one. `paged_source` gives the text of the kernel, which is compiled after project 8's
vectors.cpp and before given/paged.cpp.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project13_paged_attention.given.around import AROUND
from shared.phase03 import FORMATS, WIDTHS, kernel_library


def paged_source() -> str:
    """C++ of attend_pages: the queries of one key and value head against a text's blocks, in float and bfloat16.

    The text defines, and may define more beside:

        template <class Number>
        static void attend_pages(const float* q, const Number* keys, const Number* values, const int64_t* table,
                                 float* scores, float* out, int64_t group, int64_t held, int64_t width,
                                 int64_t block_size)

    q and out are (group, width); keys and values are the head's slots, (slot, width), row by row; Number is float or
    bfloat16, `width` a multiple of 16 up to 256, `held` at least 1, and `block_size` any number from 1. The text's key
    j lies in slot table[j / block_size] · block_size + j mod block_size, and so does value j. For each query: out =
    softmax(q · keys / √width) · values, where all `held` keys count, in float32. Scores may be large: the largest is
    taken off before the exponential. `scores` is room for group × held numbers, held rounded up to a multiple of 16.
    Slots beyond `held` in the last block, and blocks that the table does not name, must not be read: they may be NaN,
    another text's, or no memory at all. A prefetch is no read.

    **The order of the sums does not depend on the blocks**: in blocks of any size, wherever they lie, a text has the
    same bits as in one. So, as in project 8: one vector of sums for each score, sum4 over its lanes; exponentials of 16
    scores at a time; values from the first key to the last.

    Project 8's vectors.cpp has what it needs: `vec` (16 floats), `load`, `widen(from)` (16 numbers of either format as
    floats), `dot`, `sum4`, `sum1`, `exp` of a vec; and its frame.cpp `prefetch` and `with_count<most>(count, work)`.
    """
    return r"""
// Ask for the numbers of four slots, a line at a time.
template <class Number>
static inline void prefetch_slots(const Number* numbers, int64_t width) {
    for (int64_t d = 0; d < 4 * width; d += STEP<Number>) prefetch(numbers + d);
}

// Call work(first, length, block, later) for each block: its first key's number, how many keys count, where it lies,
// and where the one lies that is to be asked for meanwhile. That is the block 32 keys later, for memory takes longer
// than the work on a small block; at the end, it is one of the first of `after`, which is read next.
template <class Number, class Work>
static inline void each_block(const Number* numbers, const Number* after, const int64_t* table, int64_t held,
                              int64_t width, int64_t block_size, const Work& work) {
    const int64_t blocks = (held + block_size - 1) / block_size, ahead = (31 + block_size) / block_size;
    const int64_t stride = block_size * width;
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t first = b * block_size, later = b + ahead;
        const Number* from = later < blocks ? numbers : after;
        work(first, std::min(block_size, held - first), numbers + table[b] * stride,
             from + table[later % blocks] * stride);
    }
}

template <class Number>
static void attend_pages(const float* q, const Number* keys, const Number* values, const int64_t* table, float* scores,
                         float* out, int64_t group, int64_t held, int64_t width, int64_t block_size) {
    const int64_t room = (held + 15) / 16 * 16;
    const float scale = 1.0f / std::sqrt(float(width));
    const auto score_block = [&](int64_t first, int64_t length, const Number* block, const Number* later) {
        for (int64_t j = 0; j < length; j += 4) {  // four keys at once, for all queries that share them
            const int64_t count = std::min<int64_t>(4, length - j);
            const Number* key[4];
            for (int r = 0; r < 4; r++) key[r] = block + (j + std::min<int64_t>(r, count - 1)) * width;
            prefetch_slots(later + j * width, width);
            for (int64_t g = 0; g < group; g++) {
                vec sum[4] = {};
                for (int64_t d = 0; d < width; d += 16) {
                    const vec part = load(q + g * width + d);
                    for (int r = 0; r < 4; r++) sum[r] = dot(sum[r], widen(key[r] + d), part);
                }
                float four[4];
                sum4(sum[0], sum[1], sum[2], sum[3], four);
                std::memcpy(scores + g * room + first + j, four, count * sizeof(float));
            }
        }
    };
    each_block(keys, values, table, held, width, block_size, score_block);
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
            const auto mix_block = [&](int64_t first, int64_t length, const Number* block, const Number* later) {
                for (int64_t j = 0; j < length; j++) {
                    if (j % 4 == 0) prefetch_slots(later + j * width, width);
                    for (int d = 0; d < N; d++) mixed[d] += score[first + j] * widen(block + j * width + 16 * d);
                }
            };
            each_block(values, values, table, held, width, block_size, mix_block);
            for (int d = 0; d < N; d++) {
                const vec part = mixed[d] * share;
                std::memcpy(out + g * width + 16 * d, &part, 64);
            }
        });
    }
}
"""


class PagedKernel:
    """The kernel as PagedAttention uses it: PagedAttention(store, PagedKernel(store)) sends tokens through it."""

    def __init__(self, store: BlockStore, threads: int = 1):
        """Raises ValueError for what the kernel was not made for, naming it: a head's width, a dtype, a device."""
        check_store(store, threads)
        self.kernel = kernel_library("attention", paged_source(), around=AROUND)
        self.name = f"decode_attention_{FORMATS[store.dtype]}"
        self.block_size, self.threads = store.block_size, threads

    def __call__(
        self,
        q: Float[Tensor, "token head dim"],
        keys: Float[Tensor, "kv_head slot dim"],
        values: Float[Tensor, "kv_head slot dim"],
        tables: list[list[int]],
        lengths: list[int],
    ) -> Float[Tensor, "token head dim"] | None:
        """Query i against the first lengths[i] tokens of the text whose table is tables[i]; None without a compiler."""
        if self.kernel is None:
            return None
        queries = q.float().contiguous()
        mixed = torch.empty_like(queries)
        kv_heads, slots, width = keys.shape
        numbers = torch.tensor([0] * len(q) + table_numbers(tables, self.block_size))
        held = torch.tensor(lengths)
        self.kernel[self.name](
            queries.data_ptr(), keys.data_ptr(), values.data_ptr(), numbers.data_ptr(), held.data_ptr(),
            mixed.data_ptr(), len(q), q.shape[1], kv_heads, slots, width, self.threads,
        )  # fmt: skip
        return mixed.to(q.dtype)


def table_numbers(tables: Sequence[list[int]], block_size: int) -> list[int]:
    """Each query's table as given/paged.cpp reads them: the size of a block, where each table begins, and the tables.

    A table that several queries share, as the tokens of one text do, is there once.
    """
    starts, blocks, known = [], [], {}
    for table in tables:
        if id(table) not in known:
            known[id(table)] = len(blocks)
            blocks += table
        starts.append(known[id(table)])
    return [block_size, *starts, *blocks]


def check_store(store: BlockStore, threads: int) -> None:
    """Raises ValueError for a store that the kernels were not made for, naming what it is that does not fit."""
    width = store.config.head_width
    if threads < 1:
        raise ValueError(f"the kernels need 1 thread or more, not {threads}")
    if width not in WIDTHS:
        made = f"{WIDTHS.start}, {2 * WIDTHS.step}, ... {WIDTHS[-1]}"
        raise ValueError(f"the kernel is made for heads of {made} numbers, not of {width}")
    if store.dtype not in FORMATS:
        known = " and ".join(FORMATS.values())
        raise ValueError(f"the kernel reads {known}, not {str(store.dtype).removeprefix('torch.')}")
    if store.device.type != "cpu":
        raise ValueError(f"the kernel runs on a cpu, and the store is on {store.device}")
