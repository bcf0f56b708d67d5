// Cuts UTF-8 text into pieces exactly as the patterns of pretokenize.py do, without a regular expression.
//
// Every character has a kind: bits that say which classes of the patterns it belongs to. The table of kinds is made
// in Python from the `regex` library, so that both ways agree on every code point. A byte that is not part of valid
// UTF-8 is a character of its own, neither letter nor number nor space.

#include <cstddef>
#include <cstdint>
#include <cstring>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte of a word in memory is its lowest");

namespace {

enum Kind : uint8_t {
    LETTER = 1,    // \p{L}
    NUMBER = 2,    // \p{N}
    SPACE = 4,     // \s
    UPPER = 8,     // [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
    LOWER = 16,    // [\p{Ll}\p{Lm}\p{Lo}\p{M}]: it shares Lm, Lo and M with UPPER
    NEWLINE = 32,  // [\r\n]
};
enum Pattern : int32_t { GPT2 = 0, CL100K = 1, O200K = 2, LLAMA3 = 3 };

struct Char {
    uint8_t kind;
    uint8_t length;  // in bytes
};

struct Text {
    const uint8_t* bytes;
    size_t size;
    const uint8_t* kinds;  // by code point, 0x110000 of them

    bool continues(size_t at) const { return at < size && (bytes[at] & 0xC0) == 0x80; }

    Char operator[](size_t at) const {
        const uint8_t first = bytes[at];
        return first < 0x80 ? Char{kinds[first], 1} : long_char(at, first);
    }

    Char long_char(size_t at, uint8_t first) const {
        const Char invalid{0, 1};
        if (first < 0xC2 || first > 0xF4 || !continues(at + 1)) return invalid;
        const uint32_t second = bytes[at + 1] & 0x3F;
        if (first < 0xE0) return {kinds[(first & 0x1Fu) << 6 | second], 2};
        if (!continues(at + 2)) return invalid;
        const uint32_t third = bytes[at + 2] & 0x3F;
        if (first < 0xF0) {
            const uint32_t code = (first & 0x0Fu) << 12 | second << 6 | third;
            if (code < 0x800 || (code >= 0xD800 && code < 0xE000)) return invalid;  // overlong, surrogate
            return {kinds[code], 3};
        }
        if (!continues(at + 3)) return invalid;
        const uint32_t code = (first & 0x07u) << 18 | second << 12 | third << 6 | (bytes[at + 3] & 0x3Fu);
        if (code < 0x10000 || code > 0x10FFFF) return invalid;
        return {kinds[code], 4};
    }

    // The end of the run of characters from `at` that have a bit of `mask`.
    size_t run(size_t at, uint8_t mask) const {
        while (at < size) {
            const Char c = (*this)[at];
            if (!(c.kind & mask)) break;
            at += c.length;
        }
        return at;
    }

    // run(at, LETTER), eight bytes at a time while they are ASCII: a processor guesses where a loop over a word ends, and
    // a wrong guess costs it more than the word.
    size_t letters(size_t at) const {
        constexpr uint64_t ones = ~uint64_t{0} / 255, high = 0x80 * ones;  // the same in every byte
        for (uint64_t eight; at + 8 <= size; at += 8) {
            std::memcpy(&eight, bytes + at, 8);
            const uint64_t lower = (eight | 0x20 * ones) & ~high;
            const uint64_t from_a = lower + (0x80 - 'a') * ones, after_z = lower + (0x7F - 'z') * ones;
            const uint64_t others = ~(from_a & ~after_z & ~eight) & high;  // the top bit of what is no ASCII letter
            if (others) {
                at += __builtin_ctzll(others) / 8;
                break;
            }
        }
        return run(at, LETTER);
    }

    // The end of the run from `at` of characters that are neither letter nor number nor space.
    size_t run_of_others(size_t at) const {
        while (at < size) {
            const Char c = (*this)[at];
            if (c.kind & (LETTER | NUMBER | SPACE)) break;
            at += c.length;
        }
        return at;
    }
};

// 's 't 'm 'd 'll 've 're from the apostrophe at `at`: its end, or 0. Regardless of case, an s may be a long s (ſ).
size_t contraction(const Text& text, size_t at, bool any_case) {
    const uint8_t fold = any_case ? 0x20 : 0;
    if (at + 1 >= text.size) return 0;
    const uint8_t first = text.bytes[at + 1] | fold;
    if (first == 's' || first == 'd' || first == 'm' || first == 't') return at + 2;
    if (at + 2 >= text.size) return 0;
    if (any_case && text.bytes[at + 1] == 0xC5 && text.bytes[at + 2] == 0xBF) return at + 3;
    const uint8_t second = text.bytes[at + 2] | fold;
    const bool found =
        (first == 'l' && second == 'l') || (first == 'v' && second == 'e') || (first == 'r' && second == 'e');
    return found ? at + 3 : 0;
}

// \p{N}{1,3}
size_t up_to_three_numbers(const Text& text, size_t at) {
    for (int count = 0; count < 3 && at < text.size; ++count) {
        const Char c = text[at];
        if (!(c.kind & NUMBER)) break;
        at += c.length;
    }
    return at;
}

// The last alternatives of every pattern: a run of spaces leaves its last one to the word that follows it.
template <Pattern pattern>
size_t spaces(const Text& text, size_t at) {
    size_t end = at, last = at, after_newline = 0;
    while (end < text.size) {
        const Char c = text[end];
        if (!(c.kind & SPACE)) break;
        last = end;
        end += c.length;
        if (c.kind & NEWLINE) after_newline = end;
    }
    if (pattern == CL100K && end == text.size) return end;  // \s++$
    if (pattern != GPT2 && after_newline) return after_newline;  // \s*[\r\n]+
    return end == text.size || last == at ? end : last;  // \s+(?!\S)|\s+
}

// [\p{Lu}…]*[\p{Ll}…]+ from `at`: its end, or 0. The first part is greedy and gives back what the second needs.
size_t ends_in_lower(const Text& text, size_t at) {
    size_t end = at, after_both = 0;
    while (end < text.size) {
        const Char c = text[end];
        if (!(c.kind & UPPER)) break;
        end += c.length;
        if (c.kind & LOWER) after_both = end;
    }
    const size_t lower_end = text.run(end, LOWER);
    return lower_end > end ? lower_end : after_both;
}

// The first two alternatives of o200k_base: its end, or 0.
size_t cased_word(const Text& text, size_t at) {
    const Char c = text[at];
    const bool prefix = !(c.kind & (LETTER | NUMBER | NEWLINE));
    const size_t next = at + c.length;
    size_t end = prefix ? ends_in_lower(text, next) : 0;
    if (!end) end = ends_in_lower(text, at);
    if (!end && prefix && text.run(next, UPPER) > next) end = text.run(next, UPPER);
    if (!end && (c.kind & UPPER)) end = text.run(at, UPPER);
    if (end && end < text.size && text.bytes[end] == '\'') {
        if (const size_t longer = contraction(text, end, true)) return longer;
    }
    return end;
}

size_t next_gpt2(const Text& text, size_t at) {
    const uint8_t first = text.bytes[at];
    if (first == '\'') {
        if (const size_t end = contraction(text, at, false)) return end;
    }
    const size_t start = first == ' ' && at + 1 < text.size ? at + 1 : at;
    const uint8_t kind = text[start].kind;
    if (kind & LETTER) return text.letters(start);
    if (kind & NUMBER) return text.run(start, NUMBER);
    if (!(kind & SPACE)) return text.run_of_others(start);
    return spaces<GPT2>(text, at);
}

// cl100k_base's and Llama 3's, which differ in spaces alone.
template <Pattern pattern>
size_t next_cl100k(const Text& text, size_t at) {
    const uint8_t first = text.bytes[at];
    if (first == '\'') {
        if (const size_t end = contraction(text, at, true)) return end;
    }
    const Char c = text[at];
    if (c.kind & LETTER) return text.letters(at);
    if (c.kind & NUMBER) return up_to_three_numbers(text, at);
    if (!(c.kind & NEWLINE)) {
        const size_t end = text.letters(at + c.length);
        if (end > at + c.length) return end;
    }
    const size_t start = first == ' ' ? at + 1 : at;
    const size_t end = text.run_of_others(start);
    if (end > start) return text.run(end, NEWLINE);
    return spaces<pattern>(text, at);
}

size_t next_o200k(const Text& text, size_t at) {
    if (const size_t end = cased_word(text, at)) return end;
    if (text[at].kind & NUMBER) return up_to_three_numbers(text, at);
    const size_t start = text.bytes[at] == ' ' ? at + 1 : at;
    size_t end = text.run_of_others(start);
    if (end == start) return spaces<O200K>(text, at);
    while (end < text.size && (text.bytes[end] == '\r' || text.bytes[end] == '\n' || text.bytes[end] == '/')) ++end;
    return end;
}

// The end of the piece that begins at `at`, which must be inside the text.
inline size_t next_piece(Pattern pattern, const Text& text, size_t at) {
    if (pattern == GPT2) return next_gpt2(text, at);
    if (pattern == CL100K) return next_cl100k<CL100K>(text, at);
    if (pattern == LLAMA3) return next_cl100k<LLAMA3>(text, at);
    return next_o200k(text, at);
}

}  // namespace

// Writes the end of every piece, counted in bytes; `ends` has room for one a byte. Returns how many there are.
extern "C" int64_t split_pieces(
    const uint8_t* kinds, int32_t pattern, const uint8_t* bytes, int64_t size, int64_t* ends) {
    const Text text{bytes, static_cast<size_t>(size), kinds};
    int64_t count = 0;
    for (size_t at = 0; at < text.size;) {
        at = next_piece(static_cast<Pattern>(pattern), text, at);
        ends[count++] = static_cast<int64_t>(at);
    }
    return count;
}
