"""GPTQ against the slow way that inverts anew for each column, and against llm-compressor's function."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase05_quantization.project14_ptq.clipping import search_clip
from phase05_quantization.project14_ptq.given.example import random_hessian, random_matrix
from phase05_quantization.project14_ptq.given.peers import HAS, compressed_tensors, library
from phase05_quantization.project14_ptq.gptq import gptq, inverse_factor, output_error
from phase05_quantization.project14_ptq.grids import Grid, choose_qparams, nearest, round_to_grid, spread
from shared.testing import raises

task = pytest.mark.task(6)
GRIDS = [Grid(4), Grid(2, 8), Grid(3, 10, False), Grid(2, "tensor")]
grids = pytest.mark.parametrize("grid", GRIDS, ids=str)


def slowly(weight, hessian, grid, qparams=None, order=None, damp=0.01):
    """Column by column with an inverse of what is left of H, made anew each time (OBQ, in a fixed order)."""
    qparams = qparams or choose_qparams(weight, grid)
    w, h = weight.double().clone(), hessian.double().clone()
    scale, zero = (spread(one, grid, *weight.shape) for one in (qparams.scale, qparams.zero))
    dead = h.diagonal() == 0
    h += torch.diag(dead.double() + damp * h.diagonal().mean())
    codes = torch.zeros_like(w)
    left = list(range(w.shape[1])) if order is None else list(order)
    while left:
        i = left[0]
        inverse = torch.linalg.inv(h[left][:, left])
        codes[:, i] = round_to_grid(w[:, i].float(), scale[:, i], zero[:, i], grid)
        error = w[:, i] - (codes[:, i] - zero[:, i]) * scale[:, i].double()
        w[:, left] -= (error / inverse[0, 0])[:, None] * inverse[0]
        left = left[1:]
    return codes.to(torch.int8)


@task
@pytest.mark.parametrize("damp", [0.0, 0.01, 1.0])
def test_the_factor_is_that_of_the_damped_inverse(damp):
    hessian = random_hessian(12)
    found = inverse_factor(hessian, damp)
    damped = hessian.double() + damp * hessian.double().diagonal().mean() * torch.eye(12, dtype=torch.float64)
    torch.testing.assert_close(found.T @ found, torch.linalg.inv(damped))
    assert torch.equal(found, found.triu())
    assert (found.diagonal() > 0).all()
    assert found.dtype == torch.float64


@task
def test_a_hessian_is_not_changed():
    hessian = random_hessian(12)
    hessian[3] = hessian[:, 3] = 0
    before, weight = hessian.clone(), random_matrix(5, 12)
    kept = weight.clone()
    gptq(weight, hessian, Grid(3), act_order=True)
    assert torch.equal(hessian, before)
    assert torch.equal(weight, kept)


@task
@grids
def test_codes_are_those_of_the_slow_way(grid):
    weight, hessian = random_matrix(7, 24), random_hessian(24)
    assert torch.equal(gptq(weight, hessian, grid).codes, slowly(weight, hessian, grid))


@task
@grids
def test_with_act_order_the_inputs_that_matter_most_come_first(grid):
    weight, hessian = random_matrix(7, 24), random_hessian(24)
    hessian *= torch.outer(torch.arange(1.0, 25) % 5 + 1, torch.arange(1.0, 25) % 5 + 1)
    order = hessian.diagonal().argsort(descending=True, stable=True).tolist()
    assert order != list(range(24))
    found = gptq(weight, hessian, grid, act_order=True)
    assert torch.equal(found.codes, slowly(weight, hessian, grid, order=order))
    assert torch.equal(found.qparams.scale, choose_qparams(weight, grid).scale)


@task
def test_of_equal_inputs_the_first_comes_first():
    weight, hessian = random_matrix(7, 24), random_hessian(24)
    d = hessian.diagonal().rsqrt()
    hessian *= torch.outer(d, d)
    hessian.fill_diagonal_(1.0)
    plain, ordered = (gptq(weight, hessian, Grid(2), act_order=order) for order in (False, True))
    assert torch.equal(plain.codes, ordered.codes)


@task
@grids
@pytest.mark.parametrize("act_order", [False, True])
@pytest.mark.parametrize("block", [1, 5, 8, 24, 1000])
def test_the_block_changes_nothing(grid, block, act_order):
    weight, hessian = random_matrix(7, 24), random_hessian(24)
    found = gptq(weight, hessian, grid, block=block, act_order=act_order)
    assert torch.equal(found.codes, gptq(weight, hessian, grid, act_order=act_order).codes)


@task
@grids
@pytest.mark.parametrize("act_order", [False, True])
def test_where_inputs_have_nothing_to_do_with_each_other_it_is_rounding(grid, act_order):
    weight = random_matrix(7, 24)
    hessian = torch.diag(torch.rand(24, generator=torch.Generator().manual_seed(0)) + 0.1)
    assert torch.equal(gptq(weight, hessian, grid, act_order=act_order).codes, nearest(weight, grid).codes)


@task
@given(st.integers(0, 99), st.sampled_from([2, 3, 4]), st.booleans())
@settings(max_examples=20, deadline=None)
def test_outputs_change_less_than_by_rounding(seed, bits, act_order):
    weight, hessian, grid = random_matrix(16, 32, seed), random_hessian(32, seed=seed), Grid(bits)
    found = gptq(weight, hessian, grid, act_order=act_order).dequantized()
    rounded = nearest(weight, grid).dequantized()
    assert output_error(weight - found, hessian) < 0.9 * output_error(weight - rounded, hessian)


@task
def test_it_pays_where_bits_are_few():
    weight, hessian = random_matrix(32, 64), random_hessian(64)
    errors = {}
    for bits in (2, 4):
        rounded = output_error(weight - nearest(weight, Grid(bits)).dequantized(), hessian)
        errors[bits] = (
            output_error(weight - gptq(weight, hessian, Grid(bits)).dequantized(), hessian) / rounded
        )
    assert errors[4] < 0.6
    assert errors[2] < 0.6


@task
def test_columns_in_another_order_give_codes_in_that_order():
    """With act_order the order of columns does not matter, where a row has one scale."""
    weight, hessian = random_matrix(7, 24), random_hessian(24)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    found = gptq(weight[:, order], hessian[order][:, order], Grid(3), act_order=True)
    assert torch.equal(found.codes, gptq(weight, hessian, Grid(3), act_order=True).codes[:, order])


@task
@pytest.mark.parametrize("act_order", [False, True])
def test_scales_may_come_from_elsewhere(act_order):
    weight, hessian, grid = random_matrix(7, 24), random_hessian(24), Grid(2, 8)
    qparams = search_clip(weight, grid)
    found = gptq(weight, hessian, grid, qparams=qparams, act_order=act_order)
    order = hessian.diagonal().argsort(descending=True, stable=True).tolist() if act_order else None
    assert found.qparams is qparams
    assert torch.equal(found.codes, slowly(weight, hessian, grid, qparams, order))


@task
@pytest.mark.parametrize("damp", [0.0, 0.01])
@pytest.mark.parametrize("act_order", [False, True])
def test_inputs_that_never_were_are_just_rounded(damp, act_order):
    weight, hessian = random_matrix(7, 24), random_hessian(24)
    dead = [0, 5, 23]
    hessian[dead] = 0
    hessian[:, dead] = 0
    found = gptq(weight, hessian, Grid(3), damp=damp, act_order=act_order)
    assert torch.equal(found.codes[:, dead], nearest(weight, Grid(3)).codes[:, dead])
    assert found.dequantized().isfinite().all()


@task
def test_damping_goes_by_the_mean():
    weight, hessian = random_matrix(7, 24), random_hessian(24)
    found = gptq(weight, hessian, Grid(2), damp=0.5)
    assert torch.equal(found.codes, slowly(weight, hessian, Grid(2), damp=0.5))
    assert not torch.equal(found.codes, gptq(weight, hessian, Grid(2), damp=0.0).codes)


@task
def test_the_scale_of_the_hessian_does_not_matter():
    weight, hessian = random_matrix(7, 24), random_hessian(24)
    found = gptq(weight, hessian * 1e6, Grid(3, 8))
    assert torch.equal(found.codes, gptq(weight, hessian, Grid(3, 8)).codes)


@task
def test_what_cannot_be_is_refused():
    weight, hessian = random_matrix(7, 24), random_hessian(24)
    with raises(ValueError, 24, "(12, 12)"):
        gptq(weight, random_hessian(12), Grid(4))
    with raises(ValueError, 0):
        gptq(weight, hessian, Grid(4), block=0)
    with raises(ValueError, -0.5):
        gptq(weight, hessian, Grid(4), damp=-0.5)
    with raises(ValueError):
        gptq(weight, torch.zeros(24, 24), Grid(4))
    with raises(ValueError):
        gptq(weight, hessian * torch.nan, Grid(4))
    with raises(ValueError):
        gptq(weight * torch.inf, hessian, Grid(4))


@task
def test_a_hessian_of_too_few_tokens_needs_damping():
    weight, hessian = random_matrix(7, 24), random_hessian(24, tokens=5)
    hessian = hessian - 1e-3 * torch.eye(24)
    with raises(ValueError, (0.0, 0)):
        gptq(weight, hessian, Grid(4), damp=0.0)
    assert gptq(weight, hessian, Grid(4), damp=0.1).dequantized().isfinite().all()


@task
def test_the_error_of_outputs_is_what_outputs_say():
    x, change = random_matrix(50, 12, 1), random_matrix(5, 12)
    expected = (x @ change.T).square().sum(dim=1).mean().item()
    assert output_error(change, 2 * x.T @ x / 50) == pytest.approx(expected, rel=1e-5)


@pytest.mark.skipif(not HAS["llmcompressor"], reason="llmcompressor is not installed")
@task
@pytest.mark.parametrize("block", [1, 64, 128])
@pytest.mark.parametrize("group", ["channel", 32])
def test_all_weights_are_those_of_llm_compressor(group, block):
    theirs = compressed_tensors()
    function = library("llmcompressor.modifiers.gptq.gptq_quantize").quantize_weight
    weight, hessian, grid = random_matrix(48, 128), random_hessian(128, 1000), Grid(4, group)
    qparams = choose_qparams(weight, grid)
    strategy = {"strategy": "channel"} if group == "channel" else {"strategy": "group", "group_size": group}
    args = theirs.QuantizationArgs(num_bits=4, symmetric=True, **strategy)
    expected, *_ = function(
        weight[None].clone(),
        hessian[None].clone(),
        qparams.scale[None],
        qparams.zero[None],
        None,
        args,
        block,
        0.01,
    )
    found = gptq(weight, hessian, grid, block=block).dequantized()
    torch.testing.assert_close(found, expected[0], rtol=1e-5, atol=1e-5)
