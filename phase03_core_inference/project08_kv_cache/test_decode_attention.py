"""Decode attention in C++ against float64; the same bits alone and in company; and nothing beyond what is held."""

import math
import sys
from dataclasses import replace

import pytest
import torch

from phase03_core_inference.project08_kv_cache.decode_attention import DecodeAttention, attention_source
from phase03_core_inference.project08_kv_cache.generation import generate_tokens, step
from phase03_core_inference.project08_kv_cache.given.edge import stays_inside
from phase03_core_inference.project08_kv_cache.given.example import (
    WIDE,
    random_heads,
    random_model,
    random_prompts,
    spoiled,
)
from phase03_core_inference.project08_kv_cache.given.kernels import FORMATS, compiled, library
from phase03_core_inference.project08_kv_cache.kv_cache import KVCache
from phase03_core_inference.project08_kv_cache.window import SlidingWindowCache
from shared.phase01 import SamplingParams
from shared.testing import raises

task = pytest.mark.task(9)
formats = pytest.mark.parametrize("dtype", FORMATS)


def make(width=16, heads=4, kv_heads=2, rows=3, capacity=50, dtype=torch.float32):
    """A cache of one layer with random numbers in it, and its decode attention."""
    config = replace(WIDE[0], heads=heads, kv_heads=kv_heads, head_dim=width, layers=1, context_length=1000)
    cache = spoiled(KVCache(config, rows, capacity, dtype))
    for seed, buffers in enumerate((cache.keys, cache.values)):
        [buffers[0]] = random_heads(rows, kv_heads, capacity, width, seed=seed, dtype=dtype)
    return cache


def attend(cache, q, rows, lengths, threads=1):
    decode = DecodeAttention(cache, threads)
    mixed = decode(q, cache.keys[0], cache.values[0], rows, lengths)
    if mixed is None:
        pytest.skip("there is no C++ compiler")
    return mixed


def exact(cache, q, rows, lengths):
    """The definition, in float64."""
    mixed = torch.zeros(q.shape, dtype=torch.float64)
    group = q.shape[1] // cache.config.kv_heads
    for i, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        for h in range(q.shape[1]):
            keys, values = (
                buffers[0][row, h // group, :length].double() for buffers in (cache.keys, cache.values)
            )
            weights = (keys @ q[i, h].double() / math.sqrt(q.shape[2])).softmax(0)
            mixed[i, h] = weights @ values
    return mixed


def close(found, expected):
    tolerance = 1e-5 if found.dtype == torch.float32 else 0.01
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


@task
@formats
@pytest.mark.parametrize("width", [16, 32, 48, 64, 128, 256])
@pytest.mark.parametrize("kv_heads", [1, 2, 6])
def test_the_mean_is_right_for_each_width_and_group(width, kv_heads, dtype):
    cache = make(width, 6, kv_heads, dtype=dtype)
    [q] = random_heads(3, 6, width, seed=7, dtype=dtype)
    close(attend(cache, q, [0, 1, 2], [50, 17, 4]), exact(cache, q, [0, 1, 2], [50, 17, 4]))


@task
@formats
def test_the_mean_is_right_for_each_length(dtype):
    cache = make(rows=1, capacity=70, dtype=dtype)
    [q] = random_heads(1, 4, 16, seed=7, dtype=dtype)
    for length in range(1, 71):
        close(attend(cache, q, [0], [length]), exact(cache, q, [0], [length]))


@task
@formats
def test_what_lies_beyond_a_rows_length_is_never_read(dtype):
    cache = make(dtype=dtype)
    [q] = random_heads(2, 4, 16, seed=7, dtype=dtype)
    before = attend(cache, q, [2, 0], [13, 30])
    for buffer in (cache.keys[0], cache.values[0]):
        buffer[2, :, 13:], buffer[0, :, 30:], buffer[1] = torch.nan, torch.nan, torch.nan
    assert torch.equal(attend(cache, q, [2, 0], [13, 30]), before)


@task
@formats
@pytest.mark.parametrize("held", [1, 2, 7, 17])
def test_there_may_be_no_memory_beyond_what_is_held(held, dtype):
    found = compiled("attention", attention_source())
    if found is None:
        pytest.skip("there is no C++ compiler")
    heads, width = 3, 16
    q, keys, out = bytes(heads * width * 4), bytes(held * width * dtype.itemsize), bytes(heads * width * 4)
    row, length = (0).to_bytes(8, sys.byteorder), held.to_bytes(8, sys.byteorder)
    sizes = 1, heads, 1, held, width, 1  # one query a head, one head of keys and values, one thread
    assert stays_inside(
        found, f"decode_attention_{FORMATS[dtype]}", q, keys, keys, row, length, out, *sizes
    ), "it reads keys or values beyond those held"


@task
@pytest.mark.parametrize("scale", [1e-3, 30.0, 1000.0])
def test_large_scores_do_not_overflow(scale):
    cache = make()
    [q] = random_heads(3, 4, 16, seed=7, dtype=torch.float32)
    found = attend(cache, scale * q, [0, 1, 2], [50, 20, 1])
    torch.testing.assert_close(
        found.double(), exact(cache, scale * q, [0, 1, 2], [50, 20, 1]), rtol=2e-3, atol=2e-3
    )


@task
@formats
def test_a_rows_bits_do_not_depend_on_its_company_or_threads(dtype):
    cache = make(dtype=dtype)
    [q] = random_heads(3, 4, 16, seed=7, dtype=dtype)
    lengths = [40, 3, 21]
    together = attend(cache, q, [0, 1, 2], lengths)
    for i in range(3):
        assert torch.equal(attend(cache, q[i : i + 1], [i], lengths[i : i + 1])[0], together[i])
    for threads in (2, 3, 7):
        assert torch.equal(attend(cache, q, [0, 1, 2], lengths, threads), together)


@task
@formats
def test_threads_share_long_texts_and_change_no_bit(dtype):
    cache = make(width=64, capacity=1000, dtype=dtype)
    [q] = random_heads(3, 4, 64, seed=7, dtype=dtype)
    expected = attend(cache, q, [2, 0, 1], [1000, 700, 900])
    for threads in (2, 3, 7):
        assert torch.equal(attend(cache, q, [2, 0, 1], [1000, 700, 900], threads), expected)


@task
@formats
@pytest.mark.parametrize("config", WIDE)
def test_in_a_cache_it_gives_what_torch_gives(config, dtype):
    model = random_model(config, dtype)
    caches = [KVCache(config, rows=3, capacity=2, dtype=dtype) for _ in range(2)]
    caches[0].decode = DecodeAttention(caches[0])
    for new in ([[1, 2, 3], [4], [5]], [[6], [7], []], [[8], [], [9]], [[1], [2], [3]]):
        found, expected = (step(model, cache, new) for cache in caches)
        tolerance = 1e-4 if dtype == torch.float32 else 0.3
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@task
def test_in_a_ring_as_well():
    model = random_model(WIDE[0], torch.float32)
    caches = [SlidingWindowCache(WIDE[0], 6, rows=2) for _ in range(2)]
    caches[0].decode = DecodeAttention(caches[0])
    params = SamplingParams(max_tokens=20, temperature=0)
    assert library("attention", attention_source()) is None or caches[0].decode.kernel is not None
    texts = [generate_tokens(model, random_prompts(2), params, cache) for cache in caches]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("change", "dtype", "device", "threads", "facts"),
    [
        ({"head_dim": 8}, torch.float32, "cpu", 1, (8, 16, 256)),
        ({"head_dim": 24}, torch.float32, "cpu", 1, (24,)),
        ({"head_dim": 272}, torch.float32, "cpu", 1, (272, 256)),
        ({}, torch.float16, "cpu", 1, ("float16", "float32", "bfloat16")),
        ({}, torch.float32, "meta", 1, ("meta", "cpu")),
        ({}, torch.float32, "cpu", 0, (0, 1)),
    ],
)
def test_what_the_kernel_was_not_made_for_is_refused(change, dtype, device, threads, facts):
    cache = KVCache(replace(WIDE[0], **change), dtype=dtype, device=device)
    with raises(ValueError, *facts):
        DecodeAttention(cache, threads)
