import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase04_advanced_inference.project10_prompt_caching.hit_rate import Counts, HitRate
from shared.testing import raises

requests = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 9)).map(
        lambda one: (one[0], min(one[:2]), one[2])
    ),
    max_size=30,
)


# ---- task 5: metrics


@pytest.mark.task(5)
@settings(max_examples=40)
@given(requests, st.integers(1, 12))
def test_they_are_sums_over_all_and_over_the_last_ones(asked, window):
    found = HitRate(window)
    for number, one in enumerate(asked, start=1):
        found.record(*one)
        for counts, part in (
            (found.total, asked[:number]),
            (found.recent, asked[max(0, number - window) : number]),
        ):
            expected = Counts(len(part), *[sum(column) for column in zip(*part, strict=True)])
            assert counts == expected
            assert counts.rate == (expected.hit / expected.queried if expected.queried else 0.0)
    assert len(found.last) == min(window, len(asked))


@pytest.mark.task(5)
def test_a_rate_is_of_tokens_not_of_requests():
    found = HitRate()
    assert found.total.rate == found.recent.rate == 0.0
    found.record(2000, 0)
    found.record(16, 16)
    assert found.total.rate == 16 / 2016
    assert found.total.evicted == 0


@pytest.mark.task(5)
def test_lately_forgets_and_in_all_does_not():
    found = HitRate(window=2)
    for hit in (10, 0, 0):
        found.record(10, hit, evicted=3)
    assert (found.total.rate, found.recent.rate) == (10 / 30, 0.0)
    assert (found.total.evicted, found.recent.evicted) == (9, 6)


@pytest.mark.task(5)
def test_no_request_is_looked_at_twice():
    found = HitRate(window=1000)
    for _ in range(1000):
        found.record(10, 5)

    class Watched(type(found.last)):
        def __iter__(self):
            raise AssertionError("all requests of the window are gone through")

    found.last = Watched(found.last)
    found.record(10, 10)
    assert (found.recent.requests, found.recent.hit) == (1000, 5005)


@pytest.mark.task(5)
@pytest.mark.parametrize("odd", [(-7, 0, 0), (5, -7, 0), (5, 7, 0), (5, 0, -7), (0, 7, 0)])
def test_what_cannot_be_is_refused_and_not_counted(odd):
    found = HitRate()
    found.record(10, 5, 1)
    with raises(ValueError, 7 if 7 in odd else -7):
        found.record(*odd)
    assert found.total == found.recent == Counts(1, 10, 5, 1)
    assert list(found.last) == [(10, 5, 1)]


@pytest.mark.parametrize("window", [0, -3])
def test_a_window_has_a_request(window):
    with raises(ValueError, window):
        HitRate(window)
