// Counts pieces and learns merges from the counts. Compiled after scan.cpp and encode.cpp, as one source.

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
        if (2 * pieces.size() > table.size()) grow();
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
        std::vector<Slot> old(4 * table.size());
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

// The pieces as ids, and for every pair of neighbours its count and the pieces that hold it.
class Learner {
public:
    // A merge is of a pair that comes `least` times or more.
    Learner(const PieceCounts& counts, const int32_t* id_of_byte, int64_t least) : least(least) {
        for (const auto& piece : counts.pieces) {
            if (piece.size < 2) continue;  // nothing to merge
            pieces.push_back({ids.size(), piece.size, static_cast<int64_t>(piece.count)});
            for (uint32_t i = 0; i < piece.size; ++i) ids.push_back(id_of_byte[counts.bytes[piece.start + i]]);
        }
        index.resize(1 << 16);
        pair_at.resize(ids.size());
        for (uint32_t i = 0; i < pieces.size(); ++i) {
            const Piece& piece = pieces[i];
            for (size_t at = piece.start; at + 1 < piece.start + piece.size; ++at) {
                pair_at[at] = add(ids[at], ids[at + 1], i);
            }
        }
        offer_changed();
    }

    // Learns up to `wanted` merges; the first makes the id `next`.
    int64_t learn(int64_t wanted, uint32_t next, int32_t* left, int32_t* right) {
        int64_t done = 0;
        while (done < wanted && !heap.empty()) {
            const Candidate best = heap.top();
            heap.pop();
            const int64_t count = counts[best.pair];
            if (count != best.count) {  // it has changed since: back to where it belongs
                if (count >= least) heap.push({count, best.key, best.pair});
                continue;
            }
            left[done] = static_cast<int32_t>(best.key >> 32);
            right[done] = static_cast<int32_t>(best.key);
            apply(best, next++);
            ++done;
        }
        return done;
    }

private:
    struct Piece {
        size_t start;
        uint32_t size;
        int64_t count;
    };
    struct Pair {
        bool changed = false;           // its count has risen since the last offer
        std::vector<uint32_t> where{};  // pieces that hold it, or once did
    };
    struct Candidate {
        int64_t count;
        uint64_t key;
        uint32_t pair;
        bool operator<(const Candidate& other) const {  // first the most frequent, then the smallest ids
            return count != other.count ? count < other.count : key > other.key;
        }
    };

    uint32_t pair_of(uint64_t key) {
        size_t at = mix(key) & (index.size() - 1);
        for (; index[at]; at = (at + 1) & (index.size() - 1)) {
            if (keys[index[at] - 1] == key) return index[at] - 1;
        }
        keys.push_back(key);
        counts.push_back(0);
        pairs.emplace_back();
        index[at] = static_cast<uint32_t>(pairs.size());
        if (2 * pairs.size() > index.size()) {
            index.assign(2 * index.size(), 0);
            for (size_t i = 0; i < pairs.size(); ++i) {
                size_t free = mix(keys[i]) & (index.size() - 1);
                while (index[free]) free = (free + 1) & (index.size() - 1);
                index[free] = static_cast<uint32_t>(i + 1);
            }
        }
        return static_cast<uint32_t>(pairs.size() - 1);
    }

    // One more place of a pair, in this piece; returns which pair it is.
    uint32_t add(uint32_t left, uint32_t right, uint32_t piece) {
        const uint32_t i = pair_of(uint64_t{left} << 32 | right);
        counts[i] += pieces[piece].count;
        Pair& pair = pairs[i];
        if (pair.where.empty() || pair.where.back() != piece) pair.where.push_back(piece);
        if (!pair.changed) {
            pair.changed = true;
            changed.push_back(i);
        }
        return i;
    }

    // Merges a pair in the pieces that hold it. Only the pairs beside the merged one change their counts.
    void apply(const Candidate& best, uint32_t made) {
        const std::vector<uint32_t> where = std::move(pairs[best.pair].where);
        for (size_t w = 0; w < where.size(); ++w) {
            // The pieces lie anywhere in memory: ask for those to come before they are needed.
            if (w + 8 < where.size()) __builtin_prefetch(&pieces[where[w + 8]]);
            if (w + 4 < where.size()) {
                const size_t start = pieces[where[w + 4]].start;
                __builtin_prefetch(&ids[start]);
                __builtin_prefetch(&pair_at[start]);
            }
            const uint32_t holder = where[w];
            Piece& piece = pieces[holder];
            uint32_t *const id = &ids[piece.start], *const pair = &pair_at[piece.start];
            uint32_t kept = 0;
            for (uint32_t i = 0; i < piece.size; ++i, ++kept) {
                if (i + 1 == piece.size || pair[i] != best.pair) {
                    id[kept] = id[i];
                    pair[kept] = pair[i];
                    continue;
                }
                if (kept > 0) {
                    counts[pair[kept - 1]] -= piece.count;
                    pair[kept - 1] = add(id[kept - 1], made, holder);
                }
                if (++i + 1 < piece.size) {
                    counts[pair[i]] -= piece.count;
                    pair[kept] = add(made, id[i + 1], holder);
                }
                id[kept] = made;
            }
            piece.size = kept;
        }
        counts[best.pair] = 0;
        offer_changed();
    }

    void offer_changed() {
        for (const uint32_t i : changed) {
            pairs[i].changed = false;
            if (counts[i] >= least) heap.push({counts[i], keys[i], i});
        }
        changed.clear();
    }

    int64_t least;
    std::vector<uint32_t> ids;
    std::vector<Piece> pieces;
    std::vector<uint32_t> pair_at;  // at each id the pair that begins there
    std::vector<uint64_t> keys;     // of each pair, as are the next two: apart, since a merge reads many counts
    std::vector<int64_t> counts;
    std::vector<Pair> pairs;
    std::vector<uint32_t> index;  // pair + 1 by key; 0 is free
    std::vector<uint32_t> changed;
    std::priority_queue<Candidate> heap;
};

}  // namespace

extern "C" Counter* counter_new(const uint8_t* kinds, int32_t pattern, int64_t longest, int64_t limit) {
    return new Counter{kinds, static_cast<Pattern>(pattern), static_cast<uint32_t>(longest), limit};
}

extern "C" void counter_free(Counter* counter) { delete counter; }

// Counts the pieces of texts that lie end to end, with the end of each. When there are too many different pieces after
// a text, the rarest are forgotten.
extern "C" void counter_feed(Counter* counter, const uint8_t* bytes, const int64_t* ends, int64_t texts) {
    PieceCounts& counts = counter->counts;
    for (int64_t i = 0, start = 0; i < texts; start = ends[i++]) {
        const Text text{bytes + start, static_cast<size_t>(ends[i] - start), counter->kinds};
        for (size_t at = 0; at < text.size;) {
            const size_t end = next_piece(counter->pattern, text, at);
            while (at < end) {
                const auto size = static_cast<uint32_t>(std::min<size_t>(end - at, counter->longest));
                counts.add(text.bytes + at, size, text.size - at);
                at += size;
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

// Learns merges from the counts; returns how many, `wanted` at most.
extern "C" int64_t counter_learn(
    Counter* counter, const int32_t* id_of_byte, int64_t wanted, int64_t least, int32_t first_made, int32_t* left,
    int32_t* right) {
    counter->counts.settle();
    Learner learner(counter->counts, id_of_byte, least);
    return learner.learn(wanted, static_cast<uint32_t>(first_made), left, right);
}
