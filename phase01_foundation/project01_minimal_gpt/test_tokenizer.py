import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from shared.testing import raises


@pytest.mark.task(1)
def test_ids_follow_the_code_points_of_the_characters():
    tokenizer = CharTokenizer.from_text("hello, world")
    assert tokenizer.alphabet == " ,dehlorw"
    assert tokenizer.vocab_size == 9
    assert tokenizer.encode("hold") == [4, 6, 5, 2]
    assert tokenizer.decode([4, 6, 5, 2]) == "hold"


@pytest.mark.task(1)
@given(st.text(min_size=1))
def test_decoding_undoes_encoding(text):
    tokenizer = CharTokenizer.from_text(text)
    ids = tokenizer.encode(text)
    assert len(ids) == len(text)
    assert all(0 <= id < tokenizer.vocab_size for id in ids)
    assert tokenizer.decode(ids) == text


@pytest.mark.task(1)
def test_the_empty_text_has_no_ids():
    tokenizer = CharTokenizer("ab")
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


@pytest.mark.task(1)
def test_ids_may_come_one_by_one():
    assert CharTokenizer("abc").decode(id for id in (2, 0, 1)) == "cab"


@pytest.mark.task(1)
def test_an_unknown_character_is_named_with_its_position_and_what_is_known():
    with raises(ValueError, ("é", "U+00E9"), 2, "abc"):
        CharTokenizer("abc").encode("abéc")
    with raises(ValueError, ("?", "U+003F"), 5, "abc"):
        CharTokenizer("abc").encode("abcab?!")


@pytest.mark.task(1)
@pytest.mark.parametrize("id", [-1, 3])
def test_an_id_outside_the_vocabulary_is_refused(id):
    with raises(ValueError, id):
        CharTokenizer("abc").decode([0, id])


@pytest.mark.parametrize(("alphabet", "message"), [("", "empty"), ("abca", "'a' more than once")])
def test_an_impossible_alphabet_is_refused(alphabet, message):
    with pytest.raises(ValueError, match=message):
        CharTokenizer(alphabet)
