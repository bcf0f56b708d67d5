from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project02_tokenizer.pretokenize import split_pieces
from phase01_foundation.project02_tokenizer.words import WordTokenizer
from shared.testing import raises

COUNTS = {b"the": 1, b" cat": 4, b" sat": 2, b" mat": 2, b".": 3}

task = pytest.mark.task(2)


@task
def test_the_most_frequent_words_get_the_first_ids():
    assert WordTokenizer.from_counts(COUNTS, 4).words == ["<unk>", " cat", ".", " mat"]
    # " mat" and " sat" come equally often: the order of their bytes decides.
    assert WordTokenizer.from_counts(COUNTS, 100).words == ["<unk>", " cat", ".", " mat", " sat", "the"]


@task
def test_a_word_that_is_not_known_is_lost():
    tokenizer = WordTokenizer.from_counts(COUNTS, 5)
    assert tokenizer.encode("the cat sat.") == [0, 1, 4, 2]
    assert tokenizer.decode([0, 1, 4, 2]) == "<unk> cat sat."


@task
@given(st.text(" abé\n.1", max_size=30))
def test_decoding_undoes_encoding_where_all_words_are_known(text):
    counts = Counter(split_pieces(text.encode(), "gpt2"))
    tokenizer = WordTokenizer.from_counts({**counts, b"x": 1}, 10**6)
    ids = tokenizer.encode(text)
    assert 0 not in ids
    assert tokenizer.decode(ids) == text


@task
def test_the_space_before_a_word_belongs_to_it():
    tokenizer = WordTokenizer(["<unk>", "cat", " cat", " "])
    assert tokenizer.encode("cat cat  cat") == [1, 2, 3, 2]
    assert tokenizer.decode([1, 2, 3, 2]) == "cat cat  cat"


@task
def test_ids_may_come_one_by_one():
    assert WordTokenizer(["<unk>", "a", " b"]).decode(iter([1, 2, 0])) == "a b<unk>"
    assert WordTokenizer(["<unk>"]).decode([]) == ""


@task
def test_half_of_a_surrogate_pair_is_a_sign_that_utf8_can_say():
    assert WordTokenizer(["<unk>", "a", "\ufffd"]).encode("a\ud83d") == [1, 2]


@task
@pytest.mark.parametrize("id", [-1, 37, 38])
def test_an_id_outside_the_vocabulary_is_refused(id):
    tokenizer = WordTokenizer(["<unk>", *map(str, range(36))])
    with raises(ValueError, id, 36):
        tokenizer.decode([36, id])


@task
@pytest.mark.parametrize("vocab_size", [1, -3])
def test_a_vocabulary_without_a_word_is_refused(vocab_size):
    with raises(ValueError, vocab_size):
        WordTokenizer.from_counts(COUNTS, vocab_size)


@task
def test_the_smallest_vocabulary_has_one_word():
    assert WordTokenizer.from_counts(COUNTS, 2).words == ["<unk>", " cat"]


@task
def test_words_that_are_the_same_are_kept_once():
    # Counting cuts long pieces at a number of bytes, so two parts of characters may be the same word.
    counts = {b"\xc3": 5, b"a": 4, b"\xc4": 3, b"b": 2, b"c": 1}
    assert WordTokenizer.from_counts(counts, 9).words == ["<unk>", "\ufffd", "a", "b", "c"]
    assert WordTokenizer.from_counts(counts, 5).words == ["<unk>", "\ufffd", "a", "b"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the first word must be '<unk>', not 'missing'"),
        (["a"], "the first word must be '<unk>', not 'a'"),
        (["<unk>", "a", "b", "a"], "the word 'a' is there more than once"),
    ],
)
def test_an_impossible_list_is_refused(words, message):
    with pytest.raises(ValueError, match=message):
        WordTokenizer(words)
