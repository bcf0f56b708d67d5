"""A step on the model: what is packed where, and that every sequence gets the logits it would get alone."""

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase04_advanced_inference.project12_dynamic_batching.given.example import (
    TINY,
    random_model,
    random_prompts,
)
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.runner import Runner
from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled, Sequence
from shared.phase01 import SamplingParams
from shared.phase03 import DecodeStep, KVCache
from shared.testing import raises

task = pytest.mark.task(9)
MODEL = random_model()


def make(key, tokens, computed=0, draft=()):
    sequence = Sequence(key, tokens, SamplingParams(), TINY.context_length)
    sequence.num_computed, sequence.draft = computed, list(draft)
    return sequence


def runner(rows=4, **settings):
    cache = KVCache(TINY, rows, capacity=2, dtype=torch.float64)
    for buffer in [*cache.keys, *cache.values]:
        buffer.fill_(torch.nan)  # what is read by mistake shows
    return Runner(MODEL, cache, Rows(rows, TINY.context_length), **settings)


def admit(found, *sequences):
    """Into memory, with what is said to be computed already in the cache: read one by one."""
    for sequence in sequences:
        computed = sequence.num_computed
        assert found.rows.admit(sequence)
        if computed:
            advance(found, sequence, computed)


def advance(found, sequence, count):
    new = [[] for _ in range(found.cache.rows)]
    row = found.rows.row(sequence)
    new[row] = sequence.tokens[found.cache.lengths[row] :][:count]
    positions = found.cache.plan([len(tokens) for tokens in new])
    with torch.no_grad():
        MODEL.hidden(torch.tensor([new[row]]), positions, found.cache)
    sequence.num_computed += count


def whole(text):
    with torch.no_grad():
        return MODEL(torch.tensor([text]))[0]


def same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@task
def test_chunks_ends_and_single_tokens_lie_end_to_end():
    found = runner()
    first, second, third = make(7, [1, 2, 3, 4, 5]), make(8, [6, 7, 8], 2), make(9, [9, 10, 11, 12], 1)
    admit(found, first, second, third)
    packed = found.prepare([Scheduled(first, 5), Scheduled(second, 1), Scheduled(third, 2)])
    assert packed.order == [0, 1, 2]
    assert packed.new == [[1, 2, 3, 4, 5], [8], [10, 11], []]
    assert packed.tokens.tolist() == [[1, 2, 3, 4, 5, 8, 10, 11]]
    assert packed.positions.tolist() == [0, 1, 2, 3, 4, 2, 1, 2]
    assert packed.ends.tolist() == [4, 5]
    assert packed.wanted == [1, 1, 0]
    assert {packed.tokens.dtype, packed.positions.dtype, packed.ends.dtype} == {torch.int64}


@task
def test_the_order_is_that_of_the_rows():
    found = runner()
    sequences = [make(key, [key] * 3) for key in range(3)]
    admit(found, *sequences)
    packed = found.prepare([Scheduled(sequences[2], 3), Scheduled(sequences[0], 2)])
    assert packed.order == [1, 0]
    assert packed.tokens.tolist() == [[0, 0, 2, 2, 2]]
    assert (packed.ends.tolist(), packed.wanted) == ([4], [0, 1])
    assert packed.positions.tolist() == [0, 1, 0, 1, 2]


@task
def test_of_a_draft_all_logits_from_the_last_token_on_are_wanted():
    found = runner()
    first, second = make(7, [1, 2, 3], 2, draft=[4, 5]), make(8, [6, 7, 8], 1, draft=[9])
    admit(found, first, second)
    packed = found.prepare([Scheduled(first, 3), Scheduled(second, 2)])
    assert packed.tokens.tolist() == [[3, 4, 5, 7, 8]]
    assert (packed.ends.tolist(), packed.wanted) == ([0, 1, 2, 4], [3, 1])
    packed = found.prepare([Scheduled(first, 1), Scheduled(second, 3)])
    assert packed.tokens.tolist() == [[3, 7, 8, 9]]
    assert (packed.ends.tolist(), packed.wanted) == ([0, 2, 3], [1, 2])


@task
def test_nothing_may_be_wanted_at_all():
    found, sequence = runner(), make(0, [1, 2, 3, 4])
    admit(found, sequence)
    packed = found.prepare([Scheduled(sequence, 3)])
    assert (packed.ends.tolist(), packed.wanted) == ([], [0])
    assert packed.ends.dtype == torch.int64
    [logits] = found([Scheduled(sequence, 3)])
    assert logits.shape == (0, TINY.vocab_size)


@task
def test_tensors_are_on_the_caches_device():
    rows = Rows(1, 10)
    found = Runner(MODEL, KVCache(TINY, device="meta"), rows)
    sequence = make(0, [1, 2])
    rows.admit(sequence)
    packed = found.prepare([Scheduled(sequence, 2)])
    assert {packed.tokens.device.type, packed.ends.device.type, packed.positions.device.type} == {"meta"}


@task
@settings(max_examples=20)
@given(st.integers(0, 9999))
def test_everybody_gets_the_logits_he_would_get_alone(seed):
    """Whatever is computed of each, whatever it brings, and in whatever order."""
    draw = random.Random(seed)
    texts = random_prompts(draw.randint(1, 4), seed, longest=14)
    sequences = [make(key, text, draw.randrange(len(text))) for key, text in enumerate(texts)]
    found = runner()
    admit(found, *sequences)
    scheduled = [Scheduled(one, draw.randint(1, one.pending)) for one in sequences]
    draw.shuffle(scheduled)
    logits = found(scheduled)
    assert len(logits) == len(scheduled)
    for (sequence, count), rows in zip(scheduled, logits, strict=True):
        done = sequence.num_computed + count == len(sequence.tokens)
        same(rows, whole(sequence.tokens)[-1:] if done else rows[:0])
        assert found.cache.lengths[found.rows.row(sequence)] == sequence.num_computed + count
        assert rows.shape == (int(done), TINY.vocab_size)


@task
def test_each_of_a_drafts_logits_is_that_of_its_place():
    found, sequence = runner(), make(0, [1, 2, 3], 1, draft=[4, 5])
    other = make(1, [6, 7])
    admit(found, other, sequence)
    logits = found([Scheduled(sequence, 4), Scheduled(other, 2)])
    same(logits[0], whole([1, 2, 3, 4, 5])[2:])
    same(logits[1], whole([6, 7])[1:])


@task
def test_a_row_that_another_had_before_begins_anew():
    found, first, second = runner(rows=1), make(0, [1, 2, 3, 4, 5, 6]), make(1, [7, 8])
    admit(found, first)
    found([Scheduled(first, 6)])
    found.rows.free(first)
    admit(found, second)
    same(found([Scheduled(second, 2)])[0], whole([7, 8])[1:])
    assert found.cache.lengths == [2]


@task
def test_a_row_goes_back_to_what_is_computed():
    """As after a step that was made and never noted, or a draft that was wrong."""
    found, sequence, other = runner(), make(0, [1, 2, 3, 4]), make(1, [5, 6, 7, 8])
    admit(found, sequence, other)
    found([Scheduled(sequence, 4), Scheduled(other, 2)])
    sequence.num_computed, other.num_computed = 1, 2
    sequence.tokens = [1, 9, 9]
    logits = found([Scheduled(sequence, 2), Scheduled(other, 2)])
    same(logits[0], whole([1, 9, 9])[2:])
    same(logits[1], whole([5, 6, 7, 8])[3:])


@task
def test_the_head_works_on_the_wanted_places_only():
    seen = []
    handle = MODEL.head.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    found, first, second = runner(), make(0, [1, 2, 3, 4]), make(1, [5, 6])
    admit(found, first, second)
    found([Scheduled(first, 3), Scheduled(second, 2)])
    handle.remove()
    assert seen == [(1, 1, TINY.dim)]


@task
def test_steps_of_one_token_each_are_made_by_decode():
    asked = []

    def decode(cache, new):
        asked.append(new)
        cache.plan([len(tokens) for tokens in new])
        cache.finish()
        return torch.tensor([[float(row)] * TINY.vocab_size for row, tokens in enumerate(new) if tokens])

    found = runner(decode=decode)
    first, second, third = make(0, [1, 2], 1), make(1, [3, 4, 5], 1), make(2, [6], 0)
    admit(found, first, second, third)
    logits = found([Scheduled(third, 1), Scheduled(first, 1), Scheduled(second, 1)])
    assert asked == [[[2], [4], [6], []]]
    assert [rows[:, 0].tolist() for rows in logits] == [[2.0], [0.0], []], "one is a chunk, and wants none"
    for sequence in (first, second, third):
        sequence.num_computed += 1
        sequence.tokens.append(1)
    found([Scheduled(third, 1), Scheduled(second, 2)])
    assert len(asked) == 1, "with more than a token, the model makes the step"


@task
def test_a_whole_step_in_one_call_gives_the_same():
    config = replace(TINY, head_dim=16)
    model = random_model(config, torch.float32)
    rows = Rows(3, 40)
    found = Runner(model, KVCache(config, 3), rows, DecodeStep(model))
    sequences = [make(key, text) for key, text in enumerate(random_prompts(3, seed=4))]
    for sequence in sequences:
        rows.admit(sequence)
    found([Scheduled(one, one.pending) for one in sequences])
    for sequence in sequences:
        sequence.num_computed = len(sequence.tokens)
        sequence.tokens.append(5)
    logits = found([Scheduled(one, 1) for one in sequences])
    for sequence, each in zip(sequences, logits, strict=True):
        with torch.no_grad():
            expected = model(torch.tensor([sequence.tokens]))[0, -1:]
        torch.testing.assert_close(each, expected, rtol=1e-3, atol=1e-4)


@task
def test_no_gradients_are_kept():
    found, sequence = runner(), make(0, [1, 2])
    admit(found, sequence)
    [logits] = found([Scheduled(sequence, 2)])
    assert not logits.requires_grad


def test_a_cache_has_a_row_for_each_that_is_given_out():
    with raises(ValueError, 2, 3):
        Runner(MODEL, KVCache(TINY, 2, dtype=torch.float64), Rows(3, 40))


@task
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same():
    model = random_model().to("cuda")
    rows = Rows(2, 40)
    found = Runner(model, KVCache(TINY, 2, dtype=torch.float64, device="cuda"), rows)
    sequences = [make(0, [1, 2, 3]), make(1, [4, 5])]
    for sequence in sequences:
        rows.admit(sequence)
    logits = found([Scheduled(sequences[1], 2), Scheduled(sequences[0], 3)])
    # Not to 1e-11: the angles of the rotation are float32 on any device, and another device has other last bits.
    torch.testing.assert_close(logits[0], whole([4, 5])[1:], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(logits[1], whole([1, 2, 3])[2:], rtol=1e-5, atol=1e-6)
