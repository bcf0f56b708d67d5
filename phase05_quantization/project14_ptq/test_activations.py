"""Products of whole numbers against floats, and codes against bitsandbytes'."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from phase05_quantization.project14_ptq.activations import (
    Int8Linear,
    int8_linear,
    outlier_columns,
    quantize_rows,
)
from phase05_quantization.project14_ptq.given.example import random_matrix, random_model, random_tokens
from phase05_quantization.project14_ptq.given.integers import integer_product
from phase05_quantization.project14_ptq.given.methods import smooth, use_int8
from phase05_quantization.project14_ptq.given.outliers import inject_outliers
from phase05_quantization.project14_ptq.given.peers import HAS, library
from shared.testing import raises

task = pytest.mark.task(4)


@task
@given(st.integers(1, 5), st.integers(1, 30), st.floats(1e-3, 1e3), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_each_row_has_its_own_scale(rows, columns, size, seed):
    x = size * random_matrix(rows, columns, seed)
    codes, scale = quantize_rows(x)
    assert torch.equal(codes, (x * (127 / x.abs().amax(dim=1, keepdim=True))).round().to(torch.int8))
    torch.testing.assert_close(scale, x.abs().amax(dim=1) / 127)
    assert (codes.abs().amax(dim=1) == 127).all()
    assert ((codes * scale[:, None] - x).abs() <= 0.5001 * scale[:, None]).all()


@task
def test_a_row_of_zeros_is_zeros_and_others_are_not_disturbed():
    codes, scale = quantize_rows(torch.tensor([[0.0, 0.0], [-2.0, 1.0]]))
    assert codes.tolist() == [[0, 0], [-127, 64]]
    assert scale.tolist() == [0.0, pytest.approx(2 / 127)]


@task
def test_rows_of_other_dtypes_are_read_in_float32():
    x = random_matrix(3, 8).bfloat16()
    codes, scale = quantize_rows(x)
    assert torch.equal(codes, quantize_rows(x.float())[0])
    assert codes.dtype == torch.int8
    assert scale.dtype == torch.float32


@task
def test_a_column_is_an_outlier_by_any_of_its_numbers_and_either_sign():
    x = torch.tensor([[1.0, -6.0, 5.9, 0.0], [2.0, 0.0, 5.9, 6.0]])
    assert outlier_columns(x, 6.0).tolist() == [False, True, False, True]
    assert outlier_columns(x, 0.0).tolist() == [False] * 4
    assert outlier_columns(x, 1e-9).tolist() == [True] * 4


def exact(x, codes, scale, outlier):
    """In float64, column by column of the definition."""
    inner = torch.where(outlier, 0.0, x)
    x_codes, x_scale = quantize_rows(inner)
    y = (x_codes.double() * x_scale.double()[:, None]) @ (codes.double() * scale.double()[:, None]).T
    return y + torch.where(outlier, x, 0.0).double() @ (codes.double() * scale.double()[:, None]).T


@task
@pytest.mark.parametrize("threshold", [0.0, 1.5, 2.5, 100.0])
def test_it_computes_what_its_codes_say(threshold):
    x, (codes, scale) = random_matrix(7, 40, 1), quantize_rows(random_matrix(11, 40))
    found = int8_linear(x, codes, scale, threshold)
    expected = exact(x, codes, scale, outlier_columns(x, threshold))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@task
def test_with_every_column_an_outlier_it_is_the_float_product():
    x, (codes, scale) = random_matrix(5, 40, 1), quantize_rows(random_matrix(11, 40))
    torch.testing.assert_close(int8_linear(x, codes, scale, 1e-9), F.linear(x, codes * scale[:, None]))


@task
def test_an_outlier_spoils_the_others_unless_it_goes_its_own_way():
    weight = random_matrix(11, 40)
    codes, scale = quantize_rows(weight)
    x = random_matrix(5, 40, 1)
    x[2, 7] = 1000.0
    wanted = F.linear(x, codes * scale[:, None])
    spoiled, saved = (int8_linear(x, codes, scale, threshold) for threshold in (0.0, 6.0))
    assert (spoiled - wanted)[2].abs().max() > 30 * (saved - wanted)[2].abs().max()
    assert (saved - wanted).abs().max() < 0.2
    torch.testing.assert_close(spoiled[:2], int8_linear(x[:2], codes, scale))


@task
def test_whole_numbers_are_multiplied(monkeypatch):
    from phase05_quantization.project14_ptq import activations

    seen = []
    monkeypatch.setattr(
        activations, "integer_product", lambda a, b: seen.append(a.dtype) or integer_product(a, b)
    )
    int8_linear(random_matrix(2, 8), *quantize_rows(random_matrix(3, 8)))
    assert seen == [torch.int8]


@task
def test_a_threshold_below_zero_is_refused():
    with raises(ValueError, -1.5):
        int8_linear(random_matrix(2, 8), *quantize_rows(random_matrix(3, 8)), threshold=-1.5)


@task
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_layer_takes_any_shape(bias, dtype):
    torch.manual_seed(0)
    linear = nn.Linear(20, 9, bias=bias)
    found, x = Int8Linear(linear, 2.0), torch.randn(2, 3, 20).to(dtype)
    y = int8_linear(x.view(6, 20), *quantize_rows(linear.weight.detach()), 2.0).view(2, 3, 9)
    assert found(x).dtype == dtype
    torch.testing.assert_close(found(x), (y + linear.bias if bias else y).to(dtype))
    assert found(x[:0]).shape == (0, 3, 9)


def test_products_of_whole_numbers_are_exact():
    a, b = (torch.full((2, 5000), value, dtype=torch.int8) for value in (-127, 127))
    assert integer_product(a, b).tolist() == [[-127 * 127 * 5000] * 2] * 2
    assert integer_product(a[:0], b).shape == (0, 2)


def test_injected_outliers_leave_the_function_and_are_smoothed_away():
    model, tokens = random_model(), random_tokens()
    before = model(tokens)
    inject_outliers(model, 1000.0)
    torch.testing.assert_close(model(tokens), before, rtol=1e-3, atol=1e-3)
    assert model.get_submodule("blocks.1.attention_norm").get_parameter("weight").abs().max() > 100
    smooth(model, tokens)
    torch.testing.assert_close(model(tokens), before, rtol=1e-3, atol=1e-3)
    assert len(use_int8(model, 6.0)) == 14
    assert (model(tokens) - before).norm() < 0.1 * before.norm()


@pytest.mark.skipif(not HAS["bitsandbytes"], reason="bitsandbytes is not installed")
@task
def test_codes_are_byte_for_byte_those_of_bitsandbytes():
    functional = library("bitsandbytes.functional")
    x = random_matrix(48, 100).half()
    codes, amax, _ = functional.int8_vectorwise_quant(x)
    found, scale = quantize_rows(x)
    assert torch.equal(found, codes)
    torch.testing.assert_close(scale * 127, amax.float().flatten())
