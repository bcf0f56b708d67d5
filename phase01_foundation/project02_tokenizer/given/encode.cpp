// Encodes pieces by merge rank. Compiled after scan.cpp, as one source.
//
// An Encoder is only read once it is made, so threads share it; each thread brings a Cache of its own.

#include <algorithm>
#include <cstring>
#include <numeric>
#include <queue>
#include <string_view>
#include <vector>

namespace {

uint64_t mix(uint64_t x) {
    x *= 0x9E3779B97F4A7C15u;
    return x ^ (x >> 32);
}

uint64_t hash_bytes(const uint8_t* bytes, size_t size) {
    uint64_t hash = mix(size + 1), word;
    for (; size >= 8; bytes += 8, size -= 8) {
        std::memcpy(&word, bytes, 8);
        hash = mix(hash ^ word);
    }
    if (size) {
        word = 0;
        std::memcpy(&word, bytes, size);
        hash = mix(hash ^ word);
    }
    return mix(hash);
}

size_t table_size(size_t entries) {  // a power of two, at most half full
    size_t size = 16;
    while (size < 2 * entries) size *= 2;
    return size;
}

constexpr uint64_t NONE = ~uint64_t{0};

// From a pair of ids to the rank of its merge and the id it makes, as rank << 32 | id: the least is merged first.
class PairTable {
public:
    explicit PairTable(size_t entries) : slots(table_size(entries), {NONE, NONE}) {}

    void insert(uint32_t left, uint32_t right, uint64_t found) {
        const uint64_t key = uint64_t{left} << 32 | right;
        size_t at = mix(key) & (slots.size() - 1);
        while (slots[at].key != NONE) at = (at + 1) & (slots.size() - 1);
        slots[at] = {key, found};  // no pair comes twice
    }

    uint64_t find(uint32_t left, uint32_t right) const {
        const uint64_t key = uint64_t{left} << 32 | right;
        size_t at = mix(key) & (slots.size() - 1);
        while (slots[at].key != key) {
            if (slots[at].key == NONE) return NONE;
            at = (at + 1) & (slots.size() - 1);
        }
        return slots[at].found;
    }

private:
    struct Slot {
        uint64_t key, found;
    };
    std::vector<Slot> slots;
};

constexpr size_t SHORT = 96;  // up to here a scan for the least rank beats a heap

size_t merge_short(const PairTable& pairs, uint32_t* ids, size_t count) {
    uint64_t found[SHORT];
    for (size_t i = 0; i + 1 < count; ++i) found[i] = pairs.find(ids[i], ids[i + 1]);
    while (count > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < count; ++i) {
            if (found[i] < found[best]) best = i;
        }
        if (found[best] == NONE) break;
        ids[best] = static_cast<uint32_t>(found[best]);
        --count;
        std::memmove(ids + best + 1, ids + best + 2, (count - best - 1) * sizeof *ids);
        if (best + 1 < count) {
            std::memmove(found + best + 1, found + best + 2, (count - best - 2) * sizeof *found);
            found[best] = pairs.find(ids[best], ids[best + 1]);
        }
        if (best > 0) found[best - 1] = pairs.find(ids[best - 1], ids[best]);
    }
    return count;
}

// The same for a piece of any length in n log n: a heap of ranks over a linked list of ids.
size_t merge_long(const PairTable& pairs, uint32_t* ids, size_t count) {
    struct Candidate {
        uint64_t found;
        size_t at;
        bool operator<(const Candidate& other) const {  // the greatest comes out first: least rank, then leftmost
            return found != other.found ? found > other.found : at > other.at;
        }
    };
    const size_t end = count;
    std::vector<size_t> previous(count), next(count);
    std::vector<uint64_t> found(count, NONE);
    std::vector<Candidate> first;
    for (size_t i = 0; i < count; ++i) {
        previous[i] = i - 1;
        next[i] = i + 1;
        if (i + 1 < count) found[i] = pairs.find(ids[i], ids[i + 1]);
        if (found[i] != NONE) first.push_back({found[i], i});
    }
    std::priority_queue<Candidate> heap(std::less<Candidate>(), std::move(first));
    const auto look = [&](size_t at) {
        found[at] = next[at] < end ? pairs.find(ids[at], ids[next[at]]) : NONE;
        if (found[at] != NONE) heap.push({found[at], at});
    };
    while (!heap.empty()) {
        const Candidate best = heap.top();
        heap.pop();
        if (found[best.at] != best.found) continue;  // one of the two has been merged meanwhile
        const size_t gone = next[best.at];
        ids[best.at] = static_cast<uint32_t>(best.found);
        found[gone] = NONE;
        next[best.at] = next[gone];
        if (next[gone] < end) previous[next[gone]] = best.at;
        look(best.at);
        if (best.at > 0) look(previous[best.at]);
    }
    size_t kept = 0;
    for (size_t i = 0; i < end; i = next[i]) ids[kept++] = ids[i];
    return kept;
}

size_t merge(const PairTable& pairs, uint32_t* ids, size_t count) {
    return count <= SHORT ? merge_short(pairs, ids, count) : merge_long(pairs, ids, count);
}

// The tokens' bytes, end to end, with the end of each; and from bytes to the token's id.
struct Tokens {
    const uint8_t* bytes;
    const int64_t* ends;
    int64_t count;

    std::string_view operator[](int64_t i) const {
        const int64_t start = i ? ends[i - 1] : 0;
        return {reinterpret_cast<const char*>(bytes) + start, static_cast<size_t>(ends[i] - start)};
    }
};

struct Encoder;

// Pieces met before, with their ids. Its size is fixed: a new piece takes the place of one with the same hash.
struct Cache {
    const Encoder* encoder;
    struct alignas(64) Slot {  // one line of the processor's cache
        uint8_t size = 0, count = 0;
        uint8_t piece[30];
        uint32_t ids[8];
    };
    static constexpr size_t SLOTS = 1 << 15;
    uint32_t* room;  // for the ids of a short text
    std::vector<Slot> slots = std::vector<Slot>(SLOTS);
};

struct Encoder {
    const uint8_t* kinds;
    Pattern pattern;
    bool whole_pieces;
    Tokens tokens;
    std::vector<int32_t> id_of;     // by token
    std::vector<uint32_t> whole;    // token + 1 by the hash of its bytes; 0 is free
    uint32_t id_of_byte[256];
    PairTable pairs;

    int64_t find_whole(const uint8_t* piece, size_t size) const {
        const std::string_view wanted(reinterpret_cast<const char*>(piece), size);
        for (size_t at = hash_bytes(piece, size) & (whole.size() - 1); whole[at]; at = (at + 1) & (whole.size() - 1)) {
            if (tokens[whole[at] - 1] == wanted) return id_of[whole[at] - 1];
        }
        return -1;
    }

    // The ids of one piece; `out` has room for one a byte.
    size_t encode(const uint8_t* piece, size_t size, uint32_t* out) const {
        if (whole_pieces) {
            const int64_t id = find_whole(piece, size);
            if (id >= 0) return *out = static_cast<uint32_t>(id), 1;
        }
        for (size_t i = 0; i < size; ++i) out[i] = id_of_byte[piece[i]];
        return merge(pairs, out, size);
    }
};

}  // namespace

// Token i has the bytes from ends[i - 1] to ends[i] and the id ids[i]; they are kept by the caller. Merge i makes
// made[i] of pairs[2 * i] and pairs[2 * i + 1]; earlier ones go first.
extern "C" Encoder* encoder_new(
    const uint8_t* kinds, int32_t pattern, int32_t whole_pieces, const uint8_t* bytes, const int64_t* ends,
    const int32_t* ids, int64_t count, const int32_t* pairs, const int32_t* made, int64_t merges) {
    auto* encoder = new Encoder{
        kinds, static_cast<Pattern>(pattern), whole_pieces != 0, {bytes, ends, count}, {ids, ids + count},
        std::vector<uint32_t>(table_size(count)), {}, PairTable(merges)};
    for (int64_t i = 0; i < count; ++i) {
        const auto token = encoder->tokens[i];
        const auto* start = reinterpret_cast<const uint8_t*>(token.data());
        if (token.size() == 1) encoder->id_of_byte[*start] = ids[i];
        size_t at = hash_bytes(start, token.size()) & (encoder->whole.size() - 1);
        while (encoder->whole[at]) at = (at + 1) & (encoder->whole.size() - 1);
        encoder->whole[at] = static_cast<uint32_t>(i + 1);
    }
    for (int64_t i = 0; i < merges; ++i) {
        const uint64_t rank = static_cast<uint64_t>(i) << 32;
        encoder->pairs.insert(pairs[2 * i], pairs[2 * i + 1], rank | static_cast<uint32_t>(made[i]));
    }
    return encoder;
}

extern "C" void encoder_free(Encoder* encoder) { delete encoder; }
extern "C" Cache* cache_new(const Encoder* encoder, uint32_t* room) { return new Cache{encoder, room}; }
extern "C" void cache_free(Cache* cache) { delete cache; }

// Encodes a text into `out`, which has room for one id a byte; returns how many there are.
extern "C" int64_t encode_text(Cache* cache, const uint8_t* bytes, int64_t size, uint32_t* out) {
    const Encoder* const encoder = cache->encoder;
    const Text text{bytes, static_cast<size_t>(size), encoder->kinds};
    uint32_t* const start = out;
    for (size_t at = 0, end; at < text.size; at = end) {
        end = next_piece(encoder->pattern, text, at);
        const uint8_t* piece = bytes + at;
        const size_t length = end - at;
        if (length > sizeof Cache::Slot::piece) {
            out += encoder->encode(piece, length, out);
            continue;
        }
        Cache::Slot& slot = cache->slots[hash_bytes(piece, length) >> 20 & (Cache::SLOTS - 1)];
        if (slot.size == length && std::memcmp(slot.piece, piece, length) == 0) {
            std::memcpy(out, slot.ids, slot.count * sizeof *out);
            out += slot.count;
            continue;
        }
        const size_t count = encoder->encode(piece, length, out);
        if (count <= sizeof slot.ids / sizeof *slot.ids) {
            slot.size = static_cast<uint8_t>(length);
            slot.count = static_cast<uint8_t>(count);
            std::memcpy(slot.piece, piece, length);
            std::memcpy(slot.ids, out, count * sizeof *out);
        }
        out += count;
    }
    return out - start;
}

// The same into the cache's room. Each argument less makes a call from Python a good deal shorter.
extern "C" int64_t encode_short(Cache* cache, const uint8_t* bytes, int64_t size) {
    return encode_text(cache, bytes, size, cache->room);
}

// Tokens in the order of their ranks: for each the pair of tokens that make it up when the merges of all shorter ones
// are made, or -1 and -1 where they are not two. A token of one byte is the start and has none.
extern "C" void recover_merges(
    const uint8_t* bytes, const int64_t* ends, int64_t count, int32_t* left, int32_t* right) {
    const Tokens tokens{bytes, ends, count};
    PairTable pairs(count);
    uint32_t id_of_byte[256] = {};
    for (int64_t i = 0; i < count; ++i) {
        if (tokens[i].size() == 1) id_of_byte[static_cast<uint8_t>(tokens[i][0])] = static_cast<uint32_t>(i);
    }
    std::vector<int64_t> shortest_first(count);
    std::iota(shortest_first.begin(), shortest_first.end(), 0);
    std::stable_sort(shortest_first.begin(), shortest_first.end(), [&](int64_t a, int64_t b) {
        return tokens[a].size() < tokens[b].size();
    });
    std::vector<uint32_t> ids;
    for (const int64_t i : shortest_first) {
        left[i] = right[i] = -1;
        if (tokens[i].size() < 2) continue;
        ids.clear();
        for (const char byte : tokens[i]) ids.push_back(id_of_byte[static_cast<uint8_t>(byte)]);
        if (merge(pairs, ids.data(), ids.size()) != 2) continue;
        left[i] = static_cast<int32_t>(ids[0]);
        right[i] = static_cast<int32_t>(ids[1]);
        pairs.insert(ids[0], ids[1], static_cast<uint64_t>(i) << 32 | static_cast<uint32_t>(i));
    }
}
