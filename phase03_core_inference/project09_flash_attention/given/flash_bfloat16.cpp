// The forward pass on bfloat16, for processors that multiply pairs of it: twice the numbers in a vector, and two products
// at once. Scores, softmax and sums are in float32; the weights are rounded to bfloat16 before they meet the values, as on
// GPUs. Without such instructions, `has_bfloat16` is 0, and flash.cpp does the work.

#if defined(__AVX512BF16__) && defined(__AVX512F__)
#include <immintrin.h>

// c (R rows × N vectors) = c · shrink + a b, from pairs of bfloat16: a[row][pair], and b[pair][column], two bytes times two.
template <int R, int N>
static inline void pair_block(int64_t pairs, const uint32_t* a, int64_t lda, const uint32_t* b, int64_t ldb, float* c,
                              int64_t ldc, const float* shrink) {
    __m512 s[R][N];
    for (int r = 0; r < R; r++)
        for (int n = 0; n < N; n++)
            s[r][n] = shrink ? (__m512)(load(c + r * ldc + n * W) * shrink[r]) : _mm512_setzero_ps();
    for (int64_t i = 0; i < pairs; i++) {
        __m512i row[N];
        for (int n = 0; n < N; n++) row[n] = _mm512_loadu_si512(b + i * ldb + n * W);
        for (int r = 0; r < R; r++) {
            const __m512i x = _mm512_set1_epi32(a[r * lda + i]);
            for (int n = 0; n < N; n++) s[r][n] = _mm512_dpbf16_ps(s[r][n], (__m512bh)x, (__m512bh)row[n]);
        }
    }
    for (int r = 0; r < R; r++)
        for (int n = 0; n < N; n++) _mm512_storeu_ps(c + r * ldc + n * W, s[r][n]);
}

// TQ rows, whatever is in those behind the last query; columns are a multiple of W.
static void pair_product(int64_t columns, int64_t pairs, const uint32_t* a, int64_t lda, const uint32_t* b, int64_t ldb,
                         float* c, int64_t ldc, const float* shrink) {
    for (int64_t r = 0; r < TQ; r += 6) {
        int64_t j = 0;
        auto at = [&](auto width) {
            constexpr int N = decltype(width)::value;
            for (; j + N * W <= columns; j += N * W)
                pair_block<6, N>(pairs, a + r * lda, lda, b + j, ldb, c + r * ldc + j, ldc, shrink ? shrink + r : nullptr);
        };
        at(std::integral_constant<int, 4>{}), at(std::integral_constant<int, 3>{});
        at(std::integral_constant<int, 2>{}), at(std::integral_constant<int, 1>{});
    }
}

static uint32_t pair(uint16_t low, uint16_t high) { return low | uint32_t(high) << 16; }

extern "C" int64_t has_bfloat16() { return 1; }

extern "C" void flash_forward_bfloat16(const Shape* shape, float scale, const uint16_t* q, const uint16_t* k,
                                       const uint16_t* v, float* out, float* lse, int64_t threads) {
    const Shape s = *shape;
    const int64_t d = s.dim, half = d / 2, kv_heads = s.batch * s.kv_heads, heads = s.batch * s.heads;
    const int64_t k_tiles = tiles(s.keys, TK), packed = k_tiles * TK * half, q_tiles = tiles(s.queries, TQ);
    std::vector<uint32_t> kt(kv_heads * packed), vt(kv_heads * packed);
    // Pairs of neighbouring dimensions of 64 keys side by side; and pairs of neighbouring keys, their values side by side.
    parallel(kv_heads * k_tiles, threads, [&](int64_t number) {
        const int64_t h = number / k_tiles, j = number % k_tiles * TK;
        const uint16_t *keys = k + h * s.keys * d, *values = v + h * s.keys * d;
        uint32_t *kp = &kt[h * packed + j * half], *vp = &vt[h * packed + j * half];
        for (int64_t i = 0; i < TK; i++)
            for (int64_t n = 0; n < half; n++)
                kp[n * TK + i] = j + i < s.keys ? pair(keys[(j + i) * d + 2 * n], keys[(j + i) * d + 2 * n + 1]) : 0;
        for (int64_t i = 0; i < TK; i += 2)
            for (int64_t n = 0; n < d; n++)
                vp[i / 2 * d + n] = pair(j + i < s.keys ? values[(j + i) * d + n] : 0,
                                         j + i + 1 < s.keys ? values[(j + i + 1) * d + n] : 0);
    });
    parallel(heads * q_tiles, threads, [&](int64_t number) {
        const int64_t head = number % heads, tile = q_tiles - 1 - number / heads, group = s.heads / s.kv_heads;
        const int64_t kv = head / s.heads * s.kv_heads + head % s.heads / group;
        const int64_t first = tile * TQ, rows = std::min(TQ, s.queries - first), place = head * s.queries + first;
        std::vector<float> mixed(TQ * d);
        std::vector<uint32_t> queries(TQ * half), weights(TQ * TK / 2);
        alignas(64) float p[TQ * TK];
        Found found;
        for (int64_t i = 0; i < rows * half; i++) queries[i] = pair(q[place * d + 2 * i], q[place * d + 2 * i + 1]);
        const Shape::Keys range = s.seen(first, rows);
        for (int64_t j = range.start / TK * TK; j < range.stop; j += TK) {
            const int64_t count = std::min(TK, range.stop - j), columns = tiles(count, W) * W;
            const bool whole = j >= range.whole_start && j + TK <= range.whole_stop;
            pair_product(columns, half, queries.data(), half, &kt[kv * packed + j * half], TK, p, TK, nullptr);
            (whole ? soften<true> : soften<false>)(s, first, rows, j, columns, scale * LOG2_E, p, found);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t i = 0; i < columns; i += W) {
                    const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(p + r * TK + i));
                    _mm256_storeu_si256((__m256i*)&weights[(r * TK + i) / 2], (__m256i)rounded);
                }
            pair_product(d, (count + 1) / 2, weights.data(), TK / 2, &vt[kv * packed + j * half], d, mixed.data(), d,
                         found.shrink);
        }
        finish(found, rows, d, mixed.data(), out + place * d, lse + place);
    });
}

#else
extern "C" int64_t has_bfloat16() { return 0; }
extern "C" void flash_forward_bfloat16(const Shape*, float, const uint16_t*, const uint16_t*, const uint16_t*, float*,
                                       float*, int64_t) {}
#endif
