// What a decoding step is made of, around the learner's `decode_step` (decode_step.py, which stands at the end).

// A layer's weights, and where the cache keeps its keys and values. Gains are float32 in either format.
template <class Number>
struct Layer {
    Matrix<Number> q, k, v, out, gate, up, down;         // gate.numbers is null in a model without a gate
    const float *attention_norm, *feed_forward_norm;     // (dim)
    const float *q_norm, *k_norm;                        // (width), or null without qk_norm
    Number *keys, *values;                               // (row, kv_head, slot, width)
};

template <class Number>
struct Model {
    int64_t layers, dim, heads, kv_heads, width, hidden, capacity;
    float eps, softcap;          // softcap 0: none
    const Layer<Number>* layer;  // one after the other
    const Number* embedding;     // (vocab, dim), its rows `embedding_stride` numbers apart
    int64_t embedding_stride;
    const float* norm;           // (dim)
    Matrix<Number> head;
};

// One token for each of `count` rows of the cache.
struct Step {
    int64_t count;
    const int64_t *tokens, *rows, *slots, *lengths;  // slot: where the key goes; length: how many are attended to then
    const float *cos, *sin;                          // (count, width / 2)
    float* logits;                                   // (count, vocab)
    int threads;
};

// Rows of numbers as a product wants them: filled up with zeros to a multiple of 32.
template <class Number>
class Rows {
   public:
    Rows(int64_t count, int64_t length)
        : stride((length + 31) / 32 * 32), numbers(count * stride + 16) {}
    Number* operator[](int64_t row) { return numbers.data() + row * stride; }
    Number* data() { return numbers.data(); }
    const int64_t stride;

   private:
    std::vector<Number> numbers;
};

// to = x / sqrt(mean(x * x) + eps) * gain, for `length` numbers; to may be x.
template <class Number>
static void rms_norm(const float* x, const float* gain, int64_t length, float eps, Number* to) {
    vec squares = {};
    int64_t i = 0;
    for (; i + 16 <= length; i += 16) squares = dot(squares, load(x + i), load(x + i));
    float sum = sum1(squares);
    for (; i < length; i++) sum += x[i] * x[i];
    const float scale = 1.0f / std::sqrt(sum / float(length) + eps);
    for (i = 0; i < length; i++) store(to + i, x[i] * scale * gain[i]);
}

// Turn each pair (p, p + width / 2) of a head by its angle.
static void rotate(float* head, const float* cos, const float* sin, int64_t width) {
    const int64_t half = width / 2;
    for (int64_t p = 0; p < half; p++) {
        const float a = head[p], b = head[p + half];
        head[p] = a * cos[p] - b * sin[p];
        head[p + half] = b * cos[p] + a * sin[p];
    }
}

template <class Number>
static void copy(const float* from, int64_t length, Number* to) {
    for (int64_t i = 0; i < length; i++) store(to + i, from[i]);
}

// to = silu(gate) * up, or, where gate is null, relu(up) squared.
template <class Number>
static void activate(const float* gate, const float* up, int64_t length, Number* to) {
    for (int64_t i = 0; i < length; i += 16) {
        float in[2][16] = {}, result[16];
        const int64_t count = std::min<int64_t>(16, length - i);
        if (gate) std::memcpy(in[0], gate + i, count * sizeof(float));
        std::memcpy(in[1], up + i, count * sizeof(float));
        const vec g = load(in[0]), u = load(in[1]), zero = {}, positive = larger(u, zero);
        const vec active = gate ? g / (1.0f + exp(zero - g)) * u : positive * positive;
        std::memcpy(result, &active, 64);
        copy(result, count, to + i);
    }
}

// logits = cap * tanh(logits / cap)
static void soften(float* logits, int64_t length, float cap) {
    for (int64_t i = 0; i < length; i++) logits[i] = cap * std::tanh(logits[i] / cap);
}

// Each token's vector, (count, dim).
template <class Number>
static void embed(const Model<Number>& model, const Step& step, float* x) {
    for (int64_t i = 0; i < step.count; i++)
        for (int64_t d = 0; d < model.dim; d++)
            x[i * model.dim + d] = to_float(model.embedding[step.tokens[i] * model.embedding_stride + d]);
}

static inline void add(float* to, const float* what, int64_t length) {
    for (int64_t i = 0; i < length; i++) to[i] += what[i];
}
