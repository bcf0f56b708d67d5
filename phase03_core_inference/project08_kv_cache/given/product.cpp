// The product around the learner's `product_part` (linear.py): its threads, and what Python calls.

// A matrix of n rows of k numbers; k is a multiple of 32: shorter rows are filled up with zeros.
template <class Number>
struct Matrix {
    const Number* numbers;
    int64_t n, k;
};

// y (m, n) = x (m, k) times w (n, k) transposed; each thread has a part of every quarter of w's rows.
template <class Number>
static void product(const Matrix<Number>& w, const Number* x, float* y, int64_t m, int threads) {
    share(worth(threads, w.n * w.k * sizeof(Number)), (w.n + 3) / 4, [&](int64_t begin, int64_t end) {
        product_part(w.numbers, x, y, m, w.n, w.k, begin, end);
    });
}

// One thread's part alone, for tests.
extern "C" void part_float32(const float* w, const float* x, float* y, int64_t m, int64_t n, int64_t k, int64_t begin,
                             int64_t end) {
    product_part(w, x, y, m, n, k, begin, end);
}

extern "C" void part_bfloat16(const bfloat16* w, const bfloat16* x, float* y, int64_t m, int64_t n, int64_t k,
                              int64_t begin, int64_t end) {
    product_part(w, x, y, m, n, k, begin, end);
}

extern "C" void product_float32(const float* w, const float* x, float* y, int64_t m, int64_t n, int64_t k, int threads) {
    product({w, n, k}, x, y, m, threads);
}

extern "C" void product_bfloat16(const bfloat16* w, const bfloat16* x, float* y, int64_t m, int64_t n, int64_t k,
                                 int threads) {
    product({w, n, k}, x, y, m, threads);
}
