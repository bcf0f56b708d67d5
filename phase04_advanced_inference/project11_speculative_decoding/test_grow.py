"""A grown model says what the small one says, and costs what its size costs."""

from dataclasses import replace

import pytest
import torch

from phase04_advanced_inference.project11_speculative_decoding.given.example import (
    SHAPES,
    TINY,
    random_model,
    random_prompts,
)
from phase04_advanced_inference.project11_speculative_decoding.grow import grow, grown_config, padded
from shared.phase01 import LLM, SamplingParams, load_base, torch_attention
from shared.phase03 import generate_tokens
from shared.testing import raises

task = pytest.mark.task(10)


def larger(config):
    return {"dim": 60, "heads": 3 * config.heads, "layers": 5, "hidden_dim": 100}


@task
@pytest.mark.parametrize("config", SHAPES)
def test_the_logits_are_the_same(config):
    model = random_model(config)
    grown = grow(model, **larger(config))
    tokens = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6], [5, 3, 5, 8, 9, 7, 9, 3]])
    torch.testing.assert_close(grown(tokens), model(tokens), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(grown(tokens, attend=torch_attention), model(tokens), rtol=1e-9, atol=1e-10)
    hidden = grown.hidden(tokens)
    torch.testing.assert_close(hidden[..., : config.dim], model.hidden(tokens), rtol=1e-9, atol=1e-10)
    assert not hidden[..., config.dim :].any()


@task
@pytest.mark.parametrize("config", SHAPES[:3])
def test_each_size_can_grow_alone(config):
    model, tokens = random_model(config), torch.tensor([[3, 1, 4, 1, 5]])
    sizes = {
        "dim": config.dim,
        "heads": config.heads,
        "layers": config.layers,
        "hidden_dim": config.hidden_dim,
    }
    for name, size in larger(config).items():
        grown = grow(model, **sizes | {name: size})
        torch.testing.assert_close(grown(tokens), model(tokens), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(grow(model, **sizes)(tokens), model(tokens), rtol=1e-12, atol=1e-13)


@task
def test_its_config_says_how_large_it_is():
    config = grown_config(replace(SHAPES[2], dim=24, norm_eps=0.1), 60, 12, 5, 100)
    assert (config.dim, config.heads, config.kv_heads, config.layers, config.hidden_dim) == (
        60,
        12,
        3,
        5,
        100,
    )
    assert (config.head_width, config.norm_eps) == (6, pytest.approx(0.04))
    assert (config.vocab_size, config.context_length, config.qk_norm) == (23, 40, True)
    assert grown_config(replace(TINY, head_dim=None), 60, 8, 2, 36).head_dim == 6
    grown = grow(random_model(), 60, 12, 5, 100)
    assert grown.config == grown_config(TINY, 60, 12, 5, 100)
    assert grown.parameter_count() == LLM(grown.config).parameter_count()
    assert not grown.training


@task
def test_it_writes_the_same_texts():
    model = random_model(SHAPES[2])
    grown = grow(model, 48, 8, 4, 64)
    prompts, params = random_prompts(5), SamplingParams(max_tokens=16, temperature=0)
    assert generate_tokens(grown, prompts, params) == generate_tokens(model, prompts, params)


@task
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_keeps_the_format_and_the_given_model(dtype):
    model = random_model(SHAPES[2], dtype)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    grown = grow(model, 48, 8, 4, 64)
    assert {parameter.dtype for parameter in grown.parameters()} == {dtype}
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with torch.no_grad():
        grown.embedding.weight.zero_()
        grown.norm.weight.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@task
def test_a_tied_head_stays_tied():
    grown = grow(random_model(SHAPES[1]), 48, 8, 4, 64)
    assert grown.head.weight is grown.embedding.weight
    assert grow(random_model(), 48, 8, 4, 64).head.weight is not grown.embedding.weight


@task
def test_padding():
    found = padded(torch.tensor([[1.0, 2.0]], dtype=torch.float64), (2, 3))
    assert found.tolist() == [[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    assert found.dtype == torch.float64
    assert padded(torch.ones(0, 0), (1, 2)).tolist() == [[0.0, 0.0]]


@task
def test_what_cannot_be_is_named():
    for name, size in (("dim", 23), ("heads", 3), ("layers", 1), ("hidden_dim", 35)):
        sizes = {"dim": 60, "heads": 8, "layers": 4, "hidden_dim": 64} | {name: size}
        with raises(ValueError, getattr(TINY, name), size):
            grow(random_model(), **sizes)
    with raises(ValueError, 2, 7):
        grow(random_model(), 60, 7, 4, 64)


@task
def test_tiny_base_grown_to_three_times_its_width_has_its_logits():
    model, _ = load_base("tiny-base")
    grown = grow(model, 768, 12, 7, 1024)
    tokens = torch.arange(100, 140)[None]
    torch.testing.assert_close(
        grown(tokens, attend=torch_attention), model(tokens, attend=torch_attention), rtol=1e-4, atol=1e-4
    )
