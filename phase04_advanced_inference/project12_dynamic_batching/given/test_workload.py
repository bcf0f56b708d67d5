import math
import statistics

import pytest

from phase04_advanced_inference.project12_dynamic_batching.given.workload import LENGTHS, Request, workload
from shared.testing import raises


@pytest.mark.parametrize("name", LENGTHS)
def test_the_same_seed_gives_the_same_and_the_means_are_those_asked_for(name):
    requests = workload(name, 4000, prompt=64, answer=128, longest=4096, seed=3)
    assert requests == workload(name, 4000, prompt=64, answer=128, longest=4096, seed=3)
    assert statistics.mean(request.prompt for request in requests) == pytest.approx(64, rel=0.12)
    assert statistics.mean(request.answer for request in requests) == pytest.approx(128, rel=0.12)
    assert min(min(request.prompt, request.answer) for request in requests) >= 1
    assert {request.arrival for request in requests} == {0.0}


def test_another_seed_gives_others_and_lengths_have_a_bound():
    assert workload("chat", 50, seed=1) != workload("chat", 50, seed=2)
    short = workload("exponential", 500, prompt=50, answer=50, longest=60)
    assert max(max(request.prompt, request.answer) for request in short) == 60


def test_all_alike():
    assert workload("alike", 2, prompt=5, answer=7) == [Request(0.0, 5, 7)] * 2


def test_they_come_one_after_the_other_at_the_rate():
    arrivals = [request.arrival for request in workload("alike", 4000, rate=2.5)]
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] / 4000 == pytest.approx(1 / 2.5, rel=0.1)


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"name": "bimodal"}, ("bimodal", *LENGTHS)),
        ({"count": 0}, (0,)),
        ({"answer": 0.5}, (0.5,)),
        ({"prompt": math.nan}, ("nan",)),
        ({"rate": 0}, (0,)),
        ({"longest": 0}, (0,)),
    ],
)
def test_what_makes_no_traffic_is_refused(settings, facts):
    with raises(ValueError, *facts):
        workload(**({"name": "chat", "count": 3} | settings))
