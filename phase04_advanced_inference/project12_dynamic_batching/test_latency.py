"""Percentiles as numpy has them, and what is counted from where to where."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase04_advanced_inference.project12_dynamic_batching.latency import Latency, percentile
from shared.testing import raises

task = pytest.mark.task(2)


@task
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.floats(0, 1))
def test_percentiles_are_numpys(values, share):
    before = list(values)
    assert percentile(values, share) == pytest.approx(np.quantile(values, share), rel=1e-9, abs=1e-9)
    assert values == before, "the values that were given stay in their order"


@task
@pytest.mark.parametrize(
    ("share", "expected"), [(0, 1), (1, 9), (0.5, 4), (0.25, 2), (0.75, 6.5), (0.9, 8.0)]
)
def test_between_two_values_there_is_a_straight_line(share, expected):
    assert percentile([9, 2, 4, 1, 6.5], share) == pytest.approx(expected)


@task
@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_is_from_0_to_1(share):
    with raises(ValueError, share):
        percentile([1.0], share)


@task
def test_of_nothing_there_is_no_percentile():
    with raises(ValueError):
        percentile([], 0.5)


@task
def test_the_three_times():
    latency = Latency()
    latency.add(1, 10.0)
    latency.add(2, 11.0)
    latency.note(1, 1, 13.0)
    latency.note(2, 1, 14.0)
    latency.note(1, 1, 14.5)
    latency.note(2, 1, 16.0, finished=True)
    latency.note(1, 0, 17.0)
    latency.note(1, 1, 18.0, finished=True)
    assert latency.first_token == [3.0, 3.0]
    assert latency.between_tokens == [1.5, 2.0, 3.5]
    assert latency.end_to_end == [5.0, 8.0]
    assert not latency.came
    assert not latency.last


@task
def test_several_tokens_at_once():
    latency = Latency()
    latency.add(1, 0.0)
    latency.note(1, 3, 2.0)
    latency.note(1, 2, 5.0, finished=True)
    assert latency.first_token == [2.0]
    assert latency.between_tokens == [0.0, 0.0, 3.0, 0.0]
    assert latency.end_to_end == [5.0]


@task
def test_one_without_any_token_has_an_end_only():
    latency = Latency()
    latency.add(1, 1.0)
    latency.note(1, 0, 4.0, finished=True)
    assert (latency.first_token, latency.between_tokens, latency.end_to_end) == ([], [], [3.0])


@task
def test_a_key_may_come_again():
    latency = Latency()
    for come in (0.0, 10.0):
        latency.add(1, come)
        latency.note(1, 1, come + 1, finished=True)
    assert latency.first_token == [1.0, 1.0]
    assert latency.between_tokens == []


@task
def test_who_has_not_come_is_unknown():
    latency = Latency()
    for tokens in (1, 0):
        with pytest.raises(KeyError):
            latency.note(1, tokens, 1.0)


@task
def test_a_summary_has_what_there_are_values_of():
    latency = Latency(first_token=[1.0, 3.0], end_to_end=[4.0])
    assert latency.summary((0.5, 1.0)) == {
        "first_token": {0.5: 2.0, 1.0: 3.0},
        "end_to_end": {0.5: 4.0, 1.0: 4.0},
    }
    assert set(latency.summary()["first_token"]) == {0.5, 0.95, 0.99}
