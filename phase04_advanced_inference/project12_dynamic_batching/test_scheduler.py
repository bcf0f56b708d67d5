"""A step's choice: the budget, chunks, who comes in, who is sent back, and who leaves, in whatever state."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase04_advanced_inference.project12_dynamic_batching.given.example import ShortRows
from phase04_advanced_inference.project12_dynamic_batching.given.fuzzing import SETTINGS, fuzz
from phase04_advanced_inference.project12_dynamic_batching.given.refusals import (
    DuplicateKeyError,
    NeverFitsError,
    QueueFullError,
    UnknownPriorityError,
)
from phase04_advanced_inference.project12_dynamic_batching.given.simulate import continuous_steps, simulate
from phase04_advanced_inference.project12_dynamic_batching.given.watched import Watched, looked_at
from phase04_advanced_inference.project12_dynamic_batching.given.workload import Request
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.scheduler import Scheduler
from phase04_advanced_inference.project12_dynamic_batching.sequence import Sequence, SequenceStatus
from shared.phase01 import SamplingParams
from shared.testing import raises

LIMIT = 200


def make(key, prompt=1, most=4, priority=0, limit=LIMIT, kind=Sequence):
    return kind(key, [0] * prompt, SamplingParams(max_tokens=most, stop_ids=(9,)), limit, priority)


def scheduler(*sequences, memory=None, **settings) -> Any:
    found = Scheduler(memory or Rows(settings.get("max_sequences", 8), LIMIT), **settings)
    for sequence in sequences:
        found.add(sequence)
    return found


def step(found, token=0):
    """One step, in which each text that is computed to its end gets a token; who took part, and by how many."""
    scheduled = found.schedule()
    found.update(scheduled, [[token] if count == one.pending else [] for one, count in scheduled])
    return [(sequence.key, count) for sequence, count in scheduled]


def drain(found):
    """Step until nobody is there; the keys in the order in which they came in."""
    order = []
    for _ in range(300):
        if not found.sequences:
            return order
        order += [key for key, _ in step(found) if key not in order]
    pytest.fail(f"after 300 steps {set(found.sequences)} are still there")


# ---- task 6: coming, and a sequence's share


@pytest.mark.task(6)
def test_who_comes_is_numbered_and_waits():
    sequences = [make(5), make(3), make(4)]
    found = scheduler(*sequences)
    assert [sequence.arrival for sequence in sequences] == [0, 1, 2]
    assert found.sequences == {5: sequences[0], 3: sequences[1], 4: sequences[2]}
    assert len(found.waiting) == 3
    assert found.waiting.first() is sequences[0]
    assert {sequence.status for sequence in sequences} == {SequenceStatus.WAITING}


def state(found):
    return dict(found.sequences), len(found.waiting), found.arrivals


@pytest.mark.task(6)
@pytest.mark.parametrize(
    ("sequence", "kind", "facts"),
    [
        (make(1), DuplicateKeyError, (1,)),
        (make(7, prompt=20, most=82, limit=500), NeverFitsError, (101, 100)),
        (make(7, prompt=101, most=1, limit=500), NeverFitsError, (101, 100)),
        (make(7, priority=10), UnknownPriorityError, (10,)),
        (make(7, priority=-1), UnknownPriorityError, (-1,)),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_and_nothing_changes(sequence, kind, facts):
    found = scheduler(make(0), make(1), memory=Rows(2, 100))
    before = state(found)
    with raises(kind, *facts):
        found.add(sequence)
    assert state(found) == before


@pytest.mark.task(6)
def test_what_just_fits_is_taken():
    found = scheduler(memory=Rows(2, 100))
    found.add(make(1, prompt=20, most=81, limit=500))
    found.add(make(2, prompt=100, most=1))
    found.add(make(3, prompt=90, most=500, limit=100, priority=9))
    assert found.arrivals == 3


@pytest.mark.task(6)
def test_the_queue_has_a_bound():
    found = scheduler(make(0), make(1), make(2), max_waiting=3)
    before = state(found)
    with raises(QueueFullError, 3):
        found.add(make(7))
    assert state(found) == before


@pytest.mark.task(6)
@pytest.mark.parametrize(
    ("chunk", "pending", "left", "expected"),
    [(None, 30, 64, 30), (None, 30, 30, 30), (None, 30, 29, 0), (None, 64, 64, 64), (None, 64, 63, 0),
     (None, 65, 64, 64), (None, 65, 10, 10), (None, 1, 1, 1),
     (16, 30, 64, 16), (16, 9, 64, 9), (16, 30, 10, 10), (16, 16, 64, 16), (16, 65, 64, 16), (100, 80, 64, 64)],
)  # fmt: skip
def test_what_one_that_waits_gets(chunk, pending, left, expected):
    assert scheduler(max_tokens=64, chunk=chunk).share(make(0, pending), left) == expected


@pytest.mark.task(6)
@pytest.mark.parametrize(
    ("chunk", "pending", "left", "expected"),
    [(None, 1, 5, 1), (None, 30, 10, 10), (None, 30, 64, 30), (None, 100, 7, 7), (4, 30, 10, 4), (4, 30, 3, 3)],
)  # fmt: skip
def test_what_one_that_runs_gets(chunk, pending, left, expected):
    sequence = make(0, pending + 5)
    sequence.num_computed, sequence.status = 5, SequenceStatus.RUNNING
    assert scheduler(max_tokens=64, chunk=chunk).share(sequence, left) == expected


@pytest.mark.task(6)
def test_a_draft_is_pending_too():
    sequence = make(0, 3)
    sequence.num_computed, sequence.status, sequence.draft = 2, SequenceStatus.RUNNING, [1, 2]
    assert scheduler().share(sequence, 64) == 3


# ---- task 7: the step


@pytest.mark.task(7)
def test_prompts_are_read_and_then_each_writes_a_token_in_each_step():
    found = scheduler(make(0, 5, most=3), make(1, 2, most=2))
    assert [step(found) for _ in range(4)] == [[(0, 5), (1, 2)], [(0, 1), (1, 1)], [(0, 1)], []]
    assert not found.sequences


@pytest.mark.task(7)
def test_whoever_is_done_makes_room_for_the_next_in_the_very_next_step():
    found = scheduler(make(0, most=1), make(1, most=3), make(2), make(3), max_sequences=2)
    assert [step(found) for _ in range(3)] == [[(0, 1), (1, 1)], [(1, 1), (2, 1)], [(1, 1), (2, 1)]]
    assert step(found) == [(2, 1), (3, 1)]


@pytest.mark.task(7)
def test_no_more_run_than_there_are_places_though_memory_has_room():
    found = scheduler(make(0), make(1), make(2), memory=Rows(5, LIMIT), max_sequences=2)
    assert [key for key, _ in step(found)] == [0, 1]
    assert len(found.running) == 2


@pytest.mark.task(7)
def test_the_budget_is_for_those_that_run_first():
    found = scheduler(make(0, 6), make(1, 3), make(2, 2), max_sequences=4, max_tokens=8)
    assert step(found) == [(0, 6)], (
        "a prompt of 3 does not fit into the 2 that are left, and nobody slips past"
    )
    assert step(found) == [(0, 1), (1, 3), (2, 2)]
    found.add(make(3, 6))
    assert step(found) == [(0, 1), (1, 1), (2, 1)]
    assert step(found)[:3] == [(0, 1), (1, 1), (2, 1)]


@pytest.mark.task(7)
def test_a_prompt_in_chunks_leaves_the_others_their_tokens():
    found = scheduler(make(0, 2, most=9), make(1, 10), make(2, 3), max_sequences=3, max_tokens=6, chunk=4)
    assert [step(found) for _ in range(4)] == [
        [(0, 2), (1, 4)],
        [(0, 1), (1, 4), (2, 1)],
        [(0, 1), (1, 2), (2, 2)],
        [(0, 1), (1, 1), (2, 1)],
    ]


@pytest.mark.task(7)
def test_who_runs_gets_a_token_in_every_step_however_long_the_prompt_before_him():
    found = scheduler(make(0, 150), make(1, 30), make(2), max_sequences=4, max_tokens=8, chunk=8)
    assert step(found) == [(0, 8)]
    found = scheduler(make(0, 3), make(1, 3), make(2, 30), max_sequences=3, max_tokens=8, chunk=8)
    assert step(found) == [(0, 3), (1, 3), (2, 2)]
    found.sequences[0].draft = [1] * 20
    assert found.schedule() == [
        (found.sequences[0], 6),
        (found.sequences[1], 1),
        (found.sequences[2], 1),
    ]


@pytest.mark.task(7)
def test_a_prompt_beyond_the_budget_is_read_in_parts_without_chunks_too():
    found = scheduler(make(0, 20), make(1, 2), max_sequences=2, max_tokens=8)
    assert [step(found) for _ in range(4)] == [[(0, 8)], [(0, 8)], [(0, 4), (1, 2)], [(0, 1), (1, 1)]]


@pytest.mark.task(7)
def test_only_what_is_computed_to_its_end_writes():
    found = scheduler(make(0, 5), make(1, 2), max_tokens=10, chunk=3)
    scheduled = found.schedule()
    assert found.update(scheduled, [[], [7]]) == [[], [7]]
    assert found.sequences[0].num_computed == 3
    assert found.sequences[1].tokens == [0, 0, 7]


@pytest.mark.task(7)
def test_who_has_ended_leaves_and_his_row_is_free():
    found = scheduler(make(0, most=1), make(1, most=5), max_sequences=2)
    assert found.update(found.schedule(), [[3], [9]]) == [[3], []]
    assert not found.running
    assert not found.sequences
    assert len(found.memory.unused) == 2


@pytest.mark.task(7)
def test_better_priorities_come_in_first():
    found = scheduler(make(0), make(1, priority=2), make(2, priority=1), make(3), max_sequences=1, age=10)
    assert drain(found) == [0, 3, 2, 1]


@pytest.mark.task(7)
def test_a_stream_of_better_priorities_starves_nobody():
    found, age = scheduler(max_sequences=1, age=10), 10
    found.add(make(0, most=2, priority=3))
    found.add(make(1000, most=2))
    steps = 0
    while not any(key == 0 for key, _ in step(found)):
        steps += 1
        found.add(make(steps, most=2))
        assert steps <= 2 * 3 * age, "at most 30 are served before, each in two steps"


class Hits(Rows):
    """A memory that has a part of the prompts already, as project 10's prefix cache, and notes what it is asked."""

    def __init__(self, rows, capacity, known, room=None):
        super().__init__(rows, capacity)
        self.known, self.room, self.asked = known, room, []

    def admit(self, sequence):
        found = super().admit(sequence)
        sequence.num_computed = self.known
        return found

    def grow(self, sequence, count):
        self.asked.append((sequence.key, sequence.num_computed, count))
        return self.room is None or sequence.num_computed + count <= self.room


@pytest.mark.task(7)
def test_what_memory_has_already_costs_no_budget():
    found = scheduler(make(0, 20), make(1, 14), memory=Hits(2, 100, known=12), max_sequences=2, max_tokens=10)
    assert step(found) == [(0, 8), (1, 2)]
    assert found.memory.asked == [(0, 12, 8), (1, 12, 2)]
    assert [one.num_computed for one in found.sequences.values()] == [20, 14]


@pytest.mark.task(7)
@pytest.mark.parametrize(("left", "room"), [(3, None), (12, 15)])
def test_who_was_admitted_and_is_not_scheduled_leaves_nothing_behind(left, room):
    """Without room for its share, or without a share."""
    memory = Hits(2, 100, known=12, room=room)
    found = scheduler(make(0, 20), memory=memory, max_sequences=2, max_tokens=left)
    if room is None:
        found.add(make(1, 14))
        found.max_tokens = 8
        found.sequences[0].tokens = [0] * 18  # 6 are pending after the hit, and then 2 are left of the budget
        found.sequences[1].tokens = [0] * 16
        assert [(one.key, count) for one, count in found.schedule()] == [(0, 6)]
        last = found.sequences[1]
    else:
        assert found.schedule() == []
        last = found.sequences[0]
    assert last.key not in memory.taken
    assert (last.num_computed, last.status) == (0, SequenceStatus.WAITING)
    assert found.waiting.first() is last


@pytest.mark.task(7)
def test_where_memory_runs_short_the_last_that_came_in_is_sent_back():
    """12 tokens of memory for all: after 4, 4 and 2 tokens of three texts there is no room for another of each."""
    found = scheduler(
        make(0, 4, most=8), make(1, 4, most=8), make(2, 2, most=8), memory=ShortRows(3, LIMIT, 12)
    )
    assert step(found) == [(0, 4), (1, 4), (2, 2)]
    assert step(found) == [(0, 1), (1, 1)]
    assert found.preempted == [2]
    assert found.sequences[2].status is SequenceStatus.WAITING
    assert found.sequences[2].num_computed == 0
    assert found.waiting.first() is found.sequences[2]
    assert found.sequences[2].tokens == [0, 0, 0], "what it has written is kept"
    assert set(found.memory.taken) == {0, 1}


@pytest.mark.task(7)
def test_nobody_comes_in_in_a_step_in_which_somebody_was_sent_back():
    found = scheduler(
        make(0, 4, most=8), make(1, 4, most=8), make(2, 2, most=8), memory=ShortRows(3, LIMIT, 12)
    )
    assert step(found) == [(0, 4), (1, 4), (2, 2)]
    found.add(make(3, 1))
    found.sequences[3].arrival = -1  # even one that would be the first of all, and small enough
    found.waiting.remove(found.sequences[3])
    found.waiting.add(found.sequences[3])
    found.sequences[0].draft = [1]
    assert step(found) == [(0, 2), (1, 1)]
    assert found.preempted == [2]


@pytest.mark.task(7)
def test_one_that_cannot_grow_though_the_last_itself_is_sent_back():
    found = scheduler(make(0, 5, most=8), make(1, 5, most=8), memory=ShortRows(2, LIMIT, 12))
    assert [step(found) for _ in range(2)] == [[(0, 5), (1, 5)], [(0, 1), (1, 1)]]
    assert step(found) == [(0, 1)]
    assert found.preempted == [1]
    assert drain(found) == [0, 1]
    assert len(found.memory.unused) == 2


@pytest.mark.task(7)
def test_several_may_be_sent_back_in_a_step_and_come_again_in_their_order():
    found = scheduler(make(0, 2, most=20), *(make(key, 2, most=20) for key in (1, 2)), make(3, 2),
                      memory=ShortRows(3, LIMIT, 26), max_sequences=3)  # fmt: skip
    for _ in range(3):
        step(found)
    found.sequences[0].draft = [1] * 20
    assert [key for key, _ in step(found)] == [0]
    assert found.preempted == [2, 1]
    assert drain(found) == [0, 1, 2, 3]


@pytest.mark.task(7)
@pytest.mark.parametrize(("waiting", "priorities"), [(10, 1), (10, 3), (1000, 3), (10_000, 1)])
def test_a_step_looks_at_those_it_schedules_and_one_more(waiting, priorities):
    """One more of each priority that waits, whether ten wait or ten thousand, whether somebody comes in or not."""
    found = scheduler(max_sequences=4, max_tokens=16, memory=Rows(4, LIMIT))
    for key in range(waiting):
        found.add(make(key, 3, most=2, priority=key % priorities, kind=Watched))
    for _ in range(5):
        with looked_at() as seen:
            scheduled = found.schedule()
        assert len(seen) <= len(scheduled) + priorities
        with looked_at() as seen:
            found.update(scheduled, [[0] for _ in scheduled])
        assert len(seen) == len(scheduled)


@pytest.mark.task(7)
@settings(max_examples=40)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=30), st.integers(1, 6))
def test_it_takes_as_many_steps_as_places_that_are_filled_at_once(lengths, size):
    found = scheduler(max_sequences=size, max_tokens=100, memory=Rows(size, 100))
    done = simulate(found, [Request(0.0, 1, length) for length in lengths])
    assert done.steps == continuous_steps(lengths, size)
    assert (done.written, done.tokens) == (sum(lengths), sum(lengths))


@pytest.mark.task(7)
@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 10)), min_size=1, max_size=20),
    st.integers(1, 4),
    st.integers(0, 20),
    st.sampled_from([None, 1, 3, 16]),
)
def test_everybody_ends_within_a_bound(lengths, size, more, chunk):
    """With n requests of at most L tokens each, each step computes a token of each that runs: (n / size + 1) · L
    steps.

    As long as prompts are read, tokens that run and places that are free may be few; then the budget is used up.
    """
    budget = size + more
    found = scheduler(max_sequences=size, max_tokens=budget, chunk=chunk, memory=Rows(size, 100))
    done = simulate(found, [Request(0.0, prompt, answer) for prompt, answer in lengths])
    total = [prompt + answer - 1 for prompt, answer in lengths]
    assert done.written == sum(answer for _, answer in lengths)
    assert done.tokens == sum(total), "nothing is computed twice"
    assert done.steps <= sum(total) // size + max(total) + sum(prompt for prompt, _ in lengths)
    assert not found.sequences
    assert len(found.memory.unused) == size


# ---- task 8: leaving


@pytest.mark.task(8)
def test_one_that_waits_is_aborted():
    found = scheduler(make(0), make(1), make(2))
    sequence = found.sequences[1]
    assert found.abort(1)
    assert sequence.status is SequenceStatus.FINISHED_ABORTED
    assert (set(found.sequences), len(found.waiting)) == ({0, 2}, 2)
    assert [key for key, _ in step(found)] == [0, 2]


@pytest.mark.task(8)
@pytest.mark.parametrize("computed", [1, 2])
def test_one_that_runs_is_aborted_and_his_row_is_free(computed):
    """In the middle of his prompt, or of his text."""
    found = scheduler(make(0, 4), make(1), max_tokens=8, chunk=3, max_sequences=2)
    for _ in range(computed):
        step(found)
    sequence = found.sequences[0]
    assert found.abort(0)
    assert sequence.status is SequenceStatus.FINISHED_ABORTED
    assert set(found.memory.taken) == {1}
    assert [key for key, _ in step(found)] == [1]


@pytest.mark.task(8)
def test_one_that_is_aborted_while_a_step_computes_him_writes_nothing_and_frees_his_row_once():
    found = scheduler(make(0), make(1), max_sequences=2)
    scheduled = found.schedule()
    assert found.abort(0)
    assert found.update(scheduled, [[5], [6]]) == [[], [6]]
    assert sorted([*found.memory.unused, *found.memory.taken.values()]) == [0, 1]
    assert set(found.sequences) == {1}


@pytest.mark.task(8)
def test_a_key_that_comes_again_while_the_step_of_the_aborted_one_runs_is_another_request():
    found = scheduler(make(0, most=1), max_sequences=2)
    scheduled = found.schedule()
    found.abort(0)
    found.add(make(0, 3))
    found.update(scheduled, [[5]])
    assert found.sequences[0].tokens == [0, 0, 0]
    assert step(found) == [(0, 3)]


@pytest.mark.task(8)
def test_one_that_was_sent_back_is_aborted():
    found = scheduler(make(0, 4, most=8), make(1, 4, most=8), memory=ShortRows(2, LIMIT, 11))
    for _ in range(10):
        if not found.preempted:
            step(found)
    assert found.abort(1)
    assert (set(found.sequences), len(found.waiting)) == ({0}, 0)
    assert found.waiting.first() is None


@pytest.mark.task(8)
def test_who_is_not_there_cannot_be_aborted():
    found = scheduler(make(0, most=1))
    assert not found.abort(5)
    step(found)
    assert not found.abort(0)
    found.add(make(1))
    assert found.abort(1)
    assert not found.abort(1)


@pytest.mark.task(8)
def test_an_aborted_one_leaves_his_place_in_the_queue():
    found = scheduler(make(0), make(1), max_waiting=2)
    found.abort(0)
    found.add(make(2))
    with raises(QueueFullError, 2):
        found.add(make(3))


@pytest.mark.task(8)
@pytest.mark.parametrize("waiting", [10, 3000])
def test_aborting_looks_at_nobody_else_and_costs_later_steps_nothing(waiting):
    found = scheduler(max_sequences=2, max_tokens=8, memory=Rows(2, LIMIT))
    for key in range(waiting):
        found.add(make(key, most=3, kind=Watched))
    step(found)
    for key in [0, *range(3, waiting - 1)]:
        with looked_at() as seen:
            assert found.abort(key)
        assert len(seen) == 1
    for _ in range(3):
        with looked_at() as seen:
            scheduled = found.schedule()
        assert len(seen) <= len(scheduled) + 1
        found.update(scheduled, [[0] for _ in scheduled])
    assert set(found.sequences) <= {2, waiting - 1}


@pytest.mark.task(8)
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_whatever_comes_and_goes_all_that_must_hold_holds(setting):
    found = fuzz(setting, steps=80)
    assert found.finished > 0
    assert found.refused > 0
    assert found.aborted > 0
    assert bool(found.preempted) == (setting.total is not None)


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"max_sequences": 0}, (0, 256)),
        ({"max_sequences": 9, "max_tokens": 8}, (9, 8)),
        ({"max_waiting": 0}, (0,)),
        ({"chunk": 0}, (0,)),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, facts):
    with raises(ValueError, *facts):
        Scheduler(Rows(1, 1), **settings)
