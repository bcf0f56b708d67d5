// Counts pieces and learns merges from the counts. Compiled after scan.cpp and encode.cpp, as one source.

#include <utility>

namespace {

// How often each different piece came, in the order of first appearance.
class PieceCounts {
public:
    struct Piece {
        uint64_t hash, start, count;
        uint32_t size;
    };

    void add(const uint8_t* piece, uint32_t size, uint64_t times = 1) {
        const uint64_t hash = hash_bytes(piece, size);
        size_t at = hash & (table.size() - 1);
        for (; table[at]; at = (at + 1) & (table.size() - 1)) {
            Piece& known = pieces[table[at] - 1];
            if (known.hash == hash && known.size == size && !std::memcmp(&bytes[known.start], piece, size)) {
                known.count += times;
                return;
            }
        }
        pieces.push_back({hash, bytes.size(), times, size});
        bytes.insert(bytes.end(), piece, piece + size);
        table[at] = static_cast<uint32_t>(pieces.size());
        if (2 * pieces.size() > table.size()) grow();
    }

    // Forgets all pieces that came `times` times or fewer.
    void drop(uint64_t times) {
        PieceCounts kept;
        for (const Piece& piece : pieces) {
            if (piece.count > times) kept.add(&bytes[piece.start], piece.size, piece.count);
        }
        *this = std::move(kept);
    }

    std::vector<Piece> pieces;
    std::vector<uint8_t> bytes;

private:
    void grow() {
        table.assign(2 * table.size(), 0);
        for (size_t i = 0; i < pieces.size(); ++i) {
            size_t at = pieces[i].hash & (table.size() - 1);
            while (table[at]) at = (at + 1) & (table.size() - 1);
            table[at] = static_cast<uint32_t>(i + 1);
        }
    }

    std::vector<uint32_t> table = std::vector<uint32_t>(1 << 16);  // piece + 1 by hash; 0 is free
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
    Learner(const PieceCounts& counts, const int32_t* id_of_byte) {
        for (const auto& piece : counts.pieces) {
            if (piece.size < 2) continue;  // nothing to merge
            pieces.push_back({ids.size(), piece.size, static_cast<int64_t>(piece.count)});
            for (uint32_t i = 0; i < piece.size; ++i) ids.push_back(id_of_byte[counts.bytes[piece.start + i]]);
        }
        index.resize(1 << 16);
        for (uint32_t i = 0; i < pieces.size(); ++i) count_pairs(i, +1);
        offer_changed();
    }

    // Learns up to `wanted` merges of pairs that come `least` times or more; the first makes the id `next`.
    int64_t learn(int64_t wanted, int64_t least, uint32_t next, int32_t* left, int32_t* right) {
        int64_t done = 0;
        while (done < wanted && !heap.empty()) {
            const Candidate best = heap.top();
            heap.pop();
            const int64_t count = pairs[best.pair].count;
            if (count != best.count) {  // it has changed since: back to where it belongs
                if (count >= least) heap.push({count, best.key, best.pair});
                continue;
            }
            if (count < least) break;
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
        uint64_t key;
        int64_t count = 0;
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
            if (pairs[index[at] - 1].key == key) return index[at] - 1;
        }
        pairs.push_back({key});
        index[at] = static_cast<uint32_t>(pairs.size());
        if (2 * pairs.size() > index.size()) {
            index.assign(2 * index.size(), 0);
            for (size_t i = 0; i < pairs.size(); ++i) {
                size_t free = mix(pairs[i].key) & (index.size() - 1);
                while (index[free]) free = (free + 1) & (index.size() - 1);
                index[free] = static_cast<uint32_t>(i + 1);
            }
        }
        return static_cast<uint32_t>(pairs.size() - 1);
    }

    void change(uint32_t left, uint32_t right, uint32_t piece, int64_t by) {
        const uint32_t i = pair_of(uint64_t{left} << 32 | right);
        Pair& pair = pairs[i];
        pair.count += by;
        if (by < 0) return;
        if (pair.where.empty() || pair.where.back() != piece) pair.where.push_back(piece);
        if (!pair.changed) {
            pair.changed = true;
            changed.push_back(i);
        }
    }

    void count_pairs(uint32_t piece, int sign) {
        const Piece& p = pieces[piece];
        for (uint32_t i = 1; i < p.size; ++i) {
            change(ids[p.start + i - 1], ids[p.start + i], piece, sign * p.count);
        }
    }

    // Merges a pair in the pieces that hold it. Only the pairs beside the merged one change their counts.
    void apply(const Candidate& best, uint32_t made) {
        const auto left = static_cast<uint32_t>(best.key >> 32), right = static_cast<uint32_t>(best.key);
        const std::vector<uint32_t> where = std::move(pairs[best.pair].where);
        for (const uint32_t holder : where) {
            Piece& piece = pieces[holder];
            uint32_t* const id = &ids[piece.start];
            uint32_t kept = 0;
            for (uint32_t i = 0; i < piece.size; ++i) {
                if (id[i] != left || i + 1 == piece.size || id[i + 1] != right) {
                    id[kept++] = id[i];
                    continue;
                }
                if (kept > 0) {
                    change(id[kept - 1], left, holder, -piece.count);
                    change(id[kept - 1], made, holder, piece.count);
                }
                if (i + 2 < piece.size) {
                    change(right, id[i + 2], holder, -piece.count);
                    change(made, id[i + 2], holder, piece.count);
                }
                id[kept++] = made;
                ++i;
            }
            piece.size = kept;
        }
        pairs[best.pair].count = 0;
        offer_changed();
    }

    void offer_changed() {
        for (const uint32_t i : changed) {
            pairs[i].changed = false;
            if (pairs[i].count > 0) heap.push({pairs[i].count, pairs[i].key, i});
        }
        changed.clear();
    }

    std::vector<uint32_t> ids;
    std::vector<Piece> pieces;
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

// Counts the pieces of one text. When there are too many different ones, the rarest are forgotten.
extern "C" void counter_feed(Counter* counter, const uint8_t* bytes, int64_t size) {
    const Text text{bytes, static_cast<size_t>(size), counter->kinds};
    for (size_t at = 0; at < text.size;) {
        const size_t end = next_piece(counter->pattern, text, at);
        for (; at < end; at += std::min<size_t>(end - at, counter->longest)) {
            counter->counts.add(bytes + at, static_cast<uint32_t>(std::min<size_t>(end - at, counter->longest)));
        }
    }
    while (static_cast<int64_t>(counter->counts.pieces.size()) > counter->limit) counter->counts.drop(++counter->floor);
}

// How many different pieces there are, and how many bytes they have together: what counter_read needs room for.
extern "C" int64_t counter_size(const Counter* counter, int64_t* bytes) {
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
    const Counter* counter, const int32_t* id_of_byte, int64_t wanted, int64_t least, int32_t first_made,
    int32_t* left, int32_t* right) {
    Learner learner(counter->counts, id_of_byte);
    return learner.learn(wanted, least, static_cast<uint32_t>(first_made), left, right);
}
