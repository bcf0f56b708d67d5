// Products with weights of four or eight bits, for project 8's product.cpp, which stands after this and calls
// product_part. Its `w` is here no row of floats but the address of a Codes.
//
// Activations are rounded to eight bits, 32 neighbours to a scale, as llama.cpp does it; then a product is one of whole
// numbers, 32 or 64 at a time, exact in 32 bits. Vectors are of 32 bytes on every x86: VNNI has one instruction for it
// (AVX-512 or AVX), AVX2 three or five. Elsewhere a plain loop does the same.
#if defined(__AVX2__)
#include <immintrin.h>
#endif
#if (defined(__AVX512VNNI__) && defined(__AVX512VL__)) || defined(__AVXVNNI__)
#define HAS_VNNI
#endif

struct Codes {
    const uint8_t* codes;  // of code + half, packed as packing.py does it
    const void* scale;     // (n, groups), float16 or float32
    const int8_t* zero;    // (n, groups), or null in a symmetric grid
    int64_t stride;        // bytes of a row
    int64_t bits, group, groups, half_scales;
};

typedef int32_t ints16 __attribute__((vector_size(64)));
typedef int8_t bytes16 __attribute__((vector_size(16)));

// A row of activations: codes, their scales, and what the product of whole numbers begins with.
struct Activation {
    std::vector<int8_t> codes;    // in the order in which the weights' codes come out of their bytes
    std::vector<float> scale;     // one for 32
    std::vector<float> lanes;     // four bits: scales of 64, each four times; eight bits: empty
    std::vector<int32_t> start;   // minus half times the sum of the codes, in the first lane of each block
    std::vector<float> weighed;   // scale times the sum of the codes, of 32
};

template <class Number>
static void quantize_activation(const Number* x, int64_t k, int64_t bits, Activation& to) {
    const int64_t blocks = k / 32;
    to.codes.resize(k);
    to.scale.resize(blocks);
    to.weighed.resize(blocks);
    to.lanes.resize(bits == 4 ? blocks * 4 : 0);
    to.start.assign(bits == 4 ? blocks * 4 : blocks * 8, 0);
    for (int64_t b = 0; b < blocks; b++) {
        const vec parts[2] = {widen(x + b * 32), widen(x + b * 32 + 16)}, zero = {};
        vec big = {};
        for (const vec& part : parts) {
            const vec size = part < zero ? zero - part : part;
            big = size > big ? size : big;
        }
        float lane[16], amax = 0;
        std::memcpy(lane, &big, 64);
        for (float one : lane) amax = std::max(amax, one);
        const vec magic = zero + 12582912.0f;  // adding it rounds to whole numbers, halves to even
        const float inverse = amax > 0 ? 127.0f / amax : 0.0f;
        int8_t made[32];
        int32_t sum = 0;
        for (int p = 0; p < 2; p++) {
            const vec whole = (parts[p] * inverse + magic) - magic;
            const bytes16 narrow = __builtin_convertvector(__builtin_convertvector(whole, ints16), bytes16);
            std::memcpy(made + 16 * p, &narrow, 16);
        }
        for (int8_t one : made) sum += one;
        to.scale[b] = amax / 127.0f;
        to.weighed[b] = to.scale[b] * float(sum);
        if (bits == 4) {  // 32 bytes hold 64 codes: all even ones come first, then all odd ones
            int8_t* at = to.codes.data() + b / 2 * 64 + b % 2 * 16;
            for (int i = 0; i < 16; i++) at[i] = made[2 * i], at[32 + i] = made[2 * i + 1];
            for (int i = 0; i < 4; i++) to.lanes[b * 4 + i] = to.scale[b];
            to.start[b * 4] = -8 * sum;
        } else {
            std::memcpy(to.codes.data() + b * 32, made, 32);
            to.start[b * 8] = -128 * sum;
        }
    }
}

static inline float half_to_float(uint16_t half) {
#if defined(__F16C__)
    return _cvtsh_ss(half);
#else
    const uint32_t sign = uint32_t(half & 0x8000) << 16, exponent = half >> 10 & 31, rest = half & 1023;
    float value = std::ldexp(float(exponent ? rest + 1024 : rest), int(exponent ? exponent : 1) - 25);
    return sign ? -value : value;
#endif
}

// A row's scales as floats.
static inline void read_scales(const Codes& w, int64_t row, float* to) {
    if (!w.half_scales) {
        std::memcpy(to, static_cast<const float*>(w.scale) + row * w.groups, w.groups * sizeof(float));
        return;
    }
    const uint16_t* from = static_cast<const uint16_t*>(w.scale) + row * w.groups;
    int64_t g = 0;
#if defined(__F16C__) && defined(__AVX2__)
    for (; g + 8 <= w.groups; g += 8) {
        _mm256_storeu_ps(to + g, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + g))));
    }
#endif
    for (; g < w.groups; g++) to[g] = half_to_float(from[g]);
}

#if defined(__AVX2__)

static inline __m256i bytes(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }

// sum + the products of bytes, four to a lane; `u` is unsigned, and at most 15 where there is no VNNI.
static inline __m256i dot_unsigned(__m256i sum, __m256i u, __m256i s) {
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
    return _mm256_dpbusd_epi32(sum, u, s);
#elif defined(__AVXVNNI__)
    return _mm256_dpbusd_avx_epi32(sum, u, s);
#else
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(u, s), _mm256_set1_epi16(1)));
#endif
}

// 32 weights of eight bits, stored plus 128, times 32 activations.
static inline __m256i dot_eight(__m256i stored, __m256i x, const int32_t* start) {
#if defined(HAS_VNNI)
    return dot_unsigned(bytes(start), stored, x);
#else  // |w| times x with w's sign: 128 · 127 twice fits in 16 bits
    const __m256i w = _mm256_xor_si256(stored, _mm256_set1_epi8(char(0x80)));
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#endif
}

static inline __m256 multiply_add(__m256 a, __m256 b, __m256 c) {
#if defined(__FMA__)
    return _mm256_fmadd_ps(a, b, c);
#else
    return _mm256_add_ps(_mm256_mul_ps(a, b), c);
#endif
}

static inline float sum8(__m256 a) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_shuffle_ps(four, four, 1)));
}

// sums[c][r]: row r of the four of w times row c of the C of x. In each group of weights, sums are scaled as activations
// are; at its end, as its weights.
template <int BITS, int C>
static inline void tile(const Codes& w, const uint8_t* const rows[4], const float* const scales[4], const Activation* x,
                        int64_t k, float sums[C][4]) {
    __m256 sum[C][4], part[C][4];
    const int8_t* codes[C];
    const int32_t* start[C];
    const float *lanes[C], *scale[C];
    for (int c = 0; c < C; c++) {
        codes[c] = x[c].codes.data(), start[c] = x[c].start.data();
        lanes[c] = x[c].lanes.data(), scale[c] = x[c].scale.data();
        for (int r = 0; r < 4; r++) sum[c][r] = _mm256_setzero_ps();
    }
    const __m256i low = _mm256_set1_epi8(15);
    // What a unit of row r, 32 bytes of codes, adds to a part.
    constexpr int64_t UNIT = BITS == 4 ? 64 : 32;
    const auto add_unit = [&](int64_t b, int r) {
        const __m256i both = bytes(rows[r] + b * 32);
        if constexpr (BITS == 4) {
            const __m256i even = _mm256_and_si256(both, low);
            const __m256i odd = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
            for (int c = 0; c < C; c++) {
                const __m256i x_even = bytes(codes[c] + b * 64), x_odd = bytes(codes[c] + b * 64 + 32);
#if defined(HAS_VNNI)
                const __m256i dot = dot_unsigned(dot_unsigned(bytes(start[c] + b * 8), even, x_even), odd, x_odd);
#else  // 15 · 127 four times fits in 16 bits
                const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(even, x_even), _mm256_maddubs_epi16(odd, x_odd));
                const __m256i dot = _mm256_add_epi32(bytes(start[c] + b * 8),
                                                     _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
                part[c][r] = multiply_add(_mm256_cvtepi32_ps(dot), _mm256_loadu_ps(lanes[c] + b * 8), part[c][r]);
            }
        } else {
            for (int c = 0; c < C; c++) {
                const __m256i dot = dot_eight(both, bytes(codes[c] + b * 32), start[c] + b * 8);
                part[c][r] = multiply_add(_mm256_cvtepi32_ps(dot), _mm256_broadcast_ss(scale[c] + b), part[c][r]);
            }
        }
    };
    const int64_t group = std::max(w.group, UNIT);
    for (int64_t b = 0, g = 0; b < k / UNIT; g++) {
        for (int c = 0; c < C; c++)
            for (int r = 0; r < 4; r++) part[c][r] = _mm256_setzero_ps();
        for (; b < std::min((g + 1) * group, k) / UNIT; b++)
            for (int r = 0; r < 4; r++) add_unit(b, r);
        for (int r = 0; r < 4; r++) {
            const bool two = w.group < UNIT;  // the first four lanes are of one group, the others of the next
            __m256 s = _mm256_broadcast_ss(scales[r] + (two ? 2 * g : g));
            if (two) s = _mm256_blend_ps(s, _mm256_broadcast_ss(scales[r] + 2 * g + 1), 0xf0);
            for (int c = 0; c < C; c++) sum[c][r] = multiply_add(part[c][r], s, sum[c][r]);
        }
    }
    for (int c = 0; c < C; c++)
        for (int r = 0; r < 4; r++) sums[c][r] = sum8(sum[c][r]);
}

#else

template <int BITS, int C>
static inline void tile(const Codes& w, const uint8_t* const rows[4], const float* const scales[4], const Activation* x,
                        int64_t k, float sums[C][4]) {
    for (int c = 0; c < C; c++) {
        for (int r = 0; r < 4; r++) {
            sums[c][r] = 0;
            for (int64_t b = 0; b < k / 32; b++) {
                int32_t dot = 0;
                for (int64_t i = b * 32; i < b * 32 + 32; i++) {
                    const int64_t at = i / 64 * 64 + i % 2 * 32 + i % 64 / 2;  // where an activation lies at four bits
                    if (BITS == 4) dot += (rows[r][i / 2] >> i % 2 * 4 & 15) * x[c].codes[at];
                    else dot += (rows[r][i] - 128) * x[c].codes[i];
                }
                if (BITS == 4) dot += x[c].start[b * 4];
                sums[c][r] += float(dot) * (scales[r][b * 32 / w.group] * x[c].scale[b]);
            }
        }
    }
}

#endif

// What an asymmetric grid takes off: zero · scale · (the sum of the activations), group by group.
static float zeros_take(const Codes& w, int64_t row, const float* scales, const Activation& x, int64_t k) {
    float taken = 0;
    for (int64_t b = 0; b < k / 32; b++) {
        const int64_t g = b * 32 / w.group;
        taken += float(w.zero[row * w.groups + g]) * scales[g] * x.weighed[b];
    }
    return taken;
}

// As project 8's: y (m, n) = x (m, k) times the weights; the rows j + r · quarter for j from `begin` to before `end`. k is
// a multiple of 64. The order of sums does not depend on m.
template <class Number>
static void product_part(const Number* address, const Number* x, float* y, int64_t m, int64_t n, int64_t k, int64_t begin,
                         int64_t end) {
    const Codes& w = *reinterpret_cast<const Codes*>(address);
    const int64_t quarter = (n + 3) / 4;
    static thread_local std::vector<Activation> made;
    static thread_local std::vector<float> scales;
    if (int64_t(made.size()) < m) made.resize(m);
    scales.resize(4 * w.groups);
    for (int64_t c = 0; c < m; c++) quantize_activation(x + c * k, k, w.bits, made[c]);
    for (int64_t j = begin; j < end; j++) {
        const uint8_t* rows[4];
        const float* own[4];
        for (int r = 0; r < 4; r++) {
            const int64_t row = std::min(j + r * quarter, n - 1);
            rows[r] = w.codes + row * w.stride;
            own[r] = scales.data() + r * w.groups;
            read_scales(w, row, scales.data() + r * w.groups);
        }
        for (int64_t first = 0; first < m; first += 2) {
            with_count<2>(m - first, [&](auto count) {
                constexpr int C = decltype(count)::value;
                float sums[C][4];
                if (w.bits == 4) tile<4, C>(w, rows, own, made.data() + first, k, sums);
                else tile<8, C>(w, rows, own, made.data() + first, k, sums);
                for (int c = 0; c < C; c++) {
                    for (int r = 0; r < 4; r++) {
                        const int64_t row = j + r * quarter;
                        if (row >= n) continue;
                        if (w.zero) sums[c][r] -= zeros_take(w, row, own[r], made[first + c], k);
                        y[(first + c) * n + row] = sums[c][r];
                    }
                }
            });
        }
    }
}
