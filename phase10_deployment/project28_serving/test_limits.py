"""Limits and keys: buckets on a clock of our own, and comparisons that are counted."""

import contextlib
import hmac
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase10_deployment.project28_serving import limits
from phase10_deployment.project28_serving.given.errors import ApiError
from phase10_deployment.project28_serving.limits import ApiKeys, RateLimits, TokenBucket, hash_key
from shared.testing import raises

pytestmark = pytest.mark.task(5)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def bucket(rate=2.0, capacity=10.0):
    clock = Clock()
    return TokenBucket(rate, capacity, clock), clock


def test_a_bucket_is_full_at_first_and_fills_again():
    one, clock = bucket()
    assert one.wait(10) == 0
    one.take(10)
    assert one.wait(1) == pytest.approx(0.5)
    assert one.wait(10) == pytest.approx(5)
    clock.now += 0.5
    assert one.wait(1) == pytest.approx(0)
    one.take(1)
    clock.now += 100
    assert one.wait(10) == 0
    one.take(10)
    assert one.wait(1) > 0


def test_what_comes_back_comes_to_what_is_there_now():
    one, clock = bucket()
    one.take(8)
    clock.now += 1
    one.give_back(2)
    assert one.level == pytest.approx(6)


def test_more_than_it_holds_never_comes():
    one, _ = bucket()
    assert one.wait(10.5) == math.inf
    assert one.wait(10) == 0


def test_it_may_be_overdrawn():
    one, clock = bucket()
    one.take(14)
    assert one.level == pytest.approx(-4)
    assert one.wait(2) == pytest.approx(3)
    clock.now += 3
    assert one.wait(2) == pytest.approx(0)


def test_what_is_given_back_is_there_and_no_more_than_it_holds():
    one, _ = bucket()
    one.take(8)
    one.give_back(3)
    assert one.level == pytest.approx(5)
    one.give_back(30)
    assert one.level == 10


def test_a_clock_that_goes_back_adds_and_takes_nothing():
    one, clock = bucket()
    one.take(10)
    clock.now -= 50
    assert one.wait(1) == pytest.approx(0.5)
    clock.now += 1
    assert one.wait(2) == pytest.approx(0)


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 6)), max_size=40))
def test_in_the_long_run_no_more_than_the_rate_passes(moves):
    one, clock = bucket(rate=2.0, capacity=6.0)
    start, passed = clock.now, 0
    for seconds, amount in moves:
        clock.now += seconds
        if one.wait(amount) <= 1e-9:
            one.take(amount)
            passed += amount
        assert passed <= 6 + 2 * (clock.now - start) + 1e-6


@given(st.floats(0.1, 9), st.integers(1, 10))
def test_who_waits_as_long_as_it_says_gets_it(taken, amount):
    one, clock = bucket()
    one.take(10)
    one.give_back(taken)
    clock.now += one.wait(amount)
    assert one.wait(amount) < 1e-6


@pytest.mark.parametrize(("rate", "capacity"), [(0.0, 5.0), (-1.0, 5.0), (5.0, 0.0), (math.nan, 5.0)])
def test_no_such_bucket(rate, capacity):
    with raises(ValueError, f"{capacity}"):
        TokenBucket(rate, capacity)


def refused(rates, key, tokens):
    with pytest.raises(ApiError) as caught:
        rates.admit(key, tokens)
    return caught.value


def test_requests_and_tokens_are_counted_for_each_key():
    clock = Clock()
    rates = RateLimits(requests_per_minute=3, tokens_per_minute=600, clock=clock)
    for _ in range(3):
        rates.admit("ada", 100)
    error = refused(rates, "ada", 100)
    assert (error.status, error.code) == (429, "rate_limit_exceeded")
    assert error.retry_after == pytest.approx(20)
    assert error.headers["retry-after"] == "20"
    rates.admit("bob", 600)
    error = refused(rates, "bob", 60)
    assert error.retry_after == pytest.approx(6)
    clock.now += 20
    rates.admit("ada", 100)
    assert refused(rates, "ada", 1).status == 429


def test_the_longer_wait_counts_and_nothing_is_taken():
    clock = Clock()
    rates = RateLimits(requests_per_minute=60, tokens_per_minute=60, clock=clock)
    rates.admit("ada", 60)
    for _ in range(100):
        assert refused(rates, "ada", 30).retry_after == pytest.approx(30)
    requests, tokens = (rates.bucket("ada", what) for what in ("requests", "tokens"))
    assert requests is not None
    assert tokens is not None
    assert requests.level == pytest.approx(59)
    assert tokens.level == pytest.approx(0)
    clock.now += 30
    rates.admit("ada", 30)


def test_of_two_waits_the_longer_is_told():
    rates = RateLimits(requests_per_minute=1, tokens_per_minute=60, clock=Clock())
    rates.admit("ada", 60)
    assert refused(rates, "ada", 30).retry_after == pytest.approx(60)
    rates = RateLimits(requests_per_minute=60, tokens_per_minute=60, clock=Clock())
    for tokens in (60, *[0] * 59):
        rates.admit("ada", tokens)
    assert refused(rates, "ada", 30).retry_after == pytest.approx(30)


def test_retry_after_is_whole_seconds_rounded_up():
    clock = Clock()
    rates = RateLimits(requests_per_minute=600, clock=clock)
    for _ in range(600):
        rates.admit("a", 1)
    assert refused(rates, "a", 1).headers["retry-after"] == "1"
    rates = RateLimits(requests_per_minute=40, clock=clock)
    for _ in range(40):
        rates.admit("a", 1)
    assert refused(rates, "a", 1).headers["retry-after"] == "2"


def test_more_than_a_minute_holds_is_refused_for_good():
    rates = RateLimits(requests_per_minute=5, tokens_per_minute=100, clock=Clock())
    error = refused(rates, "ada", 101)
    assert (error.status, error.code, error.retry_after) == (400, "request_too_large", None)
    assert "101" in error.message
    assert "100" in error.message
    for _ in range(5):
        rates.admit("ada", 1)


def test_what_was_not_needed_goes_back():
    rates = RateLimits(tokens_per_minute=100, clock=Clock())
    rates.admit("ada", 100)
    assert refused(rates, "ada", 10).status == 429
    rates.settle("ada", 100, 30)
    rates.admit("ada", 70)
    assert refused(rates, "ada", 1).status == 429
    rates.settle("bob", 50, 50)


def test_without_limits_everything_passes():
    rates = RateLimits()
    for _ in range(1000):
        rates.admit("ada", 10**9)
    rates.settle("ada", 10**9, 0)
    assert rates.buckets == {}


KEYS = {"ada": hash_key("ladder-ada"), "bob": hash_key("ladder-bob"), "eve": hash_key("ladder-eve")}


def test_a_key_is_known_by_its_hash():
    keys = ApiKeys(KEYS)
    assert [keys.name_of(f"Bearer ladder-{name}") for name in KEYS] == list(KEYS)
    assert keys.name_of("bearer ladder-ada") == "ada"
    assert keys.name_of("BEARER  ladder-ada ") == "ada"
    assert "ladder-ada" not in json.dumps(vars(keys))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "ladder-ada",
        "Basic ladder-ada",
        "Bearer ladder-ad",
        "Bearer ladder-adaa",
        "Bearer " + KEYS["ada"],
        "Bearer ladder-ada ladder-ada",
        "Bearer é\udc80",
        "Bearer ladder-ADA",
        "ladder-ada Bearer",
    ],
)
def test_everybody_else_is_refused(header):
    with pytest.raises(ApiError) as caught:
        ApiKeys(KEYS).name_of(header)
    error = caught.value
    assert (error.status, error.code) == (401, "invalid_api_key")
    assert error.headers["www-authenticate"] == "Bearer"
    assert (
        not header
        or header == "Bearer"
        or header.removeprefix("Bearer ").strip() not in error.message
        or header == "Bearer "
    )
    assert KEYS["ada"][:8] not in error.message


def test_without_keys_everybody_may_ask():
    assert [ApiKeys({}).name_of(header) for header in (None, "Bearer x")] == ["", ""]


@pytest.mark.parametrize("key", ["ladder-ada", "ladder-eve", "wrong", "ladder-ad"])
def test_every_guess_takes_the_same_comparisons(monkeypatch, key):
    """What a guess costs must not depend on how good it is: as many comparisons, all of them constant in time."""
    seen = []

    def counted(one, other):
        seen.append((one, other))
        return hmac.compare_digest(one, other)

    class Counting:
        compare_digest = staticmethod(counted)

    monkeypatch.setattr(limits, "hmac", Counting)
    keys = ApiKeys(KEYS)
    with contextlib.suppress(ApiError):
        keys.name_of(f"Bearer {key}")
    assert sorted({value for pair in seen for value in pair} - {hash_key(key)}) == sorted(
        set(KEYS.values()) - {hash_key(key)}
    )
    assert len(seen) == len(KEYS)
