"""Preempted sequences: by recompute and by way of the host, the same text, and the same bytes."""

import pytest
import torch

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project12_dynamic_batching.given.example import TINY
from phase04_advanced_inference.project12_dynamic_batching.given.watched import Watched, looked_at
from phase04_advanced_inference.project12_dynamic_batching.sequence import SequenceStatus
from phase04_advanced_inference.project13_paged_attention.given.small import (
    make_manager,
    make_sequence,
    run_alone,
)
from phase04_advanced_inference.project13_paged_attention.paged_scheduler import PagedScheduler
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from phase04_advanced_inference.project13_paged_attention.swap import HostPool
from shared.testing import raises

task = pytest.mark.task(7)
TEXT = list(range(10, 40))


def make_scheduler(num_blocks=6, max_sequences=4, max_tokens=64, host=None, **settings):
    """A scheduler with blocks of four tokens."""
    return PagedScheduler(make_manager(num_blocks, host=host), max_sequences, max_tokens, **settings)


def step(scheduler, tokens=None):
    """A step in which each that is computed to its end writes the next number, or what `tokens` says."""
    scheduled = scheduler.schedule()
    chosen = []
    for one, count in scheduled:
        done = one.num_computed + count >= len(one.tokens)
        chosen.append((tokens or {}).get(one.key, [one.tokens[-1] + 1]) if done else [])
    scheduler.update(scheduled, chosen)
    scheduler.manager.copies, scheduler.manager.restores = [], []
    return {one.key: count for one, count in scheduled}


def test_fewer_than_no_blocks():
    with raises(ValueError, -1):
        HostPool(-1)


@task
def test_blocks_come_back_bit_for_bit():
    store = BlockStore(TINY, 6, 4, torch.bfloat16)
    for i, buffer in enumerate([*store.keys, *store.values]):
        buffer.copy_(torch.randn(buffer.shape, generator=torch.Generator().manual_seed(i)))
    before = [buffer.clone() for buffer in [*store.keys, *store.values]]
    host = HostPool(3, store)
    assert host.store(7, [4, 1], 6)
    assert host.computed(7) == 6
    assert host.computed(8) == 0
    for buffer in [*store.keys, *store.values]:
        buffer.zero_()
    host.load(list(zip(host.blocks(7), [5, 0], strict=True)))
    for old, new in zip(before, [*store.keys, *store.values], strict=True):
        old, new = (each.view(TINY.kv_heads, 6, -1) for each in (old, new))
        assert torch.equal(new[:, [5, 0]], old[:, [4, 1]])
        assert not new[:, 1:5].any()


@task
def test_a_full_host_takes_nothing():
    host = HostPool(3)
    assert host.store(1, [4, 1], 6)
    assert not host.store(2, [2, 3], 8)
    assert host.held == {1: (host.blocks(1), 6)}
    assert not host.store(1, [4, 1, 0, 2], 13)
    assert host.computed(1) == 6, "what was there stays, if the new does not fit"
    assert host.store(1, [4, 1, 0], 9), "what was there of the same sequence goes first"
    assert host.unused == []
    host.drop(1)
    host.drop(1)
    assert sorted(host.unused) == [0, 1, 2]
    assert host.store(2, [2, 3], 8)


@task
def test_nothing_to_load():
    HostPool(2, BlockStore(TINY, 2, 4)).load([])
    HostPool(2).load([(0, 1)])  # numbers alone


@task
def test_what_comes_back_from_the_host_has_its_blocks_at_once():
    """Two blocks are hit, and for the tokens behind them there is one more, before the sequence grows."""
    manager = make_manager(host=4)
    one = make_sequence(1, TEXT[:10])
    assert manager.admit(one)
    run_alone(manager, one, 9)
    assert manager.swap_out(one)
    manager.free(one)
    one.num_computed = 0
    assert manager.admit(one)
    assert one.num_computed == 9
    assert len(manager.tables[1]) == 3
    assert manager.restoring == {1: 2}
    assert manager.pool.num_free == 5
    assert manager.restores == []
    last = manager.tables[1][2]
    assert manager.grow(one, 1)
    assert [block for _, block in manager.restores] == [last]
    assert manager.restoring == {}
    assert manager.host is not None
    assert manager.host.held == {}


@task
def test_the_newest_is_sent_back_and_finds_its_blocks():
    scheduler = make_scheduler(num_blocks=6)
    for key in range(2):
        scheduler.add(make_sequence(key, TEXT[10 * key : 10 * key + 9], max_tokens=8))
    for _ in range(4):
        step(scheduler)
    assert len(scheduler.running) == 2
    step(scheduler)
    assert scheduler.preempted == [1], "the first needs a fourth block, and the last that came in gives way"
    assert scheduler.swapped == []
    newest = scheduler.sequences[1]
    assert newest.status is SequenceStatus.WAITING
    assert newest.num_computed == 0
    assert 1 not in scheduler.manager.tables
    while 0 in scheduler.sequences:
        step(scheduler)
    step(scheduler)
    assert scheduler.hits == {1: 8}, "one of its three full blocks was needed meanwhile"
    assert newest.status is SequenceStatus.RUNNING
    assert newest.tokens == [*range(20, 29), *range(29, 29 + len(newest.written))]


@task
def test_what_was_sent_back_hits_its_own_blocks():
    scheduler = make_scheduler(num_blocks=10)
    scheduler.add(make_sequence(0, TEXT[:9]))
    step(scheduler)
    one = scheduler.sequences[0]
    scheduler.preempt(one)
    assert scheduler.waiting.first() is one
    assert step(scheduler) == {0: 2}
    assert scheduler.hits == {0: 8}


@task
def test_a_draft_is_dropped_with_the_blocks():
    scheduler = make_scheduler()
    scheduler.add(make_sequence(0, TEXT[:5]))
    step(scheduler)
    one = scheduler.sequences[0]
    one.draft = [1, 2]
    scheduler.preempt(one)
    assert one.draft == []
    assert one.pending == 6


@task
def test_to_the_host_and_back():
    scheduler = make_scheduler(num_blocks=6, host=8)
    for key in range(2):
        scheduler.add(make_sequence(key, TEXT[10 * key : 10 * key + 9], max_tokens=8))
    for _ in range(5):
        step(scheduler)
    assert scheduler.preempted == scheduler.swapped == [1]
    manager, host = scheduler.manager, scheduler.manager.host
    assert host is not None
    assert host.computed(1) == 12
    while 0 in scheduler.sequences:
        step(scheduler)
    hit = len(manager.pool.match(manager.keys[1]))
    scheduled = scheduler.schedule()
    assert [(one.key, one.num_computed, count) for one, count in scheduled] == [(1, 12, 1)]
    assert [block for _, block in manager.restores] == manager.tables[1][hit:3]
    assert len(manager.tables[1]) == 4
    assert host.held == {}
    assert len(host.unused) == 8


@task
def test_what_did_not_get_in_stays_at_the_host():
    manager = make_manager(num_blocks=6, host=8)
    one = make_sequence(1, TEXT[:10])
    assert manager.admit(one)
    run_alone(manager, one, 6)
    assert manager.swap_out(one)
    manager.free(one)
    manager.pool.release([manager.pool.allocate() for _ in range(6)])  # nothing is cached any more
    for _ in range(2):
        assert manager.admit(one)
        assert one.num_computed == 6
        manager.free(one)
        assert manager.restores == []
        assert manager.pool.num_free == 6
        assert manager.host is not None
        assert manager.host.computed(1) == 6
    assert manager.admit(one)
    assert manager.grow(one, 4)
    one.num_computed = 10
    manager.computed(one)
    assert manager.published[1] == 2
    assert [block for _, block in manager.restores] == manager.tables[1][:2]


@task
def test_hits_may_be_more_than_the_host_has():
    manager = make_manager(num_blocks=8, host=8)
    one = make_sequence(1, TEXT[:10])
    assert manager.admit(one)
    run_alone(manager, one, 6)
    assert manager.swap_out(one)
    manager.free(one)
    other = make_sequence(2, TEXT[:12])
    assert manager.admit(other)
    run_alone(manager, other)
    assert manager.admit(one)
    assert one.num_computed == 8
    assert manager.grow(one, 2)
    assert manager.restores == []
    assert manager.host is not None
    assert manager.host.held == {}


@task
def test_only_what_is_computed_goes_to_the_host():
    manager = make_manager(num_blocks=6, host=8)
    one = make_sequence(1, TEXT[:10])
    assert manager.admit(one)
    run_alone(manager, one, 6)
    assert manager.grow(one, 4)
    assert len(manager.tables[1]) == 3
    assert manager.swap_out(one)
    assert manager.host is not None
    assert len(manager.host.blocks(1)) == 2
    assert manager.host.computed(1) == 6


@task
def test_with_a_full_host_it_is_computed_anew():
    manager = make_manager(num_blocks=8, host=2)
    one = make_sequence(1, TEXT[:10])
    assert manager.admit(one)
    assert not manager.swap_out(one), "nothing is computed"
    run_alone(manager, one)
    assert not manager.swap_out(one), "three blocks, and there are two"
    assert not make_manager().swap_out(one), "there is no host at all"


@task
def test_an_abort_leaves_nothing_behind():
    for waits in (False, True):
        scheduler = make_scheduler(host=8)
        scheduler.add(make_sequence(0, TEXT[:9]))
        step(scheduler)
        if waits:
            scheduler.preempt(scheduler.sequences[0])
            assert scheduler.swapped == [0]
        assert scheduler.abort(0)
        manager = scheduler.manager
        assert manager.tables == manager.keys == {}
        assert manager.host is not None
        assert manager.host.held == {}
        assert manager.pool.num_free == 6
        assert not scheduler.abort(0)


@task
def test_blocks_are_published_after_each_step():
    scheduler = make_scheduler(chunk=4)
    scheduler.add(make_sequence(0, TEXT[:9]))
    for number in (1, 2):
        assert step(scheduler) == {0: 4}
        assert scheduler.manager.pool.num_published == number


@task
def test_nobody_is_sent_back_for_guesses():
    scheduler = make_scheduler(num_blocks=4)
    for key in range(2):
        scheduler.add(make_sequence(key, TEXT[10 * key : 10 * key + 5], max_tokens=3))
    step(scheduler)
    first = scheduler.sequences[0]
    first.draft = [90, 91, 92, 93, 94]
    assert step(scheduler, {0: [90, 91, 7]}) == {0: 3, 1: 1}, (
        "two guesses, for which the second block has room"
    )
    assert scheduler.preempted == []


@task
def test_guesses_take_what_is_free():
    scheduler = make_scheduler(num_blocks=5)
    for key in range(2):
        scheduler.add(make_sequence(key, TEXT[10 * key : 10 * key + 5], max_tokens=10 if key == 0 else 3))
    step(scheduler)
    scheduler.sequences[0].draft = [90, 91, 92, 93, 94]
    assert step(scheduler) == {0: 6, 1: 1}


@task
def test_a_prompt_is_not_cut_for_lack_of_guesses():
    scheduler = make_scheduler(num_blocks=5, chunk=3, max_tokens=4)
    scheduler.add(make_sequence(0, TEXT[:9]))
    assert [step(scheduler) for _ in range(4)] == [{0: 3}, {0: 3}, {0: 3}, {0: 1}]


@task
def test_one_that_ends_for_a_reason_of_its_own():
    scheduler = make_scheduler()
    scheduler.add(make_sequence(0, TEXT[:5]))
    step(scheduler)
    one = scheduler.sequences[0]
    scheduler.finish(0, SequenceStatus.FINISHED_STOPPED)
    assert one.status is SequenceStatus.FINISHED_STOPPED
    assert scheduler.sequences == scheduler.manager.tables == {}


@task
@pytest.mark.parametrize("waiting", [10, 3000])
def test_a_step_looks_at_those_it_schedules_and_one_more(waiting):
    """Whether ten wait or thousands; an abort looks at the one that it ends."""
    scheduler = make_scheduler(num_blocks=40, max_sequences=4, max_tokens=16, host=8)
    params, generator = SamplingParams(max_tokens=2), torch.Generator()
    for key in range(waiting):
        scheduler.add(Watched(key, [key % 20] * 3, params, 1000, generator=generator))
    for _ in range(2):
        with looked_at() as seen:
            scheduled = scheduler.schedule()
        assert len(scheduled) <= len(seen) <= len(scheduled) + 1
        with looked_at() as seen:
            scheduler.update(scheduled, [[0] for _ in scheduled])
        assert len(seen) == len(scheduled)
        for key in (next(iter(scheduler.running), waiting - 1), waiting - 2, waiting // 2):
            with looked_at() as seen:
                found = scheduler.abort(key)
            assert len(seen) == found
    assert len(scheduler.sequences) == waiting - 7, (
        "three have written their two tokens, and four were aborted"
    )
