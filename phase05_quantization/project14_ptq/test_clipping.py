"""The best range of each group, against trying all of them one group after the other."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase05_quantization.project14_ptq.clipping import search_clip
from phase05_quantization.project14_ptq.given.example import random_matrix
from phase05_quantization.project14_ptq.grids import Grid, choose_qparams, dequantize, nearest, quantize
from shared.testing import raises

task = pytest.mark.task(7)


def squared_error(weight, qparams, grid):
    return (dequantize(quantize(weight, qparams, grid), qparams, grid) - weight).square().sum().item()


@task
@given(st.integers(2, 4), st.booleans(), st.sampled_from([4, 5, "channel"]), st.integers(0, 99))
@settings(max_examples=12, deadline=None)
def test_each_group_has_the_best_share_of_its_own(bits, symmetric, group, seed):
    weight, grid = random_matrix(3, 11, seed), Grid(bits, group, symmetric)
    found = search_clip(weight, grid, shares=7, narrowest=0.4)
    width = grid.width(11)
    for row in range(3):
        for number, start in enumerate(range(0, 11, width)):
            part = weight[row : row + 1, start : start + width]
            one = Grid(bits, "channel", symmetric)
            tried = [choose_qparams(part * share, one) for share in torch.linspace(1, 0.4, 7).tolist()]
            best = min(tried, key=lambda qparams: squared_error(part, qparams, one))
            assert squared_error(part, best, one) == pytest.approx(
                (dequantize(quantize(weight, found, grid), found, grid)[row, start : start + width] - part[0])
                .square()
                .sum()
                .item(),
                rel=1e-4,
                abs=1e-9,
            )
            assert found.scale[row, number] in [qparams.scale.item() for qparams in tried]


@task
@pytest.mark.parametrize("group", [8, "channel", "tensor"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_it_is_never_worse_than_the_whole_range_and_at_two_bits_far_better(symmetric, group):
    weight, grid = random_matrix(16, 64), Grid(2, group, symmetric)
    found = squared_error(weight, search_clip(weight, grid), grid)
    whole = squared_error(weight, choose_qparams(weight, grid), grid)
    assert found <= whole
    assert group == 8 or found < 0.6 * whole


@task
def test_a_whole_matrix_has_one_share():
    weight, grid = random_matrix(6, 20), Grid(2, "tensor")
    found = search_clip(weight, grid, shares=11)
    tried = [choose_qparams(weight * share, grid) for share in torch.linspace(1, 0.4, 11).tolist()]
    errors = [squared_error(weight, one, grid) for one in tried]
    assert found.scale.shape == (1, 1)
    assert found.scale.item() == tried[errors.index(min(errors))].scale.item()


@task
def test_the_last_group_may_be_shorter():
    weight = random_matrix(4, 20)
    weight[:, 16:] *= 100
    found = search_clip(weight, Grid(2, 16))
    alone = search_clip(weight[:, 16:], Grid(2, "channel"))
    assert found.scale.shape == (4, 2)
    assert torch.equal(found.scale[:, 1:], alone.scale)


@task
@pytest.mark.parametrize("symmetric", [True, False])
def test_one_share_is_the_whole_range(symmetric):
    weight, grid = random_matrix(6, 20), Grid(3, 8, symmetric)
    found, whole = search_clip(weight, grid, shares=1), choose_qparams(weight, grid)
    assert torch.equal(found.scale, whole.scale)
    assert torch.equal(found.zero, whole.zero)


@task
def test_the_whole_range_and_the_narrowest_are_tried():
    weight = torch.ones(1, 21)
    weight[0, ::2], weight[0, 5] = -1.0, 3.0
    assert search_clip(weight, Grid(2, "channel"), shares=2).scale.item() == pytest.approx(0.8)
    even = torch.tensor([[-1.5, -1.0, -0.5, 0.0]])
    wide = search_clip(even, Grid(2, "channel", symmetric=False), shares=9)
    assert wide.scale.item() == pytest.approx(0.5)


@task
def test_of_equally_good_shares_the_largest_is_kept():
    found = search_clip(torch.zeros(2, 8), Grid(4, 4), shares=5)
    assert torch.equal(found.scale, torch.ones(2, 2))
    assert nearest(torch.zeros(2, 8), Grid(4, 4)).qparams.scale.tolist() == found.scale.tolist()


@task
def test_scales_are_in_the_grids_dtype():
    found = search_clip(random_matrix(4, 16), Grid(4, 8, scale_dtype=torch.float16))
    assert found.scale.dtype == torch.float16
    assert found.zero.dtype == torch.int8


@task
@pytest.mark.parametrize(
    ("shares", "narrowest", "fact"), [(0, 0.4, 0), (5, 0.0, 0.0), (5, 1.5, 1.5), (5, -0.5, -0.5)]
)
def test_what_cannot_be_is_refused(shares, narrowest, fact):
    with raises(ValueError, (fact, int(fact))):
        search_clip(random_matrix(2, 8), Grid(4), shares, narrowest)
