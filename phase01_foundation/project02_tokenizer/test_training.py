import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as TheirTokenizer
from tokenizers import models, pre_tokenizers, trainers

from phase01_foundation.project02_tokenizer.bpe import count_pieces, learn_merges, merge_pair
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.given import fast
from phase01_foundation.project02_tokenizer.given.byte_level import BYTES, printed
from shared import tinyworld

counting, learning = pytest.mark.task(3), pytest.mark.task(4)
needs_compiler = pytest.mark.skipif(fast.kernels() is None, reason="needs a C++ compiler")

# The example of the paper: how often each word comes.
PAPER = {b"low": 5, b"lower": 2, b"newest": 6, b"widest": 3}
few_letters = st.dictionaries(st.text("abc ", min_size=1, max_size=12).map(str.encode), st.integers(1, 9))


@pytest.fixture(scope="module")
def world():
    return tinyworld.text("train", 0, 100_000)


def written(merges):
    """The merges as text: ["e s", "es t", ...]."""
    tokens = [bytes([byte]) for byte in BYTES]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return [f"{printed(tokens[left])} {printed(tokens[right])}" for left, right in merges]


def slow_merges(pieces, wanted, least):
    """Sennrich's algorithm as it is printed: all pairs counted anew for every merge."""
    words = {tuple(BYTES.index(byte) for byte in piece): count for piece, count in pieces.items()}
    merges = []
    while len(merges) < wanted:
        counts = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                counts[pair] += count
        frequent = {pair: count for pair, count in counts.items() if count >= least}
        if not frequent:
            break
        best = min(frequent, key=lambda pair: (-frequent[pair], pair))
        made = 256 + len(merges)
        merges.append(best)
        merged = {}
        for word, count in words.items():
            new, rest = (), word
            while rest:
                found = rest[:2] == best
                new, rest = (*new, made if found else rest[0]), rest[2:] if found else rest[1:]
            merged[new] = count
        words = merged
    return merges


# ---- task 3: counting


@counting
def test_pieces_are_counted_in_the_order_they_appear():
    assert count_pieces(["the cat the", " cat"]) == {b"the": 1, b" cat": 2, b" the": 1}
    assert list(count_pieces(["b a b", "a"])) == [b"b", b" a", b" b", b"a"]


@counting
def test_texts_are_taken_one_at_a_time_and_no_piece_crosses_their_ends():
    taken = []

    def texts():
        for text in ("new", "est"):
            taken.append(text)
            yield text

    assert count_pieces(texts()) == {b"new": 1, b"est": 1}
    assert taken == ["new", "est"]


@counting
def test_half_of_a_surrogate_pair_is_counted_as_the_replacement_character():
    assert count_pieces(["a\ud83d"]) == {b"a": 1, "\ufffd".encode(): 1}


@counting
def test_the_pattern_is_the_one_asked_for():
    assert count_pieces(["don't 1234"]) == {b"don": 1, b"'t": 1, b" 1234": 1}
    assert count_pieces(["don't 1234"], "o200k") == {b"don't": 1, b" ": 1, b"123": 1, b"4": 1}


@counting
def test_a_long_piece_is_cut():
    assert count_pieces(["abcdefgh abc"], longest=3) == {b"abc": 1, b"def": 1, b"gh": 1, b" ab": 1, b"c": 1}
    assert count_pieces(["abc", "ab"], longest=3) == {b"abc": 1, b"ab": 1}
    assert count_pieces(["a" * 2050]) == {b"a" * 1024: 2, b"aa": 1}


@counting
def test_too_many_different_pieces_make_the_rarest_go():
    texts = ["a a a a b b", "c", "d d d d"]
    assert count_pieces(texts, limit=6) == {b"a": 1, b" a": 3, b" b": 2, b"c": 1, b"d": 1, b" d": 3}
    # After "c" there are four, so "a" and "c", which came once, go; after the last there are four again, so that now
    # those that came twice or less go.
    assert count_pieces(texts, limit=3) == {b" a": 3, b" d": 3}


@counting
def test_a_piece_that_was_forgotten_may_come_again():
    counts = count_pieces(["a b", "c b b b", "a"], limit=2)
    assert list(counts.items()) == [(b" b", 4), (b"a", 1)], (
        "it is counted from 0, and stands where it came again"
    )


@counting
@given(st.lists(st.text("ab c\n", max_size=8), max_size=12), st.integers(1, 6))
def test_the_limit_holds_after_every_text(texts, limit):
    counts = count_pieces(texts, limit=limit)
    assert len(counts) <= limit
    true = count_pieces(texts, limit=10**6)
    assert all(count <= true[piece] for piece, count in counts.items())


@counting
@needs_compiler
@pytest.mark.parametrize(("limit", "longest"), [(10**6, 1024), (300, 1024), (10**6, 3), (7, 5)])
def test_counting_in_cpp_gives_the_same(world, limit, longest):
    lines = world[:20_000].splitlines(keepends=True)
    counter = fast.PieceCounter("gpt2", longest, limit)
    for line in lines:
        counter.feed([line])
    counts = count_pieces(lines, "gpt2", limit, longest)
    assert counter.counts() == counts
    assert list(counter.counts()) == list(counts)


@counting
@needs_compiler
def test_pieces_that_begin_alike_are_counted_apart_in_cpp():
    lines = ["z" * size + end for size in range(40) for end in ("", "a", "\0", "\0\0", "a\0", "é")]
    counter = fast.PieceCounter("gpt2", 1024, 10**6)
    counter.feed(lines * 2)
    assert counter.counts() == count_pieces(lines * 2)


@counting
@needs_compiler
def test_halves_of_surrogate_pairs_and_empty_texts_are_counted_the_same_in_cpp():
    texts = ["", "a\ud83d", "\ude42 b", "", "\ud83d\ude42", ""]
    counter = fast.PieceCounter("gpt2", 1024, 10**6)
    counter.feed(texts)
    assert counter.counts() == count_pieces(texts)


# ---- task 4: merging and learning


@learning
def test_a_pair_is_merged_from_left_to_right_and_nothing_else():
    assert merge_pair([1, 2, 3, 1, 2], (1, 2), 9) == [9, 3, 9]
    assert merge_pair([1, 1, 1], (1, 1), 9) == [9, 1]
    assert merge_pair([1, 1, 1, 1], (1, 1), 9) == [9, 9]
    assert merge_pair([2, 1], (1, 2), 9) == [2, 1]
    assert merge_pair([1], (1, 2), 9) == [1]
    assert merge_pair([], (1, 2), 9) == []
    ids = [1, 2]
    merge_pair(ids, (1, 2), 9)
    assert ids == [1, 2], "the ids that were given are changed"


@learning
def test_the_merges_of_the_papers_example():
    assert written(learn_merges(PAPER, 6)) == ["e s", "es t", "l o", "lo w", "e w", "n ew"]
    assert written(learn_merges(PAPER, 1)) == ["e s"]
    assert learn_merges(PAPER, 0) == []


@learning
def test_of_equally_frequent_pairs_the_smaller_ids_win():
    assert written(learn_merges({b"cd": 2, b"ab": 2, b"ac": 2}, 3)) == ["a b", "a c", "c d"]


@learning
def test_it_ends_when_no_pair_is_frequent_enough():
    assert written(learn_merges({b"ab": 3, b"cd": 1}, 100)) == ["a b"]
    assert written(learn_merges({b"ab": 3, b"cd": 1}, 100, least=1)) == ["a b", "c d"]
    assert learn_merges({b"a": 100}, 10) == []
    assert learn_merges({}, 10) == []


@learning
@given(few_letters, st.integers(1, 3))
def test_learning_without_counting_anew_gives_what_counting_anew_gives(pieces, least):
    assert learn_merges(pieces, 30, least) == slow_merges(pieces, 30, least)


@learning
def test_the_merges_are_those_of_the_tokenizers_library(world):
    their = TheirTokenizer(models.BPE())
    their.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    their.train_from_iterator([world], trainer)
    merges = learn_merges(count_pieces([world]), 1000 - 256)
    model = ByteBPE.from_merges(merges)
    assert {printed(token): id for id, token in model.tokens.items()} == their.get_vocab()
    # The vocabulary has tokens in the order learnt, so the merges agree as well; and so must the ids of a text.
    assert model.encode(world) == their.encode(world).ids


def learnt_in_cpp(counts, merges, least):
    counter = fast.PieceCounter("gpt2", 1024, 10**6)
    for piece, count in counts.items():
        for _ in range(count):
            counter.feed([piece.decode()])
    assert counter.counts() == counts
    return counter.learn(merges, least)


@learning
@needs_compiler
@given(few_letters, st.integers(1, 3))
def test_learning_in_cpp_gives_the_same(pieces, least):
    whole = {}
    for piece, count in pieces.items():
        for part in fast.split_pieces(piece, "gpt2"):
            whole[part] = whole.get(part, 0) + count
    assert learnt_in_cpp(whole, 30, least) == learn_merges(whole, 30, least)


@learning
@needs_compiler
def test_thousands_of_merges_in_cpp_are_the_same(world):
    counter = fast.PieceCounter("o200k", 1024, 10**6)
    counter.feed([world])
    merges = learn_merges(counter.counts(), 2000)
    assert counter.learn(2000, 2) == merges
    assert len(merges) > 500


@learning
def test_training_in_python_and_in_cpp_makes_one_vocabulary_of_the_size_asked_for(world):
    model = ByteBPE.train([world[:20_000]], 400, native=False)
    assert model.vocab_size == 400
    assert len(model.merges) == 144
    assert model.merges == ByteBPE.train([world[:20_000]], 400).merges


@learning
def test_training_ends_early_where_there_is_nothing_to_learn():
    for native in (True, False):
        assert ByteBPE.train(["abc"], 1000, native=native).vocab_size == 256
        assert ByteBPE.train(["abcabc"], 256, native=native).vocab_size == 256


# ---- training as a whole


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocab_size": 255}, "vocab_size must be at least 256, one for each byte, not 255"),
        ({"least": 0}, "least and piece_limit must be at least 1, not 0"),
        ({"piece_limit": 0}, "least and piece_limit must be at least 1, not 2 and 0"),
        ({"pattern": "bert"}, "no pattern 'bert'"),
    ],
)
def test_what_cannot_be_is_refused_before_any_text_is_read(settings, message):
    def texts():
        pytest.fail("a text was read")
        yield ""

    with pytest.raises(ValueError, match=re.escape(message)):
        ByteBPE.train(texts(), **{"vocab_size": 300, **settings})
