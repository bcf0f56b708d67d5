"""Log-probabilities: beside a loop, padded or not, and as probabilities that sum to one."""

from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase02_finetuning.project06_dpo.logprobs import sequence_logprobs, token_logprobs
from shared.phase01 import IGNORED

task = pytest.mark.task(1)


def drawn(shape, vocab=7, seed=0, dtype=torch.float64) -> Any:
    """Random logits, and targets of which about a third are IGNORED."""
    random = torch.Generator().manual_seed(seed)
    logits = (3 * torch.randn(*shape, vocab, generator=random)).to(dtype)
    targets = torch.randint(vocab, shape, generator=random)
    targets[torch.rand(shape, generator=random) < 0.3] = IGNORED
    return logits, targets


def one_by_one(logits, targets):
    """Each token's log-probability, by the plain formula."""
    found = torch.zeros(targets.shape, dtype=logits.dtype)
    for place in product(*map(range, targets.shape)):
        if targets[place] != IGNORED:
            row = logits[place]
            found[place] = row[targets[place]] - torch.log(torch.exp(row).sum())
    return found


@task
@given(st.integers(1, 4), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=25)
def test_tokens_are_those_of_the_plain_formula(rows, time, seed):
    logits, targets = drawn((rows, time), seed=seed)
    found = token_logprobs(logits, targets)
    torch.testing.assert_close(found, one_by_one(logits, targets), rtol=1e-12, atol=1e-12)


@task
@given(st.integers(1, 4), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=25)
def test_sums_and_counts_are_over_what_is_not_ignored(rows, time, seed):
    logits, targets = drawn((rows, time), seed=seed)
    sums, counts = sequence_logprobs(logits, targets)
    torch.testing.assert_close(sums, one_by_one(logits, targets).sum(dim=1), rtol=1e-12, atol=1e-12)
    assert counts.tolist() == [sum(one != IGNORED for one in row) for row in targets.tolist()]


@task
def test_pairs_of_sequences_keep_their_shape():
    logits, targets = drawn((3, 2, 5))
    sums, counts = sequence_logprobs(logits, targets)
    assert sums.shape == counts.shape == (3, 2)
    assert token_logprobs(logits, targets).shape == (3, 2, 5)
    for pair in range(3):
        alone = sequence_logprobs(logits[pair], targets[pair])
        torch.testing.assert_close(sums[pair], alone.sums, rtol=1e-12, atol=1e-12)
        assert torch.equal(counts[pair], alone.counts)


@task
@pytest.mark.parametrize("extra", [1, 3, 29, 200])
def test_padding_changes_no_bit(extra):
    logits, targets = drawn((16, 37), dtype=torch.float32)
    sums, counts = sequence_logprobs(logits, targets)
    longer = torch.cat([logits, 5 * torch.randn(16, extra, 7)], dim=1)
    padded = torch.cat([targets, torch.full((16, extra), IGNORED)], dim=1)
    found = sequence_logprobs(longer, padded)
    assert torch.equal(found.sums, sums)
    assert torch.equal(found.counts, counts)


@task
def test_the_first_place_counts_like_any_other():
    """Targets are ahead already: who shifts them once more loses the first, and scores the wrong ones."""
    logits = torch.zeros(1, 3, 4, dtype=torch.float64)
    logits[0, 0, 2] = 5.0
    targets = torch.tensor([[2, IGNORED, IGNORED]])
    expected = 5.0 - torch.log(torch.tensor(3 + torch.e**5.0, dtype=torch.float64))
    sums, counts = sequence_logprobs(logits, targets)
    torch.testing.assert_close(sums, expected[None])
    assert counts.tolist() == [1]


@task
def test_the_probabilities_of_all_answers_sum_to_one():
    random = torch.Generator().manual_seed(0)
    table = torch.randn(
        4, 3, generator=random, dtype=torch.float64
    )  # the logits after each token, and at first
    answers = torch.tensor(list(product(range(3), repeat=3)))
    before = torch.cat([torch.full((27, 1), 3), answers[:, :-1]], dim=1)
    sums, _ = sequence_logprobs(table[before], answers)
    torch.testing.assert_close(sums.exp().sum(), torch.tensor(1.0, dtype=torch.float64))


@task
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32(dtype):
    logits, targets = drawn((4, 60), vocab=50, dtype=dtype)
    expected = sequence_logprobs(logits.float(), targets).sums
    found = sequence_logprobs(logits, targets).sums
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert sequence_logprobs(logits.double(), targets).sums.dtype == torch.float64


@task
def test_gradients_reach_what_counts_and_nothing_else():
    logits, targets = drawn((2, 6))
    logits.requires_grad_(True)
    sequence_logprobs(logits, targets).sums.sum().backward()
    touched = logits.grad.abs().sum(dim=-1) > 0
    assert torch.equal(touched, targets != IGNORED)


@task
def test_gradients_are_those_of_finite_differences():
    logits, targets = drawn((2, 3), vocab=4)
    assert (
        torch.autograd.gradcheck(lambda x: sequence_logprobs(x, targets).sums, logits.requires_grad_(True))
        is True
    )


@task
def test_without_a_token_to_count_it_is_nothing():
    logits = torch.randn(2, 3, 4)
    targets = torch.full((2, 3), IGNORED)
    sums, counts = sequence_logprobs(logits, targets)
    assert sums.tolist() == [0.0, 0.0]
    assert counts.tolist() == [0, 0]
