// What the kernels of this project stand on besides vectors: counts known to the compiler, and threads.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>
#include <sys/types.h>
#include <unistd.h>

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
