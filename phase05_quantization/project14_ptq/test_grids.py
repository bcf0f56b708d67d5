"""Grids against numbers worked out one by one, and against compressed-tensors, torch and torchao where they are."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase05_quantization.project14_ptq.given.example import random_matrix
from phase05_quantization.project14_ptq.given.peers import HAS, compressed_tensors
from phase05_quantization.project14_ptq.grids import (
    Grid,
    QParams,
    choose_qparams,
    dequantize,
    nearest,
    quantize,
    round_to_grid,
    spread,
)
from shared.testing import raises

task = pytest.mark.task(1)
GROUPS = [3, 4, 7, 64, "channel", "tensor"]


def by_hand(weight, grid):
    """Codes, scales and zeros, number by number, in float32."""
    rows, width = list(weight.numpy()), grid.width(weight.shape[1])
    codes, scales, zeros = [], [], []
    none, steps = np.float32(0), np.float32(2**grid.bits - 1)
    for row in rows:
        codes.append([])
        scales.append([])
        zeros.append([])
        for start in range(0, len(row), width):
            part = row[start : start + width]
            seen = weight.flatten().numpy() if grid.group == "tensor" else part
            low, high = min(none, *seen), max(none, *seen)
            scale = max(-low, high) / (steps / np.float32(2)) if grid.symmetric else (high - low) / steps
            zero = 0 if grid.symmetric else round(np.float32(grid.lowest) - low / scale)
            zero = min(grid.highest, max(grid.lowest, zero))
            scales[-1].append(float(scale))
            zeros[-1].append(zero)
            made = [round(value / scale + np.float32(zero)) for value in part]
            codes[-1] += [min(grid.highest, max(grid.lowest, code)) for code in made]
    return torch.tensor(codes), torch.tensor(scales), torch.tensor(zeros)


@task
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_codes_scales_and_zeros_are_those_worked_out_one_by_one(bits, symmetric, group):
    grid, weight = Grid(bits, group, symmetric), random_matrix(5, 11)
    codes, scales, zeros = by_hand(weight, grid)
    found = choose_qparams(weight, grid)
    torch.testing.assert_close(found.scale.expand(scales.shape), scales)
    assert torch.equal(found.zero.expand(zeros.shape).long(), zeros)
    assert torch.equal(quantize(weight, found, grid).long(), codes)


@task
@pytest.mark.parametrize(
    ("group", "shape"), [(128, (3, 6)), (64, (3, 11)), ("channel", (3, 1)), ("tensor", (1, 1))]
)
def test_how_many_scales_there_are(group, shape):
    found = choose_qparams(random_matrix(3, 704), Grid(4, group))
    assert found.scale.shape == shape
    assert found.zero.shape == shape
    assert found.scale.dtype == torch.float32
    assert found.zero.dtype == torch.int8


@task
def test_a_ragged_last_group_has_a_scale_of_its_own():
    weight = torch.cat([torch.full((2, 128), 7.5), torch.full((2, 64), -0.75)], dim=1)
    grid = Grid(4, 128)
    found = choose_qparams(weight, grid)
    assert found.scale.tolist() == [[1.0, pytest.approx(0.1)]] * 2
    assert (dequantize(quantize(weight, found, grid), found, grid)[:, 128:] + 0.75).abs().max() < 0.06


@task
def test_the_scale_is_of_the_largest_whatever_its_sign():
    found = choose_qparams(torch.tensor([[0.5, -15.0], [15.0, 0.5]]), Grid(4, "channel"))
    assert found.scale.tolist() == [[2.0], [2.0]]


@task
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_group_on_one_side_of_zero_has_zero_on_its_grid(sign):
    weight = sign * torch.linspace(100.0, 101.0, 8)[None]
    grid = Grid(4, "channel", symmetric=False)
    found = choose_qparams(weight, grid)
    assert found.zero.item() == (grid.lowest if sign > 0 else grid.highest)
    assert found.scale.item() == pytest.approx(101 / 15)
    assert (
        dequantize(quantize(weight, found, grid), found, grid) - weight
    ).abs().max() <= found.scale / 2 + 1e-4


@task
@pytest.mark.parametrize("symmetric", [True, False])
def test_zeros_stay_zeros(symmetric):
    weight = torch.zeros(2, 8)
    weight[1, 0] = 3.0
    grid = Grid(4, 4, symmetric)
    found = choose_qparams(weight, grid)
    assert (found.scale > 0).all()
    codes = quantize(weight, found, grid)
    assert dequantize(codes, found, grid)[0].tolist() == [0.0] * 8
    assert dequantize(codes, found, grid)[1, 4:].tolist() == [0.0] * 4


@task
@given(
    st.integers(2, 8), st.booleans(), st.sampled_from(GROUPS), st.integers(1, 4), st.integers(1, 20), st.integers(0, 99)
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_what_is_on_the_grid_stays_there(bits, symmetric, group, rows, columns, seed):
    weight, grid = random_matrix(rows, columns, seed), Grid(bits, group, symmetric)
    once = nearest(weight, grid)
    assert torch.equal(quantize(once.dequantized(), once.qparams, grid), once.codes)


@task
@given(st.integers(2, 8), st.booleans(), st.sampled_from(GROUPS), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_no_weight_is_farther_off_than_half_a_step(bits, symmetric, group, seed):
    weight, grid = random_matrix(4, 13, seed), Grid(bits, group, symmetric)
    found = nearest(weight, grid)
    steps = spread(found.qparams.scale, grid, 4, 13)
    assert ((found.dequantized() - weight).abs() <= 0.5 * steps * (1 + 1e-4)).all(), (
        "at eight bits, float32 adds 2e-5"
    )


@task
@pytest.mark.parametrize("symmetric", [True, False])
def test_more_bits_are_closer(symmetric):
    weight = random_matrix(16, 64)
    errors = [
        (nearest(weight, Grid(bits, 32, symmetric)).dequantized() - weight).norm() for bits in range(2, 9)
    ]
    assert errors == sorted(errors, reverse=True)


@task
def test_halves_go_to_the_even_code_and_what_is_beyond_the_grid_to_its_end():
    grid = Grid(3)
    codes = round_to_grid(
        torch.tensor([0.5, 1.5, 2.5, -0.5, 99.0, -99.0]), torch.tensor(1.0), torch.tensor(0.0), grid
    )
    assert codes.tolist() == [0.0, 2.0, 2.0, 0.0, 3.0, -4.0]


@task
def test_the_zero_is_added_before_rounding():
    found = round_to_grid(torch.tensor([2.5]), torch.tensor(1.0), torch.tensor(1.0), Grid(4))
    assert found.tolist() == [4.0], "3.5 is as near to 4 as to 3, and 4 is even"


@task
def test_scales_go_to_each_weight_of_their_group():
    numbers = torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=torch.int8)
    found = spread(numbers, Grid(4, 2), 2, 5)
    assert found.tolist() == [[1, 1, 2, 2, 3], [4, 4, 5, 5, 6]]
    assert found.dtype == torch.float32
    assert spread(torch.tensor([[7.0]]), Grid(4, "tensor"), 2, 3).tolist() == [[7.0] * 3] * 2


@task
@pytest.mark.parametrize("symmetric", [True, False])
def test_codes_are_made_for_the_scales_that_are_kept(symmetric):
    weight, grid = random_matrix(6, 32), Grid(4, 8, symmetric, torch.float16)
    found = choose_qparams(weight, grid)
    exact = choose_qparams(weight, Grid(4, 8, symmetric))
    assert found.scale.dtype == torch.float16
    assert torch.equal(found.scale, exact.scale.half())
    wide = QParams(found.scale.float(), found.zero)
    assert torch.equal(quantize(weight, found, grid), quantize(weight, wide, Grid(4, 8, symmetric)))


@task
def test_weights_too_small_or_too_large_for_the_scales_format():
    grid = Grid(4, "channel", scale_dtype=torch.float16)
    assert choose_qparams(torch.full((1, 4), 1e-9), grid).scale.item() == 1.0
    with raises(ValueError, "float16"):
        choose_qparams(torch.full((1, 4), 1e9), grid)


@task
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_parameters_of_other_dtypes_are_read_in_float32(dtype):
    weight = torch.nn.Parameter(random_matrix(4, 9).to(dtype))
    found, expected = nearest(weight, Grid(4, 4)), nearest(weight.detach().float(), Grid(4, 4))
    assert torch.equal(found.codes, expected.codes)
    assert found.codes.dtype == torch.int8
    assert torch.equal(found.qparams.scale, expected.qparams.scale)
    assert not found.dequantized().requires_grad
    assert found.dequantized().dtype == torch.float32


@task
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_refused(value):
    weight = random_matrix(3, 4)
    weight[1, 2] = value
    with raises(ValueError):
        choose_qparams(weight, Grid(4))


@task
def test_scales_of_another_grid_are_refused():
    weight = random_matrix(3, 8)
    qparams = choose_qparams(weight, Grid(4, 4))
    with raises(ValueError, "(3, 4)", "(3, 2)"):
        quantize(weight, qparams, Grid(4, 2))
    with raises(ValueError, "(1, 1)", "(3, 2)"):
        dequantize(quantize(weight, qparams, Grid(4, 4)), qparams, Grid(4, "tensor"))


@pytest.mark.parametrize(
    ("bits", "group", "fact"), [(1, 4, 1), (9, 4, 9), (4, 0, 0), (4, -8, -8), (4, "row", "row")]
)
def test_grids_that_cannot_be(bits, group, fact):
    with raises(ValueError, fact):
        Grid(bits, group)


@task
def test_eight_bits_a_row_are_torchs_own():
    weight = random_matrix(6, 20)
    grid = Grid(8, "channel", symmetric=False)
    found = nearest(weight, grid)
    scale, zero = found.qparams.scale[:, 0], found.qparams.zero[:, 0].int()
    expected = torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -128, 127)
    torch.testing.assert_close(found.dequantized(), expected, rtol=0, atol=1e-6)


@pytest.mark.skipif(not HAS["compressed_tensors"], reason="compressed_tensors is not installed")
@task
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_no_code_differs_from_those_of_compressed_tensors(bits, symmetric):
    theirs = compressed_tensors()
    weight = random_matrix(64, 96)
    args = theirs.QuantizationArgs(num_bits=bits, symmetric=symmetric, strategy="group", group_size=32)
    groups = weight.view(64, 3, 32)
    scale, zero = theirs.calculate_qparams(groups.amin(dim=2), groups.amax(dim=2), args)
    expected = theirs.quantize(weight, scale, zero, args, dtype=torch.int8)
    found = nearest(weight, Grid(bits, 32, symmetric))
    assert torch.equal(found.qparams.scale, scale)
    assert torch.equal(found.codes, expected)
    assert torch.equal(found.qparams.zero, zero.to(torch.int8))
