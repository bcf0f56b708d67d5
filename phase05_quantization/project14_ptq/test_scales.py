"""Scales between layers: the function stays, and what is rounded gets closer."""

import pytest
import torch
from torch import nn

from phase05_quantization.project14_ptq.given.example import (
    random_hessian,
    random_matrix,
    random_model,
    random_tokens,
)
from phase05_quantization.project14_ptq.given.methods import linear_at
from phase05_quantization.project14_ptq.given.sites import sites
from phase05_quantization.project14_ptq.gptq import output_error
from phase05_quantization.project14_ptq.grids import Grid, nearest
from phase05_quantization.project14_ptq.scales import SMALLEST, fold, search_scale, smooth_scale
from shared.phase01 import RMSNorm
from shared.testing import raises

task = pytest.mark.task(8)


def spread_inputs(inputs=24, seed=0):
    """Inputs of very different sizes: H and the mean of |x|."""
    size = torch.logspace(-2, 1, inputs)
    x = (
        random_matrix(500, inputs, seed)
        * size[torch.randperm(inputs, generator=torch.Generator().manual_seed(seed))]
    )
    return 2 * x.T @ x / 500, x.abs().mean(dim=0)


def error_with(scale, weights, hessian, grid):
    return sum(output_error(w - nearest(w * scale, grid).dequantized() / scale, hessian) for w in weights)


def candidate(mean_abs, alpha):
    scale = mean_abs.clamp(min=SMALLEST) ** alpha
    return scale / (scale.max() * scale.min()).sqrt()


@task
@pytest.mark.parametrize("grid", [Grid(3), Grid(4, 8, False)], ids=str)
@pytest.mark.parametrize("steps", [1, 4, 20])
def test_the_best_power_is_found(grid, steps):
    hessian, mean_abs = spread_inputs()
    weights = [random_matrix(9, 24), random_matrix(5, 24, 1)]
    tried = [candidate(mean_abs, step / steps) for step in range(steps + 1)]
    errors = [error_with(scale, weights, hessian, grid) for scale in tried]
    found = search_scale(weights, hessian, mean_abs, grid, steps)
    torch.testing.assert_close(found, tried[errors.index(min(errors))])


@task
def test_it_pays_where_inputs_differ_and_costs_nothing_where_they_do_not():
    weights, grid = [random_matrix(16, 24)], Grid(3, 8)
    hessian, mean_abs = spread_inputs()
    found = search_scale(weights, hessian, mean_abs, grid)
    ones = torch.ones(24)
    assert error_with(found, weights, hessian, grid) < 0.95 * error_with(ones, weights, hessian, grid)
    torch.testing.assert_close(search_scale(weights, random_hessian(24), ones, grid), ones)


@task
def test_large_inputs_get_large_columns():
    hessian, mean_abs = spread_inputs()
    found = search_scale([random_matrix(16, 24)], hessian, mean_abs, Grid(3))
    assert torch.equal(found.argsort(), mean_abs.argsort())
    assert (found.max() * found.min()).item() == pytest.approx(1.0, rel=1e-4)


@task
def test_the_largest_power_is_tried_too():
    hessian, mean_abs = spread_inputs()
    weight = random_matrix(9, 24).sign() * (1 + 0.1 * random_matrix(9, 24, 5)) / mean_abs
    torch.testing.assert_close(
        search_scale([weight], hessian, mean_abs, Grid(3), 3), candidate(mean_abs, 1.0)
    )


@task
def test_all_matrices_that_read_the_inputs_count():
    hessian, mean_abs = spread_inputs()
    small, large = random_matrix(9, 24), 100 * random_matrix(9, 24, 3)
    together = search_scale([small, large], hessian, mean_abs, Grid(2, 8))
    torch.testing.assert_close(together, search_scale([large], hessian, mean_abs, Grid(2, 8)))


@task
def test_an_input_that_never_was_has_a_scale_too():
    hessian, mean_abs = spread_inputs()
    hessian[3] = hessian[:, 3] = mean_abs[3] = 0
    weights, grid = [random_matrix(9, 24)], Grid(3)
    found = search_scale(weights, hessian, mean_abs, grid, 4)
    tried = [candidate(mean_abs, step / 4) for step in range(5)]
    errors = [error_with(scale, weights, hessian, grid) for scale in tried]
    assert errors.index(min(errors)) > 0
    torch.testing.assert_close(found, tried[errors.index(min(errors))])


@task
@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.85, 1.0])
def test_smoothing_goes_by_inputs_and_weights(alpha):
    weights = [random_matrix(9, 24), 3 * random_matrix(5, 24, 1)]
    max_abs = torch.logspace(-1, 3, 24)
    largest = torch.cat(weights).abs().amax(dim=0)
    found = smooth_scale(weights, max_abs, alpha)
    torch.testing.assert_close(found, max_abs**alpha / largest ** (1 - alpha))


@task
def test_at_a_half_inputs_and_weights_are_equally_large():
    weight, max_abs = random_matrix(9, 24), torch.logspace(-1, 3, 24)
    scale = smooth_scale([weight], max_abs)
    torch.testing.assert_close(max_abs / scale, (weight * scale).abs().amax(dim=0))


@task
def test_what_is_zero_counts_as_the_smallest():
    weight, max_abs = random_matrix(9, 4), torch.tensor([1.0, 0.0, 2.0, 3.0])
    weight[:, 2] = 0
    found = smooth_scale([weight], max_abs)
    assert found.isfinite().all()
    assert (found > 0).all()
    assert found[2].item() == pytest.approx((2.0 / SMALLEST) ** 0.5)


@task
def test_a_scale_folds_into_a_norm_and_a_layer():
    torch.manual_seed(0)
    norm, first, second = RMSNorm(8, 1e-5), nn.Linear(8, 5), nn.Linear(8, 3, bias=False)
    x, scale = torch.randn(4, 8), torch.rand(8) + 0.1
    gain, before = norm.weight.detach().clone(), [layer(norm(x)) for layer in (first, second)]
    fold(norm, [first, second], scale)
    torch.testing.assert_close(norm.weight.detach(), gain / scale)
    for layer, expected in zip((first, second), before, strict=True):
        torch.testing.assert_close(layer(norm(x)), expected)


@task
@pytest.mark.parametrize("bias", [True, False])
def test_a_scale_folds_into_two_layers(bias):
    torch.manual_seed(0)
    first, second = nn.Linear(6, 8, bias=bias), nn.Linear(8, 3)
    x, scale = torch.randn(4, 6), torch.rand(8) + 0.1
    expected, made = second(first(x)), first(x)
    fold(first, [second], scale)
    torch.testing.assert_close(second(first(x)), expected)
    torch.testing.assert_close(first(x), made / scale)


@task
def test_a_block_computes_the_same_at_all_its_sites():
    model, tokens = random_model(), random_tokens()
    before = model(tokens)
    for block in model.blocks:
        for number, (module, readers) in enumerate(sites(block)):
            linears = [linear_at(block, name) for name in readers]
            scale = random_matrix(1, linears[0].in_features, number)[0].abs() + 0.1
            fold(module, linears, scale)
    torch.testing.assert_close(model(tokens), before, rtol=1e-4, atol=1e-4)


@task
@pytest.mark.parametrize("value", [0.0, -1.0, torch.inf, torch.nan])
def test_a_scale_that_is_none_is_refused_before_anything_changes(value):
    norm, linear = RMSNorm(4, 1e-5), nn.Linear(4, 2)
    scale = torch.tensor([1.0, 2.0, value, 1.0])
    weight = linear.weight.detach().clone()
    with raises(ValueError):
        fold(norm, [linear], scale)
    assert torch.equal(norm.weight, torch.ones(4))
    assert torch.equal(linear.weight, weight)


@task
def test_layers_that_do_not_fit_are_refused_before_anything_changes():
    norm, fits, other = RMSNorm(4, 1e-5), nn.Linear(4, 2), nn.Linear(5, 2)
    with raises(ValueError, 4, 5):
        fold(norm, [fits, other], torch.full((4,), 2.0))
    with raises(ValueError, 6, 4):
        fold(norm, [nn.Linear(6, 2)], torch.full((6,), 2.0))
    assert torch.equal(norm.weight, torch.ones(4))


@task
def test_what_cannot_be_is_refused():
    hessian, mean_abs = spread_inputs()
    with raises(ValueError, 0):
        search_scale([random_matrix(9, 24)], hessian, mean_abs, Grid(3), steps=0)
    with raises(ValueError):
        search_scale([], hessian, mean_abs, Grid(3))
    with raises(ValueError):
        search_scale([random_matrix(9, 24)], hessian, mean_abs - 1, Grid(3))
    with raises(ValueError):
        smooth_scale([], mean_abs)
    with raises(ValueError, 1.5):
        smooth_scale([random_matrix(9, 24)], mean_abs, 1.5)
