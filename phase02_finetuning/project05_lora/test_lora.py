import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from phase02_finetuning.project05_lora.lora import LoRA, LoraConfig, LoRALinear
from shared.testing import raises

CONFIG = LoraConfig(rank=3, alpha=6.0, targets=("q",))


def layer(config=CONFIG, bias=False, dtype=torch.float32, inputs=10, outputs=8) -> tuple[Any, Tensor]:
    """A LoRALinear with the adapter "default" in use, its B random, and an input of (4, 5, inputs)."""
    torch.manual_seed(0)
    found = LoRALinear(nn.Linear(inputs, outputs, bias=bias, dtype=dtype))
    adapter = LoRA(found.base, config)
    nn.init.normal_(adapter.B)
    found.adapters["default"] = adapter
    found.chosen = "default"
    return found, torch.randn(4, 5, inputs).to(dtype)


def by_hand(found, x, scaling):
    """W x + b + scaling · B A x, as matrices, in float64."""
    adapter = found.adapters["default"]
    weight = found.base.weight.double() + scaling * adapter.B.double() @ adapter.A.double()
    bias = None if found.base.bias is None else found.base.bias.double()
    return F.linear(x.double(), weight, bias)


@pytest.mark.task(1)
@given(st.integers(1, 256), st.floats(0.5, 512))
def test_the_scaling_is_alpha_over_the_rank_or_over_its_root(rank, alpha):
    config = LoraConfig(rank=rank, alpha=alpha)
    assert config.scaling == pytest.approx(alpha / rank)
    assert replace(config, rslora=True).scaling == pytest.approx(alpha / math.sqrt(rank))


@pytest.mark.task(1)
def test_a_fresh_adapter_is_uniform_in_a_and_zero_in_b():
    torch.manual_seed(0)
    adapter = LoRA(nn.Linear(400, 50), LoraConfig(rank=30))
    assert adapter.A.shape == (30, 400)
    assert adapter.B.shape == (50, 30)
    assert not adapter.B.any()
    bound = 1 / math.sqrt(400)
    assert 0.99 * bound < adapter.A.abs().max() <= bound
    assert float(adapter.A.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)
    before = adapter.A.clone()
    nn.init.ones_(adapter.B)
    adapter.reset(nn.Linear(400, 50))
    assert not adapter.B.any()
    assert not torch.equal(adapter.A, before), "drawn anew"


@pytest.mark.task(1)
@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_the_output_is_the_base_and_the_scaled_product(bias, rslora):
    found, x = layer(replace(CONFIG, rslora=rslora), bias)
    expected = by_hand(found, x, 6 / math.sqrt(3) if rslora else 2.0)
    torch.testing.assert_close(found(x).double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found(x[0, 0]).double(), expected[0, 0], rtol=1e-5, atol=1e-5)


@pytest.mark.task(1)
def test_fresh_or_not_in_use_it_is_the_base_bit_for_bit():
    found, x = layer()
    for chosen in (None, "another"):
        found.chosen = chosen
        assert torch.equal(found(x), found.base(x))
    found.chosen = "default"
    assert not torch.allclose(found(x), found.base(x))
    found.adapters["default"].reset(found.base)
    assert torch.equal(found(x), found.base(x))


@pytest.mark.task(1)
def test_a_merged_layer_does_the_work_alone_where_its_adapter_is_in_use():
    found, x = layer()
    found.merged["default"] = nn.Linear(10, 8)
    assert torch.equal(found(x), found.merged["default"](x))
    found.chosen = None
    assert torch.equal(found(x), found.base(x))


@pytest.mark.task(1)
def test_a_name_for_each_row_is_a_matter_of_by_row(monkeypatch):
    found, x = layer()
    answer, seen = torch.randn(4, 5, 8), []

    def by_row(self, x, names):
        seen.append((x, names))
        return answer

    monkeypatch.setattr(LoRALinear, "by_row", by_row)
    found.chosen = ("default", None, "default", None)
    assert found(x) is answer
    [(read, names)] = seen
    assert read is x
    assert names == found.chosen


@pytest.mark.task(1)
def test_only_a_and_b_get_gradients_and_they_are_those_of_the_product():
    found, x = layer()
    found(x).square().sum().backward()
    adapter = found.adapters["default"]
    A, B = (one.detach().clone().double().requires_grad_() for one in (adapter.A, adapter.B))  # noqa: N806
    weight = found.base.weight.detach().double()
    (x.double() @ (weight + 2.0 * B @ A).T).square().sum().backward()
    assert found.base.weight.grad is None
    torch.testing.assert_close(adapter.A.grad.double(), A.grad, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(adapter.B.grad.double(), B.grad, rtol=1e-4, atol=1e-3)


@pytest.mark.task(1)
def test_a_fresh_adapter_learns():
    found, x = layer()
    adapter = found.adapters["default"]
    adapter.reset(found.base)
    found(x).square().sum().backward()
    assert adapter.B.grad.abs().max() > 1e-3
    assert not adapter.A.grad.any(), "A learns once B is not zero any more"


@pytest.mark.task(1)
def test_dropout_is_on_the_adapters_input_in_training_only():
    found, x = layer(replace(CONFIG, dropout=0.5))
    expected = by_hand(found, x, 2.0)
    found.eval()
    torch.testing.assert_close(found(x).double(), expected, rtol=1e-5, atol=1e-5)
    found.train()
    torch.manual_seed(3)
    dropped = F.dropout(x, 0.5)
    torch.manual_seed(3)
    adapter = found.adapters["default"]
    update = 2.0 * dropped @ adapter.A.T @ adapter.B.T
    torch.testing.assert_close(found(x), found.base(x) + update, rtol=1e-5, atol=1e-5)
    nn.init.zeros_(adapter.B)
    assert torch.equal(found(x), found.base(x)), "the base reads all of x"


@pytest.mark.task(1)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_adapters_are_float32_at_least_and_the_output_has_the_bases_dtype(dtype):
    found, x = layer(dtype=dtype)
    assert found.adapters["default"].A.dtype == torch.promote_types(dtype, torch.float32)
    y = found(x)
    assert y.dtype == dtype
    tolerance = 0.05 if dtype == torch.bfloat16 else 1e-9
    torch.testing.assert_close(y.double(), by_hand(found, x, 2.0), rtol=tolerance, atol=tolerance)


@pytest.mark.task(1)
def test_under_autocast_the_products_are_bfloat16():
    found, x = layer()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = found(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.double(), by_hand(found, x, 2.0), rtol=0.05, atol=0.05)


@pytest.mark.task(1)
def test_the_wide_product_is_never_made():
    found, x = layer(LoraConfig(rank=1, targets=("q",)), inputs=300, outputs=200)
    seen = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: seen.append(tensor) or tensor, lambda one: one
    ):
        found(x.requires_grad_())
    weights = {tensor.data_ptr() for tensor in seen if tensor.numel() >= 300 * 200}
    assert weights <= {found.base.weight.data_ptr()}


@pytest.mark.parametrize(
    ("wrong", "facts"),
    [
        ({"rank": 0}, ("rank", 0)),
        ({"alpha": 0.0}, ("alpha", (0, 0.0))),
        ({"alpha": math.nan}, ("alpha", "nan")),
        ({"dropout": 1.0}, ("dropout", 1.0)),
        ({"dropout": -0.1}, ("dropout", -0.1)),
        ({"targets": ()}, ("targets",)),
        ({"targets": ("q", "")}, ("targets",)),
    ],
)
def test_what_cannot_be_is_refused(wrong, facts):
    with raises(ValueError, *facts):
        LoraConfig(**wrong)
