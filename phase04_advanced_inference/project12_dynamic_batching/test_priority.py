"""The queue against a list that is sorted anew each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase04_advanced_inference.project12_dynamic_batching.given.watched import Watched, looked_at
from phase04_advanced_inference.project12_dynamic_batching.priority import WaitingQueue
from phase04_advanced_inference.project12_dynamic_batching.sequence import Sequence
from shared.phase01 import SamplingParams
from shared.testing import raises

task = pytest.mark.task(5)
PARAMS = SamplingParams(max_tokens=5)


def make(arrival, priority=0, kind=Sequence):
    sequence = kind(1000 + arrival, [0, 0], PARAMS, 100, priority)
    sequence.arrival = arrival
    return sequence


def served(queue):
    """The arrivals of all that wait, in the order in which they are served."""
    order = []
    while (first := queue.first()) is not None:
        order.append(first.arrival)
        queue.remove(first)
    assert len(queue) == 0
    return order


@task
def test_first_come_first_served():
    queue = WaitingQueue()
    for arrival in range(5):
        queue.add(make(arrival, priority=3))
    assert len(queue) == 5
    assert queue.first() is queue.first(), "looking takes nobody out"
    assert served(queue) == [0, 1, 2, 3, 4]
    assert queue.first() is None


@task
@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, [0, 1, 2, 3, 4, 5]),
        (1, [0, 1, 2, 3, 4, 5]),
        (2, [1, 0, 3, 2, 5, 4]),
        (4, [1, 3, 0, 5, 2, 4]),
        (100, [1, 3, 5, 0, 2, 4]),
    ],
)
def test_a_priority_is_worth_so_many_places(age, expected):
    """Those of even arrival have the next worse priority. Of equal ranks the one that came first goes first."""
    queue = WaitingQueue(age)
    for arrival in range(6):
        queue.add(make(arrival, priority=1 - arrival % 2))
    assert served(queue) == expected


@task
def test_one_that_is_sent_back_stands_in_front_of_those_that_came_later():
    queue = WaitingQueue()
    sequences = [make(arrival) for arrival in range(5)]
    for sequence in sequences:
        queue.add(sequence)
    queue.remove(sequences[0])
    queue.remove(sequences[1])
    queue.add(sequences[1])
    queue.add(sequences[0])
    queue.add(make(5))
    assert served(queue) == [0, 1, 2, 3, 4, 5]


@task
@given(
    st.lists(st.tuples(st.sampled_from("+++-x"), st.integers(0, 3), st.integers(0, 99)), max_size=60),
    st.integers(0, 9),
)
def test_it_is_the_list_sorted_by_rank(moves, age):
    """+: one more comes; -: the first is served; x: any is taken out."""
    queue, slow, arrivals = WaitingQueue(age), [], 0
    assert queue.first() is None
    for move, priority, which in moves:
        if move == "+":
            slow.append(make(arrivals, priority))
            queue.add(slow[-1])
            arrivals += 1
        elif slow:
            gone = slow[0 if move == "-" else which % len(slow)]
            queue.remove(gone)
            slow.remove(gone)
        slow.sort(key=lambda one: (one.arrival + age * one.priority, one.arrival))
        assert len(queue) == len(slow)
        assert queue.first() is (slow[0] if slow else None)
    assert served(queue) == [one.arrival for one in slow]


@task
@pytest.mark.parametrize(("age", "priority"), [(5, 1), (5, 3), (0, 9)])
def test_nobody_starves(age, priority):
    """Whatever comes of the best priority, one at a time or in crowds, so many overtake and no more."""
    queue, last = WaitingQueue(age), make(0, priority)
    queue.add(last)
    arrivals, overtaken = 1, 0
    for crowd in range(1, 60):
        for _ in range(crowd % 4 + 1):
            queue.add(make(arrivals))
            arrivals += 1
        first = queue.first()
        assert first is not None
        if first is last:
            break
        queue.remove(first)
        overtaken += 1
    assert overtaken == max(0, age * priority - 1), "of equal ranks, the one that came first"


@task
@pytest.mark.parametrize("count", [10, 500])
def test_no_more_is_looked_at_with_many_than_with_few(count):
    queue, sequences = WaitingQueue(), [make(arrival, kind=Watched) for arrival in range(count)]
    for sequence in sequences:
        with looked_at() as seen:
            queue.add(sequence)
        assert len(seen) <= 2
    for place in (0, count // 2, count - 1, 1):
        with looked_at() as seen:
            queue.first()
            queue.remove(sequences[place])
        assert len(seen) <= 2
    with looked_at() as seen:
        assert len(queue) == count - 4
        first = queue.first()
    assert len(seen) <= 1
    assert first is sequences[2]


@task
def test_hundreds_that_were_taken_out_are_no_burden():
    """As after aborts: all but the last one are gone, and nobody looks at them again."""
    queue, sequences = WaitingQueue(), [make(arrival, kind=Watched) for arrival in range(500)]
    for sequence in sequences:
        queue.add(sequence)
    for sequence in sequences[:-1]:
        queue.remove(sequence)
    with looked_at() as seen:
        first = queue.first()
    assert first is sequences[-1]
    assert len(seen) <= 1


def test_a_priority_is_worth_no_less_than_nothing():
    with raises(ValueError, -1):
        WaitingQueue(-1)
