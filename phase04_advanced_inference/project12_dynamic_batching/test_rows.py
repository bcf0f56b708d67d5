"""A row for each sequence that is in, and no row for two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.sequence import Sequence
from shared.phase01 import SamplingParams
from shared.testing import raises

task = pytest.mark.task(3)


def make(key, prompt=3):
    return Sequence(key, [0] * prompt, SamplingParams(max_tokens=5), 100)


@task
def test_everybody_who_comes_in_has_a_row_of_his_own_until_there_is_none():
    rows, sequences = Rows(3, 10), [make(key) for key in range(4)]
    assert [rows.admit(sequence) for sequence in sequences] == [True, True, True, False]
    assert sorted(rows.row(sequence) for sequence in sequences[:3]) == [0, 1, 2]
    assert set(rows.taken) == {0, 1, 2}, "who found no row has none"


@task
def test_a_row_that_is_free_again_is_given_again():
    rows, sequences = Rows(2, 10), [make(key) for key in range(3)]
    rows.admit(sequences[0])
    rows.admit(sequences[1])
    row = rows.row(sequences[0])
    rows.free(sequences[0])
    assert rows.admit(sequences[2])
    assert rows.row(sequences[2]) == row
    assert not rows.admit(sequences[0])


@task
def test_of_what_comes_in_nothing_is_computed():
    rows, sequence = Rows(1, 10), make(0)
    sequence.num_computed = 2
    assert rows.admit(sequence)
    assert sequence.num_computed == 0


@task
def test_who_is_not_admitted_stays_as_he_is():
    rows, sequence = Rows(1, 10), make(1)
    rows.admit(make(0))
    sequence.num_computed = 2
    assert not rows.admit(sequence)
    assert sequence.num_computed == 2


@task
@pytest.mark.parametrize(
    ("computed", "count", "fits"), [(0, 10, True), (0, 11, False), (7, 3, True), (9, 2, False)]
)
def test_a_row_has_room_for_so_many(computed, count, fits):
    rows, sequence = Rows(1, 10), make(0, prompt=20)
    rows.admit(sequence)
    sequence.num_computed = computed
    assert rows.grow(sequence, count) is fits
    assert sequence.num_computed == computed


@task
def test_freeing_twice_or_what_never_came_in_gives_no_row_twice():
    rows, sequence = Rows(2, 10), make(0)
    rows.free(make(5))
    rows.admit(sequence)
    rows.free(sequence)
    rows.free(sequence)
    assert sorted(rows.unused) == [0, 1]
    assert not rows.taken


@task
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=40))
def test_free_rows_and_taken_ones_are_all_rows(moves):
    rows, sequences, inside = Rows(3, 10), [make(key) for key in range(6)], set()
    assert rows.admit(sequences[0])
    rows.free(sequences[0])
    for comes, key in moves:
        if comes and key not in inside:
            assert rows.admit(sequences[key]) == (len(inside) < 3)
            inside |= {key} if key in rows.taken else set()
        elif not comes:
            rows.free(sequences[key])
            inside.discard(key)
        assert set(rows.taken) == inside
        assert sorted([*rows.unused, *rows.taken.values()]) == [0, 1, 2]


@pytest.mark.parametrize(("count", "capacity"), [(0, 5), (2, 0)])
def test_there_is_at_least_a_row_of_one_token(count, capacity):
    with raises(ValueError, count, capacity):
        Rows(count, capacity)
