"""A model cast once, against torch's own `to`, and what must stay as it was."""

import copy

import pytest
import torch

from phase03_core_inference.project07_mixed_precision.inference import cast_for_inference
from phase03_core_inference.project07_mixed_precision.memory import memory_report
from shared.phase01 import LLM, Config
from shared.testing import raises

CONFIG = Config(
    vocab_size=20,
    context_length=8,
    layers=2,
    heads=2,
    kv_heads=1,
    dim=16,
    hidden_dim=24,
    tied_embeddings=True,
)


def example():
    torch.manual_seed(0)
    model = LLM(CONFIG)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    tokens = torch.randint(20, (2, 8))
    model(tokens).square().mean().backward()
    return model.train(), tokens


@pytest.mark.task(10)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_it_computes_what_the_model_does_in_that_dtype(dtype):
    model, tokens = example()
    cast = cast_for_inference(model, dtype)
    with torch.no_grad():
        assert torch.equal(cast(tokens), copy.deepcopy(model).to(dtype)(tokens))
        torch.testing.assert_close(cast(tokens), model(tokens), rtol=0.05, atol=0.05)
    assert {parameter.dtype for parameter in cast.parameters()} == {dtype}


@pytest.mark.task(10)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_model_itself_stays_as_it_was(dtype):
    model, _ = example()
    before = [(parameter, parameter.detach().clone(), parameter.grad) for parameter in model.parameters()]
    cast = cast_for_inference(model, dtype)
    with torch.no_grad():
        for parameter in cast.parameters():
            parameter.zero_()
    assert model.training
    for (parameter, weight, gradient), after in zip(before, model.parameters(), strict=True):
        assert after is parameter
        assert after.requires_grad
        assert after.grad is gradient
        assert gradient is not None
        assert torch.equal(after, weight)


@pytest.mark.task(10)
def test_the_copy_is_to_be_read_and_not_to_be_trained():
    model, tokens = example()
    cast = cast_for_inference(model, torch.bfloat16)
    assert not any(module.training for module in cast.modules())
    assert not any(parameter.requires_grad for parameter in cast.parameters())
    assert all(parameter.grad is None for parameter in cast.parameters())
    assert not cast(tokens).requires_grad


@pytest.mark.task(10)
def test_what_was_one_parameter_in_two_places_still_is():
    model, _ = example()
    cast = cast_for_inference(model, torch.bfloat16)
    assert isinstance(cast, LLM)
    assert cast.head.weight is cast.embedding.weight
    assert memory_report(cast).total == memory_report(model).parameters // 2


@pytest.mark.task(10)
def test_integers_stay_integers():
    model = torch.nn.Linear(2, 2)
    model.register_buffer("places", torch.tensor([1, 2**40]))
    model.register_buffer("shares", torch.tensor([0.25]))
    cast = cast_for_inference(model, torch.bfloat16)
    assert torch.equal(cast.get_buffer("places"), torch.tensor([1, 2**40]))
    assert cast.get_buffer("shares").dtype == torch.bfloat16
    assert model.get_buffer("shares").dtype == torch.float32


@pytest.mark.task(10)
@pytest.mark.parametrize("dtype", [torch.float64, torch.int8, torch.float8_e5m2])
def test_another_dtype_is_refused(dtype):
    with raises(ValueError, str(dtype)):
        cast_for_inference(torch.nn.Linear(2, 2), dtype)


@pytest.mark.task(10)
def test_a_weight_too_large_for_float16_is_named():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    with torch.no_grad():
        model.get_parameter("1.weight")[0, 0] = -7e4
    with raises(OverflowError, "1.weight", "torch.float16"):
        cast_for_inference(model, torch.float16)
    assert cast_for_inference(model, torch.bfloat16).get_parameter("1.weight")[0, 0] == -7e4
    with torch.no_grad():
        model.get_parameter("1.weight")[0, 0] = float("inf")
    assert cast_for_inference(model, torch.float16).get_parameter("1.weight")[0, 0] == float("inf"), (
        "infinite it was before"
    )
