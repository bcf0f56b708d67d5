"""Tables, references and what is published: by hand on small texts, and by chance in given/test_fuzzing.py."""

import pytest

from phase04_advanced_inference.project10_prompt_caching import block_hash
from phase04_advanced_inference.project10_prompt_caching.block_pool import BlockPool
from phase04_advanced_inference.project12_dynamic_batching.rows import Memory
from phase04_advanced_inference.project12_dynamic_batching.sequence import SequenceStatus
from phase04_advanced_inference.project13_paged_attention import block_manager
from phase04_advanced_inference.project13_paged_attention.block_manager import BlockManager
from phase04_advanced_inference.project13_paged_attention.given.small import (
    make_manager,
    make_sequence,
    run_alone,
)
from shared.testing import raises

task = pytest.mark.task(1)
fork_task = pytest.mark.task(2)
TEXT = list(range(10, 30))


def come(manager, key, tokens, count=None):
    """A sequence that is admitted and has computed `count` of its tokens, or all."""
    one = make_sequence(key, tokens)
    assert manager.admit(one)
    run_alone(manager, one, count)
    return one


def leave(manager, one, status=SequenceStatus.FINISHED_STOPPED):
    """A sequence ends."""
    one.status = status
    manager.free(one)


def test_it_is_a_memory():
    assert isinstance(make_manager(), Memory)


def test_numbers_out_of_range():
    with raises(ValueError, 0):
        BlockManager(BlockPool(0, 4))
    with raises(ValueError, 1.5):
        BlockManager(BlockPool(4, 4), watermark=1.5)


@task
def test_blocks_are_given_out_as_a_text_grows():
    manager = make_manager()
    one = make_sequence(1, TEXT[:5])
    assert manager.admit(one)
    assert one.num_computed == 0
    assert manager.tables[1] == []
    assert manager.grow(one, 3)
    assert len(manager.tables[1]) == 1
    one.num_computed = 3
    assert manager.grow(one, 1)
    assert len(manager.tables[1]) == 1, "the first block has room for a fourth"
    one.num_computed = 4
    assert manager.grow(one, 1)
    assert len(set(manager.tables[1])) == 2
    assert manager.pool.num_free == 6
    assert manager.copies == []


@task
def test_admission_wants_room_for_the_whole_text():
    manager = make_manager(num_blocks=4)
    first = come(manager, 1, TEXT[:8])
    two, three = make_sequence(2, TEXT[8:17]), make_sequence(3, TEXT[8:16])
    assert not manager.admit(two), "three blocks, and two are free"
    assert 2 not in manager.tables
    assert manager.admit(three)
    assert manager.grow(three, 8)
    assert manager.pool.num_free == 0
    assert not manager.grow(first, 1)
    assert len(manager.tables[1]) == 2


@task
def test_the_watermark_stays_free_at_admission_but_not_for_growth():
    manager = make_manager(num_blocks=5, watermark=0.2)
    alone = make_sequence(0, TEXT)
    assert manager.admit(alone), "there is nobody for whom to leave a block"
    manager.free(alone)
    one = come(manager, 1, TEXT[:8])
    assert not manager.admit(make_sequence(2, TEXT[8:17]))
    two = make_sequence(2, TEXT[8:16])
    assert manager.admit(two)
    assert manager.grow(two, 8)
    assert manager.grow(one, 4), "who runs may have the last one"


@task
def test_a_prefix_is_hit():
    manager = make_manager(num_blocks=16)
    one = come(manager, 1, TEXT[:11])
    two = make_sequence(2, [*TEXT[:9], 99, 98])
    assert manager.admit(two)
    assert two.num_computed == 8
    assert manager.tables[2] == manager.tables[1][:2]
    assert [manager.pool.references[block] for block in manager.tables[1]] == [2, 2, 1]
    run_alone(manager, two)
    assert manager.tables[2][:2] == manager.tables[1][:2]
    assert manager.tables[2][2] != manager.tables[1][2]
    leave(manager, one)
    assert [manager.pool.references[block] for block in manager.tables[2]] == [1, 1, 1]


@task
def test_only_what_is_computed_is_hit():
    manager = make_manager(num_blocks=16)
    one = make_sequence(1, TEXT[:9])
    assert manager.admit(one)
    assert manager.grow(one, 9)
    two = make_sequence(2, TEXT[:9])
    assert manager.admit(two)
    assert two.num_computed == 0, "its blocks are there, but nothing is in them yet"
    one.num_computed = 7
    manager.computed(one)
    three = make_sequence(3, TEXT[:9])
    assert manager.admit(three)
    assert three.num_computed == 4, "the second block is not full"


@task
def test_a_hit_block_is_not_free_any_more():
    manager = make_manager(num_blocks=4)
    leave(manager, come(manager, 1, TEXT[:9]))
    assert manager.pool.num_free == 4
    two = make_sequence(2, [*TEXT[:8], *range(50, 59)])
    assert not manager.admit(two), (
        "17 tokens take five blocks, two of which are hit: three more, and two are left"
    )
    assert manager.pool.references == [0] * 4
    two = make_sequence(2, [*TEXT[:8], *range(50, 58)])
    assert manager.admit(two)
    assert two.num_computed == 8


@task
def test_hits_need_no_other_blocks():
    manager = make_manager(num_blocks=4)
    come(manager, 1, TEXT[:13])
    two = make_sequence(2, [*TEXT[:12], 99])
    assert not manager.admit(two), "one more block, and none is free"
    assert manager.pool.references == [1] * 4


@task
def test_texts_with_other_salts_share_nothing():
    manager = make_manager(num_blocks=16)
    come(manager, 1, TEXT[:9])
    for key, salt, hit in ((2, "other", 0), (3, "other", 8), (4, "", 8)):
        one = make_sequence(key, TEXT[:9])
        manager.salts[key] = salt
        assert manager.admit(one)
        assert one.num_computed == hit
        run_alone(manager, one)


@task
def test_twins_become_one():
    manager = make_manager(num_blocks=16)
    one, two = make_sequence(1, TEXT[:9]), make_sequence(2, TEXT[:9])
    for each in (one, two):
        assert manager.admit(each)
        assert manager.grow(each, 9)
    for each in (one, two):
        each.num_computed = 9
        manager.computed(each)
    assert manager.tables[1][:2] == manager.tables[2][:2]
    assert manager.tables[1][2] != manager.tables[2][2]
    assert manager.pool.num_free == 12, "the second one's blocks are free again"
    assert [manager.pool.references[block] for block in manager.tables[2]] == [2, 2, 1]
    for each in (one, two):
        each.tokens += range(60, 66)
        run_alone(manager, each)
    assert manager.tables[1][:3] == manager.tables[2][:3]


@task
def test_each_block_is_hashed_once(monkeypatch):
    hashed = []
    real = block_hash.block_keys

    def counted(tokens, block_size, salt="", known=()):
        keys = real(tokens, block_size, salt, known)
        hashed.extend(keys[len(known) :])
        return keys

    monkeypatch.setattr(block_manager, "block_keys", counted)
    manager = make_manager(num_blocks=3)
    one = make_sequence(1, TEXT[:9])
    assert manager.admit(one)
    for _ in range(5):
        waiting = make_sequence(2, TEXT[:12])
        manager.admit(waiting)
        manager.free(waiting)
    assert len(hashed) == 2 + 3
    run_alone(manager, one)
    manager.free(one)
    one.num_computed = 0
    assert manager.admit(one), "it was sent back and comes again"
    run_alone(manager, one)
    assert len(hashed) == 2 + 3


@task
def test_an_ended_text_can_be_hit():
    manager = make_manager()
    one = make_sequence(1, TEXT[:9])
    assert manager.admit(one)
    assert manager.grow(one, 9)
    one.num_computed = 9  # its last step was not told
    leave(manager, one, SequenceStatus.FINISHED_LENGTH)
    assert manager.pool.num_free == 8
    assert manager.tables == manager.keys == manager.published == {}
    again = make_sequence(2, TEXT[:9])
    assert manager.admit(again)
    assert again.num_computed == 8


@task
def test_a_failed_step_publishes_nothing():
    manager = make_manager()
    one = make_sequence(1, TEXT[:9])
    assert manager.admit(one)
    assert manager.grow(one, 9)
    one.num_computed = 9
    leave(manager, one, SequenceStatus.FINISHED_ABORTED)
    assert manager.pool.num_published == 0


@task
def test_a_child_is_evicted_before_its_parent():
    manager = make_manager(num_blocks=4)
    leave(manager, come(manager, 1, TEXT[:13]))
    leave(manager, come(manager, 2, list(range(50, 58))))
    again = make_sequence(3, TEXT[:13])
    assert manager.admit(again)
    assert again.num_computed == 8, "the third block is gone, the first two are not"


@task
def test_to_free_twice_changes_nothing():
    manager = make_manager()
    one, two = come(manager, 1, TEXT[:9]), come(manager, 2, TEXT[:9])
    leave(manager, one)
    before = list(manager.pool.references)
    manager.free(one)
    assert manager.pool.references == before
    leave(manager, two)
    assert manager.pool.num_free == 8


@task
def test_who_goes_on_waiting_keeps_its_keys():
    manager = make_manager()
    one = come(manager, 1, TEXT[:9])
    manager.free(one)
    assert len(manager.keys[1]) == 2
    assert manager.tables == {}
    manager.forget(1)
    assert manager.keys == {}


@task
def test_blocks_of_a_rejected_draft_are_used_again():
    manager = make_manager()
    one = come(manager, 1, TEXT[:7])
    one.tokens += [50]
    assert manager.grow(one, 6), "a pending token and five guesses"
    table = list(manager.tables[1])
    assert len(table) == 4
    one.tokens += [51]
    one.num_computed = 8  # all guesses were wrong
    manager.computed(one)
    assert manager.published[1] == 2, "only what is computed is published, however many blocks there are"
    assert manager.grow(one, 4)
    assert manager.tables[1] == table
    assert manager.copies == []


@task
def test_without_room_nothing_changes():
    manager = make_manager(num_blocks=3)
    one = come(manager, 1, TEXT[:5])
    before = manager.tables[1][:], manager.pool.num_free
    assert not manager.grow(one, 8)
    assert before == (manager.tables[1], manager.pool.num_free)
    assert manager.grow(one, 7)


class Nowhere:
    """A host that has nothing."""

    def drop(self, key):
        pass


def noted(monkeypatch, manager):
    """What is called of other tasks' functions, which do nothing meanwhile: name, key, place, and the table then."""
    calls = []
    monkeypatch.setattr(manager, "host", Nowhere())
    for name in ("copy_on_write", "recall", "restore"):

        def note(sequence, *place, name=name):
            table = manager.tables[sequence.key]
            calls.append((name, sequence.key, *place, len(table), sequence.num_computed))

        monkeypatch.setattr(manager, name, note)
    return calls


@task
def test_a_full_hit_leaves_one_token_and_its_block_is_copied(monkeypatch):
    manager = make_manager()
    calls = noted(monkeypatch, manager)
    leave(manager, come(manager, 1, TEXT[:8]))
    calls.clear()
    two = make_sequence(2, TEXT[:8])
    assert manager.admit(two)
    assert two.num_computed == 7
    assert calls == [("recall", 2, 2, 7)]
    assert manager.grow(two, 1)
    assert calls[1:] == [("copy_on_write", 2, 1, 2, 7), ("restore", 2, 2, 7)]


@task
def test_all_shared_blocks_that_are_written_into_are_copied(monkeypatch):
    manager = make_manager()
    one = come(manager, 1, TEXT[:6])
    manager.grow(one, 5)
    table = manager.tables[1]
    manager.pool.take(table)
    calls = noted(monkeypatch, manager)
    assert manager.grow(one, 6)
    assert [call[:3] for call in calls] == [
        ("copy_on_write", 1, 1), ("copy_on_write", 1, 2), ("restore", 1, 3),
    ]  # fmt: skip


@task
def test_where_only_the_copy_lacks_room_the_last_hit_is_left_out():
    for blocks, computed in ((3, 8), (4, 11)):
        manager = make_manager(num_blocks=blocks)
        one = come(manager, 1, TEXT[:12])
        table = list(manager.tables[1])
        leave(manager, one)
        two = make_sequence(2, TEXT[:12])
        assert manager.admit(two)
        assert two.num_computed == computed
        assert manager.tables[2] == table[: -(-computed // 4)]


@task
def test_what_is_published_already_stays_as_it_is():
    manager = make_manager()
    one, two = (make_sequence(key, TEXT[:4]) for key in (1, 2))
    assert manager.admit(one)
    assert manager.grow(one, 4)
    manager.tables[2], manager.published[2] = list(manager.tables[1]), 0  # as a fork has it
    manager.pool.take(manager.tables[2])
    for sequence in (one, two):
        sequence.num_computed = 4
        manager.computed(sequence)
    assert manager.tables[1] == manager.tables[2]
    assert manager.published == {1: 1, 2: 1}
    assert manager.pool.references[manager.tables[1][0]] == 2


@task
def test_what_was_to_come_into_blocks_that_nobody_has_now_does_not_come():
    manager = make_manager()
    one = come(manager, 1, TEXT[:6])
    mine, shared = manager.tables[1]
    other = next(block for block in range(8) if block not in (mine, shared))
    manager.pool.take([shared])
    manager.copies = [(other, mine), (other, shared), (mine, other)]
    manager.restores = [(0, shared), (1, mine), (mine, other)]
    manager.restoring[1] = 1
    leave(manager, one, SequenceStatus.FINISHED_ABORTED)
    assert manager.copies == [(other, shared), (mine, other)]
    assert manager.restores == [(0, shared), (mine, other)]
    assert manager.restoring == {}


@fork_task
def test_a_fork_shares_all_and_the_first_to_write_copies():
    manager = make_manager()
    parent = come(manager, 1, TEXT[:6])
    parent.tokens += [50]
    child = make_sequence(2, [*TEXT[:6], 60])
    child.num_computed = 6
    manager.fork(parent, child)
    first, last = manager.tables[1]
    assert manager.tables[2] == [first, last]
    assert [manager.pool.references[block] for block in (first, last)] == [2, 2]
    run_alone(manager, child)
    own = manager.tables[2][1]
    assert manager.tables == {1: [first, last], 2: [first, own]}
    assert own != last
    assert manager.copies == [(last, own)]
    run_alone(manager, parent)
    assert manager.tables[1] == [first, last], "nobody else has it now: it is written to as it is"
    assert manager.copies == [(last, own)]
    for one in (parent, child):
        leave(manager, one)
    assert manager.pool.num_free == 8


@fork_task
def test_a_fork_at_a_full_block_copies_nothing():
    manager = make_manager()
    parent = come(manager, 1, TEXT[:8])
    child = make_sequence(2, [*TEXT[:8], 60])
    child.num_computed = 8
    manager.fork(parent, child)
    assert manager.keys[2] == manager.keys[1]
    assert len(manager.keys[1]) == 2
    run_alone(manager, child)
    assert manager.copies == []
    assert manager.tables[2][:2] == manager.tables[1]


@fork_task
def test_a_fork_before_its_parent_is_published():
    manager = make_manager()
    twin = come(manager, 0, TEXT[:8])
    parent = make_sequence(1, TEXT[:8])
    manager.salts[1] = "other"
    assert manager.admit(parent)
    assert manager.grow(parent, 8)
    child = make_sequence(2, [*TEXT[:8], 60])
    manager.fork(parent, child)
    assert manager.salts == {1: "other", 2: "other"}
    for one in (parent, child):
        one.num_computed = 8
        manager.computed(one)
    assert manager.tables[1] == manager.tables[2]
    assert manager.published == {0: 2, 1: 2, 2: 2}
    assert set(manager.tables[0]).isdisjoint(manager.tables[1]), "a fork has its parent's salt"
    run_alone(manager, child)
    for one in (twin, parent, child):
        leave(manager, one)
    assert manager.pool.num_free == 8
    assert manager.salts == manager.keys == {}


@fork_task
def test_forks_that_part_are_published_as_what_they_are():
    manager = make_manager()
    parent = come(manager, 1, TEXT[:6])
    child = make_sequence(2, [*TEXT[:6], 60, 61, 62])
    child.num_computed = 6
    manager.fork(parent, child)
    parent.tokens += [50, 51, 52]
    run_alone(manager, parent)
    run_alone(manager, child)
    assert manager.tables[1][1] != manager.tables[2][1]
    for key, tokens in ((3, child.tokens), (4, parent.tokens)):
        again = make_sequence(key, tokens)
        assert manager.admit(again)
        assert manager.tables[key] == manager.tables[{3: 2, 4: 1}[key]][:2]


@fork_task
def test_no_room_for_a_copy():
    manager = make_manager(num_blocks=2)
    parent = come(manager, 1, TEXT[:6])
    child = make_sequence(2, [*TEXT[:6], 60])
    child.num_computed = 6
    manager.fork(parent, child)
    assert not manager.grow(child, 1)
    assert manager.copies == []
    assert manager.tables[1] == manager.tables[2]
    assert manager.room(child) <= 0


@fork_task
def test_a_full_hit_computes_one_token_in_a_copy():
    manager = make_manager()
    one = come(manager, 1, TEXT[:8])
    two = make_sequence(2, TEXT[:8])
    assert manager.admit(two)
    assert two.num_computed == 7
    assert manager.tables[2] == manager.tables[1]
    assert manager.grow(two, 1)
    last = manager.tables[1][1]
    [(source, own)] = manager.copies
    assert source == last
    assert manager.tables[2] == [manager.tables[1][0], own]
    assert not manager.is_shared(own)
    two.num_computed = 8
    manager.computed(two)
    assert manager.tables[2] == manager.tables[1], "it was a twin after all"
    assert manager.pool.num_free == 6
    leave(manager, one)
    two.tokens += range(70, 76)
    run_alone(manager, two)
    assert manager.published[2] == 3


@fork_task
def test_a_published_block_is_not_written_to_even_by_its_only_holder():
    manager = make_manager()
    leave(manager, come(manager, 1, TEXT[:8]))
    two = make_sequence(2, TEXT[:8])
    assert manager.admit(two)
    last = manager.tables[2][1]
    assert manager.pool.references[last] == 1
    assert manager.grow(two, 1)
    assert manager.copies == [(last, manager.tables[2][1])]
    assert manager.pool.keys[last] is not None, "it can still be hit"


@fork_task
def test_without_room_for_the_copy_the_last_block_is_computed_anew():
    full = make_manager(num_blocks=2)
    leave(full, come(full, 1, TEXT[:8]))
    two = make_sequence(2, TEXT[:8])
    assert full.admit(two)
    assert two.num_computed == 4
    run_alone(full, two)
    assert full.copies == []
    manager = make_manager(num_blocks=3)  # with one block more, there is room
    leave(manager, come(manager, 1, TEXT[:8]))
    two = make_sequence(2, TEXT[:8])
    assert manager.admit(two)
    assert two.num_computed == 7
    run_alone(manager, two)
    assert len(manager.copies) == 1


@fork_task
def test_a_copy_that_nobody_wants_any_more_is_not_made():
    manager = make_manager()
    parent = come(manager, 1, TEXT[:6])
    child = make_sequence(2, [*TEXT[:6], 60])
    child.num_computed = 6
    manager.fork(parent, child)
    assert manager.grow(child, 1)
    leave(manager, child, SequenceStatus.FINISHED_ABORTED)
    assert manager.copies == []


@fork_task
def test_forks_that_cannot_be():
    manager = make_manager()
    one, two = come(manager, 1, TEXT[:6]), come(manager, 2, TEXT[8:10])
    for parent, child in ((make_sequence(3, TEXT), make_sequence(4, TEXT)), (one, two)):
        before = list(manager.pool.references)
        with raises(ValueError, parent.key, child.key):
            manager.fork(parent, child)
        assert manager.pool.references == before
