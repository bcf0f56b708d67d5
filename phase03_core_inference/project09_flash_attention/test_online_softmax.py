"""Softmax in pieces is softmax of the whole, however the keys are cut and in whatever order they are merged."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase03_core_inference.project09_flash_attention.online_softmax import (
    Running,
    finish,
    merge,
    start,
    update,
)

pytestmark = pytest.mark.task(1)
NOTHING = float("-inf")


def scores_and_values(rows=4, keys=7, dim=3, seed=0, batch=(2,), scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(*batch, rows, keys, dtype=torch.float64, generator=generator) * scale
    return scores, torch.randn(*batch, keys, dim, dtype=torch.float64, generator=generator)


def exact(scores, values):
    return scores.softmax(-1) @ values, scores.logsumexp(-1)


def carried_on(scores, values, cuts):
    running = start(scores, values.shape[-1])
    for begin, end in zip([0, *cuts], [*cuts, scores.shape[-1]], strict=True):
        running = update(running, scores[..., begin:end], values[..., begin:end, :])
    return finish(running)


@settings(max_examples=30)
@given(cuts=st.sets(st.integers(1, 11)), seed=st.integers(0, 99))
def test_it_does_not_matter_how_the_keys_are_cut(cuts, seed):
    scores, values = scores_and_values(keys=12, seed=seed, scale=3.0)
    out, lse = carried_on(scores, values, sorted(cuts))
    expected_out, expected_lse = exact(scores, values)
    torch.testing.assert_close(out, expected_out, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(lse, expected_lse, rtol=1e-12, atol=1e-12)


def test_the_three_numbers_are_those_of_the_definition():
    scores, values = scores_and_values()
    peak, total, mixed = update(start(scores, 3), scores, values)
    weights = torch.exp(scores - scores.amax(-1, keepdim=True))
    torch.testing.assert_close(peak, scores.amax(-1))
    torch.testing.assert_close(total, weights.sum(-1))
    torch.testing.assert_close(mixed, weights @ values)


def test_a_higher_peak_shrinks_what_was_found_before():
    one = torch.tensor([[0.0]], dtype=torch.float64)
    running = update(start(one, 1), one, one + 1)
    running = update(running, one + 2, one + 1)
    assert running.peak.item() == 2
    torch.testing.assert_close(running.total, torch.tensor([1 + torch.e**-2], dtype=torch.float64))


def test_a_lower_peak_leaves_it():
    one = torch.tensor([[5.0]], dtype=torch.float64)
    running = update(update(start(one, 1), one, one), one - 3, one)
    assert running.peak.item() == 5


@pytest.mark.parametrize("size", [900.0, -900.0, 1e4])
def test_large_scores_do_not_overflow(size):
    scores, values = scores_and_values()
    out, lse = carried_on(scores + size, values, [3])
    expected_out, expected_lse = exact(scores, values)
    torch.testing.assert_close(out, expected_out, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(lse, expected_lse + size, rtol=1e-12, atol=1e-9)


def test_hidden_keys_have_no_weight_and_a_row_without_keys_gets_nothing():
    scores, values = scores_and_values()
    scores[..., 0, :] = NOTHING
    scores[..., 1, :4] = NOTHING  # sees nothing in the first part
    scores[..., 2, 4:] = NOTHING  # and nothing in the second
    out, lse = carried_on(scores, values, [4])
    assert (out[:, 0] == 0).all()
    assert (lse[:, 0] == NOTHING).all()
    expected_out, expected_lse = exact(scores[:, 1:], values)
    torch.testing.assert_close(out[:, 1:], expected_out, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(lse[:, 1:], expected_lse, rtol=1e-12, atol=1e-12)


def test_a_score_that_is_nan_is_not_hidden():
    scores, values = scores_and_values()
    scores[..., 0, 2] = float("nan")
    out, lse = carried_on(scores, values, [4])
    assert out[:, 0].isnan().all()
    assert lse[:, 0].isnan().all()
    assert out[:, 1:].isfinite().all()


def test_a_row_without_keys_stays_as_it_was_at_the_start():
    scores, values = scores_and_values()
    peak, total, mixed = update(start(scores, 3), torch.full_like(scores, NOTHING), values)
    assert (peak == NOTHING).all()
    assert (total == 0).all()
    assert (mixed == 0).all()


def test_values_may_be_shared_by_a_group_of_heads():
    scores, values = scores_and_values(batch=(2, 3))
    shared = values[:, :1]
    out, _ = carried_on(scores, shared, [2])
    torch.testing.assert_close(out, scores.softmax(-1) @ shared, rtol=1e-12, atol=1e-12)


def test_what_is_given_to_update_is_not_changed():
    scores, values = scores_and_values()
    running = update(start(scores, 3), scores, values)
    before = [x.clone() for x in (*running, scores, values)]
    update(running, scores, values)
    update(running, scores + 1, values)  # a higher peak: what was found before shrinks
    for one, other in zip((*running, scores, values), before, strict=True):
        assert torch.equal(one, other)


def test_finish_gives_output_and_log_sum_exp():
    running = Running(torch.tensor([3.0]), torch.tensor([2.0]), torch.tensor([[8.0, -4.0]]))
    out, lse = finish(running)
    torch.testing.assert_close(out, torch.tensor([[4.0, -2.0]]))
    torch.testing.assert_close(lse, torch.tensor([3.6931472]))


@settings(max_examples=30)
@given(cut=st.integers(1, 7), seed=st.integers(0, 99))
def test_merging_two_parts_gives_the_whole(cut, seed):
    scores, values = scores_and_values(keys=8, seed=seed, scale=3.0)
    out, lse = merge(
        *exact(scores[..., :cut], values[..., :cut, :]), *exact(scores[..., cut:], values[..., cut:, :])
    )
    expected_out, expected_lse = exact(scores, values)
    torch.testing.assert_close(out, expected_out, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(lse, expected_lse, rtol=1e-12, atol=1e-12)


def three_parts(shift=0.0):
    scores, values = scores_and_values(keys=9)
    return [exact(scores[..., i : i + 3] + shift, values[..., i : i + 3, :]) for i in (0, 3, 6)]


@pytest.mark.parametrize("shift", [0.0, 900.0, -900.0])
def test_the_order_of_merging_does_not_matter(shift):
    one, two, three = three_parts(shift)
    left = merge(*merge(*one, *two), *three)
    right = merge(*three, *merge(*two, *one))
    torch.testing.assert_close(left[0], right[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(left[1], right[1], rtol=1e-12, atol=1e-12)


def test_no_key_at_all_changes_nothing():
    (out, lse), *_ = three_parts()
    nothing = torch.zeros_like(out), torch.full_like(lse, NOTHING)
    for merged in (merge(out, lse, *nothing), merge(*nothing, out, lse)):
        torch.testing.assert_close(merged[0], out, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(merged[1], lse, rtol=1e-12, atol=1e-12)
    out, lse = merge(*nothing, *nothing)
    assert (out == 0).all()
    assert (lse == NOTHING).all()


def test_what_is_merged_is_not_changed():
    (out, lse), (other_out, other_lse), _ = three_parts()
    before = [x.clone() for x in (out, lse, other_out, other_lse)]
    merge(out, lse, other_out, other_lse)
    for one, other in zip((out, lse, other_out, other_lse), before, strict=True):
        assert torch.equal(one, other)
