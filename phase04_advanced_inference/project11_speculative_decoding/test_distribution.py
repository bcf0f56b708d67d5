"""The distribution behind project 1's choice, and the draw: against torch's softmax, `choose`, and written-out sums."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase04_advanced_inference.project11_speculative_decoding.distribution import (
    distribution,
    draw,
    uniforms,
)
from shared.phase01 import SamplingParams, choose

task = pytest.mark.task(2)
LOGITS = torch.tensor([1.0, -0.5, 2.0, 0.25, 2.0, -3.0])
SETTINGS = [
    SamplingParams(),
    SamplingParams(temperature=0.5),
    SamplingParams(top_k=3),
    SamplingParams(top_p=0.6),
    SamplingParams(temperature=1.7, top_k=4, top_p=0.8, repetition_penalty=1.4),
    SamplingParams(repetition_penalty=2.0),
    SamplingParams(temperature=0),
    SamplingParams(temperature=0, repetition_penalty=3.0),
]


def written_out(logits, used, params):
    """Probabilities with plain numbers: no tensor operation but the softmax."""
    values = logits.double().tolist()
    for token in set(used):
        value = values[token]
        values[token] = value / params.repetition_penalty if value > 0 else value * params.repetition_penalty
    if params.temperature == 0:
        return [float(i == values.index(max(values))) for i in range(len(values))]
    values = [value / params.temperature for value in values]
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))
    kept = order[: params.top_k] if params.top_k else order
    weights = torch.tensor([values[i] for i in kept], dtype=torch.float64).softmax(0).tolist()
    reached, last = 0.0, []
    for i, weight in zip(kept, weights, strict=True):
        if reached < params.top_p:
            last.append((i, weight))
        reached += weight
    total = sum(weight for _, weight in last)
    found = dict(last)
    return [found.get(i, 0.0) / total for i in range(len(values))]


@task
@pytest.mark.parametrize("params", SETTINGS)
@pytest.mark.parametrize("used", [[], [2], [0, 2, 2, 1]])
def test_it_is_what_the_settings_leave(params, used):
    before = LOGITS.clone()
    found = distribution(LOGITS, used, params)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.tolist(), written_out(LOGITS, used, params), rtol=1e-12, atol=1e-15)
    assert torch.equal(LOGITS, before)


@task
def test_it_is_exact_though_the_logits_are_not():
    logits = torch.tensor([0.1, 0.7, -0.3], dtype=torch.bfloat16)
    expected = (logits.double() / 0.3).softmax(0)
    found = distribution(logits, [0], SamplingParams(temperature=0.3))
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)


@task
@pytest.mark.parametrize("params", SETTINGS[:5])
def test_project_1_chooses_only_what_is_possible_here_and_all_of_it(params):
    probabilities = distribution(LOGITS, [0, 2], params)
    generator = torch.Generator().manual_seed(0)
    chosen = {choose(LOGITS, torch.tensor([0, 2]), params, generator) for _ in range(2000)}
    possible = {i for i, p in enumerate(probabilities.tolist()) if p > 0}
    assert chosen <= possible
    assert {i for i, p in enumerate(probabilities.tolist()) if p > 0.01} <= chosen


@task
def test_greedy_is_project_1s_choice():
    for seed in range(20):
        logits = torch.randn(9, generator=torch.Generator().manual_seed(seed))
        params = SamplingParams(temperature=0, repetition_penalty=1.5)
        expected = choose(logits, torch.tensor([1, 4, 4]), params, torch.Generator())
        found = distribution(logits, [1, 4, 4], params)
        assert found.tolist() == [float(i == expected) for i in range(9)]


@task
@given(st.lists(st.integers(0, 4), min_size=1, max_size=6).filter(any), st.data())
def test_a_draw_lays_the_tokens_side_by_side(weights, data):
    total = sum(weights)
    probabilities = torch.tensor(weights, dtype=torch.float64) / total
    part = data.draw(st.integers(0, total - 1))
    expected = next(i for i in range(len(weights)) if sum(weights[: i + 1]) > part)
    assert draw(probabilities, (part + 0.5) / total) == expected


@task
def test_what_is_impossible_is_never_drawn_and_a_border_belongs_to_the_next():
    probabilities = torch.tensor([0.0, 0.25, 0.0, 0.5, 0.25, 0.0], dtype=torch.float64)
    numbers = (0.0, 0.2499, 0.25, 0.7499, 0.75, 1 - 2.0**-53)
    assert [draw(probabilities, number) for number in numbers] == [1, 1, 3, 3, 4, 4]


@task
def test_a_sum_that_rounding_has_left_below_or_above_1_does_not_matter():
    probabilities = torch.tensor([0.25, 0.25, 0.0], dtype=torch.float64)
    assert [draw(probabilities, number) for number in (0.49, 0.51, 1 - 2.0**-53)] == [0, 1, 1]
    assert draw(3 * probabilities, 0.51) == 1


def test_uniform_numbers_come_from_the_generator_in_float64():
    generator = torch.Generator().manual_seed(3)
    numbers = [*uniforms(2, generator), *uniforms(0, generator), *uniforms(3, generator)]
    expected = torch.Generator().manual_seed(3)
    assert numbers == [
        *torch.rand(2, generator=expected, dtype=torch.float64).tolist(),
        *torch.rand(3, generator=expected, dtype=torch.float64).tolist(),
    ]
    assert all(0 <= number < 1 for number in numbers)
