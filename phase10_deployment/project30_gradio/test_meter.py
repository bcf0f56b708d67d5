"""Task 9: speeds and cache hits. The peer for /metrics is the library that writes it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from phase10_deployment.project30_gradio.meter import Hits, Speed, cache_hits, meter_line, read_metrics, speed
from shared.testing import raises

pytestmark = pytest.mark.task(9)


def test_the_first_tokens_and_the_rate_after_them():
    measured = speed(10.0, [(10.5, 1), (11.0, 2), (11.5, 5)])
    assert measured == Speed(first=0.5, rate=4.0, tokens=5)


def test_the_prompt_is_not_in_the_rate():
    assert speed(0.0, [(100.0, 3), (101.0, 13)]).rate == 10.0


def test_before_there_is_anything():
    assert speed(5.0, []) == Speed()
    assert speed(5.0, [(6.0, 0)]) == Speed()


def test_with_one_arrival_there_is_no_rate():
    assert speed(5.0, [(6.0, 4)]) == Speed(1.0, None, 4)


def test_arrivals_that_bring_nothing_count_for_nothing():
    measured = speed(0.0, [(1.0, 0), (2.0, 1), (3.0, 3), (9.0, 3)])
    assert measured == Speed(2.0, 2.0, 3)
    assert speed(0.0, [(1.0, 2), (3.0, 2)]) == Speed(1.0, None, 2)


def test_no_time_is_no_rate():
    assert speed(0.0, [(1.0, 1), (1.0, 9)]) == Speed(1.0, None, 9)


@given(st.floats(0.001, 10), st.integers(2, 50), st.floats(-1e3, 1e3))
def test_a_steady_stream_has_its_rate(gap: float, count: int, start: float):
    arrivals = [(start + gap * number, number) for number in range(1, count + 1)]
    measured = speed(start, arrivals)
    assert measured.rate is not None
    assert measured.first is not None
    assert math.isclose(measured.rate, 1 / gap, rel_tol=1e-6)
    assert math.isclose(measured.first, gap, rel_tol=1e-6)


def reading(hits: dict[str, int], queries: dict[str, int], running: int = 0) -> str:
    registry = CollectorRegistry()
    for name, values in (("hits", hits), ("queries", queries)):
        counter = Counter(f"vllm:prefix_cache_{name}", "n", ["model_name"], registry=registry)
        for model, value in values.items():
            counter.labels(model).inc(value)
    Gauge("vllm:num_requests_running", "n", registry=registry).set(running)
    Histogram("vllm:time_to_first_token_seconds", "n", ["model_name"], registry=registry).labels("m").observe(
        0.5
    )
    return generate_latest(registry).decode()


def test_a_reading():
    found = read_metrics(reading({"m": 3, "n": 4}, {"m": 10}, running=2))
    assert found["vllm:prefix_cache_hits_total"] == 7.0
    assert found["vllm:num_requests_running"] == 2.0
    assert found["vllm:time_to_first_token_seconds_sum"] == 0.5
    assert [name for name in found if name.endswith("_bucket")] == []


def test_a_reading_of_one_model():
    found = read_metrics(reading({"m": 3, "n": 4}, {"m": 10}, running=2), "n")
    assert found["vllm:prefix_cache_hits_total"] == 4.0
    assert found["vllm:num_requests_running"] == 2.0  # it has no such label
    assert found.get("vllm:prefix_cache_queries_total", 0.0) == 0.0


def test_what_is_no_reading():
    with raises(ValueError):
        read_metrics("<html>{ not found")


def test_hits_between_two_readings():
    before, after = reading({"m": 16}, {"m": 100}), reading({"m": 64}, {"m": 163})
    assert cache_hits(before, after) == Hits(48, 63)
    assert cache_hits(before, before) == Hits(0, 0)


def test_hits_of_one_model():
    before = reading({"m": 16, "n": 5}, {"m": 100, "n": 5})
    after = reading({"m": 17, "n": 9}, {"m": 102, "n": 13})
    assert cache_hits(before, after, "n") == Hits(4, 8)
    assert cache_hits(before, after) == Hits(5, 10)


def test_a_counter_that_is_not_there_yet_is_0():
    assert cache_hits("", reading({"m": 4}, {"m": 9})) == Hits(4, 9)
    assert cache_hits("", "") == Hits(0, 0)


def test_a_server_that_was_started_anew():
    before = reading({"m": 50}, {"m": 100})
    assert cache_hits(before, reading({"m": 3}, {"m": 9})) == Hits(3, 9)
    assert cache_hits(before, reading({"m": 60}, {"m": 90})) == Hits(60, 90)
    assert cache_hits(before, reading({"m": 3}, {"m": 200})) == Hits(3, 200)


def test_the_line():
    line = meter_line(Speed(0.084, 212.4, 31), 48, 63)
    assert line == "31 tokens · first after 84 ms · 212 tokens/s · 48 of 63 prompt tokens cached"


def test_what_is_not_known_is_not_in_it():
    assert meter_line(Speed(), 48, 63) == ""
    assert meter_line(Speed(0.5, None, 1), None, None) == "1 token · first after 500 ms"
    assert meter_line(Speed(0.5, 3.0, 2), None, 63) == "2 tokens · first after 500 ms · 3.0 tokens/s"
    assert meter_line(Speed(None, None, 2), 0, 0) == "2 tokens"
    assert meter_line(Speed(None, None, 2), 0, 9) == "2 tokens · 0 of 9 prompt tokens cached"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0004, "0 ms"), (0.9994, "999 ms"), (0.9996, "1.0 s"), (1.0, "1.0 s"), (12.34, "12.3 s")],
)
def test_times(seconds: float, said: str):
    assert meter_line(Speed(seconds, None, 1), None, None) == f"1 token · first after {said}"


@pytest.mark.parametrize(
    ("rate", "said"), [(0.25, "0.2"), (9.94, "9.9"), (9.96, "10"), (10.4, "10"), (1234.5, "1234")]
)
def test_rates(rate: float, said: str):
    assert meter_line(Speed(None, rate, 2), None, None) == f"2 tokens · {said} tokens/s"
