"""Batches that wait for their longest."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase04_advanced_inference.project12_dynamic_batching.given.refusals import (
    DuplicateKeyError,
    NeverFitsError,
)
from phase04_advanced_inference.project12_dynamic_batching.given.simulate import simulate, static_steps
from phase04_advanced_inference.project12_dynamic_batching.given.workload import Request, workload
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.sequence import Sequence, SequenceStatus
from phase04_advanced_inference.project12_dynamic_batching.static_batching import StaticBatcher
from shared.phase01 import SamplingParams
from shared.testing import raises

task = pytest.mark.task(4)


def make(key, prompt=3, most=2):
    return Sequence(key, [0] * prompt, SamplingParams(max_tokens=most, stop_ids=(9,)), 100)


def batcher(*sequences, size=2, rows=None):
    found = StaticBatcher(Rows(rows or size, 100), size)
    for sequence in sequences:
        found.add(sequence)
    return found


def step(found, token=0):
    """One step; who took part, and by how many tokens."""
    scheduled = found.schedule()
    found.update(scheduled, [[token] for _ in scheduled])
    return [(sequence.key, count) for sequence, count in scheduled]


@task
def test_a_batch_goes_on_until_its_longest_has_ended_and_then_the_next_begins():
    found = batcher(make(0, most=1), make(1, most=3), make(2, prompt=5, most=2))
    assert [step(found) for _ in range(6)] == [[(0, 3), (1, 3)], [(1, 1)], [(1, 1)], [(2, 5)], [(2, 1)], []]
    assert not found.sequences


@task
def test_a_batch_has_no_more_than_its_size_though_memory_has_room():
    found = batcher(make(0), make(1), make(2), size=2, rows=5)
    assert [key for key, _ in step(found)] == [0, 1]
    assert set(found.memory.taken) == {0, 1}


@task
def test_the_rows_are_theirs_until_the_whole_batch_has_ended():
    found = batcher(make(0, most=1), make(1, most=2), make(2))
    step(found)
    assert set(found.memory.taken) == {0, 1}
    assert [sequence.key for sequence in found.running] == [1]
    step(found)
    assert not found.memory.taken


@task
def test_a_key_that_comes_again_while_the_step_of_the_aborted_one_runs_is_another_request():
    found = batcher(make(0), make(1))
    scheduled = found.schedule()
    found.abort(0)
    found.add(make(0, prompt=5))
    found.update(scheduled, [[5], [6]])
    assert set(found.sequences) == {0, 1}
    assert found.sequences[0].tokens == [0] * 5, "`update` must tell the two apart, and they have one key"


class Picky(Rows):
    """Rows that are not for sequence 1."""

    def admit(self, sequence):
        return sequence.key != 1 and super().admit(sequence)


@task
def test_behind_one_that_is_not_admitted_all_wait():
    found = batcher(make(0), make(1), make(2), size=3)
    found.memory = Picky(3, 100)
    assert [key for key, _ in step(found)] == [0]
    assert list(found.waiting) == [1, 2]


@task
def test_what_each_has_written_is_said_in_order():
    found = batcher(make(0, most=1), make(1, most=3))
    assert found.update(found.schedule(), [[5], [6]]) == [[5], [6]]
    assert found.update(found.schedule(), [[9]]) == [[]]
    assert not found.sequences


@task
def test_who_runs_is_running_and_who_has_ended_is_no_longer_there():
    first, second, third = make(0, most=1), make(1), make(2)
    found = batcher(first, second, third)
    scheduled = found.schedule()
    assert [one.status for one in (first, second, third)] == [
        SequenceStatus.RUNNING,
        SequenceStatus.RUNNING,
        SequenceStatus.WAITING,
    ]
    assert set(found.waiting) == {2}
    found.update(scheduled, [[0], [0]])
    assert set(found.sequences) == {1, 2}


@task
def test_a_batch_is_no_larger_than_memory_admits():
    found = batcher(make(0), make(1), make(2), size=3, rows=2)
    assert [key for key, _ in step(found)] == [0, 1]


@task
def test_who_comes_while_a_batch_is_under_way_waits_even_where_a_place_is_free():
    found = batcher(make(0, most=3))
    step(found)
    found.add(make(1))
    assert [step(found) for _ in range(3)] == [[(0, 1)], [(0, 1)], [(1, 3)]]


@task
def test_nobody_there():
    found = batcher()
    assert found.schedule() == []
    assert found.update([], []) == []


@task
def test_one_that_is_aborted_leaves_its_place_idle():
    found = batcher(make(0, most=5), make(1, most=2), make(2))
    step(found)
    assert found.abort(0)
    assert step(found) == [(1, 1)]
    assert step(found) == [(2, 3)]


@task
def test_aborting_the_last_of_a_batch_ends_it():
    found = batcher(make(0, most=5), make(1, most=1), make(2), make(3))
    step(found)
    found.abort(0)
    found.abort(2)
    assert step(found) == [(3, 3)]
    assert not found.abort(2)


@task
def test_one_that_is_aborted_while_a_step_runs_writes_nothing():
    found = batcher(make(0, most=5), make(1, most=5))
    scheduled = found.schedule()
    found.abort(1)
    assert found.update(scheduled, [[3], [4]]) == [[3], []]
    assert set(found.sequences) == {0}


@task
@settings(max_examples=30)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=20), st.integers(1, 5))
def test_it_takes_as_many_steps_as_the_longest_of_each_batch_have_tokens(lengths, size):
    requests = [Request(0.0, 2, length) for length in lengths]
    found = simulate(StaticBatcher(Rows(size, 100), size), requests)
    assert found.steps == static_steps(lengths, size)
    assert found.written == sum(lengths)


@task
def test_everybody_in_a_batch_has_the_first_token_at_once_and_the_second_batch_late():
    requests = [Request(0.0, 1, length) for length in (4, 1, 2, 2)]
    latency = simulate(StaticBatcher(Rows(2, 100), 2), requests).latency
    assert latency.first_token == [1, 1, 5, 5]
    assert sorted(latency.end_to_end) == [1, 4, 6, 6]


@task
def test_lengths_that_are_alike_waste_nothing():
    requests = workload("alike", 24, prompt=2, answer=6)
    assert simulate(StaticBatcher(Rows(8, 100), 8), requests).steps == 3 * 6


def test_what_cannot_be_served_is_refused():
    found = batcher(make(4))
    with raises(DuplicateKeyError, 4):
        found.add(make(4))
    with raises(NeverFitsError, 100, 102):
        found.add(Sequence(5, [0] * 3, SamplingParams(max_tokens=100), 1000))
    assert set(found.sequences) == {4}
    with raises(ValueError, 0):
        StaticBatcher(Rows(1, 1), 0)
