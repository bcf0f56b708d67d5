"""The arithmetic of speculation: against sums written out, and against simulated passes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase04_advanced_inference.project11_speculative_decoding.expected import (
    acceptance_rate,
    best_count,
    expected_speedup,
    expected_tokens,
    overlap,
)
from phase04_advanced_inference.project11_speculative_decoding.given.example import random_distribution
from shared.testing import raises

task = pytest.mark.task(6)


@task
@given(st.floats(0, 1), st.integers(0, 12))
def test_the_tokens_of_a_pass_are_the_chances_added_up(rate, count):
    expected = sum(rate**i for i in range(count + 1))
    assert expected_tokens(rate, count) == pytest.approx(expected, rel=1e-9)


@task
def test_examples_of_tokens():
    assert expected_tokens(0.0, 5) == 1.0
    assert expected_tokens(1.0, 5) == 6.0
    assert expected_tokens(0.5, 2) == 1.75
    assert isinstance(expected_tokens(1, 3), float)


@task
def test_they_are_the_mean_over_all_ways_a_pass_may_end():
    rate, count = 0.8, 4
    law = {accepted: rate**accepted * (1 - rate) for accepted in range(count)} | {count: rate**count}
    mean = sum((accepted + 1) * chance for accepted, chance in law.items())
    assert expected_tokens(rate, count) == pytest.approx(mean, rel=1e-12)


@task
@pytest.mark.parametrize(("rate", "count", "named"), [(1.2, 3, 1.2), (-0.1, 3, -0.1), (0.5, -1, -1)])
def test_what_cannot_be_is_named(rate, count, named):
    with raises(ValueError, named):
        expected_tokens(rate, count)
    with raises(ValueError, named):
        expected_speedup(rate, count, 0.1)


@task
def test_the_rate_counts_what_was_judged():
    assert acceptance_rate([(4, 4), (4, 1), (4, 0), (0, 0)]) == 5 / 7
    assert acceptance_rate(iter([(2, 2)])) == 1.0
    assert acceptance_rate([(3, 0), (3, 0)]) == 0.0
    assert acceptance_rate([]) == 0.0
    assert acceptance_rate([(0, 0)]) == 0.0


@task
def test_the_rate_of_many_passes_is_the_one_they_were_made_with():
    generator, passes = torch.Generator().manual_seed(0), []
    for count in (1, 3, 6) * 4000:
        stays = torch.rand(count, generator=generator) < 0.7
        passes.append((count, int(stays.long().cumprod(0).sum())))
    assert acceptance_rate(passes) == pytest.approx(0.7, abs=0.01)
    one = [accepted + 1 for count, accepted in passes if count == 3]
    assert sum(one) / len(one) == pytest.approx(expected_tokens(0.7, 3), rel=0.02)


@task
@given(st.integers(0, 1000), st.integers(2, 8))
def test_the_overlap_is_one_less_half_the_distance(seed, vocab_size):
    generator = torch.Generator().manual_seed(seed)
    p, q = random_distribution(vocab_size, generator), random_distribution(vocab_size, generator)
    assert overlap(p, q) == pytest.approx(1 - float((p - q).abs().sum()) / 2, abs=1e-12)
    assert overlap(p, p) == pytest.approx(1.0, abs=1e-12)


@task
def test_the_speed_is_tokens_over_cost():
    assert expected_speedup(0.5, 2, 0.25, 0.125) == pytest.approx(1.75 / 1.75)
    assert expected_speedup(0.9, 4, 0.05) == pytest.approx(expected_tokens(0.9, 4) / 1.2)
    assert expected_speedup(0.3, 0, 0.5, 0.5) == 1.0


@task
@given(st.floats(0, 1), st.floats(0, 0.6), st.floats(0, 0.2), st.integers(1, 9))
def test_the_best_count_is_the_best_of_all(rate, guess_cost, place_cost, most):
    found = best_count(rate, guess_cost, place_cost, most)
    speeds = [expected_speedup(rate, count, guess_cost, place_cost) for count in range(most + 1)]
    assert speeds[found] == max(speeds)
    assert all(speed < speeds[found] for speed in speeds[:found])


@task
def test_examples_of_the_best_count():
    assert best_count(0.9, 0.05) == 8
    assert best_count(0.2, 0.3) == 0
    assert best_count(0.5, 0.2) == 1
    assert best_count(0.0, 0.0) == 0, "of equal ones the smallest"
    assert best_count(1.0, 0.0, 0.0, 5) == 5
