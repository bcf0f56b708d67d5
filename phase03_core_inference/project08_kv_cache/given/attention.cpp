// Decode attention around the learner's `attend_group` (decode_attention.py): rows, heads and threads.

// Where a cache's layer lies: keys and values (row, kv_head, slot, width), `capacity` slots a head.
template <class Number>
struct Held {
    const Number *keys, *values;
    int64_t kv_heads, capacity, width;
};

// For each of `count` queries, (count, heads, width): attend to the first lengths[i] slots of row rows[i].
template <class Number>
static void decode_attention(const float* q, const Held<Number>& held, const int64_t* rows, const int64_t* lengths,
                             float* out, int64_t count, int64_t heads, int threads) {
    const int64_t group = heads / held.kv_heads, width = held.width;
    const int64_t slots = std::accumulate(lengths, lengths + count, int64_t(0));
    share(worth(threads, slots * held.kv_heads * width * 2 * sizeof(Number)), count * held.kv_heads, [&](int64_t begin, int64_t end) {
        std::vector<float> scores;
        for (int64_t at = begin; at < end; at++) {
            const int64_t i = at / held.kv_heads, head = at % held.kv_heads;
            const int64_t from = (rows[i] * held.kv_heads + head) * held.capacity * width;
            const int64_t first = (i * heads + head * group) * width;  // of this group's queries
            scores.resize(group * ((lengths[i] + 15) / 16 * 16));
            attend_group(q + first, held.keys + from, held.values + from, scores.data(), out + first, group, lengths[i],
                         width);
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
