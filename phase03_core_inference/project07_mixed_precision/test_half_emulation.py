"""Emulated float16 against exact arithmetic rounded once, and against torch's own float16 products."""

import pytest
import torch

from phase03_core_inference.project07_mixed_precision.half_emulation import (
    HalfLinear,
    emulate_half,
    half_attention,
    half_matmul,
    half_product,
    half_product_gradients,
)
from shared.phase01 import LLM, Config, causal_attention
from shared.testing import raises

F16 = torch.float16


def grad(x: torch.Tensor) -> torch.Tensor:
    """The gradient of a tensor that has one."""
    assert x.grad is not None
    return x.grad


def random(*shape, seed=0, scale=1.0):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def exactly(a, b):
    """The product of the float16 roundings in float64, rounded to float16 once."""
    return (a.half().double() @ b.half().double()).half().float()


def close_to_a_last_place(ours, exact):
    """Sums in float32 may end on the other side of a tie: one last place of float16 apart, and seldom."""
    torch.testing.assert_close(ours, exact, rtol=2**-10, atol=2**-24)
    assert (ours != exact).double().mean() < 0.02


@pytest.mark.task(8)
@pytest.mark.parametrize("shape", [((5, 7), (7, 6)), ((2, 3, 5, 7), (2, 3, 7, 6))])
def test_the_product_is_that_of_rounded_numbers_rounded_once(shape):
    a, b = random(*shape[0]), random(*shape[1], seed=1)
    out = half_product(a, b)
    assert out.dtype == torch.float32
    close_to_a_last_place(out, exactly(a, b))
    assert torch.equal(out, out.half().float()), "all of it are float16 numbers"


@pytest.mark.task(8)
def test_whole_numbers_are_exact():
    generator = torch.Generator().manual_seed(2)
    a, b = (torch.randint(-9, 10, (6, 6), generator=generator).float() for _ in range(2))
    assert torch.equal(half_product(a, b), a @ b)
    assert torch.equal(half_product(a, b).half(), a.half() @ b.half()), "torch's float16 product"


@pytest.mark.task(8)
def test_overflow_and_underflow_are_real():
    one = torch.ones(1, 1)
    big, large = 65504 * one, 65520 * one
    assert half_product(big, one).item() == 65504
    assert half_product(large, 0.5 * one).item() == float("inf"), "what goes in is rounded too"
    assert half_product(300 * one, 300 * one).item() == float("inf")
    assert half_product(300 * one, -300 * one).item() == -float("inf")
    assert half_product(2.0**-26 * one, 1024 * one).item() == 0, "what goes in is rounded too"
    assert half_product(2.0**-13 * one, 2.0**-13 * one).item() == 0
    assert half_product(2.0**-12 * one, 2.0**-12 * one).item() == 2.0**-24


@pytest.mark.task(8)
def test_sums_are_kept_in_float32():
    row, column = torch.ones(1, 4096), torch.ones(4096, 1)
    row[0, 1:] = 2.0**-11  # each of these would be lost beside 1 in float16
    expected = 1 + 4095 * 2.0**-11
    assert half_product(row, column).item() == torch.tensor(expected).half().item()
    large = torch.tensor([[60000.0, 60000.0, -60000.0]])
    assert half_product(large, torch.ones(3, 1)).item() == 60000, "on the way it may be beyond float16"


@pytest.mark.task(8)
def test_gradients_are_half_products_too():
    a, b, gradient = random(2, 5, 7), random(2, 7, 6, seed=1), random(2, 5, 6, seed=2)
    to_a, to_b = half_product_gradients(a, b, gradient)
    close_to_a_last_place(to_a, exactly(gradient, b.mT))
    close_to_a_last_place(to_b, exactly(a.mT, gradient))


@pytest.mark.task(8)
def test_small_gradients_vanish_and_a_scale_saves_them():
    a, b = torch.ones(3, 2, requires_grad=True), torch.ones(2, 4, requires_grad=True)
    (half_matmul(a, b).sum() * 2.0**-26).backward()
    assert torch.equal(grad(a), torch.zeros(3, 2))
    assert torch.equal(grad(b), torch.zeros(2, 4))
    a.grad = b.grad = None
    (half_matmul(a, b).sum() * 2.0**-26 * 2.0**16).backward()
    assert torch.equal(grad(a) / 2**16, torch.full((3, 2), 4 * 2.0**-26))
    assert torch.equal(grad(b) / 2**16, torch.full((2, 4), 3 * 2.0**-26))
    a.grad = b.grad = None
    (half_matmul(a, b).sum() * 2.0**17).backward()
    assert grad(a).isinf().all(), "too large a scale overflows"


@pytest.mark.task(8)
def test_autograd_gets_these_gradients():
    a, b, gradient = random(5, 7), random(7, 6, seed=1), random(5, 6, seed=2)
    a.requires_grad_()
    b.requires_grad_()
    half_matmul(a, b).backward(gradient)
    to_a, to_b = half_product_gradients(a.detach(), b.detach(), gradient)
    assert torch.equal(grad(a), to_a)
    assert torch.equal(grad(b), to_b)


@pytest.mark.task(8)
def test_a_linear_layer_makes_one_product_of_all_rows():
    linear = torch.nn.Linear(7, 6, bias=False)
    layer, x = HalfLinear(linear), random(2, 3, 7)
    out = layer(x)
    assert layer.weight is linear.weight
    assert out.shape == (2, 3, 6)
    assert torch.equal(out.view(6, 6), half_product(x.view(6, 7), linear.weight.detach().T))
    gradient = random(2, 3, 6, seed=3)
    out.backward(gradient)
    close_to_a_last_place(linear.weight.grad, exactly(gradient.view(6, 6).T, x.view(6, 7)))


@pytest.mark.task(8)
def test_attention_is_that_of_float32_to_three_digits():
    q, k, v = random(2, 4, 9, 8), random(2, 2, 9, 8, seed=1), random(2, 2, 9, 8, seed=2)
    out = half_attention(0, q, k, v)
    torch.testing.assert_close(out, causal_attention(0, q, k, v), rtol=5e-3, atol=5e-3)
    assert torch.equal(out, out.half().float())
    assert half_attention(0, *3 * [torch.full((1, 1, 2, 8), 100.0)]).isfinite().all(), (
        "80,000 is divided in time"
    )
    later = k.clone()
    later[:, :, 5:] = 100.0
    assert torch.equal(half_attention(0, q, later, v)[:, :, :5], out[:, :, :5]), (
        "no position sees a later one"
    )


@pytest.mark.task(8)
def test_a_whole_model_is_emulated_and_keeps_its_weights():
    torch.manual_seed(0)
    model = LLM(Config(vocab_size=20, context_length=8, layers=2, heads=2, kv_heads=1, dim=16, hidden_dim=24))
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    tokens = torch.randint(20, (2, 8))
    before, weights = model(tokens), list(map(id, model.parameters()))
    names = emulate_half(model)
    assert len(names) == 2 * 7 + 1
    assert list(map(id, model.parameters())) == weights
    assert all(isinstance(model.get_submodule(name), HalfLinear) for name in names)
    logits = model(tokens, attend=half_attention)
    torch.testing.assert_close(logits, before, rtol=1e-2, atol=1e-2)
    assert not torch.equal(logits, before)
    logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.task(8)
def test_attention_masks_where_its_queries_are():
    q = torch.ones(1, 2, 3, 4, device="meta")  # a device that has shapes and no numbers, on every machine
    assert half_attention(0, q, q, q).device.type == "meta"


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_it_is_emulated_in_float32(dtype):
    with raises(TypeError, str(dtype)):
        half_matmul(torch.ones(2, 2, dtype=dtype), torch.ones(2, 2))


def test_a_layer_with_a_bias_is_refused():
    with raises(ValueError, "bias"):
        HalfLinear(torch.nn.Linear(2, 2))
