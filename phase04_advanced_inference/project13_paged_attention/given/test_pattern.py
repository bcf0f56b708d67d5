"""What a pattern says of bytes, whole or cut inside a character: against all characters there are."""

import pytest
import regex

from phase04_advanced_inference.project13_paged_attention.given import pattern
from phase04_advanced_inference.project13_paged_attention.given.pattern import Pattern, characters
from shared.testing import raises


def test_it_matches_whole_texts_alone():
    digits = Pattern(r"\d+")
    assert digits.matches(b"12")
    assert not digits.matches(b"")
    assert not digits.matches(b"12a")
    assert not digits.matches("٣".encode())  # a digit, but none of ASCII
    assert not digits.matches(b"12\xff")
    assert Pattern("é").matches("é".encode())
    assert not Pattern("é").matches("é".encode()[:1])


def test_choices_are_these_texts_whatever_is_in_them():
    choices = Pattern.of_choices(("a", "a.c", "(b|"))
    assert [choices.matches(text) for text in (b"a", b"a.c", b"abc", b"(b|", b"b", b"")] == [
        True, True, False, True, False, False,
    ]  # fmt: skip
    assert choices.begins(b"a.")
    assert not choices.begins(b"ab")


def test_what_a_match_may_begin_with():
    date = Pattern(r"\d{4}-\d\d")
    assert [date.begins(text) for text in (b"", b"20", b"2024-1", b"2024-12", b"2024-123", b"x", b"2\xff")] == [
        True, True, True, True, False, False, False,
    ]  # fmt: skip


BLOCKS = [(0x80, 0xA00), (0x4E00, 0x5000), (0x65C0, 0x6740), (0x1F400, 0x1F440)]
SOME = [chr(code) for block in BLOCKS for code in range(*block)]  # whole runs of 64, and the characters below


@pytest.mark.parametrize("source", ["é|ü+", "[^a]", "日本|b", "🐻?c", r"\w", r"[一-丁]", "."])
def test_half_a_character_begins_what_a_whole_one_does(source):
    asked = Pattern(source)
    fitting = [c.encode() for c in SOME if regex.match(source, c, regex.ASCII, partial=True)]
    expected = {data[:cut] for data in fitting for cut in range(1, len(data))}
    for data in map(str.encode, "éüñ日本一🐻Ā߿"):
        for cut in range(1, len(data)):
            assert asked.begins(data[:cut]) == (data[:cut] in expected), (data, cut)


def test_all_characters_with_one_byte_missing():
    by_beginning = {}
    for character in SOME:
        by_beginning.setdefault(character.encode()[:-1], []).append(character)
    for begin in list(by_beginning):
        assert list(characters(begin)) == by_beginning[begin]


@pytest.mark.parametrize("begin", [b"\xe0", b"\xe6", b"\xed", b"\xf0", b"\xf0\x9f", b"\xf4"])
def test_some_characters_of_each_kind_with_more_missing(begin):
    found = characters(begin)
    assert all(character.encode().startswith(begin) for character in found)
    assert len(found) == len(set(found)) <= 2300
    assert len({character.encode()[: len(begin) + 1] for character in found}) >= 16, "of each next byte"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (r"(?!a)[b-d](?=e)", True), (r"(a|b)\1", True),
        (r"\d+", True), ("yes|no", True), (r"[a-z]{3}\.", True), (r"\w+ \s", True), ("(?:ab)*", True),
        (".", False), ("[^a]", False), (r"\W", False), ("é", False), (r"\xe9", False), ("(?i)k", False),
        (r"[[:alpha:]]", False), (r"\p{L}", False), ("(?:a){e<=1}", False),
    ],
)  # fmt: skip
def test_what_is_surely_ascii(source, expected):
    assert Pattern(source).only_ascii == expected


@pytest.mark.parametrize("source", ["(", "[a", "a{2,1}", "*", r"\p{Nothing}", "(?u)a", "(?<a>b)(?P=c)"])
def test_what_does_not_compile_is_refused(source):
    with raises(ValueError, source):
        Pattern(source)


def test_one_that_tries_too_many_ways_is_given_up(monkeypatch):
    monkeypatch.setattr(pattern, "PATIENCE", -1.0)
    with raises(ValueError, "(a|aa)+b"):
        Pattern("(a|aa)+b").begins(b"aaa")
