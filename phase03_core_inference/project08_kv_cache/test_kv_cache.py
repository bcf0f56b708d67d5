import math
import random
import weakref
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from phase03_core_inference.project08_kv_cache.given.example import (
    SHAPES,
    TINY,
    random_heads,
    random_model,
    random_prompts,
    spoiled,
)
from phase03_core_inference.project08_kv_cache.kv_cache import KVCache, attend_row
from shared.phase01 import Config
from shared.testing import raises

SMALL = Config(
    vocab_size=5, context_length=20, layers=2, heads=4, kv_heads=2, dim=8, hidden_dim=8, head_dim=4
)


def read(model, cache, new):
    """Each row's new tokens through the model: logits of all their places, row by row."""
    positions = cache.plan([len(row) for row in new])
    tokens = torch.tensor([[token for row in new for token in row]])
    with torch.inference_mode():
        logits = model(tokens, positions, cache)[0]
    return logits.split([len(row) for row in new])


def whole(model, text):
    """What the model says of a text that it reads at once, without a cache."""
    with torch.inference_mode():
        return model(torch.tensor([text]))[0]


def same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


# ---- task 1: room


@pytest.mark.task(1)
@pytest.mark.parametrize(
    ("length", "expected"), [(1, 3), (3, 3), (4, 6), (6, 6), (7, 12), (12, 12), (13, 20), (20, 20)]
)
def test_room_doubles_up_to_the_context(length, expected):
    cache = KVCache(SMALL, rows=2, capacity=3)
    cache.reserve(length)
    assert cache.capacity == expected
    assert {tuple(buffer.shape) for buffer in [*cache.keys, *cache.values]} == {(2, 2, expected, 4)}


@pytest.mark.task(1)
def test_what_was_held_is_there_after_growing_and_nothing_moves_without_need():
    cache = spoiled(KVCache(SMALL, rows=2, capacity=3, dtype=torch.float64))
    k, v = random_heads(2, 3, 4, count=2)
    for layer in range(2):
        cache.append(layer, 1, k + layer, v + layer)
    cache.lengths = [0, 3]
    before = [buffer.data_ptr() for buffer in [*cache.keys, *cache.values]]
    cache.reserve(3)
    assert [buffer.data_ptr() for buffer in [*cache.keys, *cache.values]] == before
    cache.reserve(4)
    for layer in range(2):
        assert torch.equal(cache.keys[layer][1, :, :3], k + layer)
        assert torch.equal(cache.values[layer][1, :, :3], v + layer)
    assert cache.keys[0].dtype == torch.float64


@pytest.mark.task(1)
@pytest.mark.parametrize("rows", [2, 3])
def test_every_row_keeps_its_own(rows):
    cache = KVCache(SMALL, rows, capacity=3, dtype=torch.float64)
    held = random_heads(rows, 2, 3, 4, count=4)
    for layer in range(2):
        cache.keys[layer].copy_(held[layer])
        cache.values[layer].copy_(held[2 + layer])
    cache.lengths = [3, 1, 2][:rows]
    cache.reserve(7)
    for buffer, before in zip([*cache.keys, *cache.values], held, strict=True):
        for row, length in enumerate(cache.lengths):
            assert torch.equal(buffer[row, :, :length], before[row, :, :length])


@pytest.mark.task(1)
def test_it_grows_on_its_own_device():
    cache = KVCache(SMALL, capacity=2, device="meta")
    cache.reserve(5)
    assert {buffer.device.type for buffer in [*cache.keys, *cache.values]} == {"meta"}


@pytest.mark.task(1)
def test_one_layer_after_the_other_is_there_twice():
    cache = KVCache(replace(SMALL, layers=6), capacity=2)
    old = [weakref.ref(buffer) for buffer in [*cache.keys, *cache.values]]
    made, left = set(), []  # at each new buffer, how many old ones are still there

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            found = function(*args, **(kwargs or {}))
            if isinstance(found, torch.Tensor) and found.shape == (1, 2, 8, 4):
                if found.untyped_storage().data_ptr() not in made:
                    left.append(sum(buffer() is not None for buffer in old))
                made.add(found.untyped_storage().data_ptr())
            return found

    with Watch():
        cache.reserve(5)
    assert len(left) >= 12, "12 new buffers, of 8 slots"
    assert left[-1] <= 2, f"of 12 old buffers, {left[-1]} are left when the last new one is made"


@pytest.mark.task(1)
@pytest.mark.parametrize("length", [21, 1000])
def test_more_than_the_context_is_refused_and_nothing_changes(length):
    cache = KVCache(SMALL, capacity=4)
    before = cache.keys[0].data_ptr()
    with raises(ValueError, length, 20):
        cache.reserve(length)
    assert cache.capacity == 4
    assert cache.keys[0].data_ptr() == before


@pytest.mark.task(1)
def test_new_keys_and_values_stand_after_those_of_their_row_and_layer():
    cache = spoiled(KVCache(SMALL, rows=3, capacity=10, dtype=torch.float64))
    first, second, values = random_heads(2, 4, 4, count=3)
    cache.append(1, 2, first, values)
    assert cache.lengths == [0, 0, 0], "the other layers are still to come"
    cache.lengths[2] = 4
    keys, held = cache.append(1, 2, second[:, :3], values[:, :3] + 1)
    assert torch.equal(keys, torch.cat([first, second[:, :3]], dim=1))
    assert torch.equal(held, torch.cat([values, values[:, :3] + 1], dim=1))
    assert keys.data_ptr() == cache.keys[1][2].data_ptr(), "a view of the buffer, no copy"
    assert held.data_ptr() == cache.values[1][2].data_ptr()
    filled = [int((~buffer.isnan()).sum()) for buffer in [*cache.keys, *cache.values]]
    assert filled == [0, 2 * 7 * 4, 0, 2 * 7 * 4], "nothing else is written"


# ---- task 2: one row's attention


def written_out(q, k, v, window=None):
    """Query by query, head by head: the definition."""
    heads, new, dim = q.shape
    held = k.shape[1]
    mixed = torch.zeros_like(q)
    for h in range(heads):
        keys, values = k[h * len(k) // heads], v[h * len(k) // heads]
        for i in range(new):
            end = held - new + i + 1
            seen = slice(max(0, end - window) if window else 0, end)
            weights = (keys[seen] @ q[h, i] / math.sqrt(dim)).softmax(0)
            mixed[h, i] = weights @ values[seen]
    return mixed


@pytest.mark.task(2)
@pytest.mark.parametrize("window", [None, 1, 3, 50])
@pytest.mark.parametrize(("new", "held"), [(1, 1), (1, 9), (9, 9), (4, 9), (2, 3)])
@pytest.mark.parametrize("kv_heads", [1, 2, 6])
def test_queries_see_what_stands_before_them(new, held, window, kv_heads):
    [q] = random_heads(6, new, 4)
    k, v = random_heads(kv_heads, held, 4, count=2, seed=1)
    same(attend_row(q, k, v, window), written_out(q, k, v, window))


@pytest.mark.task(2)
def test_no_query_is_touched_by_a_later_key():
    [q] = random_heads(4, 3, 4)
    k, v = random_heads(2, 8, 4, count=2, seed=1)
    before = attend_row(q, k, v)
    k[:, -1], v[:, -1] = 100.0, 100.0
    after = attend_row(q, k, v)
    same(after[:, :2], before[:, :2])
    assert (after[:, 2] - before[:, 2]).abs().min() > 1e-3


@pytest.mark.task(2)
def test_large_scores_do_not_overflow():
    [q] = random_heads(4, 3, 8, dtype=torch.float32)
    k, v = random_heads(2, 7, 8, count=2, seed=1, dtype=torch.float32)
    expected = written_out(1000 * q.double(), k.double(), v.double())
    torch.testing.assert_close(attend_row(1000 * q, k, v).double(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.task(2)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_keeps_the_values_dtype(dtype):
    [q] = random_heads(4, 3, 8, dtype=dtype)
    k, v = random_heads(2, 7, 8, count=2, seed=1, dtype=dtype)
    mixed = attend_row(q, k, v)
    assert mixed.dtype == dtype
    expected = written_out(q.double(), k.double(), v.double())
    torch.testing.assert_close(
        mixed.double(), expected, rtol=0, atol=1e-6 if dtype == torch.float32 else 0.03
    )


# ---- task 3: rows


@pytest.mark.task(3)
def test_positions_go_on_where_each_row_is():
    cache = KVCache(SMALL, rows=4)
    cache.lengths = [5, 0, 2, 7]
    positions = cache.plan([3, 2, 0, 1])
    assert positions.tolist() == [5, 6, 7, 0, 1, 7]
    assert positions.dtype == torch.int64
    assert cache.counts == [3, 2, 0, 1]
    assert cache.lengths == [5, 0, 2, 7], "the step is still to come"


@pytest.mark.task(3)
def test_a_row_may_become_full():
    cache = KVCache(SMALL, rows=2)
    cache.lengths = [0, 17]
    assert cache.plan([20, 3]).tolist() == [*range(20), 17, 18, 19]
    cache.lengths = [0, 18]
    assert cache.plan([5, 0]).tolist() == [0, 1, 2, 3, 4], "no row would hold more than 18"


@pytest.mark.task(3)
def test_a_plan_is_of_the_numbers_that_were_given_whatever_becomes_of_their_list():
    cache, counts = KVCache(SMALL, rows=2), [1, 2]
    cache.plan(counts)
    counts[0] = 9
    assert cache.counts == [1, 2]
    cache.plan((3, 0))
    assert cache.counts == [3, 0]


@pytest.mark.task(3)
def test_positions_are_on_the_caches_device():
    assert KVCache(SMALL, device="meta").plan([2]).device.type == "meta"


@pytest.mark.task(3)
def test_a_cache_with_a_window_lets_its_queries_see_so_many():
    cache = KVCache(replace(SMALL, layers=1), dtype=torch.float64)
    cache.window = 3
    [q] = random_heads(4, 7, 4)
    k, v = random_heads(2, 7, 4, count=2, seed=1)
    cache.plan([7])
    same(cache(0, q[None], k[None], v[None])[0], written_out(q, k, v, 3))


@pytest.mark.task(3)
def test_a_plan_makes_room_and_may_be_made_anew():
    cache = KVCache(SMALL, rows=2, capacity=2)
    cache.plan([3, 1])
    assert cache.capacity == 4
    assert cache.plan([1, 1]).tolist() == [0, 0]


@pytest.mark.task(3)
@pytest.mark.parametrize(
    ("counts", "facts"),
    [
        ([1], (2, 1)),
        ([1, 1, 1], (2, 3)),
        ([1, -2], (-2,)),
        ([0, 0], ()),
        ([1, 16], (1, 21, 20)),
        ([21, 1], (0, 21, 20)),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_and_changes_nothing(counts, facts):
    cache = KVCache(SMALL, rows=2, capacity=6)
    cache.lengths = [0, 5]
    with raises(ValueError, *facts):
        cache.plan(counts)
    assert (cache.counts, cache.lengths, cache.capacity) == ([0, 0], [0, 5], 6)


@pytest.mark.task(3)
@pytest.mark.parametrize("config", SHAPES)
@settings(max_examples=12)
@given(data=st.data())
def test_read_in_any_parts_a_text_is_the_same(config, data):
    """Chunked prefill: whatever the splits, and whatever slots beyond hold."""
    model = random_model(config)
    [text] = random_prompts(1, seed=data.draw(st.integers(0, 99)), longest=30)
    cache = spoiled(KVCache(config, capacity=data.draw(st.integers(1, 8)), dtype=torch.float64))
    found, rest = [], text
    while rest:
        count = data.draw(st.integers(1, len(rest)))
        found += read(model, cache, [rest[:count]])
        rest = rest[count:]
        cache = spoil_beyond(cache)
    same(torch.cat(found), whole(model, text))
    assert cache.lengths == [len(text)]


def spoil_beyond(cache):
    """NaN in every slot that its row has not filled."""
    for row, length in enumerate(cache.lengths):
        for buffer in [*cache.keys, *cache.values]:
            buffer[row, :, length:] = torch.nan
    return cache


@pytest.mark.task(3)
@settings(max_examples=20)
@given(st.integers(0, 9999))
def test_rows_of_different_lengths_do_not_see_each_other(seed):
    """Each row in steps of its own, other rows' slots beyond their ends full of NaN: every row as if alone."""
    model, draw = random_model(), random.Random(seed)
    texts = random_prompts(draw.randint(1, 4), seed, longest=14)
    cache = spoiled(KVCache(TINY, rows=len(texts), capacity=2, dtype=torch.float64))
    found, rest = [[] for _ in texts], [list(text) for text in texts]
    while any(rest):
        counts = [min(len(left), draw.randint(0, 5)) for left in rest]
        if not any(counts):
            continue
        new = [left[:count] for left, count in zip(rest, counts, strict=True)]
        for row, logits in enumerate(read(model, cache, new)):
            found[row].append(logits)
        rest = [left[count:] for left, count in zip(rest, counts, strict=True)]
        spoil_beyond(cache)
    for text, parts in zip(texts, found, strict=True):
        same(torch.cat(parts), whole(model, text))
    assert cache.lengths == list(map(len, texts))


@pytest.mark.task(3)
def test_rows_hold_their_tokens_after_the_last_layer_and_not_before():
    model, cache = random_model(), KVCache(TINY, rows=2, dtype=torch.float64)
    seen = []
    positions = cache.plan([3, 1])

    def attend(layer, q, k, v):
        mixed = cache(layer, q, k, v)
        seen.append((list(cache.lengths), list(cache.counts)))
        return mixed

    model(torch.tensor([[1, 2, 3, 4]]), positions, attend)
    assert seen == [([0, 0], [3, 1]), ([3, 1], [0, 0])]


@pytest.mark.task(3)
def test_a_step_that_fails_can_be_made_again():
    model, cache = random_model(), KVCache(TINY, dtype=torch.float64)
    read(model, cache, [[1, 2]])
    positions = cache.plan([2])

    def attend(layer, q, k, v):
        if layer == 1:
            raise KeyboardInterrupt
        return cache(layer, q, k, v)

    with pytest.raises(KeyboardInterrupt):
        model(torch.tensor([[9, 9]]), positions, attend)
    [found] = read(model, cache, [[3, 4]])
    same(found, whole(model, [1, 2, 3, 4])[2:])


@pytest.mark.task(3)
@pytest.mark.parametrize(
    ("other", "facts"),
    [
        (replace(TINY, layers=3), (2,)),
        (replace(TINY, kv_heads=4), (2, 4)),
        (replace(TINY, head_dim=8), (6, 8)),
    ],
)
def test_another_models_keys_are_refused(other, facts):
    cache = KVCache(TINY, dtype=torch.float64)
    positions = cache.plan([2])
    with raises(ValueError, *facts):
        random_model(other)(torch.tensor([[1, 2]]), positions, cache)


@pytest.mark.task(3)
def test_a_step_of_another_dtype_or_length_or_without_a_plan_is_refused():
    model, cache = random_model(), KVCache(TINY)
    with raises(ValueError, "plan"):
        model(torch.tensor([[1, 2]]), torch.arange(2), cache)
    with raises(ValueError, "float32", "float64"):
        model(torch.tensor([[1, 2]]), cache.plan([2]), cache)
    with raises(ValueError, 3, 2):
        model(torch.tensor([[1, 2]]), cache.plan([3])[:2], cache)


@pytest.mark.task(3)
def test_what_is_checked_is_the_dtype_of_values():
    cache = KVCache(SMALL)  # float32
    cache.plan([2])
    [q], [k] = random_heads(1, 4, 2, 4), random_heads(1, 2, 2, 4)
    with raises(ValueError, "float32", "float64"):
        cache(0, q.float(), k.float(), k)


@pytest.mark.task(3)
def test_one_token_a_row_goes_to_the_decode_attention():
    model, cache = random_model(), KVCache(TINY, rows=3, dtype=torch.float64)
    plain = KVCache(TINY, rows=3, dtype=torch.float64)
    asked = []

    def decode(q, keys, values, rows, lengths):
        asked.append((tuple(q.shape), keys is cache.keys[len(asked) % 2], rows, lengths))
        return None if len(asked) < 3 else torch.zeros_like(q)

    cache.decode = decode
    start, one = [[1, 2], [3], [4, 5, 6]], [[7], [], [8]]
    for each in (cache, plain):
        read(model, each, [start[0], [], []])
        read(model, each, [[], *start[1:]])
    assert not asked, "several tokens a row are not its work"
    same(torch.cat(read(model, cache, one)), torch.cat(read(model, plain, one)))
    assert asked == [((2, 4, 6), True, [0, 2], [3, 4])] * 2
    assert cache.lengths == plain.lengths == [3, 1, 4]
    found = read(model, cache, [[1], [1], [1]])
    assert (torch.cat(found) - torch.cat(read(model, plain, [[1], [1], [1]]))).abs().max() > 1e-3, (
        "it decides"
    )


# ---- task 4: rewinding


@pytest.mark.task(4)
@settings(max_examples=15)
@given(data=st.data())
def test_rewound_and_gone_on_is_never_having_had_it(data):
    model = random_model()
    kept, dropped, instead = random_prompts(3, seed=data.draw(st.integers(0, 99)))
    back = data.draw(st.integers(0, len(kept)))
    cache = KVCache(TINY, rows=2, capacity=4, dtype=torch.float64)
    read(model, cache, [[1, 2], kept])
    read(model, cache, [[], dropped])
    cache.rewind(1, back)
    assert cache.lengths == [2, back]
    first, found = read(model, cache, [[3], instead])
    same(found, whole(model, kept[:back] + instead)[back:])
    same(first, whole(model, [1, 2, 3])[2:])


@pytest.mark.task(4)
def test_a_rewind_drops_what_was_planned_and_keeps_the_buffers():
    model, cache = random_model(), KVCache(TINY, dtype=torch.float64)
    read(model, cache, [[1, 2, 3]])
    before = cache.keys[0].data_ptr()
    cache.plan([2])
    cache.rewind(0, 3)
    assert cache.counts == [0]
    cache.rewind(0, 0)
    assert cache.keys[0].data_ptr() == before
    several = KVCache(SMALL, rows=2)
    several.plan([1, 1])
    several.rewind(0, 0)
    assert several.counts == [0, 0], "the whole plan is dropped"
    same(read(model, cache, [[4, 5]])[0], whole(model, [4, 5]))


@pytest.mark.task(4)
@pytest.mark.parametrize("length", [-1, -7, 6, 100])
def test_a_rewind_to_where_the_row_has_not_been_is_refused(length):
    cache = KVCache(SMALL, rows=2)
    cache.lengths = [9, 5]
    cache.plan([0, 1])  # new tokens that are not there yet
    with raises(ValueError, length, 5):
        cache.rewind(1, length)
    assert (cache.lengths, cache.counts) == ([9, 5], [0, 1])


@pytest.mark.parametrize(("rows", "capacity"), [(0, 4), (-1, 4), (1, 0)])
def test_a_cache_needs_a_row_and_a_slot(rows, capacity):
    with raises(ValueError, rows, capacity):
        KVCache(SMALL, rows, capacity)
