import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.given.encoding import bos_ids, encode, encode_pair

TEXTS = ["the cat sat on the mat. the cat ate the rat. "]
TOKENIZER = Tokenizer(ByteBPE.train(TEXTS, 270, native=False), {"<|endoftext|>": 270})
PLAIN = Tokenizer(CharTokenizer("abc <|>"))
words = st.text("the ca.", max_size=12)


def test_a_text_begins_as_in_training():
    assert bos_ids(TOKENIZER) == [270]
    assert bos_ids(PLAIN) == []


def test_special_tokens_in_a_text_are_ordinary_text():
    assert 270 not in encode(TOKENIZER, "a<|endoftext|>")
    assert TOKENIZER.decode(encode(TOKENIZER, "a<|endoftext|>")) == "a<|endoftext|>"


@given(words, words)
def test_a_pair_is_the_whole_text_cut_in_two(context, continuation):
    before, after = encode_pair(TOKENIZER, context, continuation)
    assert before[0] == 270
    whole, place = encode(TOKENIZER, context + continuation), len(encode(TOKENIZER, context.rstrip()))
    if whole[place:]:
        assert (before[1:], after) == (whole[:place], whole[place:])
    else:
        assert TOKENIZER.decode(before[1:]) == context.rstrip()
        assert TOKENIZER.decode(before[1:] + after) == context + continuation


@pytest.mark.parametrize("special", [{"<|endoftext|>": 500}, {}])
def test_a_token_over_the_border_leaves_the_continuation_its_own(special):
    model = ByteBPE.train(["Answer Answer Answer"], 262, native=False)
    tokenizer = Tokenizer(model, special)
    assert len(tokenizer.encode("Answer")) == 1
    context, continuation = tokenizer.encode("Ans"), tokenizer.encode("wer")
    assert encode_pair(tokenizer, "Ans", "wer") == ([*special.values(), *context], continuation)


def test_spaces_between_go_to_the_continuation():
    assert encode_pair(TOKENIZER, "the cat ", "sat") == encode_pair(TOKENIZER, "the cat", " sat")
    assert TOKENIZER.decode(encode_pair(TOKENIZER, "the cat ", "sat")[1]) == " sat"


def test_without_a_token_to_begin_with_the_first_one_is_given():
    assert encode_pair(PLAIN, "", "abc") == ([0], [1, 2])
    assert encode_pair(PLAIN, "ab", "c") == ([0, 1], [2])
    assert encode_pair(TOKENIZER, "", "the")[0] == [270]
