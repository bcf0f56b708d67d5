import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase04_advanced_inference.project10_prompt_caching.block_hash import block_keys
from phase04_advanced_inference.project10_prompt_caching.block_pool import BlockPool, OutOfBlocksError
from phase04_advanced_inference.project10_prompt_caching.given.example import chain, hold, put, same_hashes
from phase04_advanced_inference.project10_prompt_caching.given.fuzz import Fuzz
from shared.testing import raises


def state(pool):
    """All that a call may change."""
    index = {name: list(blocks) for name, blocks in pool.index.items()}
    return (
        list(pool.references), list(pool.keys), list(pool.parents), index, list(pool.empty), list(pool.idle),
        pool.evictions,
    )  # fmt: skip


# ---- task 2: who holds what


@pytest.mark.task(2)
def test_all_blocks_are_handed_out_once_with_one_reference():
    pool = BlockPool(5, 4)
    blocks = [pool.allocate() for _ in range(5)]
    assert sorted(blocks) == [0, 1, 2, 3, 4]
    assert pool.references == [1] * 5
    assert pool.num_free == 0
    with raises(OutOfBlocksError, 5):
        pool.allocate()
    assert pool.references == [1] * 5


@pytest.mark.task(2)
def test_a_pool_without_blocks_hands_none_out():
    with raises(OutOfBlocksError, 0):
        BlockPool(0, 4).allocate()


@pytest.mark.task(2)
def test_a_block_is_free_again_when_the_last_holder_has_released_it():
    pool = BlockPool(3, 4)
    block = pool.allocate()
    pool.take([block])
    pool.take([block])
    assert pool.references[block] == 3
    pool.release([block])
    pool.release([block])
    assert (pool.references[block], pool.num_free) == (1, 2)
    pool.release([block])
    assert (pool.references[block], pool.num_free) == (0, 3)
    assert sorted(pool.empty) == [0, 1, 2]
    assert not pool.idle, "it is not published"


@pytest.mark.task(2)
def test_a_published_block_that_nobody_holds_can_still_be_hit():
    pool = BlockPool(4, 2)
    keys = chain((1, 2), (3, 4))
    blocks = put(pool, keys)
    pool.release(blocks)
    assert list(pool.idle) == [blocks[1], blocks[0]], "the last one became idle first"
    assert pool.num_free == 4
    assert [pool.keys[block] for block in blocks] == keys
    assert pool.num_published == 2
    pool.take(blocks)
    assert not pool.idle
    assert [pool.references[block] for block in blocks] == [1, 1]


@pytest.mark.task(2)
def test_blocks_that_hold_nothing_are_handed_out_first():
    pool = BlockPool(4, 2)
    idle = put(pool, chain((1, 2), (3, 4)), idle=True)
    others = {pool.allocate(), pool.allocate()}
    assert others == {0, 1, 2, 3} - set(idle)
    assert pool.evictions == 0
    assert pool.num_published == 2
    pool.release(sorted(others))
    assert pool.allocate() in others


@pytest.mark.task(2)
def test_a_block_without_a_key_is_handed_out_before_one_that_can_be_hit():
    pool = BlockPool(3, 2)
    blocks = put(pool, chain((1, 2), (3, 4)))
    pool.release(blocks)
    blank = pool.allocate()
    pool.release([blank])  # the one released last
    assert pool.allocate() == blank
    assert pool.evictions == 0


@pytest.mark.task(2)
def test_what_was_released_longest_ago_is_evicted_first_a_text_from_its_end():
    pool = BlockPool(5, 2)
    first = put(pool, chain((1, 2), (3, 4), (5, 6)))
    second = put(pool, chain((7, 7), (8, 8)))
    pool.release(first)
    pool.release(second)
    order = [pool.allocate() for _ in range(5)]
    assert order == [*reversed(first), *reversed(second)]
    assert pool.evictions == 5


@pytest.mark.task(2)
def test_what_was_used_again_stays_longer():
    pool = BlockPool(4, 2)
    first, second = put(pool, chain((1, 2), (3, 4))), put(pool, chain((5, 6), (7, 8)))
    pool.release(first)
    pool.release(second)
    pool.take(first)
    pool.release(first)
    assert [pool.allocate() for _ in range(4)] == [*reversed(second), *reversed(first)]


@pytest.mark.task(2)
def test_a_beginning_that_two_texts_share_goes_after_the_ends_of_both():
    pool = BlockPool(3, 2)
    begin, one = put(pool, chain((1, 2), (3, 4)))
    [other] = hold(pool, 1)
    key = chain((1, 2), (5, 6))[1]
    pool.keys[other], pool.parents[other], pool.index[key.hash] = key, begin, [other]
    pool.take([begin])
    pool.release([begin, one])
    pool.release([begin, other])
    assert [pool.allocate() for _ in range(3)] == [one, other, begin]


@pytest.mark.task(2)
def test_an_evicted_block_is_nowhere_any_more():
    pool = BlockPool(2, 2)
    one, other = chain((1, 2), hash=b"same") + chain((3, 4), hash=b"same")
    [a] = put(pool, [one], idle=True)
    [b] = put(pool, [other], idle=True)
    assert pool.allocate() == a
    assert (pool.keys[a], pool.parents[a], pool.references[a]) == (None, None, 1)
    assert pool.index == {b"same": [b]}, "another block of the same hash stays"
    assert list(pool.idle) == [b]
    assert pool.allocate() == b
    assert pool.index == {}
    assert (pool.evictions, pool.num_free, pool.num_published) == (2, 0, 0)
    pool.release([a])
    assert pool.empty == [a]


@pytest.mark.task(2)
def test_an_evicted_block_has_no_parent_any_more():
    pool = BlockPool(2, 2)
    blocks = put(pool, chain((1, 2), (3, 4)), idle=True)
    assert pool.allocate() == blocks[1]
    assert pool.parents == [None, None]


@pytest.mark.task(2)
def test_a_held_block_is_never_handed_out():
    pool = BlockPool(3, 2)
    kept = put(pool, chain((1, 2)))
    idle = put(pool, chain((3, 4)), idle=True)
    pool.take(idle)
    others = [pool.allocate()]
    assert not set(others) & {*kept, *idle}
    with raises(OutOfBlocksError, 3):
        pool.allocate()


@pytest.mark.task(2)
def test_a_block_may_be_taken_and_released_several_times_at_once():
    pool = BlockPool(2, 2)
    [block] = put(pool, chain((1, 2)), idle=True)
    pool.take([block, block])
    assert (pool.references[block], pool.num_free) == (2, 1)
    pool.release([block, block])
    assert (pool.references[block], pool.num_free) == (0, 2)
    assert list(pool.idle) == [block]


@pytest.mark.task(2)
def test_a_double_release_is_an_error_that_names_the_block_and_changes_nothing():
    pool = BlockPool(9, 2)
    blocks = put(pool, chain((1, 2), (3, 4)))
    last = blocks[1]
    before = state(pool)
    with raises(ValueError, last):
        pool.release([*blocks, last])
    assert state(pool) == before
    pool.release([last])
    before = state(pool)
    with raises(ValueError, last):
        pool.release(blocks)
    assert state(pool) == before
    never = pool.empty[0]
    with raises(ValueError, never):
        pool.release([blocks[0], never])
    assert state(pool) == before


@pytest.mark.task(2)
def test_an_empty_block_cannot_be_taken():
    pool = BlockPool(9, 2)
    [block] = put(pool, chain((1, 2)), idle=True)
    before = state(pool)
    with raises(ValueError, 7):
        pool.take([block, 7])
    assert state(pool) == before


@pytest.mark.task(2)
@pytest.mark.parametrize("odd", [-1, 9, 100])
def test_a_number_that_is_no_blocks_is_refused(odd):
    pool = BlockPool(9, 2)
    [block] = put(pool, chain((1, 2)))
    before = state(pool)
    with raises(ValueError, odd, 9):
        pool.take([block, odd])
    with raises(ValueError, odd, 9):
        pool.release([block, odd])
    assert state(pool) == before


# ---- task 3: what can be hit


@pytest.mark.task(3)
def test_a_block_is_hit_under_its_key_once_it_is_published():
    pool = BlockPool(4, 2)
    keys = block_keys([1, 2, 3, 4], 2)
    first, second = hold(pool, 2)
    assert pool.match(keys) == []
    assert pool.publish(first, keys[0]) == first
    assert pool.match(keys) == [first], "the second is not computed yet"
    assert pool.publish(second, keys[1]) == second
    assert pool.match(keys) == [first, second]
    assert pool.match(block_keys([1, 2, 3, 4, 5, 6], 2)) == [first, second]
    assert pool.match(block_keys([1, 2, 9, 9], 2)) == [first]
    assert pool.match(block_keys([9, 9, 1, 2, 3, 4], 2)) == []
    assert pool.match([]) == []
    assert (pool.keys[second], pool.parents[first], pool.parents[second]) == (keys[1], None, first)
    assert pool.references[second] == 1, "publishing takes no reference"
    assert pool.num_published == 2


@pytest.mark.task(3)
def test_a_match_takes_nothing_and_finds_idle_blocks_too():
    pool = BlockPool(4, 2)
    keys = chain((1, 2), (3, 4))
    blocks = put(pool, keys, idle=True)
    before = state(pool)
    assert pool.match(chain((1, 2), (3, 4))) == blocks
    assert state(pool) == before


@pytest.mark.task(3)
def test_a_match_ends_at_the_first_gap():
    pool = BlockPool(5, 2)
    keys = chain((1, 2), (3, 4), (5, 6))
    blocks = put(pool, keys)
    gap = blocks[1]
    pool.index.pop(keys[1].hash)
    pool.keys[gap] = pool.parents[gap] = None
    assert pool.match(keys) == blocks[:1]


@pytest.mark.task(3)
def test_salts_the_same_hits_and_another_does_not():
    """Both at once: a cache that never hits would keep tenants apart as well."""
    pool = BlockPool(8, 2)
    text = [1, 2, 3, 4]
    held = {}
    for salt in ("", "a", "b"):
        held[salt] = hold(pool, 2)
        for block, key in zip(held[salt], block_keys(text, 2, salt), strict=True):
            assert pool.publish(block, key) == block
    for salt, blocks in held.items():
        assert pool.match(block_keys(text, 2, salt)) == blocks
    assert pool.match(block_keys(text, 2, "c")) == []


@pytest.mark.task(3)
def test_salts_are_compared_though_hashes_are_equal():
    pool = BlockPool(4, 2)
    mine, others = chain((1, 2), hash=b"0", salt="a"), chain((1, 2), hash=b"0", salt="b")
    [block] = put(pool, mine)
    assert pool.match(others) == []
    assert pool.match(mine) == [block]
    [own] = hold(pool, 1)
    assert pool.publish(own, others[0]) == own, "no twin"
    assert pool.match(others) == [own]


@pytest.mark.task(3)
def test_with_a_hash_that_is_always_the_same_the_whole_prefix_decides():
    """The same block of tokens after another beginning has other keys and values: tokens alone are not enough."""
    pool = BlockPool(9, 2)
    texts = {text: same_hashes(text, 2) for text in [(1, 2, 5, 6, 7, 8), (3, 4, 5, 6, 7, 8), (5, 6, 7, 8)]}
    held = {}
    for text, keys in texts.items():
        held[text] = hold(pool, len(keys))
        for block, key in zip(held[text], keys, strict=True):
            assert pool.publish(block, key) == block, "no twin: its prefix is another"
    for text, keys in texts.items():
        assert pool.match(keys) == held[text]
    assert pool.match(same_hashes([3, 4, 7, 8], 2)) == held[3, 4, 5, 6, 7, 8][:1]
    assert pool.match(same_hashes([7, 8], 2)) == []
    assert pool.match(same_hashes([1, 2, 5, 6, 9, 9], 2)) == held[1, 2, 5, 6, 7, 8][:2]


@pytest.mark.task(3)
def test_the_child_of_block_0_is_not_the_first_block_of_a_text():
    pool = BlockPool(2, 2)
    for block, tokens in enumerate([(1, 2), (3, 4)]):  # two texts of a block each
        pool.empty.remove(block)
        pool.references[block] = 1
        assert pool.publish(block, same_hashes(tokens, 2)[0]) == block
    assert pool.match(same_hashes([1, 2, 3, 4], 2)) == [0]


@pytest.mark.task(3)
@settings(max_examples=30)
@given(data=st.data(), same_hash=st.booleans())
def test_the_longest_cached_prefix_whatever_the_hash(data, same_hash):
    """Against a plain dictionary of whole prefixes."""
    texts = data.draw(st.lists(st.lists(st.integers(0, 1), max_size=9), max_size=6))
    pool, known = BlockPool(40, 2), {}
    for text in texts:
        blocks = [tuple(text[i : i + 2]) for i in range(0, len(text) - 1, 2)]
        for number, key in enumerate(chain(*blocks, hash=b"h" if same_hash else None)):
            [block] = hold(pool, 1)
            expected = known.setdefault(tuple(blocks[: number + 1]), block)
            assert pool.publish(block, key) == expected
    for text in [*texts, data.draw(st.lists(st.integers(0, 1), max_size=9))]:
        blocks = [tuple(text[i : i + 2]) for i in range(0, len(text) - 1, 2)]
        expected = []
        while len(expected) < len(blocks) and tuple(blocks[: len(expected) + 1]) in known:
            expected.append(known[tuple(blocks[: len(expected) + 1])])
        assert pool.match(chain(*blocks, hash=b"h" if same_hash else None)) == expected


@pytest.mark.task(3)
def test_a_twin_stays_unpublished_and_the_text_goes_on_with_what_was_there():
    pool = BlockPool(6, 2)
    first = put(pool, chain((1, 2), (3, 4)))
    second = hold(pool, 2)
    again = chain((1, 2), (3, 4))
    for mine, key, there in zip(second, again, first, strict=True):
        before = state(pool)
        assert pool.publish(mine, key) == there
        assert state(pool) == before
        pool.take([there])
        pool.release([mine])
    assert sorted(pool.empty) == sorted({0, 1, 2, 3, 4, 5} - set(first)), (
        "the twins' own blocks are empty again"
    )
    assert pool.match(again) == first
    [third] = hold(pool, 1)
    assert pool.publish(third, chain((1, 2), (3, 4), (5, 6))[2]) == third
    assert pool.parents[third] == first[1]


@pytest.mark.task(3)
def test_what_is_evicted_is_not_hit_and_may_be_published_again():
    pool = BlockPool(2, 2)
    keys = chain((1, 2), (3, 4))
    blocks = put(pool, keys)
    pool.release(blocks)
    assert pool.allocate() == blocks[1]
    assert pool.match(keys) == blocks[:1]
    pool.take(blocks[:1])
    assert pool.publish(blocks[1], keys[1]) == blocks[1]
    assert pool.match(keys) == blocks


@pytest.mark.task(3)
@pytest.mark.parametrize("tokens", [(1,), (1, 2, 3), ()])
def test_only_full_blocks_are_published(tokens):
    pool = BlockPool(9, 2)
    [block] = hold(pool, 1)
    before = state(pool)
    with raises(ValueError, 2, len(tokens)):
        pool.publish(block, chain(tokens)[0])
    assert state(pool) == before


@pytest.mark.task(3)
def test_only_a_block_that_is_held_and_not_published_is_published():
    pool = BlockPool(9, 2)
    [block] = put(pool, chain((1, 2)))
    [idle] = put(pool, chain((3, 4)), idle=True)
    empty = pool.empty[0]
    before = state(pool)
    for odd in (block, idle, empty, -1, 9):
        with raises(ValueError, odd):
            pool.publish(odd, chain((5, 6))[0])
    with raises(ValueError, block):
        pool.publish(block, chain((1, 2))[0])
    assert state(pool) == before


@pytest.mark.task(3)
def test_a_block_without_its_parent_is_refused():
    pool = BlockPool(9, 2)
    [block] = hold(pool, 1)
    before = state(pool)
    with raises(ValueError, block):
        pool.publish(block, chain((1, 2), (3, 4))[1])
    assert state(pool) == before
    put(pool, chain((1, 2)), idle=True)
    before = state(pool)
    with raises(ValueError, block):  # it could be evicted before its child
        pool.publish(block, chain((1, 2), (3, 4))[1])
    assert state(pool) == before


@pytest.mark.task(3)
def test_a_parent_that_nobody_holds_is_an_error_though_there_is_a_twin():
    pool = BlockPool(9, 2)
    put(pool, chain((1, 2), (3, 4)), idle=True)
    [block] = hold(pool, 1)
    before = state(pool)
    with raises(ValueError, block):
        pool.publish(block, chain((1, 2), (3, 4))[1])
    assert state(pool) == before


@pytest.mark.task(3)
def test_matching_a_text_compares_each_of_its_blocks_once():
    """And not all before it again: of n blocks, n comparisons, not n²."""
    compared = []

    class Counted(tuple):
        def __eq__(self, other):
            compared.append(self)
            return tuple(self) == tuple(other)

        def __ne__(self, other):
            compared.append(self)
            return tuple(self) != tuple(other)

        def __hash__(self):
            return tuple.__hash__(self)

    pool = BlockPool(60, 1)
    keys = chain(*[(i,) for i in range(60)])
    blocks = put(pool, keys)
    for key in keys:
        key.tokens = Counted(key.tokens)
    asked = chain(*[(i,) for i in range(60)])
    assert pool.match(asked) == blocks
    assert len(compared) <= 60


@pytest.mark.task(3)
@pytest.mark.parametrize("seed", range(4))
def test_random_operations_break_no_invariant(seed):
    fuzz = Fuzz(seed, num_blocks=[12, 5, 3, 0][seed])
    fuzz.run(600)
    assert seed == 3 or fuzz.hits > 0
    assert seed > 0 or (fuzz.twins > 3 and fuzz.pool.evictions > 10)


@pytest.mark.task(3)
def test_random_operations_with_one_hash_for_all_break_no_invariant():
    fuzz = Fuzz(9, keys=same_hashes)
    fuzz.run(600)
    assert fuzz.hits > 0


@pytest.mark.parametrize(("blocks", "size"), [(-1, 4), (4, 0), (4, -2)])
def test_a_pool_has_blocks_of_a_token_at_least(blocks, size):
    with raises(ValueError, blocks, size):
        BlockPool(blocks, size)
