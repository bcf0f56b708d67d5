from itertools import islice

import pytest
import torch

from phase02_finetuning.project05_lora.given.data import (
    POOL,
    AnswerBatches,
    collate,
    example,
    held_out,
    questions,
)
from shared import tinyworld
from shared.phase01 import IGNORED, ByteBPE, Tokenizer

TOKENIZER = Tokenizer(
    ByteBPE.train([tinyworld.text("train", 0, 20_000)], 290, native=False), {"<|endoftext|>": 290}
)


def test_only_the_answer_and_the_end_are_to_be_learnt():
    for question in islice(questions("train", 0), 20):
        one = example(question, TOKENIZER)
        assert one.tokens[0] == 290
        assert TOKENIZER.decode(one.tokens[1:]) == question.prompt + question.answer
        learnt = [target for target in one.targets if target != IGNORED]
        assert TOKENIZER.decode(learnt[:-1]) == question.answer
        assert learnt[-1] == 290
        assert one.tokens[1:] == [
            other if target == IGNORED else target
            for other, target in zip(one.tokens[1:], one.targets, strict=False)
        ]


def test_padding_counts_nowhere():
    rows = [example(one, TOKENIZER) for one in islice(questions("train", 0), 5)]
    batch = collate(rows)
    for i, row in enumerate(rows):
        length = len(row.tokens)
        assert batch["tokens"][i, :length].tolist() == row.tokens
        assert batch["targets"][i, :length].tolist() == row.targets
        assert not (batch["targets"][i, length:] != IGNORED).any()


@pytest.mark.parametrize("taken", [0, 1, POOL - 1, POOL, POOL + 3])
def test_after_a_stop_the_same_batches_come(taken):
    def make():
        return AnswerBatches(TOKENIZER, 3, 256, seed=4, skills=("copying", "sums"))

    whole, second = make(), make()
    for _ in range(taken):
        whole.next()
    second.load_state_dict(whole.state_dict())
    for _ in range(3):
        one, other = whole.next(), second.next()
        assert torch.equal(one["tokens"], other["tokens"])
        assert torch.equal(one["targets"], other["targets"])
    assert second.state_dict() == {"number": taken + 3}


def test_what_does_not_fit_is_passed_over_and_seeds_differ():
    batches = AnswerBatches(TOKENIZER, 4, 100, seed=0)
    assert all(batches.next()["tokens"].shape[1] <= 100 for _ in range(POOL))
    other = AnswerBatches(TOKENIZER, 4, 100, seed=1)
    assert not torch.equal(other.next()["tokens"], AnswerBatches(TOKENIZER, 4, 100).next()["tokens"])


def test_held_out_questions_are_always_the_same():
    one, other = (held_out(TOKENIZER, 40, 256, ("sums",)) for _ in range(2))
    assert sum(len(batch["tokens"]) for batch in one) == 40
    assert all(torch.equal(a["tokens"], b["tokens"]) for a, b in zip(one, other, strict=True))
