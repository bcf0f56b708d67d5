// Attention of a whole step's single queries, as project 8's given text around it asks for: the queries of one key and
// value head, (group, width), against all `held` keys and values.
template <class Number>
static void attend_group(const float* q, const Number* keys, const Number* values, float* scores, float* out,
                         int64_t group, int64_t held, int64_t width) {
    const int64_t filled = (held + 15) / 16 * 16;
    const float scale = 1.0f / std::sqrt(float(width));
    for (int64_t g = 0; g < group; g++) {
        const float* query = q + g * width;
        float* score = scores + g * filled;
        float* to = out + g * width;
        float largest = -INFINITY, total = 0;
        for (int64_t j = 0; j < held; j += 4) {
            vec sum[4] = {};
            for (int r = 0; r < 4; r++) {
                const Number* key = keys + std::min(j + r, held - 1) * width;
                for (int64_t d = 0; d < width; d += 16) sum[r] = dot(sum[r], load(query + d), widen(key + d));
            }
            sum4(sum[0], sum[1], sum[2], sum[3], score + j);
        }
        for (int64_t j = 0; j < held; j++) largest = std::max(largest, score[j] *= scale);
        for (int64_t j = held; j < filled; j++) score[j] = -INFINITY;
        for (int64_t j = 0; j < filled; j += 16) {
            const vec weight = exp(load(score + j) - largest);
            std::memcpy(score + j, &weight, 64);
            total += sum1(weight);
        }
        for (int64_t d = 0; d < width; d += 16) {
            vec mixed = {};
            for (int64_t j = 0; j < held; j++) mixed += widen(values + j * width + d) * score[j];
            mixed /= total;
            std::memcpy(to + d, &mixed, 64);
        }
    }
}
