"""Metrics: names, what is counted when, and that it is counted once."""

import re

import pytest

from phase10_deployment.project28_serving.given.example import piece
from phase10_deployment.project28_serving.metrics import CONTENT_TYPE, Metrics, Watch

pytestmark = pytest.mark.task(6)
NAMES = [
    "num_requests_running",
    "num_requests_waiting",
    "kv_cache_usage_perc",
    "prefix_cache_queries_total",
    "prefix_cache_hits_total",
    "num_preemptions_total",
    "prompt_tokens_total",
    "generation_tokens_total",
    "time_to_first_token_seconds_count",
    "inter_token_latency_seconds_count",
    "e2e_request_latency_seconds_count",
    "spec_decode_num_draft_tokens_total",
    "spec_decode_num_accepted_tokens_total",
    "request_prompt_tokens_count",
    "request_generation_tokens_count",
]
STATS = {
    "running": 3, "waiting": 2, "free": 30, "blocks": 40, "steps": 7, "queried": 100, "hit": 64, "preempted": 1,
    "guessed": 9, "accepted": 5,
}  # fmt: skip


def value(metrics, name, **labels):
    """A sample's value, read from the text as Prometheus does."""
    for line in metrics.text().decode().splitlines():
        match = re.fullmatch(rf"{re.escape(name)}\{{(.*)\}} (\S+)", line)
        if match and dict(re.findall(r'(\w+)="([^"]*)"', match[1])) == {"model_name": "tiny", **labels}:
            return float(match[2])
    return None


def values(metrics, *names):
    return [value(metrics, f"vllm:{name}") for name in names]


def ended(metrics):
    reasons = ("stop", "length", "abort", "error")
    return [value(metrics, "vllm:request_success_total", finished_reason=reason) for reason in reasons]


def test_all_names_are_there_from_the_beginning():
    metrics = Metrics("tiny")
    assert values(metrics, *NAMES) == [0] * len(NAMES)
    assert ended(metrics) == [0] * 4
    assert b"vllm_" not in metrics.text()
    assert "version=0.0.4" in CONTENT_TYPE
    assert b"# EOF" not in metrics.text()


def test_what_the_engine_says():
    metrics = Metrics("tiny")
    metrics.engine(STATS)
    assert values(metrics, "num_requests_running", "num_requests_waiting", "kv_cache_usage_perc") == [
        3,
        2,
        0.25,
    ]
    counted = ("prefix_cache_queries_total", "prefix_cache_hits_total", "num_preemptions_total",
               "spec_decode_num_draft_tokens_total", "spec_decode_num_accepted_tokens_total")  # fmt: skip
    assert values(metrics, *counted) == [100, 64, 1, 9, 5]
    metrics.engine(STATS)
    assert values(metrics, *counted) == [100, 64, 1, 9, 5]
    metrics.engine(
        {**STATS, "running": 0, "waiting": 0, "free": 40, "queried": 130, "hit": 70, "accepted": 6}
    )
    assert values(metrics, *counted) == [130, 70, 1, 9, 6]
    assert values(metrics, "num_requests_running", "num_requests_waiting", "kv_cache_usage_perc") == [0, 0, 0]


def test_an_engine_that_was_started_anew_adds_what_it_says():
    metrics = Metrics("tiny")
    metrics.engine(STATS)
    metrics.engine({**STATS, "queried": 10, "hit": 64})
    assert values(metrics, "prefix_cache_queries_total", "prefix_cache_hits_total") == [110, 64]


def test_a_request_from_its_beginning_to_its_end():
    metrics = Metrics("tiny")
    watch = Watch(metrics, [10, 5], 2, 100.0)
    assert values(metrics, "prompt_tokens_total", "time_to_first_token_seconds_count") == [0, 0]
    watch.pieces([piece(0, "a", [1])], 100.5)
    assert values(metrics, "prompt_tokens_total", "generation_tokens_total") == [15, 1]
    assert values(metrics, "time_to_first_token_seconds_count", "time_to_first_token_seconds_sum") == [1, 0.5]
    watch.pieces([piece(1, "b", [1, 2, 3])], 101.0)
    assert values(metrics, "inter_token_latency_seconds_count") == [0]
    watch.pieces([piece(0, "cd", [2, 3]), piece(1, "", [], "length")], 101.5)
    assert values(metrics, "prompt_tokens_total", "generation_tokens_total") == [15, 6]
    assert values(metrics, "inter_token_latency_seconds_count", "inter_token_latency_seconds_sum") == [2, 1.0]
    assert ended(metrics) == [0, 1, 0, 0]
    watch.pieces([piece(0, "", [], "stop")], 102.0)
    assert ended(metrics) == [1, 1, 0, 0]
    assert values(metrics, "e2e_request_latency_seconds_count") == [0]
    watch.finish(103.0)
    assert values(metrics, "e2e_request_latency_seconds_count", "e2e_request_latency_seconds_sum") == [1, 3.0]
    assert values(metrics, "request_generation_tokens_count", "request_generation_tokens_sum") == [2, 6]
    assert values(metrics, "request_prompt_tokens_count", "request_prompt_tokens_sum") == [2, 15]
    assert values(metrics, "time_to_first_token_seconds_count") == [1]


def test_the_time_between_tokens_is_shared():
    metrics = Metrics("tiny")
    watch = Watch(metrics, [3], 1, 0.0)
    watch.pieces([piece(0, "a", [1])], 1.0)
    watch.pieces([piece(0, "bcd", [2, 3, 4])], 1.6)
    watch.pieces([piece(0, "e", [5])], 1.7)
    assert values(metrics, "inter_token_latency_seconds_count") == [4]
    assert values(metrics, "inter_token_latency_seconds_sum") == [pytest.approx(0.7)]
    inside = value(metrics, "vllm:inter_token_latency_seconds_bucket", le="0.32")
    assert inside == 4
    assert value(metrics, "vllm:inter_token_latency_seconds_bucket", le="0.16") == 1


def test_what_was_given_up_is_an_abort_and_counted_once():
    metrics = Metrics("tiny")
    watch = Watch(metrics, [4], 3, 0.0)
    watch.pieces([piece(0, "a", [1], "stop"), piece(1, "b", [1, 2])], 1.0)
    watch.finish(2.0)
    watch.finish(3.0)
    assert ended(metrics) == [1, 0, 2, 0]
    assert values(metrics, "e2e_request_latency_seconds_count", "request_generation_tokens_sum") == [0, 1]
    assert values(metrics, "generation_tokens_total") == [3]


def test_one_that_ends_without_a_word_has_a_prompt():
    metrics = Metrics("tiny")
    watch = Watch(metrics, [4], 1, 0.0)
    watch.pieces([piece(0, "", [], "stop")], 1.0)
    watch.finish(1.5)
    watch.finish(1.5)
    assert values(
        metrics, "prompt_tokens_total", "generation_tokens_total", "e2e_request_latency_seconds_count"
    ) == [4, 0, 1]
    assert ended(metrics) == [1, 0, 0, 0]
    assert values(metrics, "request_prompt_tokens_count", "time_to_first_token_seconds_count") == [1, 1]


def test_one_that_never_came_in_has_none():
    metrics = Metrics("tiny")
    watch = Watch(metrics, [4], 2, 0.0)
    watch.finish(1.0)
    assert values(metrics, "prompt_tokens_total", "request_prompt_tokens_count") == [0, 0]
    assert ended(metrics) == [0, 0, 2, 0]


def test_an_error_has_no_length_and_an_end_is_counted_once():
    metrics = Metrics("tiny")
    watch = Watch(metrics, [4], 1, 0.0)
    watch.pieces([piece(0, "a", [1])], 1.0)
    watch.pieces([piece(0, "", [], "error")], 1.0)
    watch.pieces([piece(0, "", [], "error")], 1.0)
    watch.finish(2.0)
    assert ended(metrics) == [0, 0, 0, 1]
    assert values(metrics, "request_generation_tokens_count") == [0]


def test_two_servers_in_one_process_count_apart():
    one, two = Metrics("tiny"), Metrics("tiny")
    Watch(one, [4], 1, 0.0).pieces([piece(0, "a", [1])], 1.0)
    assert values(one, "prompt_tokens_total") == [4]
    assert values(two, "prompt_tokens_total") == [0]


def test_refusals_are_counted_by_their_status():
    metrics = Metrics("tiny")
    for status in (429, 429, 400):
        metrics.refuse(status)
    assert value(metrics, "ladder:request_refused_total", status="429") == 2
    assert value(metrics, "ladder:request_refused_total", status="400") == 1
