"""What is pending of a sequence, and when its text ends."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase04_advanced_inference.project12_dynamic_batching.sequence import Sequence, SequenceStatus
from shared.phase01 import SamplingParams

task = pytest.mark.task(1)


def make(prompt, limit=100, **params):
    settings: dict[str, Any] = {"max_tokens": 5} | params
    return Sequence(7, prompt, SamplingParams(**settings), limit)


@task
def test_all_is_pending_at_first_and_then_what_is_not_computed():
    sequence = make([3, 1, 4])
    assert (sequence.pending, sequence.num_prompt, sequence.written) == (3, 3, [])
    sequence.num_computed = 2
    assert sequence.pending == 1
    sequence.draft = [8, 9]
    assert sequence.pending == 3


@task
def test_of_one_that_is_sent_back_all_of_the_text_is_pending():
    sequence = make([3, 1, 4])
    sequence.advance(3, [5])
    sequence.advance(1, [6])
    sequence.num_computed = 0
    assert sequence.pending == 5


@task
@pytest.mark.parametrize(
    ("prompt", "most", "limit", "expected"),
    [(3, 5, 100, 7), (3, 1, 100, 3), (3, 98, 100, 100), (3, 99, 100, 100), (3, 97, 100, 99), (100, 5, 100, 100)],
)  # fmt: skip
def test_the_longest_it_may_become_is_without_the_last_token(prompt, most, limit, expected):
    assert make([0] * prompt, limit, max_tokens=most).longest == expected


@task
def test_its_tokens_are_its_own():
    prompt = [3, 1]
    sequence = make(prompt)
    sequence.write(4)
    assert (prompt, sequence.tokens, sequence.written, sequence.num_prompt) == ([3, 1], [3, 1, 4], [4], 2)


@task
def test_a_text_ends_with_its_last_token():
    sequence = make([3], max_tokens=3)
    statuses = []
    for token in (4, 5, 6):
        assert sequence.write(token)
        statuses.append(sequence.status)
    assert statuses == [SequenceStatus.WAITING, SequenceStatus.WAITING, SequenceStatus.FINISHED_LENGTH]
    assert sequence.written == [4, 5, 6]


@task
@pytest.mark.parametrize(("prompt", "count"), [(8, 3), (10, 1), (9, 2)])
def test_a_text_ends_with_the_context_by_a_token_that_is_not_read(prompt, count):
    sequence = make([0] * prompt, limit=10, max_tokens=50)
    for _ in range(count):
        assert not sequence.finished
        sequence.write(4)
    assert sequence.status is SequenceStatus.FINISHED_LENGTH
    assert len(sequence.tokens) == 11


@task
def test_a_stop_token_ends_the_text_and_is_not_written():
    sequence = make([3, 9], stop_ids=(9, 8))
    assert sequence.write(4)
    assert not sequence.finished, "a stop token of the prompt does not end the text"
    assert not sequence.write(8)
    assert sequence.status is SequenceStatus.FINISHED_STOPPED
    assert sequence.tokens == [3, 9, 4]


@task
def test_a_stop_token_in_the_last_place_has_stopped_the_text():
    sequence = make([3], max_tokens=1, stop_ids=(8,))
    assert not sequence.write(8)
    assert (sequence.status, sequence.written) == (SequenceStatus.FINISHED_STOPPED, [])


@task
def test_a_prompt_in_chunks_and_then_token_by_token():
    sequence, computed = make([0] * 7), []
    for count, chosen in ((4, []), (2, []), (1, [5]), (1, [6])):
        assert sequence.advance(count, chosen) == chosen
        computed.append((sequence.num_computed, sequence.pending))
    assert computed == [(4, 3), (6, 1), (7, 1), (8, 1)]
    assert sequence.tokens == [0] * 7 + [5, 6]


@task
@pytest.mark.parametrize(
    ("chosen", "computed"),
    [([1], 3), ([1, 2], 4), ([1, 2, 3], 5), ([1, 2, 3, 4], 6)],
)
def test_of_a_draft_what_was_right_is_computed(chosen, computed):
    """Three tokens after the last one were guessed; the chosen ones are those that were right and one more."""
    sequence = make([0] * 3, max_tokens=50)
    sequence.num_computed, sequence.draft = 2, [1, 2, 3]
    assert sequence.advance(4, chosen) == chosen
    assert (sequence.num_computed, sequence.pending, sequence.draft) == (computed, 1, [])


@task
@pytest.mark.parametrize(
    ("params", "written", "status"),
    [
        ({"max_tokens": 2}, [1, 2], SequenceStatus.FINISHED_LENGTH),
        ({"stop_ids": (2,)}, [1], SequenceStatus.FINISHED_STOPPED),
    ],
)
def test_nothing_is_written_after_the_end(params, written, status):
    sequence = make([0] * 3, **params)
    sequence.draft = [1, 2, 3]
    assert sequence.advance(6, [1, 2, 3, 4]) == written
    assert (sequence.written, sequence.status) == (written, status)


@task
def test_one_that_was_aborted_takes_nothing():
    sequence = make([0] * 3)
    sequence.status, sequence.draft = SequenceStatus.FINISHED_ABORTED, [1]
    assert sequence.advance(3, [4]) == []
    assert (sequence.tokens, sequence.num_computed, sequence.draft) == ([0] * 3, 0, [1])


@task
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 20), st.data())
def test_it_never_computes_more_than_the_longest(prompt, most, limit, data):
    """However it is cut into steps, and whatever comes, there is a last token that is not computed."""
    limit = max(prompt, limit)
    sequence = make([0] * prompt, limit, max_tokens=most, stop_ids=(1,))
    computed = 0
    while not sequence.finished:
        assert sequence.pending >= 1
        count = data.draw(st.integers(1, sequence.pending))
        chosen = [data.draw(st.sampled_from([0, 0, 0, 1]))] if count == sequence.pending else []
        sequence.advance(count, chosen)
        computed += count
        assert sequence.num_computed <= sequence.longest
        assert sequence.num_computed == min(computed, len(sequence.tokens) - 1)
    assert len(sequence.written) <= most
    assert len(sequence.tokens) <= limit + 1
    if sequence.status is SequenceStatus.FINISHED_LENGTH:
        assert len(sequence.written) == most or len(sequence.tokens) == limit + 1


def test_every_sequence_has_a_generator_of_its_own():
    one, two = make([1], seed=3), make([1], seed=3)
    assert one.generator is not two.generator
    draws = [
        torch.rand(2, generator=sequence.generator).tolist() for sequence in (one, two, make([1], seed=4))
    ]
    assert draws[0] == draws[1] != draws[2]
    mine = torch.Generator()
    assert Sequence(1, [1], SamplingParams(), 9, generator=mine).generator is mine


@task
def test_a_draft_is_used_up_though_nothing_is_chosen():
    sequence = make([0] * 3)
    sequence.draft = [1, 2]
    assert sequence.advance(1, []) == []
    assert (sequence.draft, sequence.num_computed) == ([], 1)
