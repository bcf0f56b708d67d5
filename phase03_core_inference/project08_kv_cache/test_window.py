"""The ring against a full cache with a mask, whatever the steps; and what a ring cannot do."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase03_core_inference.project08_kv_cache.generation import generate_tokens, step
from phase03_core_inference.project08_kv_cache.given.example import (
    SHAPES,
    TINY,
    random_heads,
    random_model,
    random_prompts,
    spoiled,
)
from phase03_core_inference.project08_kv_cache.kv_cache import KVCache, attend_row
from phase03_core_inference.project08_kv_cache.window import SlidingWindowCache
from shared.phase01 import SamplingParams
from shared.testing import raises

task = pytest.mark.task(6)


def masked(model, text, window):
    """The whole text at once, each token seeing `window` tokens: the logits of all places."""

    def attend(layer, q, k, v):
        return attend_row(q[0], k[0], v[0], window)[None]

    positions = torch.arange(len(text))
    with torch.inference_mode():
        return model(torch.tensor([text]), positions, attend)[0]


@task
@pytest.mark.parametrize("config", SHAPES)
@settings(max_examples=15)
@given(st.integers(0, 9999))
def test_the_ring_equals_a_mask_over_everything(config, seed):
    """Rows in steps of their own, shorter and longer than the window, beyond the context too."""
    model, draw = random_model(config), random.Random(seed)
    texts, window = random_prompts(2, seed, longest=60), draw.randint(1, 9)
    cache = spoiled(SlidingWindowCache(config, window, rows=2, dtype=torch.float64))
    expected = [masked(model, text, window) for text in texts]
    while cache.lengths != list(map(len, texts)):
        counts = [
            min(draw.choice([0, 1, 1, 3, 20]), len(text) - at)
            for text, at in zip(texts, cache.lengths, strict=True)
        ]
        if not any(counts):
            continue
        new = [text[at : at + n] for text, at, n in zip(texts, cache.lengths, counts, strict=True)]
        found = step(model, cache, new)
        last = [expected[i][cache.lengths[i] - 1] for i in range(2) if counts[i]]
        torch.testing.assert_close(found, torch.stack(last), rtol=1e-10, atol=1e-10)


@task
def test_a_window_as_long_as_the_text_changes_nothing():
    model, prompts = random_model(), random_prompts(3)
    params = SamplingParams(max_tokens=20, temperature=0)
    ring = SlidingWindowCache(TINY, 40, rows=3, dtype=torch.float64)
    assert generate_tokens(model, prompts, params, ring) == generate_tokens(model, prompts, params)


@task
def test_memory_stays_as_it_is_however_long_the_text():
    model, cache = random_model(), SlidingWindowCache(TINY, 8, dtype=torch.float64)
    before, places = cache.nbytes, [buffer.data_ptr() for buffer in cache.keys]
    [text] = generate_tokens(model, [[1, 2, 3]], SamplingParams(max_tokens=100, temperature=0), cache)
    assert len(text) == 100 > TINY.context_length
    assert cache.lengths == [102]
    assert (cache.nbytes, [buffer.data_ptr() for buffer in cache.keys]) == (before, places)
    assert before == 2 * 2 * 2 * 8 * 6 * 8, "keys and values, layers, kv_heads, slots, head_dim, bytes"


@task
def test_what_is_returned_is_in_the_order_of_places_and_the_ring_is_written_after_it_was_read():
    cache = spoiled(SlidingWindowCache(TINY, 4, rows=2, dtype=torch.float64))
    k, v = random_heads(2, 9, 6, count=2)
    kept = []
    for start, end in ((0, 3), (3, 4), (4, 6), (6, 7)):
        keys, values = cache.append(1, 1, k[:, start:end], v[:, start:end])
        first = max(0, start - 4)
        assert torch.equal(keys, k[:, first:end])
        assert torch.equal(values, v[:, first:end])
        assert cache.lengths[1] == start
        cache.lengths[1] = end
        kept.append(keys)
    assert torch.equal(kept[2], k[:, :6]), "a copy, which later tokens do not overwrite"
    slots = [4, 5, 6, 3]  # the places of the tokens in slots 0 to 3
    assert torch.equal(cache.keys[1][1], k[:, slots])
    assert torch.equal(cache.values[1][1], v[:, slots])
    assert cache.keys[0].isnan().all()
    assert cache.keys[1][0].isnan().all()


@task
def test_of_a_prompt_longer_than_the_ring_the_last_tokens_stay():
    cache = SlidingWindowCache(TINY, 4, dtype=torch.float64)
    k, v = random_heads(2, 11, 6, count=2)
    keys, _ = cache.append(0, 0, k, v)
    assert torch.equal(keys, k)
    assert torch.equal(cache.keys[0][0], k[:, [8, 9, 10, 7]])
    assert torch.equal(cache.values[0][0], v[:, [8, 9, 10, 7]])


@task
def test_the_decode_attention_may_read_the_ring_in_any_order():
    """One query sees all the slots that are filled; softmax does not ask for their order."""
    model, asked = random_model(), []
    plain, ring = (SlidingWindowCache(TINY, 5, rows=2, dtype=torch.float64) for _ in range(2))

    def decode(q, keys, values, rows, lengths):
        asked.append((rows, lengths))
        each = zip(q, rows, lengths, strict=True)
        return torch.stack(
            [attend_row(one[:, None], keys[r, :, :n], values[r, :, :n])[:, 0] for one, r, n in each]
        )

    ring.decode = decode
    for new in ([[1, 2, 3], [4]], [[5], [6]], [[7], []], [[8], [9]], [[1], [2]]):
        found, expected = step(model, ring, new), step(model, plain, new)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert asked[::2] == [([0, 1], [4, 2]), ([0], [5]), ([0, 1], [5, 3]), ([0, 1], [5, 4])]


@task
def test_a_ring_that_has_lost_nothing_can_be_rewound():
    model, cache = random_model(), SlidingWindowCache(TINY, 6, dtype=torch.float64)
    step(model, cache, [[1, 2, 3, 4, 5, 6]])
    cache.rewind(0, 4)
    found = step(model, cache, [[7, 8, 9]])
    torch.testing.assert_close(found[0], masked(model, [1, 2, 3, 4, 7, 8, 9], 6)[-1], rtol=1e-10, atol=1e-10)
    cache.plan([1])
    cache.rewind(0, 7)
    assert (cache.lengths, cache.counts) == ([7], [0]), (
        "to where it is, any row can go, and no plan stands then"
    )


@task
@pytest.mark.parametrize("length", [6, 5, 0])
def test_a_ring_that_has_lost_tokens_cannot_go_back(length):
    cache = SlidingWindowCache(TINY, 6)
    cache.lengths = [7]
    with raises(ValueError, length, 7):
        cache.rewind(0, length)
    assert cache.lengths == [7]


@task
@pytest.mark.parametrize("length", [-1, 5, 8])
def test_a_rewind_to_where_the_row_has_not_been_is_refused(length):
    cache = SlidingWindowCache(TINY, 6)
    cache.lengths = [4]
    with raises(ValueError, length, 4):
        cache.rewind(0, length)


@pytest.mark.parametrize("window", [0, -1, 41])
def test_a_window_has_a_token_and_fits_the_context(window):
    with raises(ValueError, window, 40):
        SlidingWindowCache(TINY, window)


@task
def test_a_ring_has_room_for_any_length():
    cache = SlidingWindowCache(TINY, 6)
    cache.lengths = [1000]
    assert cache.slot(0) == 1000 % 6
    assert cache.plan([2]).tolist() == [1000, 1001]
    assert isinstance(cache, KVCache)
