import pytest

from phase04_advanced_inference.project12_dynamic_batching.given.simulate import (
    continuous_steps,
    harmonic,
    simulate,
    static_steps,
)
from phase04_advanced_inference.project12_dynamic_batching.given.workload import Request, workload
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.scheduler import Scheduler


def test_by_arithmetic():
    assert static_steps([3, 1, 2, 5, 4], 2) == 3 + 5 + 4
    assert continuous_steps([3, 1, 2, 5, 4], 2) == 8
    assert continuous_steps([3, 1, 2], 1) == 6
    assert harmonic(1) == 1
    assert harmonic(8) == pytest.approx(2.7179, abs=1e-4)


@pytest.mark.parametrize("size", [8, 32])
def test_the_gain_on_exponential_lengths_is_near_the_harmonic_number(size):
    lengths = [request.answer for request in workload("exponential", 4096, answer=128, longest=4096)]
    gain = static_steps(lengths, size) / continuous_steps(lengths, size)
    assert 0.9 * harmonic(size) < gain < 1.05 * harmonic(size)


def test_who_comes_later_is_served_later_and_waiting_counts():
    requests = [Request(0.0, 1, 2), Request(0.5, 1, 1), Request(7.5, 3, 1)]
    found = simulate(Scheduler(Rows(1, 100), 1, 100), requests)
    assert (found.steps, found.tokens, found.written) == (4, 2 + 1 + 3, 4)
    assert found.latency.first_token == [1.0, 2.5, 1.5]
    assert found.latency.end_to_end == [2.0, 2.5, 1.5]
    assert found.latency.between_tokens == [1]
