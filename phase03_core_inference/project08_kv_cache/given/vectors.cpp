// Vectors of 16 floats, and number formats: what the kernels of this project compute with.
//
// A vector is a register of AVX-512, two of AVX2, four of NEON or SSE, with the same 16 sums in each. Where products of
// bfloat16 are an instruction (AVX512_BF16), `dot` is that instruction.

#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__AVX__)
#include <immintrin.h>
#endif

template <class Number, int bytes>
struct Vector {
    typedef Number type __attribute__((vector_size(bytes)));
};
template <class Number, int bytes>
using Register = typename Vector<Number, bytes>::type;

// A compiler that is given vectors wider than a register has them in memory, and each sum there and back in each step.
// As a pair, and where need be a pair of pairs, they stay in registers.
template <class Half>
struct Pair {
    Half lo, hi;
};

#if defined(__AVX512F__)
typedef Register<float, 64> vec;      // 16 floats
typedef Register<uint32_t, 64> bits;  // 16 times 32 bits: 32 bfloat16, in pairs
constexpr int ROWS = 6;               // of x: so many, times four rows of w, are as many sums as the registers hold
#else
#if defined(__AVX__)
template <class Number>
using Eight = Register<Number, 32>;
#else
template <class Number>
using Eight = Pair<Register<Number, 16>>;
#endif
typedef Pair<Eight<float>> vec;
typedef Pair<Eight<uint32_t>> bits;
constexpr int ROWS = 1;
#endif

template <class Half>
static inline Pair<Half> operator+(Pair<Half> a, Pair<Half> b) { return {a.lo + b.lo, a.hi + b.hi}; }
template <class Half>
static inline Pair<Half> operator-(Pair<Half> a, Pair<Half> b) { return {a.lo - b.lo, a.hi - b.hi}; }
template <class Half>
static inline Pair<Half> operator*(Pair<Half> a, Pair<Half> b) { return {a.lo * b.lo, a.hi * b.hi}; }
template <class Half>
static inline Pair<Half> operator/(Pair<Half> a, Pair<Half> b) { return {a.lo / b.lo, a.hi / b.hi}; }

template <class Half>
static inline Pair<Half> operator+(Pair<Half> a, float b) { return {a.lo + b, a.hi + b}; }
template <class Half>
static inline Pair<Half> operator-(Pair<Half> a, float b) { return {a.lo - b, a.hi - b}; }
template <class Half>
static inline Pair<Half> operator*(Pair<Half> a, float b) { return {a.lo * b, a.hi * b}; }
template <class Half>
static inline Pair<Half> operator/(Pair<Half> a, float b) { return {a.lo / b, a.hi / b}; }
template <class Half>
static inline Pair<Half> operator+(float a, Pair<Half> b) { return {a + b.lo, a + b.hi}; }
template <class Half>
static inline Pair<Half> operator-(float a, Pair<Half> b) { return {a - b.lo, a - b.hi}; }
template <class Half>
static inline Pair<Half> operator*(float a, Pair<Half> b) { return {a * b.lo, a * b.hi}; }
template <class Half>
static inline Pair<Half> operator/(float a, Pair<Half> b) { return {a / b.lo, a / b.hi}; }

template <class Half, class Other>
static inline Pair<Half>& operator+=(Pair<Half>& a, Other b) { return a = a + b; }
template <class Half, class Other>
static inline Pair<Half>& operator-=(Pair<Half>& a, Other b) { return a = a - b; }
template <class Half, class Other>
static inline Pair<Half>& operator*=(Pair<Half>& a, Other b) { return a = a * b; }
template <class Half, class Other>
static inline Pair<Half>& operator/=(Pair<Half>& a, Other b) { return a = a / b; }

// What `work` makes of vectors, a register at a time.
template <class Work, class Part, class... Parts>
static inline auto each(const Work& work, Part first, Parts... others) { return work(first, others...); }

template <class Work, class Half, class... Halves>
static inline auto each(const Work& work, Pair<Half> first, Pair<Halves>... others) {
    const auto lo = each(work, first.lo, others.lo...);
    return Pair<std::decay_t<decltype(lo)>>{lo, each(work, first.hi, others.hi...)};
}

static inline vec larger(vec a, vec b) {
    return each([](auto a, auto b) { return a > b ? a : b; }, a, b);
}

struct bfloat16 {
    uint16_t bits;  // the upper half of a float32
};

static inline float to_float(float value) { return value; }

static inline float to_float(bfloat16 value) {
    const uint32_t wide = uint32_t(value.bits) << 16;
    float result;
    std::memcpy(&result, &wide, 4);
    return result;
}

static inline void store(float* to, float value) { *to = value; }

static inline void store(bfloat16* to, float value) {  // rounded to the nearest, ties to even, as torch does
    uint32_t wide;
    std::memcpy(&wide, &value, 4);
    to->bits = value != value ? 0x7fc0 : uint16_t((wide + 0x7fff + ((wide >> 16) & 1)) >> 16);
}

// ---- blocks: 64 bytes of a row, so 16 floats or 32 bfloat16

template <class Number>
constexpr int64_t STEP = 64 / sizeof(Number);  // numbers in a block

template <class Part>
static inline void read(const char* from, Part& to) { std::memcpy(&to, from, sizeof to); }

template <class Half>
static inline void read(const char* from, Pair<Half>& to) {
    read(from, to.lo);
    read(from + sizeof(Half), to.hi);
}

static inline vec load(const float* from) {
    vec block;
    read((const char*)from, block);
    return block;
}

static inline bits load(const bfloat16* from) {
    bits block;
    read((const char*)from, block);
    return block;
}

// A block that is used several times: without this, the compiler reads it from memory again for each use.
template <class Block>
static inline Block held(Block block) {
#if defined(__AVX512F__)
    asm("" : "+v"(block));
#endif
    return block;
}

static inline vec dot(vec sum, vec a, vec b) { return sum + a * b; }

static inline vec dot(vec sum, bits a, bits b) {  // each lane adds the products of its two pairs
#if defined(__AVX512BF16__)
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
    const auto both = [](auto sum, auto a, auto b) {
        typedef decltype(sum) Sum;
        sum = sum + (Sum)(a << 16) * (Sum)(b << 16);
        return sum + (Sum)(a & 0xffff0000u) * (Sum)(b & 0xffff0000u);
    };
    return each(both, sum, a, b);
#endif
}

#if !defined(__AVX512F__)
#if defined(__clang__)
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (Register<int32_t, 16>){__VA_ARGS__})
#endif

// The sums of lanes 4 apart.
static inline Register<float, 16> folded(Eight<float> a) {
#if defined(__AVX__)
    return (Register<float, 16>)(_mm256_castps256_ps128((__m256)a) + _mm256_extractf128_ps((__m256)a, 1));
#else
    return a.lo + a.hi;
#endif
}
#endif

// The sums over the 16 lanes of four vectors: lanes 8 apart first, then 4, 2 and 1, on every processor.
static inline void sum4(vec a, vec b, vec c, vec d, float* to) {
#if defined(__AVX512F__)
    const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4((__m512)a, (__m512)b, 0x44),
                                    _mm512_shuffle_f32x4((__m512)a, (__m512)b, 0xee));
    const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4((__m512)c, (__m512)d, 0x44),
                                    _mm512_shuffle_f32x4((__m512)c, (__m512)d, 0xee));
    __m512 all = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    all = _mm512_add_ps(all, _mm512_permute_ps(all, 0x4e));
    all = _mm512_add_ps(all, _mm512_permute_ps(all, 0xb1));
    const __m512i first = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    _mm_storeu_ps(to, _mm512_castps512_ps128(_mm512_permutexvar_ps(first, all)));
#else
    typedef Register<float, 16> Four;
    const Four A = folded(a.lo + a.hi), B = folded(b.lo + b.hi), C = folded(c.lo + c.hi), D = folded(d.lo + d.hi);
    const Four ab = PICK(A, B, 0, 1, 4, 5) + PICK(A, B, 2, 3, 6, 7), cd = PICK(C, D, 0, 1, 4, 5) + PICK(C, D, 2, 3, 6, 7);
    const Four all = PICK(ab, cd, 0, 2, 4, 6) + PICK(ab, cd, 1, 3, 5, 7);
    std::memcpy(to, &all, 16);
#endif
}

static inline float sum1(vec a) {
    float sums[4];
    sum4(a, a, a, a, sums);
    return sums[0];
}

// ---- 16 numbers of either format as floats

static inline vec widen(const float* from) { return load(from); }

template <class Part>
static inline void widen(const bfloat16* from, Part& to) {
    Register<uint16_t, sizeof(Part) / 2> half;
    std::memcpy(&half, from, sizeof half);
    to = (Part)(__builtin_convertvector(half, Register<uint32_t, sizeof(Part)>) << 16);
}

template <class Half>
static inline void widen(const bfloat16* from, Pair<Half>& to) {
    widen(from, to.lo);
    widen(from + sizeof(Half) / sizeof(float), to.hi);
}

static inline vec widen(const bfloat16* from) {
    vec wide;
    widen(from, wide);
    return wide;
}

// e^x to 2e-7 of its size: 2^n times a polynomial for what is left of x. 0 below -87, and e^88 above 88.
static inline vec exp(vec x) {
    return each(
        [](auto x) {
            typedef decltype(x) Part;
            const Part zero = {}, low = zero - 87.0f, high = zero + 88.0f;
            const auto tiny = x < low;
            x = tiny ? low : x;
            x = x > high ? high : x;
            const Part magic = zero + 12582912.0f;  // 1.5 * 2^23: adding it rounds to whole numbers
            const Part n = (x * 1.44269504f + magic) - magic;
            const Part r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts, so that r is exact
            Part p = zero + 1.9875691500e-4f;
            p = p * r + 1.3981999507e-3f;
            p = p * r + 8.3334519073e-3f;
            p = p * r + 4.1665795894e-2f;
            p = p * r + 1.6666665459e-1f;
            p = p * r + 5.0000001201e-1f;
            p = p * r * r + r + 1.0f;
            const auto power = (__builtin_convertvector(n, Register<int32_t, sizeof(Part)>) + 127) << 23;
            return tiny ? zero : p * (Part)power;
        },
        x);
}
