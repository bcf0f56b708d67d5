import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase02_finetuning.project04_sft.collate import collate
from phase02_finetuning.project04_sft.given.example import random_examples
from phase02_finetuning.project04_sft.turns import Example
from shared.phase01 import IGNORED
from shared.testing import raises

task = pytest.mark.task(3)


@task
def test_rows_are_shifted_and_filled_up_on_the_right():
    batch = collate(
        [Example([1, 2, 3, 4], [IGNORED, 2, IGNORED, 4]), Example([5, 6], [IGNORED, 6])], pad_id=9
    )
    assert batch["tokens"].tolist() == [[1, 2, 3], [5, 9, 9]]
    assert batch["targets"].tolist() == [[2, IGNORED, 4], [6, IGNORED, IGNORED]]
    assert {part.dtype for part in batch.values()} == {torch.int64}


@task
@given(count=st.integers(1, 6), seed=st.integers(0, 99), multiple=st.sampled_from([1, 2, 7, 8, 64]))
def test_it_does_what_a_loop_does(count, seed, multiple):
    examples = random_examples(count, seed)
    batch = collate(examples, pad_id=3, multiple_of=multiple)
    time = batch["tokens"].shape[1]
    longest = max(len(example.ids) for example in examples) - 1
    assert time % multiple == 0
    assert longest <= time < longest + multiple
    for example, tokens, targets in zip(
        examples, batch["tokens"].tolist(), batch["targets"].tolist(), strict=True
    ):
        size = len(example.ids) - 1
        assert tokens == example.ids[:-1] + [3] * (time - size)
        assert targets == example.labels[1:] + [IGNORED] * (time - size)


@task
def test_an_id_that_is_the_padding_still_counts():
    batch = collate(
        [Example([7, 0, 0], [IGNORED, 0, 0]), Example([7, 8, 0, 9], [IGNORED, 8, 0, 9])], pad_id=0
    )
    assert batch["targets"].tolist() == [[0, 0, IGNORED], [8, 0, 9]]


@task
def test_examples_stay_in_their_order_and_as_they_are():
    examples = random_examples(5, seed=1)
    before = [Example([*example.ids], [*example.labels]) for example in examples]
    batch = collate(examples)
    assert batch["tokens"][:, 0].tolist() == [example.ids[0] for example in examples]
    assert examples == before


@task
def test_it_equals_trls_collator_one_place_ahead():
    sft = pytest.importorskip("trl.trainer.sft_trainer", reason="trl, the peer, is not installed")
    examples = random_examples(6, seed=2)
    theirs = sft.DataCollatorForLanguageModeling(5, pad_to_multiple_of=8)(
        [{"input_ids": example.ids, "labels": example.labels} for example in examples]
    )
    batch = collate(examples, pad_id=5, multiple_of=1)
    time = batch["tokens"].shape[1]
    assert torch.equal(batch["targets"], theirs["labels"][:, 1 : time + 1])
    real = theirs["attention_mask"][:, 1 : time + 1] == 1
    assert torch.equal(batch["tokens"][real], theirs["input_ids"][:, :time][real])


@task
@pytest.mark.parametrize(
    ("examples", "facts"),
    [
        ([], ()),
        ([Example([1, 2], [1, 2]), Example([1], [1])], (2, 1)),
        ([Example([1, 2, 3], [1, 2])], (1, 3, 2)),
    ],
)
def test_what_cannot_be_a_row_is_named(examples, facts):
    with raises(ValueError, *facts):
        collate(examples)


@task
def test_no_multiple_below_one():
    with raises(ValueError, "multiple_of", 0):
        collate(random_examples(1), multiple_of=0)
