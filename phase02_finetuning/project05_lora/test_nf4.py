import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase02_finetuning.project05_lora.nf4 import NF4, dequantize_nf4, nf4_levels, quantize_nf4
from shared.testing import raises

# As the paper prints them (appendix E).
PAPER = [
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635),
    *(-0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725),
    *(
        0.24611230194568634,
        0.33791524171829224,
        0.44070982933044434,
        0.5626170039176941,
        0.7229568362236023,
        1.0,
    ),
]


def by_hand(weight, block=64):
    """Number by number: the code of each, and the scale of each block."""
    flat, codes, scales = weight.flatten().tolist(), [], []
    for start in range(0, len(flat), block):
        part = flat[start : start + block]
        scales.append(max(map(abs, part)))
        for value in part:
            scaled = value / scales[-1] if scales[-1] else 0.0
            codes.append(min(range(16), key=lambda i: abs(PAPER[i] - scaled)))
    return codes, scales


def codes_of(quantized, count):
    return [code for byte in quantized.codes.tolist() for code in (byte >> 4, byte & 15)][:count]


@pytest.mark.task(7)
def test_the_levels_are_those_of_the_paper():
    levels = nf4_levels()
    assert levels.dtype == torch.float32
    assert torch.equal(levels, torch.tensor(PAPER))
    assert levels[7] == 0.0
    assert levels[0] == -1.0
    assert levels[15] == 1.0


@pytest.mark.task(7)
def test_the_levels_are_used_about_equally_often_by_normal_numbers():
    torch.manual_seed(0)
    codes = codes_of(quantize_nf4(torch.randn(64_000)), 64_000)
    counts = torch.bincount(torch.tensor(codes), minlength=16)
    assert counts[1:15].max() / counts[1:15].min() < 3


@pytest.mark.task(7)
@given(st.integers(1, 9), st.integers(1, 40), st.sampled_from([2, 4, 8, 64]), st.integers(0, 1000))
@settings(max_examples=40)
def test_codes_and_scales_are_those_made_number_by_number(rows, columns, block, seed):
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    codes, scales = by_hand(weight, block)
    found = quantize_nf4(weight, block)
    assert found.absmax.tolist() == scales
    assert found.absmax.dtype == torch.float32
    assert codes_of(found, weight.numel()) == codes
    assert found.codes.dtype == torch.uint8
    assert len(found.codes) == math.ceil(weight.numel() / 2)
    assert found.shape == (rows, columns)
    assert found.block == block


@pytest.mark.task(7)
def test_the_first_of_two_has_the_high_bits_and_an_odd_rest_the_code_of_zero():
    found = quantize_nf4(torch.tensor([1.0, -1.0, 0.0, 1.0, -1.0]))
    assert found.codes.tolist() == [0xF0, 0x7F, 0x07]


@pytest.mark.task(7)
def test_the_scale_is_of_the_largest_whatever_its_sign():
    found = quantize_nf4(torch.tensor([0.5, -2.0, 1.0, 0.0]))
    assert found.absmax.tolist() == [2.0]
    assert codes_of(found, 2)[1] == 0


@pytest.mark.task(7)
def test_each_block_has_its_own_scale_and_a_shorter_last_one_too():
    weight = torch.cat([torch.full((64,), 0.5), torch.full((64,), 100.0), torch.full((10,), -0.01)])
    found = quantize_nf4(weight)
    torch.testing.assert_close(found.absmax, torch.tensor([0.5, 100.0, 0.01]))
    assert torch.equal(dequantize_nf4(found), weight)


@pytest.mark.task(7)
def test_a_block_of_zeros_stays_zeros():
    weight = torch.zeros(2, 64)
    weight[1] = 3.0
    found = quantize_nf4(weight)
    assert found.absmax.tolist() == [0.0, 3.0]
    assert torch.equal(dequantize_nf4(found), weight)
    assert set(codes_of(found, 64)) == {7}


@pytest.mark.task(7)
def test_a_transposed_weight_is_quantized_as_it_stands_in_rows():
    torch.manual_seed(0)
    weight = torch.randn(70, 30).T
    assert not weight.is_contiguous()
    found, expected = quantize_nf4(weight), quantize_nf4(weight.contiguous())
    assert torch.equal(found.codes, expected.codes)
    assert torch.equal(found.absmax, expected.absmax)
    assert (dequantize_nf4(found) - weight).abs().max() < 0.5


@pytest.mark.task(7)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=200))
@settings(max_examples=50)
def test_no_number_is_farther_off_than_half_the_widest_gap(values):
    weight = torch.tensor(values)
    found = quantize_nf4(weight)
    scales = found.absmax.repeat_interleave(64)[: len(values)]
    off = (dequantize_nf4(found) - weight).abs()
    assert (off <= 0.1521 * scales + 1e-30).all(), "between -1 and -0.696 lies 0.304"


@pytest.mark.task(7)
@pytest.mark.parametrize("shape", [(5,), (3, 43), (2, 3, 32), (128, 64)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_comes_back_in_its_shape_and_the_dtype_asked_for(shape, dtype):
    torch.manual_seed(0)
    weight = torch.randn(shape)
    found = dequantize_nf4(quantize_nf4(weight), dtype)
    assert found.shape == shape
    assert found.dtype == dtype
    codes, scales = by_hand(weight)
    exact = [torch.tensor(PAPER[code]) * scales[i // 64] for i, code in enumerate(codes)]
    torch.testing.assert_close(found.flatten(), torch.stack(exact).to(dtype), rtol=1e-6, atol=0)


@pytest.mark.task(7)
def test_what_is_on_a_level_is_not_changed_by_another_round():
    torch.manual_seed(0)
    once = dequantize_nf4(quantize_nf4(torch.randn(1000)))
    assert torch.equal(dequantize_nf4(quantize_nf4(once)), once)


@pytest.mark.task(7)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_parameters_of_other_dtypes_are_read_as_float32(dtype):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(64, 64, dtype=dtype))
    found, expected = quantize_nf4(weight), quantize_nf4(weight.detach().float())
    assert found.absmax.dtype == torch.float32
    assert torch.equal(found.absmax, expected.absmax)
    assert torch.equal(found.codes, expected.codes)
    assert not dequantize_nf4(found).requires_grad


@pytest.mark.task(7)
def test_what_cannot_be_is_refused():
    for block in (0, 1, 63, -2):
        with raises(ValueError, block):
            quantize_nf4(torch.ones(64), block)
    for value in (math.nan, math.inf):
        with raises(ValueError):
            quantize_nf4(torch.tensor([1.0, value]))


@pytest.mark.task(7)
def test_codes_of_any_make_are_read():
    quantized = NF4(torch.tensor([0x07, 0xF8], dtype=torch.uint8), torch.tensor([2.0, 10.0]), (2, 2), 2)
    expected = torch.tensor([[-2.0, 0.0], [10.0, 0.7958029955625534]])
    torch.testing.assert_close(dequantize_nf4(quantized), expected)
