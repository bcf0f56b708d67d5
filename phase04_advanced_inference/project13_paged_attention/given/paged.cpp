// Paged attention around the learner's `attend_pages` (paged_kernel.py): texts, heads, threads, and where blocks lie.
//
// It stands in the place of project 8's attention.cpp, so that project 8's `decode_step` runs over blocks as it is: the
// cache is one row with a slot for every token of every block, and `rows`, all zeros, has the tables behind it.

template <class Number>
struct Held {
    const Number *keys, *values;  // (kv_head, slot, width): one row
    int64_t kv_heads, capacity, width;
};

// What lies behind the `count` zeros of `rows`: the size of a block, then for each query where its table begins, counted
// from the first of the tables, and then the tables.
struct Tables {
    Tables(const int64_t* rows, int64_t count) : block_size(rows[count]), starts(rows + count + 1), blocks(starts + count) {}
    const int64_t* of(int64_t i) const { return blocks + starts[i]; }
    int64_t block_size;
    const int64_t *starts, *blocks;
};

// For each of `count` queries, (count, heads, width): attend to the first lengths[i] tokens of its table.
template <class Number>
static void decode_attention(const float* q, const Held<Number>& held, const int64_t* rows, const int64_t* lengths,
                             float* out, int64_t count, int64_t heads, int threads) {
    const Tables tables(rows, count);
    const int64_t group = heads / held.kv_heads, width = held.width;
    const int64_t slots = std::accumulate(lengths, lengths + count, int64_t(0));
    share(worth(threads, slots * held.kv_heads * width * 2 * sizeof(Number)), count * held.kv_heads, [&](int64_t begin, int64_t end) {
        std::vector<float> scores;
        for (int64_t at = begin; at < end; at++) {
            const int64_t i = at / held.kv_heads, head = at % held.kv_heads;
            const int64_t from = head * held.capacity * width;
            const int64_t first = (i * heads + head * group) * width;  // of this group's queries
            scores.resize(group * ((lengths[i] + 15) / 16 * 16));
            attend_pages(q + first, held.keys + from, held.values + from, tables.of(i), scores.data(), out + first, group,
                         lengths[i], width, tables.block_size);
        }
    });
}

extern "C" void decode_attention_float32(const float* q, const float* keys, const float* values, const int64_t* rows,
                                         const int64_t* lengths, float* out, int64_t count, int64_t heads,
                                         int64_t kv_heads, int64_t capacity, int64_t width, int threads) {
    decode_attention<float>(q, {keys, values, kv_heads, capacity, width}, rows, lengths, out, count, heads, threads);
}

extern "C" void decode_attention_bfloat16(const float* q, const bfloat16* keys, const bfloat16* values,
                                          const int64_t* rows, const int64_t* lengths, float* out, int64_t count,
                                          int64_t heads, int64_t kv_heads, int64_t capacity, int64_t width, int threads) {
    decode_attention<bfloat16>(q, {keys, values, kv_heads, capacity, width}, rows, lengths, out, count, heads, threads);
}
