"""What an observer notes does not depend on how tokens come; each block sees what is quantized before it."""

import copy

import pytest
import torch
from torch import nn

from phase05_quantization.project14_ptq.calibration import InputObserver, calibrate
from phase05_quantization.project14_ptq.given.example import (
    SHAPES,
    random_matrix,
    random_model,
    random_tokens,
)
from phase05_quantization.project14_ptq.grids import Grid, nearest
from phase05_quantization.project14_ptq.quant_linear import QuantLinear
from shared.phase01 import torch_attention
from shared.testing import raises

task = pytest.mark.task(5)
TOKENS = random_tokens(10, 12)


def observed(x, splits, counts=None):
    found = InputObserver(x.shape[-1])
    start = 0
    for size in splits:
        part = slice(start, start + size)
        found.update(x[part], None if counts is None else counts[part])
        start += size
    return found


@task
@pytest.mark.parametrize("splits", [[12], [1] * 12, [5, 0, 7], [4, 8]])
def test_it_does_not_matter_how_tokens_come(splits):
    x = random_matrix(12, 6)
    found = observed(x, splits)
    torch.testing.assert_close(found.hessian, 2 * x.T @ x / 12)
    torch.testing.assert_close(found.mean_abs, x.abs().mean(dim=0))
    assert torch.equal(found.max_abs, x.abs().amax(dim=0))
    assert found.count == 12
    assert found.hessian.dtype == torch.float32


@task
def test_padding_is_not_noted():
    x, counts = random_matrix(12, 6), torch.arange(12) % 3 > 0
    x[~counts] = torch.nan
    found, expected = observed(x, [5, 7], counts), observed(x[counts], [8])
    torch.testing.assert_close(found.hessian, expected.hessian)
    torch.testing.assert_close(found.mean_abs, expected.mean_abs)
    assert torch.equal(found.max_abs, expected.max_abs)
    assert found.count == 8


@task
def test_batches_of_rows_and_other_dtypes():
    x = random_matrix(12, 6).view(3, 4, 6)
    counts = torch.ones(3, 4, dtype=torch.bool)
    counts[2, 1:] = False
    found = InputObserver(6)
    found.update(x.bfloat16().requires_grad_(), counts)
    torch.testing.assert_close(found.hessian, observed(x.bfloat16().float()[counts], [9]).hessian)
    assert not found.hessian.requires_grad


@task
def test_an_update_without_tokens_changes_nothing():
    found = observed(random_matrix(4, 6), [4])
    before = found.hessian.clone()
    found.update(torch.empty(0, 6))
    found.update(torch.ones(2, 6), torch.zeros(2, dtype=torch.bool))
    assert torch.equal(found.hessian, before)
    assert found.count == 4


def inputs_of(model, tokens, names):
    """What layers of a model are given, all at once."""
    found, hooks = {}, []
    for name in names:
        note = lambda _, inputs, name=name: found.__setitem__(name, inputs[0].detach())  # noqa: E731
        hooks.append(model.get_submodule(name).register_forward_pre_hook(note))
    with torch.no_grad():
        model(tokens, attend=torch_attention)
    for hook in hooks:
        hook.remove()
    return found


NAMES = [
    f"blocks.{block}.{part}"
    for block in (0, 1)
    for part in (
        *(f"attention.{one}" for one in ("q", "k", "v", "out")),
        *(f"feed_forward.{one}" for one in ("gate", "up", "down")),
    )
]


@task
@pytest.mark.parametrize("config", SHAPES)
def test_layers_are_asked_about_in_order_with_what_they_are_given(config):
    model, seen = random_model(config), {}

    def note(name, linear, observer):
        seen[name] = (linear, observer)

    assert calibrate(model, TOKENS, note) == []
    assert list(seen) == NAMES
    for name, x in inputs_of(model, TOKENS, NAMES).items():
        linear, observer = seen[name]
        assert linear is model.get_submodule(name)
        assert observer.count == TOKENS.numel()
        rows = x.flatten(0, 1)
        torch.testing.assert_close(observer.hessian, 2 * rows.T @ rows / len(rows), rtol=1e-4, atol=1e-4)


@task
def test_a_block_is_given_what_the_quantized_blocks_before_it_make():
    model, seen = random_model(), {}

    def coarse(name, linear, observer):
        seen[name] = observer
        return QuantLinear(linear, nearest(linear.weight, Grid(2))) if name.startswith("blocks.0.") else None

    found = calibrate(model, TOKENS, coarse)
    assert found == NAMES[:7]
    for name, x in inputs_of(model, TOKENS, ["blocks.1.attention.q", "blocks.1.feed_forward.down"]).items():
        rows = x.flatten(0, 1)
        torch.testing.assert_close(seen[name].hessian, 2 * rows.T @ rows / len(rows), rtol=1e-4, atol=1e-4)


@task
def test_inside_a_block_all_layers_are_seen_before_any_is_replaced():
    model, twin, seen = random_model(), random_model(), {}

    def coarse(name, linear, observer):
        seen[name] = observer
        return QuantLinear(linear, nearest(linear.weight, Grid(2)))

    calibrate(model, TOKENS, coarse)
    [(name, x)] = inputs_of(twin, TOKENS, ["blocks.0.attention.out"]).items()
    rows = x.flatten(0, 1)
    torch.testing.assert_close(seen[name].hessian, 2 * rows.T @ rows / len(rows), rtol=1e-4, atol=1e-4)


@task
def test_padding_tokens_do_not_count_in_a_model():
    counts = torch.ones(10, 12, dtype=torch.bool)
    counts[3:, 9:] = False
    other = TOKENS.clone()
    other[~counts] = 5
    found = []
    for tokens in (TOKENS, other):
        seen = {}
        calibrate(
            random_model(),
            tokens,
            lambda name, linear, observer, seen=seen: seen.update({name: observer}),
            counts,
        )
        found.append(seen)
    for name in NAMES:
        assert found[0][name].count == int(counts.sum())
        torch.testing.assert_close(found[0][name].hessian, found[1][name].hessian)


@task
def test_a_block_is_prepared_before_its_layers_are_asked_about():
    model, order = random_model(), []

    def prepare(block, observers):
        order.append(("block", list(model.blocks).index(block), sorted(observers)))
        with torch.no_grad():
            block.attention.q.weight.zero_()

    def replace(name, linear, observer):
        order.append(name)
        assert not name.endswith(".q") or not linear.weight.any()

    calibrate(model, TOKENS, replace, prepare=prepare)
    inside = sorted(name.removeprefix("blocks.0.") for name in NAMES[:7])
    assert order == [("block", 0, inside), *NAMES[:7], ("block", 1, inside), *NAMES[7:]]


@task
def test_the_model_is_left_as_it_was():
    model = random_model().train()
    before = copy.deepcopy(model.state_dict())
    calibrate(model, TOKENS, lambda name, linear, observer: None)
    assert model.training
    assert not any(part._forward_pre_hooks for part in model.modules())
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


@task
def test_no_hook_stays_where_something_fails():
    model = random_model()

    def broken(block, observers):
        raise KeyError("broken")

    with pytest.raises(KeyError):
        calibrate(model, TOKENS, lambda name, linear, observer: None, prepare=broken)
    assert not any(part._forward_pre_hooks for part in model.modules())


@task
def test_dropout_plays_no_part():
    from dataclasses import replace as with_

    seen = []
    for dropout in (0.0, 0.9):
        model = random_model(with_(SHAPES[0], dropout=dropout)).train()
        one = {}
        calibrate(model, TOKENS, lambda name, linear, observer, one=one: one.update({name: observer.hessian}))
        seen.append(one)
    assert torch.equal(seen[0][NAMES[-1]], seen[1][NAMES[-1]])


@task
def test_too_few_tokens_are_refused_before_anything_is_replaced():
    model = random_model()

    def replace(name, linear, observer):
        return nn.Linear(1, 1)

    with raises(ValueError, 40, 36):
        calibrate(model, random_tokens(3, 12), replace)
    with raises(ValueError, 40, 10):
        calibrate(model, TOKENS, replace, torch.arange(12).expand(10, 12) == 3)
    assert all(one.in_features > 1 for one in model.modules() if isinstance(one, nn.Linear))
