import pytest
import torch

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project10_prompt_caching.given.example import TINY, spoiled
from shared.phase03 import KVCache
from shared.testing import raises


def filled_cache(rows, length, capacity=20, dtype=torch.float32):
    """A cache whose rows hold so many tokens, every number in it another one, NaN beyond."""
    cache = spoiled(KVCache(TINY, rows, capacity, dtype))
    for number, buffer in enumerate([*cache.keys, *cache.values]):
        part = buffer[:, :, :length]
        part.copy_(torch.arange(part.numel()).view(part.shape) + 10_000 * number)
    cache.lengths = [length] * rows
    return cache


def store(num_blocks=6, block_size=3, dtype=torch.float32):
    made = BlockStore(TINY, num_blocks, block_size, dtype)
    for buffer in [*made.keys, *made.values]:
        buffer.fill_(torch.nan)
    return made


def held(cache, row, start, end):
    return [buffer[row, :, start:end].clone() for buffer in [*cache.keys, *cache.values]]


def stored(blocks, slots):
    return [buffer[:, slots] for buffer in [*blocks.keys, *blocks.values]]


def equal(found, expected):
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


# ---- task 4: in and out


@pytest.mark.task(4)
@pytest.mark.parametrize(
    ("blocks", "expected"),
    [([2, 0], [6, 7, 8, 0, 1, 2]), ([5], [15, 16, 17]), ([], []), ([1, 1], [3, 4, 5, 3, 4, 5])],
)
def test_a_blocks_slots_lie_side_by_side(blocks, expected):
    found = store().slots(blocks)
    assert found.tolist() == expected
    assert found.dtype == torch.int64


@pytest.mark.task(4)
def test_slots_are_on_the_stores_device():
    assert BlockStore(TINY, 4, 3, device="meta").slots([1]).device.type == "meta"


@pytest.mark.task(4)
@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize(("start", "blocks"), [(0, [4, 1]), (6, [0, 5, 2]), (3, [3]), (1, [2, 0])])
def test_a_rows_tokens_are_written_into_their_blocks_and_nowhere_else(row, start, blocks):
    cache, made = filled_cache(2, 15), store()
    before = [buffer.clone() for buffer in [*cache.keys, *cache.values]]
    made.write(cache, row, start, blocks)
    slots = [block * 3 + offset for block in blocks for offset in range(3)]
    equal(stored(made, slots), held(cache, row, start, start + len(slots)))
    others = [slot for slot in range(18) if slot not in slots]
    assert all(part.isnan().all() for part in stored(made, others))
    assert cache.lengths == [15, 15]
    after = [*cache.keys, *cache.values]
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(before, after, strict=True))


@pytest.mark.task(4)
@pytest.mark.parametrize(("start", "blocks", "end"), [(0, [1, 2, 3], 9), (6, [0], 9), (8, [0], 11)])
def test_what_a_row_does_not_hold_is_not_written(start, blocks, end):
    cache, made = filled_cache(2, 8), store()
    with raises(ValueError, 8, end):
        made.write(cache, 1, start, blocks)
    assert all(buffer.isnan().all() for buffer in [*made.keys, *made.values])


@pytest.mark.task(4)
@pytest.mark.parametrize("row", [0, 1])
def test_it_is_the_rows_own_length_that_counts(row):
    cache, made = filled_cache(2, 8), store()
    cache.lengths[row] = 5
    with raises(ValueError, 5, 6):
        made.write(cache, row, 0, [2, 0])
    made.write(cache, 1 - row, 0, [2, 0])


@pytest.mark.task(4)
def test_a_planned_step_is_not_held_yet():
    cache, made = filled_cache(1, 5), store()
    cache.plan([4])
    with raises(ValueError, 5, 6):
        made.write(cache, 0, 3, [0])
    made.write(cache, 0, 0, [0])
    assert cache.counts == [4], "writing changes nothing in the cache"


@pytest.mark.task(4)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_what_is_read_is_what_was_written_bit_for_bit(dtype):
    source, made = filled_cache(1, 15, dtype=dtype), store(dtype=dtype)
    made.write(source, 0, 0, [4, 0, 5])
    made.write(source, 0, 9, [2, 1])
    cache = spoiled(KVCache(TINY, 3, 20, dtype))
    made.read(cache, 1, [4, 0, 5, 2, 1])
    equal(held(cache, 1, 0, 15), held(source, 0, 0, 15))
    assert cache.lengths == [0, 15, 0]
    for buffer in [*cache.keys, *cache.values]:
        assert buffer[[0, 2]].isnan().all(), "the other rows stay"
    made.read(cache, 1, [4])
    equal(held(cache, 1, 0, 3), held(source, 0, 0, 3))
    assert cache.lengths == [0, 3, 0], "these tokens and no others"


@pytest.mark.task(4)
def test_reading_makes_room_and_keeps_what_other_rows_hold():
    made, cache = store(), filled_cache(2, 4, capacity=4)
    source = filled_cache(1, 18)
    made.write(source, 0, 0, [0, 1, 2, 3, 4, 5])
    other = held(cache, 0, 0, 4)
    cache.plan([0, 1])
    made.read(cache, 1, [3, 4, 5])
    assert cache.lengths == [4, 9]
    assert cache.counts == [0, 0], "what was planned is dropped"
    equal(held(cache, 0, 0, 4), other)
    equal(held(cache, 1, 0, 9), held(source, 0, 9, 18))


@pytest.mark.task(4)
def test_reading_nothing_empties_the_row():
    cache = filled_cache(2, 4)
    cache.plan([1, 1])
    store().read(cache, 0, [])
    assert (cache.lengths, cache.counts) == ([0, 4], [0, 0])
    empty = BlockStore(TINY, 0, 3)
    empty.read(cache, 1, [])
    empty.write(cache, 1, 0, [])
    assert cache.lengths == [0, 0]


@pytest.mark.task(4)
def test_more_than_the_context_is_refused_and_nothing_changes():
    made, cache = store(num_blocks=20), filled_cache(1, 4)
    before = held(cache, 0, 0, 4)
    with raises(ValueError, 42, 40):
        made.read(cache, 0, list(range(14)))
    assert cache.lengths == [4]
    equal(held(cache, 0, 0, 4), before)


def test_the_memory_of_all_blocks():
    made = BlockStore(TINY, 10, 4, torch.bfloat16)
    assert made.nbytes == 2 * 2 * 2 * 6 * 40 * 2  # keys and values, layers, heads, width, slots, bytes
    assert made.keys[0].shape == (2, 40, 6)
