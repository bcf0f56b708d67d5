// What the kernels of this project stand on: vectors, number formats, and threads.
//
// A vector is 16 floats. The compiler makes of it what the processor has: one AVX-512 register, two of AVX2, four of
// NEON. Where bfloat16 products are an instruction (AVX512_BF16), `dot` is that instruction.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <functional>
#include <mutex>
#include <numeric>
#include <thread>
#include <type_traits>
#include <vector>
#include <sys/types.h>
#include <unistd.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

typedef float vec __attribute__((vector_size(64)));        // 16 floats
typedef uint32_t bits __attribute__((vector_size(64)));    // 16 times 32 bits: 32 bfloat16, in pairs
typedef uint16_t halves __attribute__((vector_size(32)));  // 16 bfloat16

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

static inline vec load(const float* from) {
    vec block;
    std::memcpy(&block, from, 64);
    return block;
}

static inline bits load(const bfloat16* from) {
    bits block;
    std::memcpy(&block, from, 64);
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
    sum = sum + (vec)(a << 16) * (vec)(b << 16);
    return sum + (vec)(a & 0xffff0000u) * (vec)(b & 0xffff0000u);
#endif
}

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
    const vec all[4] = {a, b, c, d};
    for (int i = 0; i < 4; i++) {
        float lane[16];
        std::memcpy(lane, &all[i], 64);
        for (int apart = 8; apart; apart /= 2)
            for (int l = 0; l < apart; l++) lane[l] += lane[l + apart];
        to[i] = lane[0];
    }
#endif
}

static inline float sum1(vec a) {
    float sums[4];
    sum4(a, a, a, a, sums);
    return sums[0];
}

// ---- 16 numbers of either format as floats

static inline vec widen(const float* from) { return load(from); }

static inline vec widen(const bfloat16* from) {
    halves half;
    std::memcpy(&half, from, 32);
    return (vec)(__builtin_convertvector(half, bits) << 16);
}

// e^x to 2e-7 of its size: 2^n times a polynomial for what is left of x. 0 below -87, and e^88 above 88.
static inline vec exp(vec x) {
    const vec zero = {}, low = zero - 87.0f, high = zero + 88.0f;
    const auto tiny = x < low;
    x = tiny ? low : x;
    x = x > high ? high : x;
    const vec magic = zero + 12582912.0f;  // 1.5 * 2^23: adding it rounds to whole numbers
    const vec n = (x * 1.44269504f + magic) - magic;
    const vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts, so that r is exact
    vec p = zero + 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const auto power = (__builtin_convertvector(n, decltype(tiny)) + 127) << 23;
    return tiny ? zero : p * (vec)power;
}

// ---- counts known to the compiler

// Call work(std::integral_constant<int, count>()) for a count of 1 to most: inside, decltype(size)::value is a constant,
// so arrays of that size live in registers. A larger count counts as `most`.
template <int most, class Work>
static inline void with_count(int64_t count, const Work& work) {
    if constexpr (most > 1) {
        if (count < most) return with_count<most - 1>(count, work);
    }
    work(std::integral_constant<int, most>());
}

// Have the line at `from` brought from memory into the second-level cache, while other work goes on. It is no read:
// any address will do. The processor reads ahead by itself where it is waiting for memory anyway; while it multiplies, it
// does not get there early enough.
static inline void prefetch(const void* from) { __builtin_prefetch(from, 0, 2); }

// ---- threads

// Workers that wait for the next piece of work: they look for it a while, then sleep. One pool serves all kernels.
class Pool {
   public:
    static Pool& shared() {
        static Pool* pool = nullptr;  // never ended: at exit, workers may be asleep
        static pid_t owner = 0;
        if (owner != getpid()) {  // a process that was forked has none of its parent's threads
            owner = getpid();
            pool = new Pool;
        }
        return *pool;
    }

    // Call work(part, parts) once for each part, the first one here.
    void run(int parts, const std::function<void(int, int)>& work) {
        if (parts <= 1) return work(0, 1);
        std::lock_guard<std::mutex> one_caller(callers);
        while (int(threads) < parts - 1) {
            std::thread(&Pool::serve, this, ++threads, round.load()).detach();
        }
        {
            std::lock_guard<std::mutex> hold(lock);
            current = &work;
            wanted = parts;
            left = parts - 1;
            round++;
        }
        wake.notify_all();
        work(0, parts);
        for (int tries = 0; left.load(std::memory_order_acquire) > 0;) {
            if (++tries > SPIN) std::this_thread::yield();
        }
    }

   private:
    static constexpr int SPIN = 4000;

    void serve(int number, uint64_t seen) {
        for (;;) {
            for (int tries = 0; round.load(std::memory_order_acquire) == seen && tries < SPIN; tries++) {
#if defined(__x86_64__)
                __builtin_ia32_pause();
#endif
            }
            const std::function<void(int, int)>* work;
            int parts;
            {
                std::unique_lock<std::mutex> hold(lock);
                wake.wait(hold, [&] { return round.load() != seen; });
                seen = round.load();
                work = current;
                parts = wanted;
            }
            if (number < parts) {
                (*work)(number, parts);
                left.fetch_sub(1, std::memory_order_release);
            }
        }
    }

    std::mutex callers, lock;
    std::condition_variable wake;
    std::atomic<uint64_t> round{0};
    std::atomic<int> left{0};
    int threads = 0, wanted = 0;
    const std::function<void(int, int)>* current = nullptr;
};

// How many threads are worth waking to read so many bytes: a megabyte each takes longer than waking them.
static inline int worth(int threads, int64_t bytes) { return int(std::min<int64_t>(threads, 1 + (bytes >> 20))); }

// Call work(begin, end) on equal shares of 0..count, one a thread.
template <class Work>
static void share(int threads, int64_t count, const Work& work) {
    if (threads <= 1) return work(int64_t(0), count);
    Pool::shared().run(threads, [&](int part, int parts) {
        work(count * part / parts, count * (part + 1) / parts);
    });
}

// The sum of all bytes' words, read as four streams: what memory gives at best. For benchmarks.
extern "C" float stream_read(const float* from, int64_t count, int threads) {
    const int64_t quarter = count / 4 / 16 * 16;
    std::atomic<int> odd{0};
    share(threads, quarter / 16, [&](int64_t begin, int64_t end) {
        vec a = {}, b = {}, c = {}, d = {};
        for (int64_t i = begin * 16; i < end * 16; i += 16) {
            a += load(from + i);
            b += load(from + quarter + i);
            c += load(from + 2 * quarter + i);
            d += load(from + 3 * quarter + i);
        }
        if (sum1(a + b + c + d) == 0.125f) odd++;
    });
    return float(odd);
}
