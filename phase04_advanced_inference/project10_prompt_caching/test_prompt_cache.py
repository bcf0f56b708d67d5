import random
from dataclasses import replace

import pytest
import torch

from phase04_advanced_inference.project10_prompt_caching import prompt_cache
from phase04_advanced_inference.project10_prompt_caching.block_hash import block_keys
from phase04_advanced_inference.project10_prompt_caching.given.example import (
    TINY,
    random_model,
    random_text,
    same_hashes,
    spoiled,
    without_cache,
)
from phase04_advanced_inference.project10_prompt_caching.prompt_cache import PromptCache
from shared.phase03 import KVCache, SlidingWindowCache, step
from shared.testing import raises

MODEL = random_model()


def same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def row_cache(rows=1):
    return spoiled(KVCache(TINY, rows, capacity=4, dtype=torch.float64))


def computed(text, rows=1, row=0):
    """A cache with a row that has read this text, the ordinary way."""
    cache = row_cache(rows)
    step(MODEL, cache, [text if i == row else [] for i in range(rows)])
    return cache


def held(cache, row, end):
    return [buffer[row, :, :end].clone() for buffer in [*cache.keys, *cache.values]]


def drained(texts):
    """Whether nobody holds a block of the pool."""
    return not any(texts.pool.references) and texts.pool.num_free == texts.pool.num_blocks


def watched(texts):
    """How many tokens each call of `read` brings, row by row, in a list that grows."""
    calls, read = [], texts.read

    def counted(cache, new):
        calls.append([len(tokens) for tokens in new])
        return read(cache, new)

    texts.read = counted
    return calls


def counted_hashes(monkeypatch):
    """How many blocks each call of `block_keys` hashes, in a list that grows."""
    hashed = []

    def counted(tokens, block_size, salt="", known=()):
        hashed.append(max(0, len(tokens) // block_size - len(known)))
        return block_keys(tokens, block_size, salt, known)

    monkeypatch.setattr(prompt_cache, "block_keys", counted)
    return hashed


# ---- task 6: in and out


@pytest.mark.task(6)
def test_what_is_kept_is_loaded_bit_for_bit():
    text = random_text(14)
    source, texts = computed(text), PromptCache(MODEL, 8, block_size=4)
    keys = texts.keep(source, 0, text)
    assert [key.tokens for key in keys] == [tuple(text[i : i + 4]) for i in (0, 4, 8)]
    assert texts.pool.num_published == 3
    assert drained(texts)
    cache = row_cache()
    assert texts.load(cache, 0, block_keys(text, 4)) == 12
    assert cache.lengths == [12]
    assert all(torch.equal(a, b) for a, b in zip(held(cache, 0, 12), held(source, 0, 12), strict=True))
    assert drained(texts)
    same(step(MODEL, cache, [text[12:]])[0], without_cache(MODEL, text))


@pytest.mark.task(6)
def test_of_a_text_that_has_grown_the_rest_is_kept():
    text = random_text(18)
    texts = PromptCache(MODEL, 8, block_size=4)
    for end in (6, 9, 18):
        texts.keep(computed(text[:end]), 0, text[:end])
        assert texts.pool.num_published == end // 4
    cache, source = row_cache(), computed(text)
    assert texts.load(cache, 0, block_keys(text, 4)) == 16
    for found, expected in zip(held(cache, 0, 16), held(source, 0, 16), strict=True):
        same(found, expected)


@pytest.mark.task(6)
def test_as_much_is_loaded_as_is_the_same():
    text = random_text(16)
    texts, cache = PromptCache(MODEL, 8, block_size=4), row_cache(2)
    texts.keep(computed(text), 0, text)
    for common in (0, 3, 4, 7, 11, 12, 15):
        other = [*text[:common], (text[common] + 1) % 29, *text[common + 1 :]]
        assert texts.load(cache, 1, block_keys(other, 4)) == common // 4 * 4
        assert cache.lengths == [0, common // 4 * 4]
        same(step(MODEL, cache, [[], other[common // 4 * 4 :]])[0], without_cache(MODEL, other))
    assert texts.load(cache, 1, block_keys(text, 4)) == 16, "what the row held is forgotten"
    assert texts.load(cache, 1, []) == 0
    assert cache.lengths == [0, 0]


@pytest.mark.task(6)
def test_salts_the_same_hits_and_another_does_not():
    text = random_text(8)
    texts, cache = PromptCache(MODEL, 8, block_size=4), row_cache()
    texts.keep(computed(text), 0, text, salt="a")
    assert texts.load(cache, 0, block_keys(text, 4, "a")) == 8
    assert texts.load(cache, 0, block_keys(text, 4, "b")) == 0
    assert texts.load(cache, 0, block_keys(text, 4)) == 0


@pytest.mark.task(6)
@pytest.mark.parametrize(
    ("holds", "text", "blocks"), [(7, 8, 1), (8, 8, 2), (8, 7, 1), (12, 5, 1), (3, 20, 0)]
)
def test_only_what_is_computed_is_kept(holds, text, blocks):
    """A token that was chosen last stands in the text, and has no keys and values yet."""
    tokens = random_text(20)
    texts, cache = PromptCache(MODEL, 8, block_size=4), computed(tokens[:holds])
    keys = texts.keep(cache, 0, tokens[:text])
    assert len(keys) == texts.pool.num_published == blocks
    assert len(texts.pool.match(block_keys(tokens, 4))) == blocks


@pytest.mark.task(6)
def test_keys_that_are_known_are_not_hashed_again(monkeypatch):
    hashed = counted_hashes(monkeypatch)
    tokens = random_text(19)
    texts, cache = PromptCache(MODEL, 8, block_size=4), computed(tokens[:10])
    keys = texts.keep(cache, 0, tokens[:10])
    step(MODEL, cache, [tokens[10:18]])
    more = texts.keep(cache, 0, tokens, known=keys)
    assert hashed == [2, 2]
    assert more[:2] == keys
    assert len(more) == texts.pool.num_published == 4


@pytest.mark.task(6)
def test_twins_in_one_step_are_kept_once():
    begin = random_text(8)
    rows = [[*begin, 1, 2, 3, 4], [*begin, 5, 6], [*begin, 1, 2, 3, 4, 7, 8, 9, 9]]
    texts, cache = PromptCache(MODEL, 8, block_size=4), row_cache(3)
    assert [texts.load(cache, row, block_keys(text, 4)) for row, text in enumerate(rows)] == [0, 0, 0]
    step(MODEL, cache, rows)
    texts.keep(cache, 0, rows[0])
    stored = [buffer.clone() for buffer in [*texts.store.keys, *texts.store.values]]
    there = texts.pool.match(block_keys(rows[0], 4))
    slots = texts.store.slots(there)
    texts.keep(cache, 1, rows[1])
    texts.keep(cache, 2, rows[2])
    assert texts.pool.num_published == 4
    assert len(texts.pool.empty) == 4
    for before, after in zip(stored, [*texts.store.keys, *texts.store.values], strict=True):
        assert torch.equal(before[:, slots], after[:, slots]), "what is there is not written again"
    assert texts.pool.match(block_keys(rows[2], 4))[:3] == there
    assert drained(texts)


@pytest.mark.task(6)
def test_a_pool_that_is_too_small_keeps_the_first_blocks():
    tokens = random_text(20)
    texts = PromptCache(MODEL, 3, block_size=4)
    assert len(texts.keep(computed(tokens), 0, tokens)) == 5, "the keys of all full blocks"
    assert texts.load(row_cache(), 0, block_keys(tokens, 4)) == 12
    assert texts.pool.evictions == 0
    assert drained(texts)


@pytest.mark.task(6)
def test_a_texts_own_blocks_are_not_evicted_for_it():
    tokens = random_text(16)
    other = random_text(8, seed=1)
    texts = PromptCache(MODEL, 4, block_size=4)
    texts.keep(computed(tokens[:8]), 0, tokens[:8])  # the oldest
    texts.keep(computed(other), 0, other)
    texts.keep(computed(tokens), 0, tokens)
    assert texts.load(row_cache(), 0, block_keys(tokens, 4)) == 16
    assert texts.load(row_cache(), 0, block_keys(other, 4)) == 0
    assert texts.pool.evictions == 2


@pytest.mark.task(6)
def test_what_is_loaded_was_used_just_now():
    first, second, third = (random_text(8, seed=seed) for seed in range(3))
    texts = PromptCache(MODEL, 4, block_size=4)
    for text in (first, second):
        texts.keep(computed(text), 0, text)
    texts.load(row_cache(), 0, block_keys(first, 4))
    texts.keep(computed(third), 0, third)
    assert texts.load(row_cache(), 0, block_keys(first, 4)) == 8
    assert texts.load(row_cache(), 0, block_keys(second, 4)) == 0


@pytest.mark.task(6)
@pytest.mark.parametrize("loads", [False, True])
def test_of_a_text_the_last_block_goes_first(loads):
    """However it came in, in two parts or in one: what is left of it can still be hit."""
    text, other = random_text(12, seed=0), random_text(4, seed=1)
    texts = PromptCache(MODEL, 3, block_size=4)
    texts.keep(computed(text[:8]), 0, text[:8])
    texts.keep(computed(text), 0, text)
    if loads:
        assert texts.load(row_cache(), 0, block_keys(text, 4)) == 12
    texts.keep(computed(other), 0, other)
    assert texts.load(row_cache(), 0, block_keys(text, 4)) == 8, "a parent went before its child"


@pytest.mark.task(6)
def test_blocks_are_held_while_they_are_copied_and_published_when_they_are_written(monkeypatch):
    tokens = random_text(12)
    texts = PromptCache(MODEL, 8, block_size=4)
    pool, store = texts.pool, texts.store
    keys, order = block_keys(tokens, 4), []
    write, publish, read = store.write, pool.publish, store.read
    monkeypatch.setattr(store, "write", lambda *given: order.append(len(pool.match(keys))) or write(*given))
    monkeypatch.setattr(pool, "publish", lambda *given: order.append("publish") or publish(*given))

    def held_read(cache, row, blocks):
        assert len(blocks) == 3
        assert all(pool.references[block] for block in blocks)
        return read(cache, row, blocks)

    monkeypatch.setattr(store, "read", held_read)
    texts.keep(computed(tokens), 0, tokens)
    assert order == [0, "publish", "publish", "publish"], "written at once, then published"
    texts.load(row_cache(), 0, keys)


@pytest.mark.task(6)
def test_where_copying_fails_nothing_is_lost(monkeypatch):
    tokens = random_text(12)
    texts = PromptCache(MODEL, 8, block_size=4)
    texts.keep(computed(tokens), 0, tokens[:4])

    def fail(*_):
        raise OSError("no memory")

    monkeypatch.setattr(texts.store, "write", fail)
    monkeypatch.setattr(texts.store, "read", fail)
    with raises(OSError, "no memory"):
        texts.keep(computed(tokens), 0, tokens)
    with raises(OSError, "no memory"):
        texts.load(row_cache(), 0, block_keys(tokens, 4))
    assert drained(texts)
    assert len(texts.pool.match(block_keys(tokens, 4))) == 1, "the others were never written"


@pytest.mark.task(6)
def test_without_blocks_nothing_is_kept():
    tokens = random_text(12)
    texts, cache = PromptCache(MODEL, 0, block_size=4), computed(tokens)
    assert len(texts.keep(cache, 0, tokens)) == 3
    assert texts.load(cache, 0, block_keys(tokens, 4)) == 0
    assert cache.lengths == [0]


@pytest.mark.task(6)
def test_each_row_keeps_its_own():
    texts, cache = PromptCache(MODEL, 8, block_size=4), row_cache(3)
    rows = [random_text(9, seed=1), [], random_text(8, seed=2)]
    step(MODEL, cache, rows)
    for row in (0, 2):
        texts.keep(cache, row, rows[row])
    fresh = row_cache(2)
    for row, text in ((1, rows[0]), (0, rows[2])):
        assert texts.load(fresh, row, block_keys(text, 4)) == 8
    same(step(MODEL, fresh, [[3], rows[0][8:]])[1], without_cache(MODEL, rows[0]))


# ---- task 7: reading a prompt


@pytest.mark.task(7)
@pytest.mark.parametrize("seed", range(12))
def test_a_hit_gives_the_logits_of_a_miss(seed):
    """Whatever was read before, in blocks and chunks of any size, in a pool of any size, for several tenants."""
    draw = random.Random(seed)
    texts = PromptCache(
        MODEL,
        num_blocks=draw.choice([0, 1, 3, 6, 12, 20]),
        block_size=draw.randint(1, 5),
        chunk=draw.choice([None, 1, 3, 4, 7]),
    )
    cache, begins = row_cache(2), [random_text(20, text) for text in range(2)]
    hits = []
    for _ in range(6):
        end = [draw.randrange(29) for _ in range(draw.randint(0, 6))]
        tokens = draw.choice(begins)[: draw.randint(1, 20)] + end
        row = draw.randint(0, 1)
        cache.rewind(row, 0)
        other = held(cache, 1 - row, cache.lengths[1 - row])
        found = texts.prefill(cache, row, tokens, salt=draw.choice(["", "", "a"]))
        same(found.logits, without_cache(MODEL, tokens))
        assert cache.lengths[row] == len(tokens)
        after = held(cache, 1 - row, cache.lengths[1 - row])
        assert all(torch.equal(*pair) for pair in zip(other, after, strict=True)), "the other row stays"
        assert 0 <= found.cached < len(tokens)
        hits.append(found.cached)
        assert drained(texts)
    assert texts.rate.total.hit == sum(hits)


@pytest.mark.task(7)
def test_what_was_read_once_is_not_read_again():
    tokens = random_text(22)
    texts, cache = PromptCache(MODEL, 8, block_size=4), row_cache()
    calls = watched(texts)
    first = texts.prefill(cache, 0, tokens)
    cache.rewind(0, 0)
    spoiled(cache)
    second = texts.prefill(cache, 0, tokens)
    assert calls == [[22], [2]]
    assert (first.cached, second.cached) == (0, 20)
    assert first.logits.shape == second.logits.shape == (29,)
    same(second.logits, first.logits)
    assert [key.tokens for key in second.keys] == [tuple(tokens[i : i + 4]) for i in range(0, 20, 4)]


@pytest.mark.task(7)
@pytest.mark.parametrize("length", [4, 20])
def test_a_full_hit_computes_exactly_one_token(length):
    tokens = random_text(length)
    texts, cache = PromptCache(MODEL, 8, block_size=4, chunk=7), row_cache(2)
    texts.keep(computed(tokens), 0, tokens)
    calls = watched(texts)
    found = texts.prefill(cache, 1, tokens)
    assert calls == [[0, 1]]
    assert found.cached == length - 1
    assert cache.lengths == [0, length]
    same(found.logits, without_cache(MODEL, tokens))
    assert texts.pool.num_published == length // 4, "nothing is kept twice"


@pytest.mark.task(7)
@pytest.mark.parametrize(
    ("chunk", "expected"), [(None, [17]), (17, [17]), (40, [17]), (5, [5, 5, 5, 2]), (8, [8, 8, 1])]
)
def test_the_rest_is_computed_in_chunks(chunk, expected):
    tokens = random_text(21)
    texts, cache = PromptCache(MODEL, 8, block_size=4, chunk=chunk), row_cache(2)
    texts.keep(computed(tokens[:6]), 0, tokens[:6])
    calls = watched(texts)
    found = texts.prefill(cache, 1, tokens)
    assert calls == [[0, count] for count in expected]
    same(found.logits, without_cache(MODEL, tokens))


@pytest.mark.task(7)
def test_a_block_can_be_hit_when_it_is_computed_and_not_before():
    tokens = random_text(18)
    keys = block_keys(tokens, 4)
    texts, cache = PromptCache(MODEL, 8, block_size=4, chunk=6), row_cache()
    seen, read = [], texts.read

    def spy(cache, new):
        seen.append(len(texts.pool.match(keys)))
        return read(cache, new)

    texts.read = spy
    texts.prefill(cache, 0, tokens)
    assert seen == [0, 1, 3], "before each chunk, the full blocks of those before it"
    assert len(texts.pool.match(keys)) == 4


@pytest.mark.task(7)
def test_a_prompt_that_fails_in_the_middle_goes_on_from_there():
    tokens = random_text(18)
    texts, cache = PromptCache(MODEL, 8, block_size=4, chunk=6), row_cache(2)
    step(MODEL, cache, [[1, 2], []])
    calls, read = [], texts.read

    def fails(cache, new):
        calls.append(len(new[1]))
        if len(calls) == 2:
            cache.plan([0, 6])
            raise KeyboardInterrupt
        return read(cache, new)

    texts.read = fails
    with pytest.raises(KeyboardInterrupt):
        texts.prefill(cache, 1, tokens)
    assert cache.lengths == [2, 0]
    assert texts.rate.total.requests == 0
    assert drained(texts)
    found = texts.prefill(cache, 1, tokens)
    assert calls == [6, 6, 6, 6, 2], "the first block is a hit"
    assert found.cached == 4
    same(found.logits, without_cache(MODEL, tokens))


@pytest.mark.task(7)
def test_salts_the_same_hits_and_another_does_not_and_both_are_right():
    tokens = random_text(11)
    texts = PromptCache(MODEL, 8, block_size=4)
    found = {}
    for salt in ("a", "b", "a", ""):
        found.setdefault(salt, []).append(texts.prefill(row_cache(), 0, tokens, salt))
    assert [one.cached for one in found["a"]] == [0, 8]
    assert [one.cached for one in found["b"] + found[""]] == [0, 0]
    for one in [*found["a"], *found["b"], *found[""]]:
        same(one.logits, without_cache(MODEL, tokens))


@pytest.mark.task(7)
def test_with_a_hash_that_is_always_the_same_all_is_right(monkeypatch):
    monkeypatch.setattr(prompt_cache, "block_keys", same_hashes)
    texts, draw = PromptCache(MODEL, 9, block_size=2), random.Random(0)
    cached = 0
    for _ in range(30):
        tokens = [draw.randint(0, 1) for _ in range(draw.randint(1, 12))]
        found = texts.prefill(row_cache(), 0, tokens)
        same(found.logits, without_cache(MODEL, tokens))
        cached += found.cached
    assert cached > 20


@pytest.mark.task(7)
def test_a_conversation_computes_each_token_once(monkeypatch):
    hashed = counted_hashes(monkeypatch)
    texts, cache, text = PromptCache(MODEL, 16, block_size=2), row_cache(), []
    calls, first_blocks = watched(texts), 0
    for turn in range(3):
        cache.rewind(0, 0)
        spoiled(cache)
        text += random_text(5, seed=turn)
        found = texts.prefill(cache, 0, text)
        same(found.logits, without_cache(MODEL, text))
        logits = found.logits
        for place in range(4):
            text.append(int(logits.argmax()))
            if place < 3:
                [logits] = step(MODEL, cache, [text[-1:]])
                same(logits, without_cache(MODEL, text))
        hashed.clear()
        keys = texts.keep(cache, 0, text, known=found.keys)
        assert len(keys) == (len(text) - 1) // 2
        assert sum(hashed) == len(keys) - len(found.keys), "the prompt's blocks are not hashed again"
        first_blocks = len(keys)
    assert calls == [[5], [6], [7]], "the question, the token chosen last, and what did not fill a block"
    assert texts.pool.num_published == first_blocks


@pytest.mark.task(7)
def test_a_prompt_is_hashed_once_in_however_many_chunks(monkeypatch):
    hashed = counted_hashes(monkeypatch)
    tokens = random_text(18)
    PromptCache(MODEL, 8, block_size=4, chunk=3).prefill(row_cache(), 0, tokens)
    assert sum(hashed) == 4


@pytest.mark.task(7)
def test_without_blocks_it_is_as_without_a_cache():
    tokens = random_text(15)
    texts, cache = PromptCache(MODEL, 0, block_size=4), row_cache()
    calls = watched(texts)
    for _ in range(2):
        cache.rewind(0, 0)
        found = texts.prefill(cache, 0, tokens)
        same(found.logits, without_cache(MODEL, tokens))
        assert found.cached == 0
    assert calls == [[15], [15]]


@pytest.mark.task(7)
def test_tokens_hit_and_blocks_evicted_are_recorded():
    one, other = random_text(9, seed=1), random_text(10, seed=2)
    texts = PromptCache(MODEL, 3, block_size=4)
    for tokens in (one, one, other, one[:8]):
        texts.prefill(row_cache(), 0, tokens)
    assert list(texts.rate.last) == [(9, 0, 0), (9, 8, 0), (10, 0, 1), (8, 4, 1)]
    assert texts.pool.evictions == 2


@pytest.mark.task(7)
def test_a_prompt_as_long_as_the_context_and_one_of_a_token():
    tokens = random_text(40)
    texts = PromptCache(MODEL, 16, block_size=4)
    for _ in range(2):
        same(texts.prefill(row_cache(), 0, tokens).logits, without_cache(MODEL, tokens))
        same(texts.prefill(row_cache(), 0, tokens[:1]).logits, without_cache(MODEL, tokens[:1]))


@pytest.mark.task(7)
def test_it_remembers_nothing_of_the_gradient():
    found = PromptCache(MODEL, 8, block_size=4).prefill(row_cache(), 0, random_text(9))
    assert not found.logits.requires_grad


@pytest.mark.task(7)
def test_what_cannot_be_read_is_refused_before_any_work():
    texts = PromptCache(MODEL, 8, block_size=4)
    calls, cache = watched(texts), row_cache(2)
    step(MODEL, cache, [[1, 2, 3], []])
    refused = [
        (cache, 0, [1], (0, 3)),
        (cache, 2, [1], (2,)),
        (cache, -1, [1], (-1, 2)),
        (cache, 1, [], ()),
        (cache, 1, [1] * 41, (41, 40)),
        (cache, 1, [1, 29], (29, 28)),
        (cache, 1, [1, -5], (-5, 28)),
        (KVCache(TINY), 0, [1], ("float32", "float64")),
        (KVCache(replace(TINY, kv_heads=4), dtype=torch.float64), 0, [1], (2, 4)),
        (SlidingWindowCache(TINY, 7, 1, torch.float64), 0, [1], (7,)),
    ]
    for its, row, tokens, facts in refused:
        with raises(ValueError, *facts):
            texts.prefill(its, row, tokens)
    assert not calls
    assert cache.lengths == [3, 0]
    assert texts.rate.total.requests == 0


@pytest.mark.parametrize("chunk", [0, -3])
def test_a_chunk_has_a_token(chunk):
    with raises(ValueError, chunk):
        PromptCache(MODEL, 4, chunk=chunk)
