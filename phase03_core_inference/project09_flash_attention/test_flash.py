"""Flash attention as a function to train through, by each backend of the CPU, and in project 3's model."""

from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from phase03_core_inference.project09_flash_attention import flash
from phase03_core_inference.project09_flash_attention.flash import (
    BACKENDS,
    FlashAttention,
    attend,
    flash_attention,
)
from phase03_core_inference.project09_flash_attention.given.attention_written_out import attention_written_out
from phase03_core_inference.project09_flash_attention.given.cases import CASES, gradients, random_inputs
from shared.phase01 import LLM, Config, torch_attention
from shared.testing import raises

pytestmark = pytest.mark.task(5)


def test_gradcheck():
    q, k, v, _ = (x.requires_grad_() for x in random_inputs(7, 9, 4, 2, dim=3, batch=1))
    assert torch.autograd.gradcheck(lambda q, k, v: flash_attention(q, k, v, window=4), (q, k, v))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_forward_and_backward_are_those_of_attention_written_out(case):
    q, k, v, dout = random_inputs(*case[:4])
    ours = lambda q, k, v: flash_attention(q, k, v, *case[4:])  # noqa: E731
    formula = lambda q, k, v: attention_written_out(q, k, v, *case[4:])[0]  # noqa: E731
    torch.testing.assert_close(ours(q, k, v), formula(q, k, v), rtol=1e-11, atol=1e-12)
    for one, other in zip(gradients(ours, q, k, v, dout), gradients(formula, q, k, v, dout), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


def test_what_is_kept_grows_with_the_length_and_not_with_its_square():
    q, k, v, _ = (x.requires_grad_() for x in random_inputs(200, 200, 4, 2))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        out = flash_attention(q, k, v)
    assert sorted(kept) == sorted([q.numel(), k.numel(), v.numel(), out.numel(), out.numel() // 16])


def test_what_is_kept_are_the_tensors_that_came_in_and_no_copies():
    q, k, v, _ = (
        x.transpose(1, 2).contiguous().transpose(1, 2).requires_grad_() for x in random_inputs(9, 9, 4, 2)
    )
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.data_ptr()) or x, lambda x: x):
        out = flash_attention(q, k, v)
    assert {q.data_ptr(), k.data_ptr(), v.data_ptr(), out.data_ptr()} < set(kept)


def test_each_call_has_settings_of_its_own():
    q, k, v, dout = random_inputs(40, 40, 2, 2)
    leaves = [x.requires_grad_() for x in (q, k, v)]
    out = (
        flash_attention(q, k, v)
        + 2 * flash_attention(q, k, v, window=3)
        + 3 * flash_attention(q, k, v, causal=False)
    )
    formula = attention_written_out(q, k, v)[0] + 2 * attention_written_out(q, k, v, True, 3)[0]
    formula = formula + 3 * attention_written_out(q, k, v, False)[0]
    for one, other in zip(
        torch.autograd.grad(out, leaves, dout), torch.autograd.grad(formula, leaves, dout), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("backend", ["auto", "tiles"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_takes_no_digits(backend, dtype):
    q, k, v, dout = random_inputs(70, 70, 4, 2, dtype=dtype)
    ours = lambda q, k, v: flash_attention(q, k, v, backend=backend)  # noqa: E731
    expected = [ours(q, k, v), *gradients(ours, q, k, v, dout)]
    with torch.autocast("cpu", torch.bfloat16):
        found = [ours(q, k, v), *gradients(ours, q, k, v, dout)]
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def test_the_three_settings_have_no_gradient():
    q, k, v, dout = random_inputs(3, 3, 1, 1)
    leaves = [x.requires_grad_() for x in (q, k, v)]
    out = FlashAttention.apply(*leaves, True, None, BACKENDS["tiles"])
    out.backward(dout)
    assert all(x.grad is not None and x.grad.shape == x.shape for x in leaves)


@pytest.mark.parametrize("backend", ["auto", "tiles", "cpu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_backends_of_the_cpu_agree(backend, dtype):
    if backend == "cpu" and not flash.available("cpu"):
        pytest.skip("no C++ compiler")
    q, k, v, dout = random_inputs(70, 90, 4, 2, dtype=dtype)
    out = flash_attention(q, k, v, window=40, backend=backend)
    assert out.dtype == dtype
    expected, _ = attention_written_out(q.double(), k.double(), v.double(), True, 40)
    close = 1e-2 if dtype == torch.bfloat16 else 5e-6
    torch.testing.assert_close(out.double(), expected, rtol=close, atol=close)
    dq, dk, dv = gradients(
        lambda q, k, v: flash_attention(q, k, v, window=40, backend=backend), q, k, v, dout
    )
    assert (dq.dtype, dk.shape, dv.shape) == (dtype, k.shape, v.shape)
    formula = lambda q, k, v: attention_written_out(q, k, v, True, 40)[0]  # noqa: E731
    exact = gradients(formula, *(x.double() for x in (q, k, v, dout)))
    close = 2e-2 if dtype == torch.bfloat16 else 1e-5
    for one, other in zip((dq, dk, dv), exact, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=close, atol=close)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_tiles_on_a_gpu_are_those_of_the_cpu():
    q, k, v, dout = random_inputs(70, 90, 4, 2)
    tiles = lambda q, k, v: flash_attention(q, k, v, window=40, backend="tiles")  # noqa: E731
    expected = [tiles(q, k, v), *gradients(tiles, q, k, v, dout)]
    q, k, v, dout = (x.cuda() for x in (q, k, v, dout))
    for one, other in zip([tiles(q, k, v), *gradients(tiles, q, k, v, dout)], expected, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-9, atol=1e-9)


def test_auto_takes_the_kernel_where_it_can_and_the_tiles_elsewhere(monkeypatch):
    calls = []

    def recorded(name, fault):
        def forward(*arguments):
            calls.append(name)
            return BACKENDS["tiles"].forward(*arguments)

        return BACKENDS["tiles"]._replace(forward=forward, fault=fault)

    q, k, v, _ = random_inputs(3, 3, 1, 1)
    tiles = recorded("tiles", lambda q: None)
    for there, fault, expected in ((True, None, "cpu"), (True, "too large", "tiles"), (False, None, "tiles")):
        monkeypatch.setattr(flash, "available", lambda name, there=there: there)
        backends = {"tiles": tiles, "cpu": recorded("cpu", lambda q, fault=fault: fault), "triton": tiles}
        monkeypatch.setattr(flash, "BACKENDS", backends)
        flash_attention(q, k, v)
        assert calls.pop() == expected


def test_bad_input_gets_one_line_before_any_work():
    q, k, v, _ = random_inputs(4, 4, 3, 2)
    with raises(ValueError, 3, 2):
        flash_attention(q, k, v)
    q, k, v, _ = random_inputs(4, 4, 2, 4)
    with raises(ValueError, 2, 4):
        flash_attention(q, k, v)
    q, k, v, _ = random_inputs(4, 4, 2, 2)
    with raises(ValueError, "float64", "float32"):
        flash_attention(q, k.float(), v)
    with raises(ValueError, "float64", "float32"):
        flash_attention(q, k, v.float())
    for window in (0, -3):
        with raises(ValueError, window, 1):
            flash_attention(q, k, v, window=window)
    with raises(ValueError, "causal"):
        flash_attention(q, k, v, causal=False, window=5)
    with raises(ValueError, "float64", "float32", "bfloat16"):
        flash_attention(q, k, v, backend="cpu")
    wide, narrow, other, _ = random_inputs(4, 4, 1, 1, dim=20, dtype=torch.float32)
    with raises(ValueError, 20, 16):
        flash_attention(wide, narrow, other, backend="cpu")
    with raises(ValueError, "float64", "float16"):
        flash_attention(q, k, v, backend="triton")
    with raises(ValueError, "cuda", "cpu"):
        flash_attention(q.float(), k.float(), v.float(), backend="triton")


def test_an_unknown_backend_is_named_beside_the_known():
    q, k, v, _ = random_inputs(4, 4, 1, 1)
    unchecked: Any = getattr(
        flash_attention, "__wrapped__", flash_attention
    )  # the tests' own check knows the names too
    with raises(ValueError, "cuda", "auto", "tiles", "cpu", "triton"):
        unchecked(q, k, v, backend="cuda")


def test_attend_is_causal_attention_of_the_model():
    q, k, v, _ = random_inputs(70, 70, 4, 2)
    torch.testing.assert_close(attend(0, q, k, v), torch_attention(0, q, k, v), rtol=1e-11, atol=1e-12)
    q, k, v, _ = random_inputs(30, 30, 2, 2)
    torch.testing.assert_close(
        attend(3, q, k, v), scaled_dot_product_attention(q, k, v, is_causal=True), rtol=1e-11, atol=1e-12
    )


def test_a_model_trained_with_it_has_the_losses_of_one_trained_with_torch():
    def losses(attend):
        torch.manual_seed(0)
        config = Config(
            vocab_size=40, context_length=70, layers=2, heads=4, kv_heads=2, dim=32, hidden_dim=48
        )
        model = LLM(config).double()
        for name, weight in model.named_parameters():
            if name.endswith(
                "out.weight"
            ):  # it starts at zero, and attention would have no gradient at first
                torch.nn.init.normal_(weight, std=0.2)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        tokens = torch.randint(40, (2, 71))
        found = []
        for _ in range(5):
            loss = model(tokens[:, :-1], attend=attend, targets=tokens[:, 1:].contiguous()) / 140
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    ours, torchs = losses(attend), losses(torch_attention)
    assert ours[-1] < ours[0] - 0.3
    torch.testing.assert_close(ours, torchs, rtol=1e-9, atol=1e-9)
