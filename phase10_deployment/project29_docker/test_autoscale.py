"""How many replicas a queue calls for: Kubernetes' own rules, with the examples of its documentation."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase10_deployment.project29_docker.autoscale import desired_replicas, stabilized
from shared.testing import raises


@pytest.mark.task(12)
@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([8.0], 2),
        ([4.0], 1),
        ([8.0, 8.0], 4),
        ([2.0] * 4, 2),
        ([0.0] * 4, 1),
        ([4.4] * 2, 2),
        ([4.5] * 2, 3),
        ([3.6] * 5, 5),
        ([3.5] * 5, 5),
        ([3.1] * 5, 4),
        ([0.0, 8.0], 2),
        ([12.0, 0.0, 0.0], 3),
        ([40.0] * 5, 20),
        ([1e9], 20),
    ],
)
def test_as_many_as_the_mean_calls_for(values: list[float], wanted: int):
    assert desired_replicas(values, 4.0, 1, 20) == wanted


@pytest.mark.task(12)
@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        # ratio 2, with 0 for the silent one 4/3: ceil(3 · 4/3)
        ([8.0, 8.0, None], 4),
        # ratio 2, with zeros 2/3, on the other side: as many as now
        ([8.0, None, None], 3),
        # ratio 2, with a zero exactly 1: within the tolerance
        ([8.0, None], 2),
        # ratio 0.25, with the target for the silent one 0.5: ceil(3 · 0.5)
        ([1.0, 1.0, None], 2),
        ([0.0, None, None, None], 3),
        # within the tolerance at first: nothing is assumed
        ([4.2, None, None], 3),
        ([3.8, None, None], 3),
        ([None, None], 2),
        # ratio 0.5, with the target 0.95: within the tolerance
        ([2.0] + [None] * 9, 10),
    ],
)
def test_who_tells_nothing_dampens(values: list[float | None], wanted: int):
    assert desired_replicas(values, 4.0, 1, 20) == wanted


@pytest.mark.task(12)
def test_the_limits_come_last():
    assert (
        desired_replicas([100.0], 1, 2, 8),
        desired_replicas([0.0] * 9, 1, 2, 8),
        desired_replicas([1.0], 1, 3, 3),
    ) == (8, 2, 3)
    assert (desired_replicas([None], 1, 2, 8), desired_replicas([1.0] * 9, 1, 2, 8)) == (2, 8)


@pytest.mark.task(12)
def test_sums_of_floats_add_no_replica():
    """0.1 · 3 is a little over 0.3 in floats: 3 replicas at 0.1 over a target of 0.05 are 6, not 7."""
    assert desired_replicas([0.1, 0.1, 0.1], 0.05, 1, 20) == 6
    assert desired_replicas([1.1] * 7, 1.0, 1, 20) == 7  # a distance of 0.1 is still within the tolerance
    assert desired_replicas([0.9] * 7, 1.0, 1, 20) == 7


VALUES = st.lists(st.one_of(st.none(), st.integers(0, 40)), min_size=1, max_size=8)


@pytest.mark.task(12)
@given(values=VALUES, target=st.integers(1, 10))
def test_it_equals_the_rules_in_fractions(values: list[int | None], target: int):
    told = [value for value in values if value is not None]
    now = len(values)

    def beyond(ratio: Fraction) -> int:
        """1 above the tolerance, -1 below it, 0 within."""
        return (ratio - 1 > Fraction(1, 10)) - (1 - ratio > Fraction(1, 10))

    wanted = now
    if told:
        ratio = Fraction(sum(told), len(told) * target)
        side = beyond(ratio)
        if side and len(told) < now:
            ratio = Fraction(sum(told) + (target * (now - len(told)) if side < 0 else 0), now * target)
        if side and beyond(ratio) == side:
            wanted = math.ceil(now * ratio)
    floats = [None if value is None else float(value) for value in values]
    assert desired_replicas(floats, float(target), 1, 1000) == max(1, wanted)


@pytest.mark.task(12)
def test_what_cannot_be():
    for values, target, least, most, said in (
        ([1.0], 0.0, 1, 2, 0.0), ([1.0], -1.0, 1, 2, -1.0), ([-0.5], 1.0, 1, 2, -0.5), ([], 1.0, 1, 2, 0),
        ([1.0], 1.0, 0, 2, 0), ([1.0], 1.0, 3, 2, 3),
    ):  # fmt: skip
        with raises(ValueError, said):
            desired_replicas(values, target, least, most)
    with raises(ValueError, "nan"):
        desired_replicas([1.0], math.nan, 1, 2)


@pytest.mark.task(12)
@pytest.mark.parametrize(
    ("history", "current", "wanted"),
    [
        ([(0, 4)], 2, 4),
        ([(0, 2)], 4, 2),
        ([(0, 4), (299, 2)], 4, 4),
        ([(0, 3), (200, 2)], 4, 3),
        ([(0, 6), (200, 2)], 4, 4),
        ([(0, 9), (301, 2)], 4, 2),
        ([(0, 1), (300, 5)], 4, 5),
        ([(0, 4), (300, 1)], 4, 4),
        ([(1, 5)], 5, 5),
    ],
)
def test_at_once_up_and_slowly_down(history: list[tuple[float, int]], current: int, wanted: int):
    assert stabilized(history, max(time for time, _ in history), current) == wanted


@pytest.mark.task(12)
def test_the_windows_edges_are_inside():
    assert stabilized([(0.0, 8), (300.0, 2)], 300.0, 8) == 8
    assert stabilized([(0.0, 8), (300.5, 2)], 300.5, 8) == 2
    assert stabilized([(0.0, 2), (60.0, 9)], 60.0, 4, up=60.0) == 4
    assert stabilized([(0.0, 6), (60.0, 9)], 60.0, 4, up=60.0) == 6
    assert stabilized([(0.0, 2), (61.0, 9)], 61.0, 4, up=60.0) == 9


@pytest.mark.task(12)
def test_the_newest_counts_however_old_and_what_is_to_come_does_not():
    assert stabilized([(0.0, 7)], 10_000.0, 3) == 7
    assert stabilized([(0.0, 2)], 10_000.0, 3, down=0.0) == 2
    assert stabilized([(0.0, 5), (50.0, 1), (51.0, 9)], 50.0, 5, down=10.0) == 1


@pytest.mark.task(12)
def test_windows_and_histories_that_cannot_be():
    with raises(ValueError, -1):
        stabilized([(0.0, 1)], 0.0, 1, up=-1)
    with raises(ValueError, -2):
        stabilized([(0.0, 1)], 0.0, 1, down=-2)
    for history in ([], [(5.0, 1)]):
        with raises(ValueError, 4.0):
            stabilized(history, 4.0, 1)
