// Counts the pieces of texts. Compiled after scan.cpp and encode.cpp, as one source.

#include <utility>

namespace {

// How often each different piece came, in the order of first appearance.
class PieceCounts {
public:
    struct Piece {
        uint64_t start, count;
        uint32_t size;
    };

    // Counts a piece, which is the start of `left` readable bytes.
    void add(const uint8_t* piece, uint32_t size, size_t left, uint64_t times = 1) {
        const Key key = key_of(piece, size, left);
        size_t at = key.hash() & (table.size() - 1);
        for (; table[at].count; at = (at + 1) & (table.size() - 1)) {
            if (table[at].key == key && (size < LONG || !std::memcmp(&bytes[pieces[table[at].piece].start], piece, size))) {
                table[at].count += times;
                return;
            }
        }
        table[at] = {key, times, pieces.size()};
        pieces.push_back({bytes.size(), 0, size});
        bytes.insert(bytes.end(), piece, piece + size);
        if (4 * pieces.size() > 3 * table.size()) grow();
    }

    // Brings the pieces' counts up to date.
    void settle() {
        for (const Slot& slot : table) {
            if (slot.count) pieces[slot.piece].count = slot.count;
        }
    }

    // Forgets all pieces that came `times` times or fewer.
    void drop(uint64_t times) {
        settle();
        PieceCounts kept;
        for (const Piece& piece : pieces) {
            if (piece.count > times) kept.add(&bytes[piece.start], piece.size, bytes.size() - piece.start, piece.count);
        }
        *this = std::move(kept);
    }

    std::vector<Piece> pieces;
    std::vector<uint8_t> bytes;

private:
    static constexpr uint32_t LONG = 16;

    // A short piece itself, filled up with zeros, and its size; of a long one the hash. So one look at the table finds
    // most pieces: each look elsewhere would wait for memory.
    struct Key {
        uint64_t first, second;

        bool operator==(const Key& other) const { return first == other.first && second == other.second; }
        size_t hash() const { return mix(mix(first) ^ second); }
    };
    struct Slot {
        Key key{0, 0};
        uint64_t count = 0;  // 0 is free
        uint64_t piece = 0;
    };

    static Key key_of(const uint8_t* piece, uint32_t size, size_t left) {
        if (size >= LONG) return {hash_bytes(piece, size), ~uint64_t{0}};
        Key key{0, 0};
        if (left >= sizeof key) {  // a copy of a known size is two instructions
            std::memcpy(&key, piece, sizeof key);
            if (size < 8) key.first &= (uint64_t{1} << 8 * size) - 1;
            key.second &= size > 8 ? (uint64_t{1} << 8 * (size - 8)) - 1 : 0;
        } else {
            std::memcpy(&key, piece, size);
        }
        key.second |= uint64_t{size} << 56;
        return key;
    }

    void grow() {
        std::vector<Slot> old(2 * table.size());
        old.swap(table);
        for (const Slot& slot : old) {
            if (!slot.count) continue;
            size_t at = slot.key.hash() & (table.size() - 1);
            while (table[at].count) at = (at + 1) & (table.size() - 1);
            table[at] = slot;
        }
    }

    std::vector<Slot> table = std::vector<Slot>(1 << 12);
};

struct Counter {
    const uint8_t* kinds;
    Pattern pattern;
    uint32_t longest;  // in bytes: a longer piece is cut
    int64_t limit;     // of different pieces
    uint64_t floor = 0;
    PieceCounts counts{};
};

}  // namespace

extern "C" Counter* counter_new(const uint8_t* kinds, int32_t pattern, int64_t longest, int64_t limit) {
    return new Counter{kinds, static_cast<Pattern>(pattern), static_cast<uint32_t>(longest), limit};
}

extern "C" void counter_free(Counter* counter) { delete counter; }

// Counts the pieces of texts that lie one after the other, with the byte 0xFF, which is in no UTF-8, between them. When
// there are too many different pieces after a text, the rarest are forgotten.
extern "C" void counter_feed(Counter* counter, const uint8_t* bytes, int64_t size) {
    PieceCounts& counts = counter->counts;
    const uint8_t *const end = bytes + size, *stop;
    for (const uint8_t* start = bytes; start < end; start = stop + 1) {
        stop = static_cast<const uint8_t*>(std::memchr(start, 0xFF, end - start));
        if (!stop) stop = end;
        const Text text{start, static_cast<size_t>(stop - start), counter->kinds};
        for (size_t at = 0; at < text.size;) {
            const size_t next = next_piece(counter->pattern, text, at);
            while (at < next) {
                const auto part = static_cast<uint32_t>(std::min<size_t>(next - at, counter->longest));
                counts.add(start + at, part, end - (start + at));
                at += part;
            }
        }
        while (static_cast<int64_t>(counts.pieces.size()) > counter->limit) counts.drop(++counter->floor);
    }
}

// How many different pieces there are, and how many bytes they have together: what counter_read needs room for.
extern "C" int64_t counter_size(Counter* counter, int64_t* bytes) {
    counter->counts.settle();
    *bytes = static_cast<int64_t>(counter->counts.bytes.size());
    return static_cast<int64_t>(counter->counts.pieces.size());
}

extern "C" void counter_read(const Counter* counter, uint8_t* bytes, int64_t* ends, int64_t* counts) {
    if (!counter->counts.bytes.empty()) std::memcpy(bytes, &counter->counts.bytes[0], counter->counts.bytes.size());
    for (const auto& piece : counter->counts.pieces) {
        *ends++ = static_cast<int64_t>(piece.start + piece.size);
        *counts++ = static_cast<int64_t>(piece.count);
    }
}
