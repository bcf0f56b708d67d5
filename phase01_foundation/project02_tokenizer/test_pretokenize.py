from itertools import accumulate

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from phase01_foundation.project02_tokenizer.given import fast
from phase01_foundation.project02_tokenizer.pretokenize import PATTERNS, split_pieces, to_bytes
from shared.testing import raises

# Characters at which the patterns turn one way or the other: spaces of many kinds, cases, marks, the long s.
CHARACTERS = " \n\r\t\u00a0\u3000\u2028\x1c\x85abtsTSſlLvVmdre'’09²½Ⅷ/.!-_éÉǅʰ中\u0301\u0489🙂👍🏽"
# Not the unassigned ones (Cn): a library with a newer Unicode may have made letters of them.
assigned = st.characters(exclude_categories=["Cs", "Cn"])
texts = st.one_of(
    st.text(assigned),
    st.text(CHARACTERS),
    st.lists(st.sampled_from(["'s", "'LL", " the", "NASA's", "  ", "\n", "12"])).map("".join),
)

# Bytes that are no UTF-8, though they look like it.
BROKEN = {
    "surrogate": b"\xed\xa0\x80",
    "last surrogate": b"\xed\xbf\xbf",
    "character as two surrogates": b"\xed\xa0\xbd\xed\xb9\x82",
    "A in two bytes": b"\xc1\x81",
    "A in three bytes": b"\xe0\x81\x81",
    "last that needs no three bytes": b"\xe0\x9f\xbf",
    "A in four bytes": b"\xf0\x80\x81\x81",
    "last that needs no four bytes": b"\xf0\x8f\xbf\xbf",
    "first above U+10FFFF": b"\xf4\x90\x80\x80",
    "last of four bytes": b"\xf7\xbf\xbf\xbf",
    "cut off after two of three": b"\xe4\xb8",
    "cut off after three of four": b"\xf0\x9f\x99",
    "middle without a beginning": b"\x80\xbf",
}
each_broken = pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)

task = pytest.mark.task(1)
needs_compiler = pytest.mark.skipif(fast.kernels() is None, reason="needs a C++ compiler")
each_pattern = pytest.mark.parametrize("pattern", PATTERNS)


def pieces(text, pattern):
    return [piece.decode() for piece in split_pieces(to_bytes(text), pattern)]


@task
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (
            "gpt2",
            ["I", "'m", " sure", ",", " it", "'", "S", " 12345", "!!", " ", " ok", "\n", "\n", "HelloWorld"],
        ),
        (
            "cl100k",
            ["I", "'m", " sure", ",", " it", "'S", " ", "123", "45", "!!", " ", " ok", "\n\n", "HelloWorld"],
        ),
        (
            "o200k",
            ["I'm", " sure", ",", " it'S", " ", "123", "45", "!!", " ", " ok", "\n\n", "Hello", "World"],
        ),
    ],
)
def test_the_patterns_differ_in_contractions_numbers_line_ends_and_capitals(pattern, expected):
    assert pieces("I'm sure, it'S 12345!!  ok\n\nHelloWorld", pattern) == expected


@task
def test_a_piece_keeps_one_space_before_it_and_leaves_the_others():
    assert pieces("a   b", "gpt2") == ["a", "  ", " b"]
    assert pieces("a   ", "gpt2") == ["a", "   "]


@task
@pytest.mark.parametrize(("pattern", "expected"), [("cl100k", ["a", "\n  "]), ("llama3", ["a", "\n", "  "])])
def test_spaces_at_the_end_of_the_text(pattern, expected):
    assert pieces("a\n  ", pattern) == expected


@task
@each_pattern
@given(texts)
def test_the_pieces_are_those_of_the_tokenizers_library(pattern, text):
    # Its engine writes the end of the text as \z.
    split = Split(Regex(PATTERNS[pattern].replace(r"\Z", r"\z")), "isolated")
    assert pieces(text, pattern) == [piece for piece, _ in split.pre_tokenize_str(text)]


@task
@each_pattern
@given(st.binary())
@example(b"caf\xc3\xa9 \xff\xfe a\xc3")
def test_nothing_is_lost_not_even_broken_bytes(pattern, data):
    found = list(split_pieces(data, pattern))
    assert b"".join(found) == data
    assert all(found)


@task
def test_a_broken_byte_counts_as_a_sign():
    assert list(split_pieces(b"ab\xffcd", "gpt2")) == [b"ab", b"\xff", b"cd"]
    assert list(split_pieces(b"a \xff! b", "gpt2")) == [b"a", b" \xff!", b" b"]


@task
@each_pattern
@each_broken
def test_each_byte_of_a_broken_character_is_a_sign(pattern, broken):
    # One sign before letters would belong to them, in all patterns but GPT-2's; of several, the last does not.
    assert list(split_pieces(b"x" + broken + b"a", pattern)) == [b"x", broken, b"a"]
    assert list(split_pieces(b"1" + broken + b" a", pattern)) == [b"1", broken, b" a"]


@task
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("gpt2", ["x", "'", "ſa", " '", "LL"]),
        ("cl100k", ["x", "'ſ", "a", " '", "LL"]),
        ("o200k", ["x'ſ", "a", " '", "LL"]),
    ],
)
def test_regardless_of_case_a_long_s_is_an_s(pattern, expected):
    assert pieces("x'ſa 'LL", pattern) == expected


@task
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("gpt2", ["!", "\n", "/", "a", "\n"]),
        ("cl100k", ["!\n", "/a", "\n"]),
        ("o200k", ["!\n/", "a", "\n"]),
    ],
)
def test_a_slash_after_a_line_end_belongs_to_the_signs_before_it_in_o200k_alone(pattern, expected):
    assert pieces("!\n/a\n", pattern) == expected


@task
def test_an_unknown_pattern_is_refused():
    with raises(ValueError, "gpt5"):
        list(split_pieces(b"", "gpt5"))


def test_halves_of_a_surrogate_pair_are_joined_or_replaced():
    assert to_bytes("a\ud83d\ude42b") == "a🙂b".encode()
    assert to_bytes("a\ud83db") == "a\ufffdb".encode()


# ---- task 1: the scanner in C++ gives the same


@task
@needs_compiler
@each_pattern
@given(texts)
def test_the_scanner_cuts_as_the_regular_expression_does(pattern, text):
    data = to_bytes(text)
    assert fast.split_pieces(data, pattern) == list(split_pieces(data, pattern))


@task
@needs_compiler
@each_pattern
@each_broken
def test_the_scanner_takes_a_broken_character_as_the_regular_expression_does(pattern, broken):
    around = [b"", b"a", b"A", b"1", b" ", b"!", b"\n", b"'s", b"\xc3", b"\x80", "é".encode()]
    for before in around:
        for after in around:
            data = before + broken + after
            assert fast.split_pieces(data, pattern) == list(split_pieces(data, pattern))


@task
@needs_compiler
@each_pattern
@pytest.mark.parametrize(
    "text", ["x'ſa", "'ſ", "'Sſ", "I'LL", "I'lL", "I'vE'Re", "!\n/a", "!/\n\r/ /", " \n/", "1'2"]
)
def test_the_scanner_takes_contractions_and_slashes_as_the_regular_expression_does(pattern, text):
    for end in range(len(text) + 1):
        data = text[:end].encode()
        assert fast.split_pieces(data, pattern) == list(split_pieces(data, pattern))


@task
@needs_compiler
@each_pattern
def test_the_scanner_ends_words_of_any_length_at_any_byte(pattern):
    """It takes eight letters at a time."""
    for byte in range(256):
        for size in range(1, 18):
            data = b"zA" * size + bytes([byte]) + b"Za" * 9
            start = size % 2
            assert fast.split_pieces(data[start:], pattern) == list(split_pieces(data[start:], pattern))


@task
@needs_compiler
@each_pattern
@pytest.mark.parametrize("text", ["I'll", "I'Sx", "'ſ'ſ", "é🙂é", "中 \n/\n/", "!\n/a  12345"])
def test_the_scanner_looks_at_nothing_beyond_the_end(pattern, text):
    data = text.encode()
    ends = np.empty(len(data), dtype=np.int64)
    for size in range(len(data) + 1):  # the rest of the text lies behind the end in memory
        number = fast.NUMBER_OF_PATTERN[pattern]
        count = fast._kernels()["split_pieces"](
            fast.kinds().ctypes.data, number, data, size, ends.ctypes.data
        )
        lengths = [len(piece) for piece in split_pieces(data[:size], pattern)]
        assert ends[:count].tolist() == list(accumulate(lengths))


@task
@needs_compiler
@each_pattern
@given(
    st.lists(st.one_of(st.binary(max_size=4), st.text(CHARACTERS, max_size=4).map(str.encode))).map(b"".join)
)
@example(b"\xe2\x82 \xf0\x9f\x99")  # cut off
@example(b"\xe0\x80\xafa\xc3")
def test_the_scanner_takes_broken_bytes_as_the_regular_expression_does(pattern, data):
    assert fast.split_pieces(data, pattern) == list(split_pieces(data, pattern))


@task
@needs_compiler
@each_pattern
def test_the_scanner_takes_characters_of_all_planes_as_the_regular_expression_does(pattern):
    some = [
        *range(0x3000),
        *range(0x3000, 0xD800, 97),
        0xD7FF,
        *range(0xE000, 0x110000, 97),
        0x10000,
        0x10FFFF,
    ]
    # Between letters, digits and spaces, and after itself, a character shows all that a pattern can ask of it.
    data = "".join(f"a{c}B {c}{c}1\n" for c in map(chr, some)).encode()
    assert fast.split_pieces(data, pattern) == list(split_pieces(data, pattern))
