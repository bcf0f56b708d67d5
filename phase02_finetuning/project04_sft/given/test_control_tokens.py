from dataclasses import replace

import pytest
import torch

from phase02_finetuning.project04_sft.given.control_tokens import add_control_tokens
from phase02_finetuning.project04_sft.given.example import TINY, random_model, small_tokenizer
from phase02_finetuning.project04_sft.templates import CONTROL
from phase02_finetuning.project04_sft.turns import tokenize_turns

BARE = small_tokenizer(control=("<|endoftext|>",))


@pytest.mark.parametrize("tied", [True, False])
def test_new_rows_begin_as_what_does_the_same_work(tied):
    model = random_model(replace(TINY, vocab_size=291, tied_embeddings=tied))
    before = {name: one.clone() for name, one in model.state_dict().items()}
    grown, tokenizer = add_control_tokens(model, BARE, "tinyworld")
    assert tokenizer.special_tokens == {
        "<|endoftext|>": 290, "<|system|>": 291, "<|user|>": 292, "<|assistant|>": 293, "<|end|>": 294
    }  # fmt: skip
    assert grown.config == replace(TINY, vocab_size=295, tied_embeddings=tied)
    rows, old = grown.embedding.weight, model.embedding.weight
    assert torch.equal(rows[:291], old)
    assert torch.equal(rows[294], old[290])
    answer = BARE.encode("Answer") + BARE.encode(":")
    torch.testing.assert_close(rows[293], old[answer].mean(dim=0))
    assert (grown.head.weight is grown.embedding.weight) == tied
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    ids = tokenize_turns([{"role": "user", "content": "Who?"}], tokenizer, "tinyworld", None, True).ids
    assert grown(torch.tensor([ids])).shape == (1, len(ids), 295)
    old_ids = torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(grown(old_ids)[..., :291], model(old_ids), rtol=1e-12, atol=1e-12)


def test_ids_that_the_tokenizer_leaves_free_are_used_first():
    model = random_model(replace(TINY, vocab_size=293))
    grown, tokenizer = add_control_tokens(model, BARE, "tinyworld")
    assert tokenizer.vocab_size == grown.config.vocab_size == 295
    roomy = random_model(replace(TINY, vocab_size=320))
    assert add_control_tokens(roomy, BARE, "chatml")[0].config.vocab_size == 320


def test_where_nothing_is_missing_nothing_changes():
    model, tokenizer = random_model(), small_tokenizer()
    for template in CONTROL:
        assert add_control_tokens(model, tokenizer, template) == (model, tokenizer)
    assert add_control_tokens(model, BARE, "question") == (model, BARE)
    with pytest.raises(ValueError, match="vicuna"):
        add_control_tokens(model, BARE, "vicuna")
