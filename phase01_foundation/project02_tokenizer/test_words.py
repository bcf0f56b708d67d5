import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project02_tokenizer.bpe import count_pieces
from phase01_foundation.project02_tokenizer.words import WordTokenizer

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
    tokenizer = WordTokenizer.from_counts({**count_pieces([text]), b"x": 1}, 10**6)
    ids = tokenizer.encode(text)
    assert 0 not in ids
    assert tokenizer.decode(ids) == text


@task
def test_the_space_before_a_word_belongs_to_it():
    tokenizer = WordTokenizer(["<unk>", "cat", " cat", " "])
    assert tokenizer.encode("cat cat  cat") == [1, 2, 3, 2]
    assert tokenizer.decode([1, 2, 3, 2]) == "cat cat  cat"


@task
@pytest.mark.parametrize("id", [-1, 2])
def test_an_id_outside_the_vocabulary_is_refused(id):
    with pytest.raises(ValueError, match=f"no word with the id {id}; ids go from 0 to 1"):
        WordTokenizer(["<unk>", "a"]).decode([id])


@task
def test_a_vocabulary_without_a_word_is_refused():
    with pytest.raises(ValueError, match="vocab_size must be at least 2, one word and <unk>, not 1"):
        WordTokenizer.from_counts(COUNTS, 1)


@task
def test_a_word_cut_inside_a_character_is_no_trouble():
    # Counting cuts long pieces at a number of bytes, so that two parts may decode alike.
    assert WordTokenizer.from_counts({b"\xc3": 2, b"\xc4": 1}, 9).words == ["<unk>", "\ufffd"]


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
