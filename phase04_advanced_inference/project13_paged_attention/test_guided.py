"""Guides: what is allowed against all texts there are; walks that must end in a match; and how much is looked at."""

import itertools
import random
import re
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase04_advanced_inference.project13_paged_attention import guided
from phase04_advanced_inference.project13_paged_attention.given.pattern import Pattern
from phase04_advanced_inference.project13_paged_attention.given.pieces import token_pieces, token_trie
from phase04_advanced_inference.project13_paged_attention.guided import Guide
from shared.phase01 import ByteBPE, CharTokenizer
from shared.testing import raises

task = pytest.mark.task(9)
LONGEST = {2: 10, 3: 7}  # characters of a text, by the size of its alphabet


@lru_cache(maxsize=64)
def language(source, alphabet):
    """All texts of so many characters of the alphabet at most that match, as bytes: by Python's own `re`."""
    matches = re.compile(source, re.ASCII).fullmatch
    texts = (
        "".join(t) for n in range(LONGEST[len(alphabet)] + 1) for t in itertools.product(alphabet, repeat=n)
    )
    return [text.encode() for text in texts if matches(text)]


def can_be_written(data, pieces):
    """Whether bytes are some tokens, joined."""
    ends = {0}
    for at in range(len(data)):
        if at in ends:
            ends |= {at + len(piece) for piece in pieces if data.startswith(piece, at)}
    return len(data) in ends


def by_brute_force(source, alphabet, pieces, stop_ids, text):
    """The tokens after which tokens can be found that make a match; and those that end the text, if it is one."""
    words = [piece for token, piece in enumerate(pieces) if piece and token not in stop_ids]
    known = language(source, alphabet)
    allowed = {
        token
        for token, piece in enumerate(pieces)
        if piece
        and token not in stop_ids
        and any(
            match.startswith(text + piece) and can_be_written(match[len(text + piece) :], words)
            for match in known
        )
    }
    return allowed | (set(stop_ids) if text in known else set())


def found(guide, text):
    return set(guide.allowed(text).nonzero().flatten().tolist())


def check(guide, source, alphabet, pieces, stop_ids, text):
    """The guide allows what brute force finds; what it allows beyond that has an ending too long for brute force."""
    expected = by_brute_force(source, alphabet, pieces, stop_ids, text)
    allowed = found(guide, text)
    assert expected <= allowed, text
    words = [piece for token, piece in enumerate(pieces) if piece and token not in stop_ids]
    for token in allowed - expected:
        assert pieces[token]
        assert token not in stop_ids
        after = text + pieces[token]
        endings = [one for one in guide.endings if re.fullmatch(source, (after + one).decode(), re.ASCII)]
        assert any(can_be_written(ending, words) for ending in endings), after
        assert len((after + endings[0]).decode()) > LONGEST[len(alphabet)]


def made_of(source, pieces, stop_ids):
    """The guide, or None where it is refused."""
    try:
        return Guide(pieces, Pattern(source), stop_ids)
    except ValueError as problem:
        if repr(source) in str(problem):
            return None
        raise


def check_everywhere(source, alphabet, pieces, stop_ids, depth):
    """Whether the pattern is refused, and if not, every text of so many tokens at most that a guide lets through."""
    guide = made_of(source, pieces, stop_ids)
    if guide is None:
        assert by_brute_force(source, alphabet, pieces, stop_ids, b"") <= set(stop_ids)
        return
    texts = {b""}
    for _ in range(depth + 1):
        for text in texts:
            check(guide, source, alphabet, pieces, stop_ids, text)
        texts = {text + pieces[token] for text in texts for token in found(guide, text) - set(stop_ids)}


SMALL = st.recursive(
    st.sampled_from(["a", "b", "ab", "[ab]", ".", "b{2}"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from("*?+")).map(lambda two: f"(?:{two[0]}){two[1]}"),
    ),
    max_leaves=4,
)
PIECES = st.lists(
    st.sampled_from([b"a", b"b", b"ab", b"ba", b"bb", b"aab", b""]), min_size=1, max_size=4, unique=True
)


@task
@given(SMALL, PIECES, st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_token_is_allowed_if_and_only_if_tokens_lead_on_to_a_match(source, pieces, ends):
    pieces = [*pieces, b"a"]  # the last one, where it ends a text, is no part of any
    check_everywhere(source, "ab", pieces, (len(pieces) - 1,) if ends else (), depth=1)


CORNERS = [
    ("ab", "ab", [b"a", b"bc", b"bb"]),  # the pattern begins with "a", and no token goes on
    ("ab|cb", "abc", [b"a", b"c", b"cb"]),
    ("a$b|ba", "ab", [b"a", b"b"]),  # a partial match says yes to "a"
    ("(?=b)a|b", "ab", [b"a", b"b"]),
    ("(?!ab)a.|b", "ab", [b"a", b"b"]),
    ("(a|b)\\1b", "ab", [b"a", b"b", b"ab"]),
    ("(?:aab)*b", "ab", [b"aa", b"ba", b"bb", b"b"]),
    ("a*b|a", "ab", [b"a", b"aa"]),  # an "a" more is always a beginning, and never leads anywhere
    ("é|ée", "éèe", ["é".encode()[:1], "é".encode()[1:], b"e", "è".encode()]),
    ("[éè]e", "éèe", [b"\xc3", b"\xa8e", b"\xa9", b"e"]),
    (".", "éèe", [b"\xc3", b"\xa8\xc3", b"e\xc3"]),  # a character that is begun, and can never be ended
    ("..", "éèe", [b"\xc3", b"\xa8\xc3", b"\xa9"]),
]


@task
@pytest.mark.parametrize(("source", "alphabet", "pieces"), CORNERS)
@pytest.mark.parametrize("ends", [False, True])
def test_corners_by_brute_force(source, alphabet, pieces, ends):
    pieces = [*pieces, b"", b"<end>"]
    check_everywhere(source, alphabet, pieces, (len(pieces) - 1,) if ends else (), depth=2)


LETTERS = CharTokenizer("abcdefghijklmnopqrstuvwxyz0123456789-., ")


# ---- the end


@task
def test_a_text_is_finished_when_nothing_can_follow():
    pieces = [b"a", b"b", b"<end>"]
    guide = Guide(pieces, Pattern.of_choices(("a", "ab")), (2,))
    assert [guide.finished(text) for text in (b"", b"a", b"ab", b"b")] == [False, False, True, False]
    assert found(guide, b"a") == {1, 2}, "the mask is as it was"
    stars = Guide(pieces, Pattern("a*"), (2,))
    assert [stars.finished(text) for text in (b"", b"a", b"aa")] == [False, False, False]
    two_ends = Guide([*pieces, b"<stop>"], Pattern.of_choices(("a", "ab")), (2, 3))
    assert [two_ends.finished(text) for text in (b"a", b"ab")] == [False, True]
    assert found(two_ends, b"a") == {1, 2, 3}


@task
def test_without_a_token_that_ends_it_a_text_is_finished_with_its_first_match():
    guide = Guide([b"a", b"b"], Pattern.of_choices(("a", "ab", "bb")))
    assert [guide.finished(text) for text in (b"", b"a", b"b", b"bb")] == [False, True, False, True]
    stars = Guide([b"a", b"b"], Pattern("a*"))
    assert [stars.finished(text) for text in (b"", b"a")] == [False, True]


@task
@pytest.mark.parametrize("source", ["c", "", "a*c", "b", "(?=b)a", "a$a", "a(?!)", "é"])
def test_a_guide_that_nothing_can_match_is_refused(source):
    with raises(ValueError, repr(source)):
        Guide([b"a", b"", b"b"], Pattern(source), (2,))


# ---- how much is looked at


@task
def test_the_trie_is_left_where_no_match_begins():
    pieces = [b"a", b"ab"] + [b"b" + bytes([97 + i, 97 + j]) for i in range(26) for j in range(26)]
    guide = Guide(pieces, Pattern("a+"))
    guide.pattern.looked = 0
    assert [tokens for _, tokens in guide.following(b"a", guide.trie)] == [[0]]
    assert guide.pattern.looked == 3  # "aa", "aab" and "ab": none of the 676 below
    twice = token_trie([b"a", b"ba", b"a"])
    assert sorted(guide.following(b"", twice)) == [(b"a", [0, 2])]


@task
def test_masks_are_kept_by_text(monkeypatch):
    monkeypatch.setattr(guided, "MOST_MASKS", 3)
    guide = Guide([b"a", b"b"], Pattern("[ab]+"))
    masks = [guide.allowed(text) for text in (b"", b"a", b"b")]
    guide.pattern.looked = 0
    assert guide.allowed(b"") is masks[0]
    assert guide.pattern.looked == 0
    guide.allowed(b"ab")
    assert len(guide.masks) == 3
    assert guide.allowed(b"") is masks[0], "asked for lately"
    guide.pattern.looked = 0
    assert guide.allowed(b"a").equal(masks[1])
    assert guide.pattern.looked > 0, "the one that was asked for longest ago had left"


@task
def test_endings_that_worked_are_tried_before_any_search(monkeypatch):
    guide = Guide([b"a", b"b", b"ab", b"c"], Pattern("[ab]{0,12}cab"))
    assert guide.endings
    guide.search(b"", guide.trie)
    assert {b"cab", b"ab", b"b"} <= set(guide.endings)
    assert len(guide.endings) == len(set(guide.endings))
    guide.endings = [b"b", b"ab", b"cab"]
    monkeypatch.setattr(guide, "search", None)
    assert guide.reaches(b"abab")
    assert guide.endings[0] == b"cab"
    assert guide.reaches(b"abc")
    assert guide.endings[0] == b"ab"
    assert guide.reaches(b"cab")
    assert guide.endings[0] == b"ab", "the text is a match itself"
    guide.endings = [b"cab", b"ab", b"b"]
    assert guide.reaches(b"abc")
    assert guide.endings == [b"ab", b"cab", b"b"]


@task
def test_a_search_looks_for_letters_first_and_then_for_all_tokens():
    guide = Guide([b"a", b"ab", b"bc", b"c"], Pattern("abc|abbc"))
    assert not guide.search(b"ab", token_trie([b"a", b"ab"]))
    guide.endings = []
    assert guide.reaches(b"ab")
    assert guide.endings == [b"c"]
    guide.endings = []
    assert guide.reaches(b"a")
    assert guide.endings == [b"bc"]


@task
@pytest.mark.parametrize("order", [1, -1])
def test_a_search_prefers_places_unlike_all_before(order):
    """It can go on for ever with any letter, and only a digit gets it on: whichever of them come first."""
    pieces = [letter.encode() for letter in "0123abcdefghijklmnop"][::order]
    guide = Guide(pieces, Pattern("[a-p]*0[a-p]*1[a-p]*2[a-p]*3"))
    guide.endings = []
    guide.pattern.looked = 0
    assert guide.search(b"", guide.trie)
    assert guide.pattern.looked < 4 * 3 * 20 * 20


@task
def test_a_search_gives_up_where_texts_are_endless(monkeypatch):
    guide = Guide([b"a", b"b"], Pattern("a*c|b"))
    monkeypatch.setattr(guided, "MOST_LOOKS", 20)
    guide.pattern.looked = 0
    assert not guide.search(b"a", guide.trie)
    assert guide.pattern.looked <= 3 * 20  # "a", whether it is a match, and "b", at each


@task
@pytest.mark.parametrize(
    "source", ["[a-z]{20}", "[a-z]{12}a*b{3}", "(?:[a-y]{3})*z[a-z]", "x[a-z]*y|[a-w]{9}z"]
)
def test_a_search_finds_deep_endings_soon(source):
    pieces = token_pieces(LETTERS, LETTERS.vocab_size)
    guide = Guide(pieces, Pattern(source))
    assert guide.endings
    guide.endings, guide.pattern.looked = [], 0
    assert guide.reaches(b"a")
    assert guide.pattern.looked < 12_000


@task
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("source", ["[ab]*baaac", "[ab]*abbbc"])
def test_a_search_goes_wide_as_well(source, order):
    """Each place is like the one before, and the newest letter is always the same: deep alone, it never turns round."""
    guide = Guide([b"a", b"b", b"c"][::order], Pattern(source))
    guide.endings = []
    assert guide.search(b"", guide.trie)


# ---- walks

BYTES = ByteBPE.train(
    ["the colour is red; 2024-11-27, é and 🐻 eat honey, the boat is at the shore"] * 3, 290
)


@task
@pytest.mark.parametrize("tokenizer", [BYTES, LETTERS], ids=["bytes", "letters"])
@pytest.mark.parametrize(
    "source",
    [
        r"\d{4}-\d{2}-\d{2}",
        r"the (red|green|blue) boat",
        r"[a-z]{20}\.",
        r"(?:[a-z]+, )*[a-z]+\.",
        r"(?!the)[a-z]{3}( is \d+)?",
        r"([ab]{2})-\1",
        r"é?[^a-y]b.|🐻+z",
    ],
)
def test_whatever_is_chosen_the_text_becomes_a_match(tokenizer, source):
    pieces = [*token_pieces(tokenizer, tokenizer.vocab_size), b""]
    end = len(pieces) - 1
    guide = Guide(pieces, Pattern(source), (end,))
    for seed in range(2):
        choice, text = random.Random(seed), b""
        for _ in range(8):
            token = choice.choice(sorted(found(guide, text)))
            if token == end:
                break
            text += pieces[token]
        assert guide.reaches(text)  # from here on, an ending that the guide knows
        ending = next(one for one in [b"", *guide.endings] if guide.pattern.matches(text + one))
        while ending:
            piece = next(pieces[t] for t in found(guide, text) if pieces[t] and ending.startswith(pieces[t]))
            text, ending = text + piece, ending[len(piece) :]
        assert re.fullmatch(source, text.decode(), re.ASCII)
        assert end in found(guide, text)


@task
def test_choices_are_written_to_their_end_and_no_further():
    tokenizer = CharTokenizer("abc.")
    guide = Guide([*token_pieces(tokenizer, 4), b"<end>"], Pattern.of_choices(("ab", "abc", "c.")), (4,))
    assert [found(guide, text) for text in (b"", b"a", b"ab", b"abc", b"c", b"c.")] == [
        {0, 2}, {1}, {2, 4}, {4}, {3}, {4},
    ]  # fmt: skip
    assert found(guide, b"b") == found(guide, b"abca") == found(guide, b"ab\xff") == set()
