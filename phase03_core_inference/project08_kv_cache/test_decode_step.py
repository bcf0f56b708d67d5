"""The step in one call against project 3's modules; the same bits alone and in company; texts, rewinds, rings."""

import copy
from dataclasses import replace

import pytest
import torch

from phase03_core_inference.project08_kv_cache.decode_step import DecodeStep
from phase03_core_inference.project08_kv_cache.generation import generate_tokens, step
from phase03_core_inference.project08_kv_cache.given.example import (
    TINY,
    WIDE,
    random_model,
    random_prompts,
    spoiled,
    without_cache,
)
from phase03_core_inference.project08_kv_cache.kv_cache import KVCache
from phase03_core_inference.project08_kv_cache.linear import use_own_products
from phase03_core_inference.project08_kv_cache.window import SlidingWindowCache
from shared.phase01 import SamplingParams, load_base
from shared.testing import raises

task = pytest.mark.task(10)
shapes = pytest.mark.parametrize("config", WIDE)
STEPS = [[[6], [7], []], [[8], [], [9]], [[], [10], [11]], *([[1], [2], [3]] for _ in range(6))]


@task
@shapes
def test_a_step_equals_the_models_modules(config):
    """Rows at different places, some of them left out, through caches that grow."""
    model = random_model(config, torch.float32)
    one_call = DecodeStep(model)
    mine, theirs = (spoiled(KVCache(config, rows=3, capacity=2)) for _ in range(2))
    for cache in (mine, theirs):
        step(model, cache, [[1, 2, 3], [4], [5, 6]])
    for new in STEPS:
        found, expected = one_call(mine, new), step(model, theirs, new)
        torch.testing.assert_close(found, expected, rtol=3e-5, atol=3e-5)
        assert mine.lengths == theirs.lengths
        assert mine.counts == [0, 0, 0]
    for layer in range(config.layers):
        for row, length in enumerate(mine.lengths):
            for ours, others in ((mine.keys, theirs.keys), (mine.values, theirs.values)):
                found, expected = (kept[layer][row, :, :length] for kept in (ours, others))
                torch.testing.assert_close(found, expected, rtol=3e-5, atol=3e-5)


@task
@shapes
def test_in_bfloat16_a_step_is_as_near_to_the_exact_one_as_the_modules(config):
    """Each rounds in other places, so what both are measured by is the model with the same weights in float64."""
    model = random_model(config, torch.bfloat16)
    exact = copy.deepcopy(model).double()
    one_call, errors = DecodeStep(model), []
    caches = [
        KVCache(config, rows=3, dtype=dtype) for dtype in (torch.bfloat16, torch.bfloat16, torch.float64)
    ]
    for one, cache in zip((model, model, exact), caches, strict=True):
        step(one, cache, [[1, 2, 3], [4], [5, 6]])
    for new in STEPS:
        found, modules, expected = (
            one_call(caches[0], new),
            step(model, caches[1], new),
            step(exact, caches[2], new),
        )
        errors.append([(one - expected).norm() / expected.norm() for one in (found, modules)])
    ours, theirs = torch.tensor(errors).mean(0)
    assert ours < 1.2 * theirs
    assert ours < 0.03


@task
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_texts_bits_do_not_depend_on_its_company_or_threads(dtype):
    config = replace(WIDE[0], hidden_dim=20_000)  # large enough for threads
    model, prompts = random_model(config, dtype), random_prompts(9, seed=4)
    one_call, three = DecodeStep(model), DecodeStep(model, threads=3)

    def logits(prompts, decode):
        cache = KVCache(WIDE[0], rows=len(prompts), dtype=dtype)
        for i, prompt in enumerate(prompts):
            step(model, cache, [prompt if row == i else [] for row in range(len(prompts))])
        return torch.stack([decode(cache, [[token]] * len(prompts)) for token in (3, 1, 4, 1, 5)], dim=1)

    together = logits(prompts, one_call)
    assert torch.equal(logits(prompts, three), together)
    for i, prompt in enumerate(prompts):
        assert torch.equal(logits([prompt], one_call)[0], together[i])


@task
@shapes
def test_texts_written_with_it_are_those_of_the_model(config):
    model, prompts = random_model(config, torch.float32), random_prompts(4, seed=1)
    params = SamplingParams(max_tokens=16, temperature=0)
    expected = [without_cache(model, prompt, params) for prompt in prompts]
    assert generate_tokens(model, prompts, params, decode=DecodeStep(model)) == expected


@task
def test_tiny_base_writes_the_same_with_it():
    model, tokenizer = load_base("tiny-base")
    prompts = [[tokenizer.special_tokens["<|endoftext|>"], *tokenizer.encode("Once upon a time")]]
    params = SamplingParams(max_tokens=40, temperature=0)
    expected = generate_tokens(model, prompts, params)
    assert generate_tokens(model, prompts, params, decode=DecodeStep(model)) == expected


@task
def test_after_a_rewind_it_is_as_if_the_rest_had_never_been():
    model = random_model(WIDE[0], torch.float32)
    one_call, cache, fresh = DecodeStep(model), KVCache(WIDE[0]), KVCache(WIDE[0])
    for token in (1, 2, 3, 4, 5):
        one_call(cache, [[token]])
    cache.rewind(0, 2)
    for token in (1, 2):
        one_call(fresh, [[token]])
    assert torch.equal(one_call(cache, [[9]]), one_call(fresh, [[9]]))


@task
def test_a_ring_serves_as_well():
    model = random_model(WIDE[0], torch.float32)
    rings = [SlidingWindowCache(WIDE[0], 5, rows=2) for _ in range(2)]
    one_call = DecodeStep(model)
    for new in [[[1], [2]], [[3], []], *([[token], [token]] for token in range(9))]:
        torch.testing.assert_close(one_call(rings[0], new), step(model, rings[1], new), rtol=3e-5, atol=3e-5)


@task
@pytest.mark.parametrize("new", [[[1, 2], [3]], [[1]] * 33])
def test_what_is_no_decoding_step_goes_through_the_modules(new):
    model = random_model(WIDE[0], torch.float32)
    caches = [KVCache(WIDE[0], rows=len(new)) for _ in range(2)]
    found, expected = DecodeStep(model)(caches[0], new), step(model, caches[1], new)
    assert torch.equal(found, expected)
    assert caches[0].lengths == list(map(len, new))


@task
def test_a_token_that_the_model_does_not_know_is_refused_and_nothing_is_planned():
    model, cache = random_model(WIDE[0], torch.float32), KVCache(WIDE[0])
    for token in (29, -1):
        with raises(ValueError, token, 28):
            DecodeStep(model)(cache, [[token]])
    assert cache.counts == [0]


@task
@pytest.mark.parametrize(
    ("change", "dtype", "facts"),
    [
        ({"layers": 3}, torch.float32, (2, 3)),
        ({"kv_heads": 4}, torch.float32, (2, 4)),
        ({"head_dim": 32}, torch.float32, (16, 32)),
        ({}, torch.bfloat16, ("float32", "bfloat16")),
    ],
)
def test_another_models_cache_is_refused(change, dtype, facts):
    with raises(ValueError, *facts):
        DecodeStep(random_model(WIDE[0], torch.float32))(
            KVCache(replace(WIDE[0], **change), dtype=dtype), [[1]]
        )


@task
def test_heads_that_the_kernel_was_not_made_for_are_refused():
    with raises(ValueError, 6, 16):
        DecodeStep(random_model(TINY, torch.float32))(KVCache(TINY), [[1]])


def test_a_model_whose_layers_were_changed_is_refused():
    model = random_model(WIDE[0], torch.float32)
    use_own_products(model)
    with raises(ValueError, "OwnLinear", "blocks.0.attention.q"):
        DecodeStep(model)
