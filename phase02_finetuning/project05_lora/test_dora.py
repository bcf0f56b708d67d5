from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from phase02_finetuning.project05_lora.adapters import add_adapter, train_only
from phase02_finetuning.project05_lora.dora import DoRA
from phase02_finetuning.project05_lora.given.example import random_model, random_tokens
from phase02_finetuning.project05_lora.lora import LoraConfig, LoRALinear

CONFIG = LoraConfig(rank=3, alpha=6.0, targets=("q",), dora=True)


def layer(config=CONFIG, bias=True, dtype=torch.float64) -> tuple[Any, Any, Tensor]:
    """A LoRALinear with a DoRA whose three parameters are all moved, and an input of (4, 10)."""
    torch.manual_seed(0)
    found = LoRALinear(nn.Linear(10, 8, bias=bias, dtype=dtype))
    adapter = DoRA(found.base, config)
    with torch.no_grad():
        adapter.B.normal_()
        adapter.magnitude.mul_(1 + torch.rand(8))
    found.adapters["default"] = adapter
    found.chosen = "default"
    return found, adapter, torch.randn(4, 10).to(dtype)


def written_out(base, adapter, x):
    """The layer with the adapted weight written out row by row, and the length as a constant."""
    turned = base.weight + 2.0 * adapter.B @ adapter.A
    rows = [
        m * row / row.detach().square().sum().sqrt() for m, row in zip(adapter.magnitude, turned, strict=True)
    ]
    return F.linear(x, torch.stack(rows), base.bias)


@pytest.mark.task(5)
def test_a_fresh_one_has_the_lengths_of_the_bases_rows():
    torch.manual_seed(0)
    base = nn.Linear(10, 8)
    adapter = DoRA(base, CONFIG)
    torch.testing.assert_close(adapter.magnitude.detach(), base.weight.detach().square().sum(1).sqrt())
    assert adapter.magnitude.requires_grad
    assert not adapter.B.any()
    assert {name for name, _ in adapter.named_parameters()} == {"A", "B", "magnitude"}
    x = torch.randn(3, 10)
    torch.testing.assert_close(adapter(x, base(x), base), base(x), rtol=1e-6, atol=1e-6)


@pytest.mark.task(5)
@pytest.mark.parametrize("bias", [False, True])
def test_the_output_is_that_of_the_weight_written_out(bias):
    found, adapter, x = layer(bias=bias)
    torch.testing.assert_close(found(x), written_out(found.base, adapter, x), rtol=1e-11, atol=1e-11)


@pytest.mark.task(5)
def test_gradients_are_those_with_the_length_as_a_constant():
    found, adapter, x = layer()
    names = [name for name, _ in adapter.named_parameters()]
    expected = torch.autograd.grad(
        written_out(found.base, adapter, x).square().sum(), list(adapter.parameters())
    )
    actual = torch.autograd.grad(found(x).square().sum(), list(adapter.parameters()))
    for name, one, other in zip(names, actual, expected, strict=True):
        torch.testing.assert_close(
            one, other, rtol=1e-9, atol=1e-9, msg=lambda said, name=name: f"{name}: {said}"
        )


@pytest.mark.task(5)
@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_rows_have_the_length_of_the_magnitude_whatever_the_adapter_does(seed):
    _, adapter, _ = layer()
    torch.manual_seed(seed)
    nn.init.normal_(adapter.A)
    nn.init.normal_(adapter.B)
    weight = torch.randn(8, 10, dtype=torch.float64)
    lengths = adapter.merged_weight(weight).norm(dim=1)
    torch.testing.assert_close(lengths, adapter.magnitude.detach().abs(), rtol=1e-9, atol=1e-9)


@pytest.mark.task(5)
@pytest.mark.parametrize("rslora", [False, True])
def test_the_merged_weight_does_the_same(rslora):
    found, adapter, x = layer(replace(CONFIG, rslora=rslora))
    before = found.base.weight.clone()
    merged = adapter.merged_weight(found.base.weight)
    torch.testing.assert_close(F.linear(x, merged, found.base.bias), found(x), rtol=1e-10, atol=1e-10)
    assert torch.equal(found.base.weight, before)
    assert not merged.requires_grad


@pytest.mark.task(5)
@pytest.mark.parametrize("bias", [False, True])
def test_dropout_drops_what_the_adapter_adds_and_not_the_base(bias):
    found, adapter, x = layer(replace(CONFIG, dropout=0.4), bias)
    found.eval()
    torch.testing.assert_close(found(x), written_out(found.base, adapter, x), rtol=1e-11, atol=1e-11)
    found.train()
    torch.manual_seed(5)
    dropped = F.dropout(x, 0.4)
    expected = found.base(x) + written_out(found.base, adapter, dropped) - found.base(dropped)
    torch.manual_seed(5)
    torch.testing.assert_close(found(x), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.task(5)
def test_on_a_model_it_begins_as_the_base_and_learns_three_parameters_a_layer():
    model, tokens = random_model(), random_tokens()
    before = model(tokens)
    add_adapter(model, LoraConfig(rank=2, dora=True))
    torch.testing.assert_close(model(tokens), before, rtol=1e-5, atol=1e-5)
    parameters = train_only(model)
    assert len(parameters) == 3 * 14
    model(tokens).square().sum().backward()
    gradients: list[Any] = [one.grad for one in parameters]
    assert sum(bool(one.any()) for one in gradients) == 2 * 14, "A learns once B is not zero any more"


@pytest.mark.task(5)
def test_a_row_of_zeros_is_no_nan():
    torch.manual_seed(0)
    base = nn.Linear(6, 4)
    nn.init.zeros_(base.weight)
    adapter = DoRA(base, CONFIG)
    x = torch.randn(3, 6)
    y = adapter(x, base(x), base)
    y.sum().backward()
    assert torch.equal(y, base(x))
    gradients: list[Any] = [one.grad for one in adapter.parameters()]
    assert all(one.isfinite().all() for one in gradients)
    assert not adapter.merged_weight(base.weight).isnan().any()


@pytest.mark.task(5)
def test_rows_however_short_keep_their_length_in_float64():
    torch.manual_seed(0)
    base = nn.Linear(6, 4, dtype=torch.float64)
    with torch.no_grad():
        base.weight *= 1e-60
    adapter = DoRA(base, CONFIG)
    torch.testing.assert_close(adapter.factors(base.weight).detach(), torch.ones(4, dtype=torch.float64))


@pytest.mark.task(5)
@pytest.mark.parametrize(
    ("dropout", "training", "calls"), [(0.0, True, 0), (0.5, False, 0), (0.0, False, 0), (0.5, True, 1)]
)
def test_the_base_is_called_again_only_where_dropout_acts(dropout, training, calls):
    found, adapter, x = layer(replace(CONFIG, dropout=dropout))
    adapter.train(training)
    y, seen = found.base(x), []
    found.base.register_forward_hook(lambda module, inputs, output: seen.append(inputs))
    adapter(x, y, found.base)
    assert len(seen) == calls


@pytest.mark.task(5)
def test_a_merged_weight_is_added_up_in_the_finer_dtype():
    _, adapter, _ = layer(dtype=torch.float32)
    nn.init.zeros_(adapter.B)
    weight = torch.randn(8, 10, dtype=torch.float64)
    lengths = weight.square().sum(1).sqrt()
    expected = (adapter.magnitude.detach().double() / lengths)[:, None] * weight
    torch.testing.assert_close(adapter.merged_weight(weight), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.task(5)
def test_a_bfloat16_base_keeps_its_dtype_and_the_adapter_is_finer():
    found, adapter, x = layer(dtype=torch.bfloat16)
    assert adapter.magnitude.dtype == torch.float32
    assert found(x).dtype == torch.bfloat16
    assert adapter.merged_weight(found.base.weight).dtype == torch.bfloat16
    expected = F.linear(x.float(), adapter.merged_weight(found.base.weight.float()), found.base.bias.float())
    torch.testing.assert_close(found(x).float(), expected, rtol=0.05, atol=0.1)
