// Learns merges from the counts of pieces. Compiled after count.cpp, as one source.

#include <algorithm>
#include <queue>
#include <vector>

namespace {

// The pieces as tokens, and of every pair of neighbours how often it comes, and where.
//
// A merge makes pairs with the made id on one side. These are new: later merges can only take them apart. So a pair's
// places are all known with the merge that brings it, and until then it is found by the id on its other side.
class Learner {
public:
    // A merge is of a pair that comes `least` times or more. There will be ids up to `end` - 1.
    Learner(const PieceCounts& counted, const int32_t* id_of_byte, int64_t least, uint32_t end)
        : ids(end + 1), least(least) {
        pairs.push_back({});  // NOTHING
        counts.push_back(0);
        ids[end].after_made = ids[end].before_made = NOTHING;
        std::vector<uint32_t> pair_of_bytes(1 << 16, UNKNOWN);
        const Token edge{end, NOTHING, 0};
        tokens.push_back(edge);
        for (const auto& piece : counted.pieces) {
            if (piece.size < 2) continue;  // nothing to merge
            const uint8_t* const bytes = &counted.bytes[piece.start];
            const auto number = static_cast<uint32_t>(times.size());
            times.push_back(static_cast<int64_t>(piece.count));
            for (uint32_t i = 0; i < piece.size; ++i) {
                const auto id = static_cast<uint32_t>(id_of_byte[bytes[i]]);
                if (i > 0) add(tokens.size() - 1, pair_of_bytes[bytes[i - 1] << 8 | bytes[i]], tokens.back().id, id);
                tokens.push_back({id, NOTHING, number});
            }
            tokens.push_back(edge);
        }
        settle(1);
    }

    // Learns up to `wanted` merges; the first makes the id `next`.
    int64_t learn(int64_t wanted, uint32_t next, int32_t* left, int32_t* right) {
        int64_t done = 0;
        while (done < wanted) {
            if (heap.empty()) {
                if (enough == least) break;
                offer_rarer();
                continue;
            }
            const Candidate best = heap.top();
            heap.pop();
            if (best.count != counts[best.pair]) {  // it has become rarer since: back to where it belongs
                offer(best.pair);
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
    static constexpr uint32_t NOTHING = 0, UNKNOWN = ~uint32_t{0};  // in the place of a pair

    // One for each byte of the pieces. A token stands where its first byte was, and where its last one was it leaves its
    // id, to be found from both sides. Between two pieces is an edge, a token that is part of no pair.
    struct Token {
        uint32_t id, pair, piece;  // the pair is the one with the token after it
    };
    struct Id {
        uint32_t length = 1;                                   // in bytes
        uint32_t before_made = UNKNOWN, after_made = UNKNOWN;  // its pairs with the id that is being made
    };
    struct Pair {
        uint64_t key;     // left id << 32 | right id
        size_t start;     // its places are where[start], where[start + 1], ...: from left to right
        uint32_t places;  // how many, some of which it may have left since
    };
    struct Candidate {
        int64_t count;
        uint64_t key;
        uint32_t pair;
        bool operator<(const Candidate& other) const {  // first the most frequent, then the smallest ids
            return count != other.count ? count < other.count : key > other.key;
        }
    };
    struct Place {
        uint32_t pair, at;  // at: two million pieces of 1,024 bytes are fewer than 2^32
    };

    // Lets the token at a place begin a pair, which is `known` unless this is its first place.
    void add(size_t at, uint32_t& known, uint32_t left, uint32_t right) {
        if (known == UNKNOWN) {
            known = static_cast<uint32_t>(pairs.size());
            pairs.push_back({uint64_t{left} << 32 | right, 0, 0});
            counts.push_back(0);
        }
        tokens[at].pair = known;
        if (known == NOTHING) return;
        counts[known] += times[tokens[at].piece];
        ++pairs[known].places;
        fresh.push_back({known, static_cast<uint32_t>(at)});
    }

    // Merges a pair wherever it stands. Only the pairs beside it change their counts.
    void apply(const Candidate& best, uint32_t made) {
        const auto first_new = static_cast<uint32_t>(pairs.size());
        const Pair pair = pairs[best.pair];
        const auto left = static_cast<uint32_t>(best.key >> 32), right = static_cast<uint32_t>(best.key);
        ids[made].length = ids[left].length + ids[right].length;
        for (size_t w = pair.start; w < pair.start + pair.places; ++w) {
            // The places lie anywhere in memory: ask for those to come before they are needed.
            if (w + AHEAD < where.size()) __builtin_prefetch(&tokens[where[w + AHEAD]]);
            const size_t at = where[w], second = at + ids[left].length, after = at + ids[made].length;
            if (tokens[at].pair != best.pair) continue;
            const size_t before = at - ids[tokens[at - 1].id].length;
            const int64_t count = times[tokens[at].piece];
            counts[tokens[before].pair] -= count;
            counts[tokens[second].pair] -= count;
            tokens[second].pair = NOTHING;
            tokens[at].id = tokens[after - 1].id = made;
            const uint32_t id_before = tokens[before].id, id_after = tokens[after].id;
            add(before, ids[id_before].before_made, id_before, made);
            add(at, ids[id_after].after_made, made, id_after);
        }
        counts[best.pair] = 0;
        settle(first_new);
    }

    // Gives the new pairs their places, but for those that are too rare ever to be merged, and offers them.
    void settle(uint32_t first_new) {
        size_t total = where.size();
        for (uint32_t i = first_new; i < pairs.size(); ++i) {
            Pair& pair = pairs[i];
            ids[pair.key >> 32].before_made = ids[static_cast<uint32_t>(pair.key)].after_made = UNKNOWN;
            if (counts[i] < least) continue;
            pair.start = total;
            total += pair.places;
            pair.places = 0;
            offer(i);
        }
        where.resize(total);
        for (const Place& place : fresh) {
            Pair& pair = pairs[place.pair];
            if (counts[place.pair] >= least) where[pair.start + pair.places++] = place.at;
        }
        fresh.clear();
    }

    void offer(uint32_t pair) {
        if (counts[pair] >= enough) heap.push({counts[pair], pairs[pair].key, pair});
    }

    // The heap has only pairs that come often enough, so that it stays small. When it is empty, half as often will do.
    void offer_rarer() {
        enough = std::max(least, enough / 2);
        for (uint32_t i = 0; i < pairs.size(); ++i) offer(i);
    }

    static constexpr size_t AHEAD = 8;

    std::vector<Token> tokens;
    std::vector<Id> ids;
    std::vector<int64_t> times;  // how often each piece comes
    std::vector<Pair> pairs;
    std::vector<int64_t> counts;  // of each pair: apart, since a merge changes many
    std::vector<uint32_t> where;  // the places of the pairs
    std::vector<Place> fresh;     // those of new pairs
    std::priority_queue<Candidate> heap;
    int64_t least, enough = INT64_MAX;
};

}  // namespace

// Learns merges from the counts; returns how many, `wanted` at most.
extern "C" int64_t counter_learn(
    Counter* counter, const int32_t* id_of_byte, int64_t wanted, int64_t least, int32_t first_made, int32_t* left,
    int32_t* right) {
    PieceCounts& counts = counter->counts;
    counts.settle();
    wanted = std::min(wanted, static_cast<int64_t>(counts.bytes.size()));  // each takes the place of a token
    Learner learner(counts, id_of_byte, least, static_cast<uint32_t>(first_made + wanted));
    return learner.learn(wanted, static_cast<uint32_t>(first_made), left, right);
}
