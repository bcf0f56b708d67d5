// Flash attention for the CPU, forward and backward, in float32: the algorithm of forward.py and backward.py, tile by
// tile. A thread takes a tile of queries (forward) or a head of keys and values (backward) until none is left.
//
// What makes it fast: both products of a tile stay in the first-level cache; a product keeps 6 × 4 vectors of sums in
// registers (the processor has 32), so that each number loaded is used several times; keys are turned on their side once
// a head, so that 64 scores lie side by side; e^x is a polynomial on whole vectors; only tiles at an edge are masked.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#if defined(__AVX512F__)
constexpr int W = 16, STRIP = 4;  // floats in a vector, vectors of sums side by side
#else
constexpr int W = 8, STRIP = 2;
#endif
typedef float Vec __attribute__((vector_size(4 * W)));
typedef int32_t Ints __attribute__((vector_size(4 * W)));
typedef float Loose __attribute__((vector_size(4 * W), aligned(4), may_alias));  // at any address

constexpr int64_t TQ = 48, TK = 64;  // queries and keys in a tile
constexpr float LOG2_E = 1.44269504f, LN_2 = 0.693147181f, INF = std::numeric_limits<float>::infinity();

struct Shape {
    int64_t batch, heads, kv_heads, queries, keys, dim;
    int64_t causal, window;  // window 0: none

    // The keys that the queries first … first + count - 1 see lie in [start, stop); every one of them sees all of
    // [whole_start, whole_stop).
    struct Keys { int64_t start, stop, whole_start, whole_stop; };
    Keys seen(int64_t first, int64_t count) const {
        int64_t low = first + keys - queries, high = low + count - 1;  // positions of the first and last query
        Keys k{0, keys, 0, keys};
        if (causal) {
            k.stop = std::clamp<int64_t>(high + 1, 0, keys);
            k.whole_stop = std::clamp<int64_t>(low + 1, 0, keys);
        }
        if (window) {
            k.start = std::clamp<int64_t>(low - window + 1, 0, keys);
            k.whole_start = std::clamp<int64_t>(high - window + 1, 0, keys);
        }
        return k;
    }
};

static Vec load(const float* p) { return *reinterpret_cast<const Loose*>(p); }
static void store(float* p, Vec v) { *reinterpret_cast<Loose*>(p) = v; }
static Vec all(float x) { return x - Vec{}; }  // in every place of the vector; x + 0 would cost an addition, for -0

// 2^x to float32's last digit or two; 0 below 2^-126.
static inline Vec exp2(Vec x) {
    Vec low = all(-126.0f);
    Ints tiny = x < low;
    x = tiny ? low : x;
    Vec round = all(12582912.0f);  // 1.5 · 2^23: adding it leaves no place for a fraction
    Vec whole = (x + round) - round;
    Vec f = x - whole;  // -1/2 … 1/2
    Vec y = all(1.5403530e-4f);
    y = y * f + 1.3333558e-3f;
    y = y * f + 9.6181291e-3f;
    y = y * f + 5.5504109e-2f;
    y = y * f + 2.4022651e-1f;
    y = y * f + 6.9314718e-1f;
    y = y * f + 1.0f;
    Ints power = __builtin_convertvector(whole, Ints) << 23;  // into the exponent's bits
    y = (Vec)((Ints)y + power);
    return tiny ? Vec{} : y;
}

// The sum, or the largest, of a vector's numbers, by halves: five steps instead of sixteen.
template <class Pick>
static inline float fold(Vec v, Pick pick) {
    float a[W];
    store(a, v);
    for (int half = W / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) a[i] = pick(a[i], a[i + half]);
    return a[0];
}
static inline float sum(Vec v) { return fold(v, [](float a, float b) { return a + b; }); }
static inline float largest(Vec v) { return fold(v, [](float a, float b) { return a > b ? a : b; }); }

// c (R rows × N vectors) = c · shrink + a b; without `shrink`, c = a b. a[row, i] is at a[row · across + i · along].
template <int R, int N>
static inline void block(int64_t depth, const float* a, int64_t across, int64_t along, const float* b, int64_t ldb,
                         float* c, int64_t ldc, const float* shrink) {
    Vec s[R][N];
    for (int r = 0; r < R; r++)
        for (int n = 0; n < N; n++) s[r][n] = shrink ? load(c + r * ldc + n * W) * shrink[r] : Vec{};
    for (int64_t i = 0; i < depth; i++) {
        Vec row[N];
        for (int n = 0; n < N; n++) row[n] = load(b + i * ldb + n * W);
        for (int r = 0; r < R; r++) {
            Vec x = all(a[r * across + i * along]);
            for (int n = 0; n < N; n++) s[r][n] += x * row[n];
        }
    }
    for (int r = 0; r < R; r++)
        for (int n = 0; n < N; n++) store(c + r * ldc + n * W, s[r][n]);
}

template <int R>
static void strips(int64_t columns, int64_t depth, const float* a, int64_t across, int64_t along, const float* b,
                   int64_t ldb, float* c, int64_t ldc, const float* shrink) {
    int64_t j = 0;
    auto at = [&](auto width) {
        constexpr int N = decltype(width)::value;
        if constexpr (N <= STRIP)
            for (; j + N * W <= columns; j += N * W)
                block<R, N>(depth, a, across, along, b + j, ldb, c + j, ldc, shrink);
    };
    at(std::integral_constant<int, 4>{}), at(std::integral_constant<int, 3>{});
    at(std::integral_constant<int, 2>{}), at(std::integral_constant<int, 1>{});
}

// The product of a tile: rows × depth times depth × columns (a multiple of W).
static void product(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t across, int64_t along,
                    const float* b, int64_t ldb, float* c, int64_t ldc, const float* shrink) {
    int64_t r = 0;
    auto at = [&](auto part) {
        constexpr int R = decltype(part)::value;
        for (; r + R <= rows; r += R)
            strips<R>(columns, depth, a + r * across, across, along, b, ldb, c + r * ldc, ldc,
                      shrink ? shrink + r : nullptr);
    };
    at(std::integral_constant<int, 6>{}), at(std::integral_constant<int, 2>{}), at(std::integral_constant<int, 1>{});
}

// Which of W keys from `column` on the query at `position` sees.
static inline Ints seen_by(const Shape& s, int64_t position, int64_t column) {
    int64_t last = s.causal ? std::min(position, s.keys - 1) : s.keys - 1;
    int64_t first = s.window ? std::max<int64_t>(position - s.window + 1, 0) : 0;
    Ints lane;
    for (int i = 0; i < W; i++) lane[i] = i;
    int32_t low = std::clamp<int64_t>(first - column, 0, W), high = std::clamp<int64_t>(last - column, -1, W);
    return (lane >= low) & (lane <= high);
}

// A head's rows on their side, tile by tile: out[tile][d][key in tile], 0 behind the last key.
static void turn(const float* x, int64_t rows, int64_t dim, float* out) {
    for (int64_t j = 0; j < rows; j += TK)
        for (int64_t d = 0; d < dim; d++)
            for (int64_t i = 0; i < TK; i++) out[j * dim + d * TK + i] = j + i < rows ? x[(j + i) * dim + d] : 0.0f;
}

// Call work(0), …, work(count - 1) from several threads; each takes the next number that is left.
template <class Work>
static void parallel(int64_t count, int64_t threads, Work work) {
    std::atomic<int64_t> next{0};
    auto run = [&] { for (int64_t i; (i = next++) < count;) work(i); };
    std::vector<std::thread> others;
    for (int64_t t = 1; t < std::min(threads, count); t++) others.emplace_back(run);
    run();
    for (auto& thread : others) thread.join();
}

static int64_t tiles(int64_t length, int64_t tile) { return (length + tile - 1) / tile; }

// What the queries of a tile have found so far, besides the mixed values: their largest score and the sum of weights.
struct Found {
    alignas(64) float peak[TQ], base[TQ], shrink[TQ];
    Vec total[TQ];  // added up at the end
    Found() {
        std::fill_n(peak, TQ, -INF), std::fill_n(base, TQ, 0.0f), std::fill_n(shrink, TQ, 0.0f);
        std::fill_n(total, TQ, Vec{});
    }
};

// Scores of a tile of queries from `first` on with the keys from j on, times `factor`, become weights; what a row has
// mixed so far must be multiplied by its `shrink`.
template <bool whole>
static inline void soften(const Shape& s, int64_t first, int64_t rows, int64_t j, int64_t columns, float factor, float* p,
                          Found& found) {
    if (whole) columns = TK;
    for (int64_t r = 0; r < rows; r++) {
        float* row = p + r * TK;
        const int64_t position = first + r + s.keys - s.queries;
        Vec most = all(-INF);
        for (int64_t i = 0; i < columns; i += W) {
            Vec x = load(row + i) * factor;
            if (!whole) x = seen_by(s, position, j + i) ? x : all(-INF);
            store(row + i, x);
            most = most > x ? most : x;
        }
        const float now = std::max(found.peak[r], largest(most));
        found.base[r] = now == -INF ? 0.0f : now;  // -inf - -inf would be NaN
        found.shrink[r] = found.peak[r] - found.base[r];
        found.peak[r] = now;
    }
    for (int64_t r = 0; r < TQ; r += W) store(found.shrink + r, exp2(load(found.shrink + r)));
    for (int64_t r = 0; r < rows; r++) {
        found.total[r] *= found.shrink[r];
        for (int64_t i = r * TK; i < r * TK + columns; i += W) {
            Vec weight = exp2(load(p + i) - found.base[r]);
            store(p + i, weight), found.total[r] += weight;
        }
    }
}

// The output of a tile of queries, and its log-sum-exp.
static void finish(const Found& found, int64_t rows, int64_t d, const float* mixed, float* out, float* lse) {
    for (int64_t r = 0; r < rows; r++) {
        const float total = sum(found.total[r]), part = total == 0.0f ? 0.0f : 1.0f / total;
        for (int64_t i = 0; i < d; i++) out[r * d + i] = mixed[r * d + i] * part;
        lse[r] = total == 0.0f ? -INF : (found.peak[r] + std::log2(total)) * LN_2;
    }
}

extern "C" void flash_forward(const Shape* shape, float scale, const float* q, const float* k, const float* v,
                              float* out, float* lse, int64_t threads) {
    const Shape s = *shape;
    const int64_t d = s.dim, turned = tiles(s.keys, TK) * TK * d, q_tiles = tiles(s.queries, TQ);
    std::vector<float> kt(s.batch * s.kv_heads * turned);
    parallel(s.batch * s.kv_heads, threads, [&](int64_t h) { turn(k + h * s.keys * d, s.keys, d, &kt[h * turned]); });
    // Late queries see most: they go first, so that no thread ends with a long one alone.
    parallel(s.batch * s.heads * q_tiles, threads, [&](int64_t number) {
        const int64_t head = number % (s.batch * s.heads), tile = q_tiles - 1 - number / (s.batch * s.heads);
        const int64_t group = s.heads / s.kv_heads;
        const int64_t kv = head / s.heads * s.kv_heads + head % s.heads / group;
        const int64_t first = tile * TQ, rows = std::min(TQ, s.queries - first);
        const float* values = v + kv * s.keys * d;
        std::vector<float> work(TQ * d * 2);
        float *scaled = work.data(), *mixed = scaled + TQ * d;
        alignas(64) float p[TQ * TK];
        Found found;
        for (int64_t i = 0; i < rows * d; i++) scaled[i] = q[(head * s.queries + first) * d + i] * scale * LOG2_E;

        const Shape::Keys range = s.seen(first, rows);
        for (int64_t j = range.start / TK * TK; j < range.stop; j += TK) {
            const int64_t count = std::min(TK, range.stop - j), columns = tiles(count, W) * W;
            const bool whole = j >= range.whole_start && j + TK <= range.whole_stop;
            product(rows, columns, d, scaled, d, 1, &kt[kv * turned + j * d], TK, p, TK, nullptr);
            (whole ? soften<true> : soften<false>)(s, first, rows, j, columns, 1.0f, p, found);
            product(rows, d, count, p, TK, 1, values + j * d, d, mixed, d, found.shrink);
        }
        finish(found, rows, d, mixed, out + (head * s.queries + first) * d, lse + head * s.queries + first);
    });
}

extern "C" void flash_backward(const Shape* shape, float scale, const float* q, const float* k, const float* v,
                               const float* out, const float* lse, const float* dout, float* dq, float* dk, float* dv,
                               int64_t threads) {
    const Shape s = *shape;
    const int64_t d = s.dim, turned = tiles(s.keys, TK) * TK * d, group = s.heads / s.kv_heads;
    // One thread owns a head of keys and values with all the query heads that read it: nobody else adds to its sums, so
    // the same input gives the same bits. dq, dk and dv come in as zeros.
    parallel(s.batch * s.kv_heads, threads, [&](int64_t kv) {
        std::vector<float> work(2 * turned + 2 * TQ * d);
        float *kt = work.data(), *vt = kt + turned, *scaled = vt + turned, *grad = scaled + TQ * d;
        const float *keys = k + kv * s.keys * d;
        float *dkeys = dk + kv * s.keys * d, *dvalues = dv + kv * s.keys * d;
        turn(keys, s.keys, d, kt), turn(v + kv * s.keys * d, s.keys, d, vt);
        alignas(64) float p[TQ * TK], ds[TQ * TK];
        float base[TQ], dots[TQ], ones[TK];
        std::fill_n(ones, TK, 1.0f);
        for (int64_t tile = 0; tile < group * tiles(s.queries, TQ); tile++) {
            const int64_t head = kv / s.kv_heads * s.heads + kv % s.kv_heads * group + tile % group;
            const int64_t first = tile / group * TQ, rows = std::min(TQ, s.queries - first);
            const int64_t place = head * s.queries + first;
            const float *queries = q + place * d, *dmixed = dout + place * d;
            for (int64_t r = 0; r < rows; r++) {
                // A query that saw nothing has -inf, and no weight: 2^(x - inf) is 0.
                base[r] = lse[place + r] == -INF ? INF : lse[place + r] * LOG2_E;
                Vec dot{};
                for (int64_t i = 0; i < d; i += W) dot += load(dmixed + r * d + i) * load(out + (place + r) * d + i);
                dots[r] = sum(dot);
            }
            for (int64_t i = 0; i < rows * d; i++) scaled[i] = queries[i] * scale * LOG2_E;
            std::fill_n(grad, rows * d, 0.0f);
            const Shape::Keys range = s.seen(first, rows);
            for (int64_t j = range.start / TK * TK; j < range.stop; j += TK) {
                const int64_t count = std::min(TK, range.stop - j), columns = tiles(count, W) * W;
                const bool whole = j >= range.whole_start && j + TK <= range.whole_stop;
                product(rows, columns, d, scaled, d, 1, kt + j * d, TK, p, TK, nullptr);
                product(rows, columns, d, dmixed, d, 1, vt + j * d, TK, ds, TK, nullptr);
                for (int64_t r = 0; r < rows; r++) {
                    const int64_t position = first + r + s.keys - s.queries;
                    for (int64_t i = r * TK; i < r * TK + columns; i += W) {
                        Vec weight = exp2(load(p + i) - base[r]);
                        if (!whole) weight = seen_by(s, position, j + i - r * TK) ? weight : Vec{};
                        store(p + i, weight);
                        store(ds + i, weight * (load(ds + i) - dots[r]));
                    }
                }
                product(count, d, rows, p, 1, TK, dmixed, d, dvalues + j * d, d, ones);
                product(count, d, rows, ds, 1, TK, queries, d, dkeys + j * d, d, ones);
                product(rows, d, count, ds, TK, 1, keys + j * d, d, grad, d, ones);
            }
            for (int64_t i = 0; i < rows * d; i++) dq[place * d + i] = grad[i] * scale;
        }
        for (int64_t i = 0; i < s.keys * d; i++) dkeys[i] *= scale;
    });
}
