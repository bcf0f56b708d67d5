"""A step over blocks gives the logits of the model alone, whatever lies where."""

import pytest
import torch

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project12_dynamic_batching.engine import StepRunner
from phase04_advanced_inference.project12_dynamic_batching.given.example import TINY, random_model
from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled
from phase04_advanced_inference.project13_paged_attention.given.small import (
    make_manager,
    make_runner,
    make_sequence,
)
from phase04_advanced_inference.project13_paged_attention.paged_runner import PagedRunner
from shared.phase03 import MOST_ROWS
from shared.testing import raises

task = pytest.mark.task(6)
MODEL = random_model()
TEXT = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4]


def expected(tokens):
    """The logits after each of the tokens, by the model alone."""
    with torch.no_grad():
        return MODEL(torch.tensor([tokens]))[0]


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def come(runner, key, tokens):
    """A sequence that is admitted."""
    one = make_sequence(key, tokens)
    assert runner.manager.admit(one)
    return one


def step(runner, *parts):
    """A step of sequences with counts; the logits of each."""
    scheduled = [Scheduled(one, count) for one, count in parts]
    for one, count in parts:
        assert runner.manager.grow(one, count)
    logits = runner(scheduled)
    for one, count in parts:
        one.num_computed += count
        runner.manager.computed(one)
    return logits


def test_it_is_a_runner():
    assert isinstance(make_runner(MODEL), StepRunner)


def test_a_store_that_does_not_fit():
    with raises(ValueError, 8, 9):
        PagedRunner(MODEL, BlockStore(TINY, 8, 4), make_manager(num_blocks=9))
    with raises(ValueError, 4, 5):
        PagedRunner(MODEL, BlockStore(TINY, 8, 4), make_manager(num_blocks=8, block_size=5))


@task
def test_a_step_is_laid_out_end_to_end():
    runner = make_runner(MODEL)
    one, two, three = come(runner, 1, TEXT[:6]), come(runner, 2, TEXT[6:9]), come(runner, 3, TEXT[9:12])
    step(runner, (one, 5), (three, 2))
    one.draft = [7, 8]
    parts = [Scheduled(one, 2), Scheduled(two, 2), Scheduled(three, 1)]
    for each, count in parts:
        assert runner.manager.grow(each, count)
    plan = runner.prepare(parts)
    assert plan.tokens == [TEXT[5], 7, *TEXT[6:8], TEXT[11]]
    assert plan.positions.tolist() == [5, 6, 0, 1, 2]
    assert plan.ends == [0, 1, 4]
    assert plan.wanted == [2, 0, 1]
    assert plan.step.starts == [5, 0, 2]
    assert plan.step.counts == [2, 2, 1]
    assert plan.step.tables == [runner.manager.tables[key] for key in (1, 2, 3)]


@task
@pytest.mark.parametrize("sizes", [[20], [1] * 20, [7, 6, 7], [4, 4, 4, 8], [19, 1], [3, 17]])
def test_chunks(sizes):
    runner = make_runner(MODEL)
    one = come(runner, 1, TEXT)
    for size in sizes[:-1]:
        [rows] = step(runner, (one, size))
        assert rows.shape == (0, TINY.vocab_size)
    [rows] = step(runner, (one, sizes[-1]))
    close(rows, expected(TEXT)[-1:])


@task
def test_company_changes_nothing():
    runner = make_runner(MODEL, num_blocks=24)
    texts = [TEXT, TEXT[3:], TEXT[11:], TEXT[:5]]
    all_of_them = [come(runner, key, text) for key, text in enumerate(texts)]
    step(runner, (all_of_them[1], 10), (all_of_them[0], 3), (all_of_them[3], 4))
    found = step(runner, *((one, one.pending) for one in all_of_them))
    for rows, text in zip(found, texts, strict=True):
        close(rows, expected(text)[-1:])


@task
def test_a_hit_is_attended_to_where_it_lies():
    runner = make_runner(MODEL)
    step(runner, (come(runner, 1, TEXT[:14]), 14))
    two = come(runner, 2, [*TEXT[:13], 20, 21])
    assert two.num_computed == 12
    [rows] = step(runner, (two, 3))
    close(rows, expected([*TEXT[:13], 20, 21])[-1:])


@task
def test_a_full_hit_computes_one_token_and_spoils_nothing():
    runner = make_runner(MODEL)
    one = come(runner, 1, TEXT[:8])
    step(runner, (one, 8))
    two = come(runner, 2, TEXT[:8])
    [rows] = step(runner, (two, 1))
    close(rows, expected(TEXT[:8])[-1:])
    assert runner.copied == 1
    assert runner.manager.copies == []
    for each, more in ((one, [5, 6]), (two, [7])):
        each.tokens += more
    first, second = step(runner, (one, 2), (two, 1))
    close(first, expected([*TEXT[:8], 5, 6])[-1:])
    close(second, expected([*TEXT[:8], 7])[-1:])


@task
def test_forks_go_their_own_ways():
    runner = make_runner(MODEL)
    one = come(runner, 1, TEXT[:6])
    step(runner, (one, 6))
    forks = []
    for key, token in ((2, 11), (3, 12)):
        child = make_sequence(key, [*TEXT[:6], token])
        child.num_computed = 6
        runner.manager.fork(one, child)
        forks.append(child)
    one.tokens += [10]
    for turn in range(4):
        found = step(runner, (forks[0], 1), (one, 1), (forks[1], 1))
        for rows, each in zip(found, (forks[0], one, forks[1]), strict=True):
            close(rows, expected(each.tokens)[-1:])
            each.tokens += [turn]
    assert runner.copied == 2


@task
def test_a_draft_is_computed_too_and_written_over_when_it_was_wrong():
    runner = make_runner(MODEL)
    one = come(runner, 1, TEXT[:7])
    step(runner, (one, 6))
    one.draft = [20, 21, 22]
    assert runner.manager.grow(one, 4)
    [rows] = runner([Scheduled(one, 4)])
    close(rows, expected([*TEXT[:7], 20, 21, 22])[-4:])
    assert one.advance(4, [20, 13]) == [20, 13]
    assert one.num_computed == 8
    [rows] = step(runner, (one, 1))
    close(rows, expected([*TEXT[:7], 20, 13])[-1:])


@task
def test_of_a_draft_that_is_cut_only_a_part():
    runner = make_runner(MODEL)
    one = come(runner, 1, TEXT[:7])
    step(runner, (one, 6))
    one.draft = [20, 21, 22]
    assert runner.manager.grow(one, 2)
    [rows] = runner([Scheduled(one, 2)])
    close(rows, expected([*TEXT[:7], 20])[-2:])


@task
def test_swapped_blocks_come_back_before_the_step():
    runner = make_runner(MODEL, num_blocks=4, host=4)
    one = come(runner, 1, TEXT[:10])
    step(runner, (one, 10))
    manager = runner.manager
    assert manager.swap_out(one)
    manager.free(one)
    other = come(runner, 2, TEXT[4:20])
    step(runner, (other, 16))
    manager.free(other)
    one.num_computed, one.tokens = 0, [*TEXT[:10], 7]
    assert manager.admit(one)
    assert one.num_computed == 10
    [rows] = step(runner, (one, 1))
    assert manager.restores == []
    close(rows, expected(one.tokens)[-1:])


@task
def test_small_steps_in_one_call():
    calls = []

    def decode(store, plan, tokens, positions):
        calls.append(len(tokens))
        attention = type(runner.attention)(store)
        attention.plan(plan)
        return MODEL(torch.tensor([tokens]), positions, attention)[0]

    runner = make_runner(MODEL, num_blocks=40, decode=decode)
    small = [come(runner, key, TEXT[key : key + 3]) for key in range(3)]
    found = step(runner, *((one, 2 if one.key else 3) for one in small))
    assert [len(rows) for rows in found] == [1, 0, 0]
    close(found[0], expected(small[0].tokens)[-1:])
    found = step(runner, *((one, 1) for one in small[1:]))
    for rows, one in zip(found, small[1:], strict=True):
        close(rows, expected(one.tokens)[-1:])
    assert calls == [7, 2]
    long = come(runner, 9, [one % 29 for one in range(MOST_ROWS + 1)])
    step(runner, (long, MOST_ROWS))
    assert calls == [7, 2, MOST_ROWS]
    long.num_computed = 0
    step(runner, (long, MOST_ROWS + 1))
    assert calls == [7, 2, MOST_ROWS], "too many for one call"


@task
def test_streams_for_heads():
    runner = make_runner(MODEL)
    runner.keep_hidden = True
    one, two = come(runner, 1, TEXT[:7]), come(runner, 2, TEXT[7:12])
    step(runner, (one, 7), (two, 4))
    with torch.no_grad():
        hidden = MODEL.hidden(torch.tensor([TEXT[:7]]))[0]
    close(runner.hidden[1], hidden[-1:])
    assert len(runner.hidden[2]) == 0
