"""The load generator: the same for a seed, and it finds counters that are wrong."""

import pytest

from phase10_deployment.project28_serving.given.loading import (
    Load,
    Loaded,
    bodies,
    disagreements,
    percentiles,
)
from phase10_deployment.project28_serving.given.plain_client import Exchange

ZERO = {
    "vllm:prompt_tokens_total": 0.0, "vllm:generation_tokens_total": 0.0, "vllm:request_generation_tokens_sum": 0.0,
    "vllm:e2e_request_latency_seconds_count": 0.0, "vllm:num_requests_running": 0.0, "vllm:num_requests_waiting": 0.0,
    "vllm:kv_cache_usage_perc": 0.0, "vllm:request_success_total:length": 0.0,
}  # fmt: skip
AFTER = {
    **ZERO, "vllm:prompt_tokens_total": 10.0, "vllm:generation_tokens_total": 7.0,
    "vllm:request_generation_tokens_sum": 7.0, "vllm:e2e_request_latency_seconds_count": 2.0,
    "vllm:request_success_total:length": 2.0,
}  # fmt: skip


def loaded(**changes):
    fields = {"status": 200, "done": True, "tokens": 3, "prompt": 5, "seconds": 0.1, "first": 0.05, **changes}
    return Loaded(
        [Exchange(status=200, done=True, tokens=4, prompt=5, first=0.01, seconds=0.2), Exchange(**fields)],
        2.0,
    )


def test_the_same_seed_asks_the_same():
    load = Load(50, mixed=True, disconnects=0.3, seed=4)
    assert bodies(load) == bodies(load)
    assert bodies(load) != bodies(Load(50, mixed=True, disconnects=0.3, seed=5))
    assert {path for path, _, _ in bodies(load)} == {"/v1/completions", "/v1/chat/completions"}
    assert 5 <= sum(leave is not None for _, _, leave in bodies(load)) <= 28
    assert all(leave is None and body["stream"] for _, body, leave in bodies(Load(20)))


def test_what_is_right_is_right():
    assert disagreements(ZERO, AFTER, loaded()) == []
    assert loaded().throughput == 3.5
    assert loaded().failed == []


@pytest.mark.parametrize("name", [name for name in AFTER if AFTER[name]])
def test_one_too_few_is_found(name):
    assert disagreements(ZERO, {**AFTER, name: AFTER[name] - 1}, loaded())


@pytest.mark.parametrize("gauge", ["num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"])
def test_a_gauge_that_stays_is_found(gauge):
    assert disagreements(ZERO, {**AFTER, f"vllm:{gauge}": 0.1}, loaded())


def test_of_those_that_left_only_the_least_is_known():
    left = loaded(left=True, done=False, tokens=0)
    assert disagreements(ZERO, {**AFTER, "vllm:prompt_tokens_total": 99.0}, left) == []
    assert disagreements(ZERO, {**AFTER, "vllm:request_generation_tokens_sum": 3.0}, left)


@pytest.mark.parametrize(
    ("status", "done", "fails"),
    [(200, True, 0), (200, False, 1), (0, False, 1), (500, True, 1), (429, True, 0)],
)
def test_what_failed(status, done, fails):
    assert len(loaded(status=status, done=done).failed) == fails


def test_percentiles_are_in_milliseconds():
    assert percentiles([]) == {"p50": 0, "p95": 0, "p99": 0}
    assert percentiles([0.5])["p99"] == 500
    assert percentiles([i / 1000 for i in range(101)]) == pytest.approx({"p50": 50, "p95": 95, "p99": 99})
