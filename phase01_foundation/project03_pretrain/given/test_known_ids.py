from dataclasses import replace

import pytest
import torch

from phase01_foundation.project01_minimal_gpt.generation import generate
from phase01_foundation.project01_minimal_gpt.sampling import SamplingParams
from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.given.encoding import PromptTokenizer
from phase01_foundation.project03_pretrain.given.example import TINY, example
from phase01_foundation.project03_pretrain.given.known_ids import unknown_ids, without_unknown

LETTERS = Tokenizer(CharTokenizer("abcd"), {"<|endoftext|>": 8})  # 4 to 7 are free
MODEL = example(replace(TINY, vocab_size=11))[0].eval()


def test_the_ids_that_make_no_text():
    assert unknown_ids(LETTERS, 11) == {4, 5, 6, 7, 9, 10}
    assert unknown_ids(LETTERS, 4) == set()
    assert unknown_ids(Tokenizer(ByteBPE.train(["aaaa"], 257, native=False)), 259) == {257, 258}


def test_they_are_never_written():
    prompts = PromptTokenizer(LETTERS)
    for temperature in (0, 50.0):  # so hot that any id is as likely as any other
        params = SamplingParams(max_tokens=60, temperature=temperature, repetition_penalty=1.2)
        if temperature:
            with pytest.raises(ValueError, match="id"):
                generate(MODEL, prompts, ["ab"], params)
        [text] = generate(without_unknown(MODEL, LETTERS), prompts, ["ab"], params)
        assert set(text.replace("<|endoftext|>", "")) <= set("abcd")


def test_others_keep_their_logits_and_what_ends_a_text_stays():
    tokens = torch.tensor([[0, 1, 2]])
    expected = MODEL(tokens)
    found = without_unknown(MODEL, LETTERS, ends=[10])(tokens)
    kept = [0, 1, 2, 3, 8, 10]
    torch.testing.assert_close(found[..., kept], expected[..., kept], rtol=0, atol=0)
    assert (found[..., [4, 5, 6, 7, 9]] == -torch.inf).all()


def test_a_model_all_of_whose_ids_make_text_comes_back_as_it_is():
    model = example(replace(TINY, vocab_size=4))[0]
    assert without_unknown(model, LETTERS) is model
