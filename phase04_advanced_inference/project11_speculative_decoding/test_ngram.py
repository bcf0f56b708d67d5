"""Looking up the last tokens in the text itself: against a search written out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Draft
from phase04_advanced_inference.project11_speculative_decoding.ngram import NGramProposer, continuation
from shared.testing import raises

task = pytest.mark.task(1)


def written_out(tokens, count, longest, shortest):
    """All places for all lengths, then the best of them: the longest match, and of these the latest."""
    end = len(tokens)
    found = [
        (n, start)
        for n in range(shortest, longest + 1)
        for start in range(end - n)
        if tokens[start : start + n] == tokens[end - n :]
    ]
    if not found:
        return []
    n, start = max(found)
    return tokens[start + n : start + n + count]


@task
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=24),
    st.integers(0, 6),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_it_finds_what_a_search_of_all_places_finds(tokens, count, one, other):
    longest, shortest = max(one, other), min(one, other)
    assert continuation(tokens, count, longest, shortest) == written_out(tokens, count, longest, shortest)


@task
@pytest.mark.parametrize(
    ("tokens", "count", "expected"),
    [
        ([1, 2, 3, 4, 9, 1, 2, 3], 4, [4, 9, 1, 2]),
        ([1, 2, 3, 4, 9, 1, 2, 3], 2, [4, 9]),
        ([1, 2, 3, 4, 9, 3, 5, 6, 1, 2, 3], 2, [4, 9]),  # three tokens far back before one nearby
        ([2, 3, 7, 8, 2, 3, 5, 6, 2, 3], 2, [5, 6]),  # of two places the latest
        ([0, 1, 0, 1, 0], 4, [1, 0]),  # it overlaps the end, and there is no more
        ([7, 7], 4, [7]),
        ([5, 1, 2, 3], 4, []),
        ([5], 4, []),
        ([5, 5], 0, []),
    ],
)
def test_examples(tokens, count, expected):
    before = list(tokens)
    assert continuation(tokens, count) == expected
    assert tokens == before
    assert continuation(tuple(tokens), count) == expected


@task
def test_the_lengths_that_are_tried_can_be_set():
    tokens = [1, 2, 8, 9, 2, 7, 1, 2]
    assert continuation(tokens, 1, longest=1) == [7]
    assert continuation(tokens, 1, longest=2) == [8]
    assert continuation([8, 2, 7, 1, 2], 1, shortest=2) == []


@task
def test_the_proposer_answers_each_draft():
    proposer = NGramProposer(longest=2)
    drafts = [Draft(4, [1, 2, 3, 1, 2], 2), Draft(7, [1, 2], 2), Draft(9, [6, 6, 6], 1)]
    proposals = proposer.propose(drafts)
    assert [proposal.tokens for proposal in proposals] == [[3, 1], [], [6]]
    assert all(proposal.probabilities is None for proposal in proposals)
    proposer.forget(4)


@pytest.mark.parametrize(("longest", "shortest"), [(3, 0), (1, 2)])
def test_lengths_that_cannot_be_are_named(longest, shortest):
    with raises(ValueError, longest, shortest):
        NGramProposer(longest, shortest)
