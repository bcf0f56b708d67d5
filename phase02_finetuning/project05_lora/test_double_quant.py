import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase02_finetuning.project05_lora.double_quant import Scales8, dequantize_scales, quantize_scales
from phase02_finetuning.project05_lora.given.dynamic_map import dynamic_map
from shared.testing import raises


def random_scales(count, seed=0):
    return torch.rand(count, generator=torch.Generator().manual_seed(seed)) * 0.1 + 0.02


@pytest.mark.task(8)
@given(st.integers(1, 700), st.sampled_from([4, 64, 256]), st.integers(0, 1000))
@settings(max_examples=40)
def test_codes_are_the_nearest_numbers_around_the_mean(count, block, seed):
    scales = random_scales(count, seed)
    found = quantize_scales(scales, block)
    assert found.offset == scales.mean()
    assert found.block == block
    numbers, around = dynamic_map(), scales - scales.mean()
    assert len(found.absmax) == -(-count // block)
    for number, start in enumerate(range(0, count, block)):
        part = around[start : start + block]
        assert found.absmax[number] == part.abs().max()
        scaled = part / (part.abs().max() or 1.0)
        distances = (scaled[:, None] - numbers).abs()
        chosen = distances.gather(1, found.codes[start : start + block].long()[:, None])[:, 0]
        torch.testing.assert_close(chosen, distances.amin(1), rtol=0, atol=1e-7)
    assert found.codes.dtype == torch.uint8
    assert len(found.codes) == count
    assert {found.absmax.dtype, found.offset.dtype} == {torch.float32}


@pytest.mark.task(8)
@given(st.integers(1, 700), st.integers(0, 1000))
@settings(max_examples=40)
def test_they_come_back_within_a_hundredth_of_what_they_differ_by(count, seed):
    scales = random_scales(count, seed)
    found = dequantize_scales(quantize_scales(scales))
    assert found.shape == scales.shape
    assert found.dtype == torch.float32
    spread = (scales - scales.mean()).abs().max()
    assert (found - scales).abs().max() <= 0.01 * spread + 1e-7


@pytest.mark.task(8)
@pytest.mark.parametrize("count", [1, 5, 300])
def test_equal_scales_come_back_exactly(count):
    scales = torch.full((count,), 0.25)
    assert torch.equal(dequantize_scales(quantize_scales(scales)), scales)


@pytest.mark.task(8)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_scales_of_other_dtypes_are_read_as_float32(dtype):
    scales = random_scales(300).to(dtype)
    found, expected = quantize_scales(scales), quantize_scales(scales.float())
    assert {found.absmax.dtype, found.offset.dtype} == {torch.float32}
    assert torch.equal(found.absmax, expected.absmax)
    assert torch.equal(found.offset, expected.offset)
    assert torch.equal(found.codes, expected.codes)


@pytest.mark.task(8)
def test_blocks_have_their_own_scale():
    scales = torch.cat([random_scales(256), 100 * random_scales(256, 1), random_scales(3)])
    found = quantize_scales(scales)
    assert len(found.absmax) == 3
    assert len(set(found.absmax.tolist())) == 3
    alone = quantize_scales(scales, 1)
    assert torch.equal(alone.absmax, (scales - scales.mean()).abs()), "a block may be of one"


@pytest.mark.task(8)
def test_codes_of_any_make_are_read():
    codes = torch.tensor([255, 127, 0, 255, 127], dtype=torch.uint8)
    numbers = dynamic_map()
    quantized = Scales8(codes, torch.tensor([2.0, 3.0]), torch.tensor(0.5), 3)
    expected = torch.tensor([2.5, 0.5 + 2 * numbers[127], 0.5 + 2 * numbers[0], 3.5, 0.5 + 3 * numbers[127]])
    torch.testing.assert_close(dequantize_scales(quantized), expected)


@pytest.mark.task(8)
def test_what_cannot_be_is_refused():
    with raises(ValueError):
        quantize_scales(torch.tensor([]))
    for block in (0, -3):
        with raises(ValueError, block):
            quantize_scales(torch.ones(3), block)
