"""Text as it comes: against a slow reference, over all ways to cut a text into tokens; and project 8's stream_text."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase04_advanced_inference.project13_paged_attention.detokenizer import Detokenizer, first_stop
from shared.phase01 import ByteBPE
from shared.phase03 import stream_text

task = pytest.mark.task(10)


def splits(data):
    """All ways to cut bytes into tokens."""
    for cuts in itertools.product([False, True], repeat=max(0, len(data) - 1)):
        at = [0, *(i for i, cut in enumerate(cuts, 1) if cut), len(data)]
        yield [data[a:b] for a, b in itertools.pairwise(at)]


def whole(pieces):
    """The whole characters of valid UTF-8 that may be cut off."""
    return b"".join(pieces).decode(errors="ignore")


def slowly(pieces, stops, include_stop=False, min_tokens=0):
    """After each token, all places of all stop texts in all of the text: what the text is, and which one ended it."""
    for count in range(1, len(pieces) + 1):
        text, early = whole(pieces[:count]), len(whole(pieces[: min(count, min_tokens)]))
        found = [
            (start, len(stop), stop)
            for stop in stops
            for start in range(len(text))
            if text.startswith(stop, start) and start + len(stop) > early
        ]
        if found:
            start, length, stop = min(found)
            return text[: start + length * include_stop], stop, count
    return b"".join(pieces).decode(errors="replace"), None, len(pieces)


def quickly(pieces, *rest):
    detokenizer = Detokenizer(pieces, *rest)
    out = [detokenizer.add(token) for token in range(len(pieces))]
    out.append(detokenizer.finish())
    assert "".join(out) == detokenizer.text
    return detokenizer.text, detokenizer.stopped, detokenizer.count


TEXTS = st.text(alphabet="ab|é", max_size=5).map(str.encode)
STOPS = st.lists(st.text(alphabet="ab|é", min_size=1, max_size=3), max_size=3)


@task
@given(TEXTS, STOPS, st.booleans(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_it_is_the_slow_reference_however_the_text_is_cut(data, stops, include_stop, min_tokens):
    for pieces in splits(data):
        settings = (tuple(stops), include_stop, min_tokens)
        assert quickly(pieces, *settings) == slowly(pieces, *settings)


@task
@given(TEXTS, STOPS)
@settings(max_examples=60, deadline=None)
def test_nothing_waits_but_what_may_become_a_stop_text(data, stops):
    for pieces in itertools.islice(splits(data), 0, None, 3):
        detokenizer = Detokenizer(pieces, stops)
        for token in range(len(pieces)):
            detokenizer.add(token)
            if detokenizer.stopped is not None:
                break
            text = whole(pieces[: token + 1])
            may = [n for stop in stops for n in range(len(stop)) if text.endswith(stop[:n])]
            assert detokenizer.text == text[: len(text) - max(may, default=0)]


@task
def test_an_example_piece_by_piece():
    pieces = [b"Hi", b" there\n", b"\nBye", b" again"]
    detokenizer = Detokenizer(pieces, ("\n\n",))
    assert [detokenizer.add(token) for token in range(4)] == ["Hi", " there", "", ""]
    assert detokenizer.text == "Hi there"
    assert detokenizer.stopped == "\n\n"
    assert detokenizer.count == 3
    assert detokenizer.finish() == ""


@task
def test_with_the_stop_text_and_nothing_after_it():
    detokenizer = Detokenizer([b"x<", b"/s>yz"], ("</s>",), include_stop=True)
    assert [detokenizer.add(0), detokenizer.add(1)] == ["x", "</s>"]
    assert detokenizer.text == "x</s>"


@task
def test_what_was_no_stop_text_comes_out_after_all():
    detokenizer = Detokenizer([b"a", b"b", b"c"], ("abd", "bce"))
    assert [detokenizer.add(token) for token in range(3)] == ["", "", "a"]
    assert detokenizer.waiting == "bc"
    assert detokenizer.finish() == "bc"
    assert detokenizer.text == "abc"
    assert detokenizer.finish() == ""


@task
def test_bytes_wait_for_the_rest_of_their_character():
    bear = "🐻".encode()
    detokenizer = Detokenizer([bear[:1], bear[1:3], bear[3:] + b"!", bear[:2], b"?"])
    assert [detokenizer.add(token) for token in range(3)] == ["", "", "🐻!"]
    assert detokenizer.add(3) == ""
    assert detokenizer.add(4) == "\ufffd?"
    detokenizer.add(3)
    assert detokenizer.finish() == "\ufffd"
    assert detokenizer.text == "🐻!\ufffd?\ufffd"


@task
@given(st.binary(max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_what_decoding_all_at_once_gives(content, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(content)), max_size=4)))
    pieces = [content[a:b] for a, b in itertools.pairwise([0, *cuts, len(content)])]
    assert quickly(pieces)[0] == content.decode(errors="replace")


@task
@pytest.mark.parametrize(
    ("text", "stops", "early", "expected"),
    [
        ("xab", ["b", "ab"], 0, (1, "ab")),  # the leftmost, though it is whole at the same time
        ("xabab", ["ab"], 0, (1, "ab")),  # its first place
        ("xab", ["abc", "a", "ab"], 0, (1, "a")),  # of two at one place, the one that is whole first
        ("xab", ["c"], 0, None),
        ("", ["a"], 0, None),
        ("xab", [], 0, None),
        ("xabab", ["ab"], 3, (3, "ab")),  # the first one ends with what nothing may end
        ("xabab", ["ab"], 2, (1, "ab")),  # it ends in the middle of the stop text: that counts
        ("xab", ["ab"], 3, None),
        ("aaa", ["aa"], 2, (1, "aa")),  # places may overlap
    ],
)
def test_the_first_stop(text, stops, early, expected):
    assert first_stop(text, stops, early) == expected


@task
def test_a_stop_text_counts_from_the_first_token_after_min_tokens():
    pieces = [b"a.", b"b", b".c.", b"d"]
    for min_tokens, text in enumerate(["a", "a.b", "a.b", "a.b.c.d", "a.b.c.d"]):
        assert quickly(pieces, (".",), False, min_tokens)[0] == text


@task
def test_what_min_tokens_protects_stays_protected_while_it_waits():
    pieces = [
        b"abc",
        b"x",
        b"bc",
    ]  # "abc" waits, as the beginning of "abcd", and has a "bc" that does not count
    assert quickly(pieces, ("abcd", "bc"), False, 1) == ("abcx", "bc", 3)
    assert quickly(pieces[:2], ("abcd", "bc"), False, 1) == ("abcx", None, 2)


@task
def test_the_tokens_are_those_of_a_byte_tokenizer_and_the_text_is_project_8s():
    tokenizer = ByteBPE.train(["the bear ate the honey, é and 🐻", "the boat"] * 3, 270)
    text = "the 🐻 at the bé: honey é🐻 boat"
    ids = tokenizer.encode(text)
    pieces = [tokenizer.decode_bytes([token]) for token in range(tokenizer.vocab_size)]
    for stops in [(), ("🐻 boat",), ("é: ", "the h"), ("honé",), ("t", "at")]:
        theirs = "".join(
            piece
            for _, piece in stream_text(((0, token) for token in ids), tokenizer.decode, 1, stops, set())
        )
        detokenizer = Detokenizer(pieces, stops)
        assert "".join(map(detokenizer.add, ids)) + detokenizer.finish() == theirs
        assert (detokenizer.stopped is None) == (theirs == text)
