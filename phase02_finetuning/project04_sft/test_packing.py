"""Rows of whole conversations, beside trl's; packed beside alone: logits, loss and gradients."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase02_finetuning.project04_sft.given.example import TINY, random_examples, random_model
from phase02_finetuning.project04_sft.packing import document_attention, pack, packed_batch
from phase02_finetuning.project04_sft.turns import Example
from shared.phase01 import IGNORED, torch_attention
from shared.testing import raises

task = pytest.mark.task(4)
SHAPES = [
    TINY,
    replace(TINY, kv_heads=4, tied_embeddings=True),
    replace(TINY, kv_heads=1, qk_norm=True, logit_softcap=2.0),
]


def logits_of(model, batch):
    found = model(
        batch["tokens"].reshape(1, -1), batch["positions"].reshape(-1), document_attention(batch["documents"])
    )
    return found.view(*batch["tokens"].shape, -1)


@task
def test_the_longest_go_first_and_fill_the_fullest_row():
    assert pack([3, 5, 2, 4, 1], 5) == [[1], [3, 4], [0, 2]]
    assert pack([4, 4, 1, 1, 1], 6) == [[0, 2, 3], [1, 4]]
    assert pack([2, 6, 3, 3, 2], 8) == [[1, 0], [2, 3, 4]]
    assert pack([], 5) == []


@task
def test_of_equally_full_rows_the_one_that_has_been_so_for_longest():
    assert pack([4, 4, 2, 2], 6) == [[0, 2], [1, 3]]
    # The second row has a room of 2 before the first has.
    assert pack([15, 12, 6, 3, 2], 20) == [[0, 3], [1, 2, 4]]


@task
@given(lengths=st.lists(st.integers(1, 20), max_size=60), context=st.sampled_from([20, 21, 33, 64]))
def test_every_example_is_in_one_row_and_no_row_is_too_long(lengths, context):
    rows = pack(lengths, context)
    assert sorted(i for row in rows for i in row) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in row) <= context for row in rows)
    assert all(lengths[i] >= lengths[j] for row in rows for i, j in pairwise(row))


@task
def test_the_layout_is_trls():
    trl = pytest.importorskip("trl", reason="trl, the peer, is not installed")
    datasets = pytest.importorskip("datasets", reason="datasets, which trl packs, is not installed")
    for seed in range(4):
        random = torch.Generator().manual_seed(seed)
        lengths = torch.randint(1, 31, (200,), generator=random).tolist()
        data = datasets.Dataset.from_dict({"input_ids": [[i] * n for i, n in enumerate(lengths)]})
        theirs = trl.pack_dataset(data, 32, strategy="bfd")
        expected = [list(dict.fromkeys(row)) for row in theirs["input_ids"]]
        assert pack(lengths, 32) == expected


@task
@pytest.mark.parametrize(
    ("lengths", "context", "facts"), [([1, 9], 8, (1, 9, 8)), ([0], 8, (0, 8)), ([], 0, (0,))]
)
def test_what_does_not_fit_a_row_is_named(lengths, context, facts):
    with raises(ValueError, *facts):
        pack(lengths, context)


@task
def test_a_packed_row_has_its_examples_side_by_side():
    one = Example([1, 2, 3], [IGNORED, 2, 3])
    two = Example([4, 5, 6, 7], [4, IGNORED, 6, 7])
    batch = packed_batch([[one, two], [two]], 7, pad_id=9)
    assert batch["tokens"].tolist() == [[1, 2, 4, 5, 6, 9, 9], [4, 5, 6, 9, 9, 9, 9]]
    assert batch["targets"].tolist() == [
        [2, 3, IGNORED, 6, 7, IGNORED, IGNORED],
        [IGNORED, 6, 7, IGNORED, IGNORED, IGNORED, IGNORED],
    ]
    assert batch["positions"].tolist() == [[0, 1, 0, 1, 2, 0, 1], [0, 1, 2, 0, 1, 2, 3]]
    assert batch["documents"].tolist() == [[0, 0, 1, 1, 1, 2, 2], [0, 0, 0, 1, 1, 1, 1]]
    assert {part.dtype for part in batch.values()} == {torch.int64}


@task
def test_a_row_may_be_full_and_no_fuller():
    examples = random_examples(3, seed=3)
    size = sum(len(example.ids) - 1 for example in examples)
    batch = packed_batch([examples], size)
    assert batch["documents"][0, -1] == 2
    assert batch["tokens"].shape == (1, size)
    with raises(ValueError, size, size - 1):
        packed_batch([examples], size - 1)
    with raises(ValueError, 2, 1):
        packed_batch([[examples[0], Example([1], [1])]], size)


@task
@pytest.mark.parametrize("config", SHAPES)
def test_each_example_has_the_logits_that_it_has_alone(config):
    model, examples = random_model(config), random_examples(7, seed=4)
    rows = [examples[:3], examples[3:5], examples[5:]]
    found = logits_of(model, packed_batch(rows, 100))
    for row, members in enumerate(rows):
        begin = 0
        for example in members:
            alone = model(torch.tensor([example.ids[:-1]]))[0]
            inside = found[row, begin : begin + len(alone)]
            torch.testing.assert_close(inside, alone, rtol=1e-9, atol=1e-9)
            begin += len(alone)


@task
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_neighbour_changes_no_bit(dtype):
    model = random_model(dtype=dtype)
    before, mine, after, others = random_examples(4, seed=5)
    batch = packed_batch([[before, mine, after], [others]], 96)
    changed = packed_batch(
        [
            [
                Example([id % 7 for id in before.ids], before.labels),
                mine,
                Example([id % 5 for id in after.ids], after.labels),
            ],
            [Example([id % 3 for id in others.ids], others.labels)],
        ],
        96,
        pad_id=77,
    )
    place = slice(len(before.ids) - 1, len(before.ids) + len(mine.ids) - 2)
    found, again = (logits_of(model, one)[0, place] for one in (batch, changed))
    assert torch.equal(found, again)
    assert not torch.equal(logits_of(model, batch)[0], logits_of(model, changed)[0])


@task
def test_it_attends_as_each_document_would_alone():
    generator = torch.Generator().manual_seed(0)
    documents = torch.tensor([[0, 0, 0, 1, 1], [0, 1, 1, 1, 2]])
    q = torch.randn(1, 4, 10, 6, generator=generator, dtype=torch.float64)
    k, v = torch.randn(2, 1, 2, 10, 6, generator=generator, dtype=torch.float64)
    found = document_attention(documents)(0, q, k, v)
    assert found.shape == q.shape
    for begin, end in [(0, 3), (3, 5), (5, 6), (6, 9), (9, 10)]:
        alone = torch_attention(0, *(x[:, :, begin:end] for x in (q, k, v)))
        torch.testing.assert_close(found[:, :, begin:end], alone, rtol=1e-12, atol=1e-12)


@task
def test_gradients_pass_to_a_documents_own_keys_alone():
    generator = torch.Generator().manual_seed(1)
    documents = torch.tensor([[0, 0, 1, 1, 1]])
    q, k, v = (
        torch.randn(1, 2, 5, 4, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(3)
    )
    document_attention(documents)(0, q, k, v)[:, :, 3].sum().backward()
    for x in (k, v):
        assert x.grad is not None
        assert x.grad[:, :, [0, 1, 4]].abs().max() == 0
        assert x.grad[:, :, [2, 3]].abs().min() > 0


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
@task
def test_packed_rows_of_many_seeds_have_the_logits_of_each_alone(seed):
    model, examples = random_model(seed=seed % 5), random_examples(6, seed, longest=20)
    rows = pack([len(example.ids) - 1 for example in examples], 40)
    found = logits_of(model, packed_batch([[examples[i] for i in row] for row in rows], 40))
    for row, members in zip(found, rows, strict=True):
        begin = 0
        for i in members:
            alone = model(torch.tensor([examples[i].ids[:-1]]))[0]
            torch.testing.assert_close(row[begin : begin + len(alone)], alone, rtol=1e-9, atol=1e-9)
            begin += len(alone)
