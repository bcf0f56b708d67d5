import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase03_core_inference.project08_kv_cache.given.text import stream_text


def decode(ids):
    """The text of tokens that are bytes."""
    return bytes(ids).decode(errors="replace")


def written(*texts, stops=()):
    """The pieces of each text, whose tokens come in turns, as of prompts that are written side by side."""
    ended, pieces, asked = set(), [[] for _ in texts], []

    def tokens():
        for place in range(max(map(len, texts))):
            for i, text in enumerate(texts):
                if i not in ended and place < len(text):
                    asked.append(i)
                    yield i, text[place]

    for i, piece in stream_text(tokens(), decode, len(texts), stops, ended):
        pieces[i].append(piece)
    return pieces, asked


@given(st.lists(st.text(max_size=8), min_size=1, max_size=3))
def test_without_stop_texts_everything_is_shown_whole(texts):
    pieces, _ = written(*(text.encode() for text in texts))
    assert ["".join(each) for each in pieces] == texts


def test_a_character_is_shown_when_its_last_byte_has_come():
    assert written("né!".encode())[0] == [["n", "é", "!"]]
    assert written("né".encode()[:2])[0] == [["n", "\N{REPLACEMENT CHARACTER}"]]


@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [
        ("one. two", (".",), ["o", "n", "e"]),
        ("abxaby", ("aby", "q"), ["abx"]),
        ("aab", ("ab",), ["a"]),
        ("xab", ("b", "ab"), ["x"]),
        ("ab", ("abc",), ["ab"]),
    ],
)
def test_a_stop_text_is_not_shown_nor_its_beginning(text, stops, expected):
    assert written(text.encode(), stops=stops)[0] == [expected]


def test_a_text_that_has_stopped_asks_for_no_more_tokens():
    pieces, asked = written(b"a.bcd", b"wxyz", stops=(".",))
    assert ["".join(each) for each in pieces] == ["a", "wxyz"]
    assert asked == [0, 1, 0, 1, 1, 1]


def test_a_stop_text_before_a_broken_end_is_found():
    assert written(b"ab.\xc3", stops=(".\N{REPLACEMENT CHARACTER}",))[0] == [["a", "b"]]
