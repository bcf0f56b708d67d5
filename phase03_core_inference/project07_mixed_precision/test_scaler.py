"""The own scaler against torch's, step by step, through infinities, with one optimizer and with two."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase03_core_inference.project07_mixed_precision.scaler import GradScaler
from shared.testing import raises

INF, NAN = math.inf, math.nan
GRADIENTS = st.sampled_from([1.0, -3.0, 0.0, INF, -INF, NAN, 1e-30])


def grad(x: torch.Tensor) -> torch.Tensor:
    """The gradient of a tensor that has one."""
    assert x.grad is not None
    return x.grad


def example(*gradients, dtype=torch.float32):
    """An optimizer (SGD, rate 1) of one weight for each gradient; None for none."""
    weights = [torch.nn.Parameter(torch.zeros(2, dtype=dtype)) for _ in gradients]
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = None if gradient is None else torch.full((2,), gradient, dtype=dtype)
    return torch.optim.SGD(weights, lr=1.0), weights


def pair(**arguments):
    return GradScaler(**arguments), torch.amp.GradScaler("cpu", **arguments)


@pytest.mark.task(4)
@settings(max_examples=60)
@given(
    st.lists(st.tuples(GRADIENTS, GRADIENTS), min_size=1, max_size=12),
    st.sampled_from([2.0, 2.0**16, 2.0**126, 2.0**127]),
    st.sampled_from([(2.0, 0.5, 1), (2.0, 0.5, 2), (4.0, 0.25, 3)]),
    st.booleans(),
)
def test_scale_tracker_and_weights_are_torch_s_after_every_step(steps, scale, factors, unscale_first):
    growth, backoff, interval = factors
    both = pair(init_scale=scale, growth_factor=growth, backoff_factor=backoff, growth_interval=interval)
    ours, theirs = ([example(0.0), example(0.0)] for _ in both)
    for gradients in steps:
        for scaler, optimizers in zip(both, (ours, theirs), strict=True):
            for (optimizer, [weight]), gradient in zip(optimizers, gradients, strict=True):
                optimizer.zero_grad()
                scaler.scale((weight * gradient).sum()).backward()
                if unscale_first:
                    scaler.unscale_(optimizer)
                scaler.step(optimizer)
            scaler.update()
        assert both[0].get_scale() == both[1].get_scale()
        assert both[0].state_dict() == both[1].state_dict()
        for (_, [one]), (_, [other]) in zip(ours, theirs, strict=True):
            assert torch.equal(one, other)


@pytest.mark.task(4)
def test_the_sequence_of_the_readme():
    scaler = GradScaler(init_scale=8, growth_interval=2)
    optimizer, [weight] = example(0.0)
    scales, trackers, moved = [], [], []
    for gradient in (1.0, 1.0, INF, 1.0, 1.0, NAN, INF, 1.0, 1.0):
        weight.grad = torch.full((2,), gradient * scaler.value)
        moved.append(scaler.step(optimizer))
        scaler.update()
        scales.append(scaler.value)
        trackers.append(scaler.tracker)
    assert scales == [8, 16, 8, 8, 16, 8, 4, 4, 8]
    assert trackers == [1, 0, 0, 1, 0, 0, 0, 1, 0]
    assert moved == [True, True, False, True, True, False, False, True, True]
    assert torch.equal(weight, torch.full((2,), -6.0))


@pytest.mark.task(4)
def test_the_loss_is_multiplied_and_keeps_its_graph_and_its_dtype():
    scaler = GradScaler(init_scale=4.0)
    loss = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    scaled = scaler.scale(loss)
    scaled.backward()
    assert scaled.item() == 12.0
    assert scaled.dtype == torch.float64
    assert loss.grad == 4.0
    assert loss.item() == 3.0


@pytest.mark.task(4)
@given(st.integers(-10, 30), st.integers(0, 1000))
@settings(max_examples=20)
def test_unscaled_gradients_are_those_without_scaling_bit_for_bit(power, seed):
    scaler = GradScaler(init_scale=2.0**power)
    torch.manual_seed(seed)
    layer, x = torch.nn.Linear(6, 5), torch.randn(4, 6)
    layer(x).square().mean().backward()
    plain = [grad(parameter).clone() for parameter in layer.parameters()]
    layer.zero_grad()
    scaler.scale(layer(x).square().mean()).backward()
    scaler.unscale_(torch.optim.SGD(layer.parameters(), lr=1.0))
    assert all(
        torch.equal(grad(parameter), one) for parameter, one in zip(layer.parameters(), plain, strict=True)
    )


@pytest.mark.task(4)
def test_every_group_is_unscaled_and_a_weight_without_a_gradient_passed_over():
    optimizer, [first, without] = example(8.0, None)
    last = torch.nn.Parameter(torch.zeros(2))
    last.grad = torch.full((2,), 16.0)
    optimizer.add_param_group({"params": [last]})
    place = first.grad
    GradScaler(init_scale=8.0).unscale_(optimizer)
    assert grad(first) is place, "in place"
    assert torch.equal(grad(first), torch.ones(2))
    assert torch.equal(grad(last), torch.full((2,), 2.0))
    assert without.grad is None


@pytest.mark.task(4)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("bad", [INF, -INF, NAN])
def test_an_infinity_anywhere_stops_the_step_of_all_of_its_optimizer(bad, place):
    optimizer, weights = example(1.0, 1.0)
    weights[place].grad[1] = bad
    scaler = GradScaler(init_scale=2.0)
    assert not scaler.step(optimizer)
    assert all(torch.equal(weight, torch.zeros(2)) for weight in weights)
    scaler.update()
    assert scaler.value == 1.0


@pytest.mark.task(4)
def test_what_overflows_only_in_the_scaled_gradient_is_found():
    optimizer, [weight] = example(3e38)
    grad(weight).mul_(2)  # infinite, whatever the scale would make of it
    scaler = GradScaler(init_scale=2.0**127)
    scaler.unscale_(optimizer)
    assert scaler.found_inf[id(optimizer)]
    # And what is finite stays so: a scale may be too large for its inverse's product, but not here.
    optimizer, _ = example(3e38)
    scaler = GradScaler(init_scale=2.0**-10)
    scaler.unscale_(optimizer)
    assert not scaler.found_inf[id(optimizer)], "asked before the division"


@pytest.mark.task(4)
def test_after_an_update_all_begins_anew():
    optimizer, [weight] = example(2.0)
    scaler = GradScaler(init_scale=2.0)
    for _ in range(3):
        weight.grad = torch.full((2,), 2.0)
        scaler.unscale_(optimizer)
        assert scaler.step(optimizer)
        scaler.update()
    assert torch.equal(weight, torch.full((2,), -3.0))


@pytest.mark.task(4)
def test_the_scale_does_not_grow_to_infinity():
    scaler = GradScaler(init_scale=2.0**127, growth_interval=1)
    for _ in range(2):
        optimizer, _ = example(1.0)
        scaler.step(optimizer)
        scaler.update()
        assert scaler.value == 2.0**127
        assert scaler.tracker == 0


@pytest.mark.task(4)
def test_gradients_are_not_unscaled_twice():
    optimizer, [weight] = example(8.0)
    scaler = GradScaler(init_scale=8.0)
    scaler.unscale_(optimizer)
    with raises(RuntimeError, ("unscale", "step")):
        scaler.unscale_(optimizer)
    assert torch.equal(grad(weight), torch.ones(2))
    scaler.step(optimizer)
    with raises(RuntimeError, ("unscale", "step")):
        scaler.unscale_(optimizer)


@pytest.mark.task(4)
def test_a_second_step_needs_an_update_in_between():
    optimizer, [weight] = example(1.0)
    scaler = GradScaler(init_scale=1.0)
    scaler.step(optimizer)
    with raises(RuntimeError, "update"):
        scaler.step(optimizer)
    assert torch.equal(weight, -torch.ones(2))


@pytest.mark.task(4)
def test_an_update_needs_something_to_go_by():
    scaler, (optimizer, _) = GradScaler(init_scale=1.0), example(1.0)
    scaler.step(optimizer)
    scaler.update()
    with raises(RuntimeError, ("unscale_", "step")):
        scaler.update()
    assert scaler.tracker == 1


@pytest.mark.task(4)
def test_a_step_needs_gradients():
    scaler, (optimizer, _), (without, _) = GradScaler(), example(1.0), example(None)
    scaler.step(optimizer)
    with raises(RuntimeError, "gradient"):
        scaler.step(without)


@pytest.mark.task(4)
def test_gradients_in_float16_are_refused_before_any_is_touched():
    optimizer, [weight] = example(8.0)
    narrow = torch.nn.Parameter(torch.zeros(2, dtype=torch.float16))
    narrow.grad = torch.ones(2, dtype=torch.float16)
    optimizer.add_param_group({"params": [narrow]})
    with raises(ValueError, "torch.float16"):
        GradScaler(init_scale=8.0).unscale_(optimizer)
    assert torch.equal(grad(weight), torch.full((2,), 8.0))
    optimizer, [weight] = example(8.0, dtype=torch.bfloat16)
    GradScaler(init_scale=8.0).unscale_(optimizer)
    assert torch.equal(grad(weight), torch.ones(2, dtype=torch.bfloat16))


def test_states_pass_between_ours_and_torch_s():
    ours, theirs = pair(init_scale=2.0, growth_interval=7)
    other = GradScaler()
    other.load_state_dict(theirs.state_dict())
    assert other.state_dict() == ours.state_dict() == theirs.state_dict()
    theirs.load_state_dict(GradScaler(init_scale=32.0).state_dict())
    assert theirs.get_scale() == 32.0
    with raises(ValueError, "growth_factor"):
        ours.load_state_dict({"scale": 1.0})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("init_scale", 0.0),
        ("init_scale", -1.0),
        ("init_scale", INF),
        ("init_scale", NAN),
        ("growth_factor", 1.0),
        ("backoff_factor", 0.0),
        ("backoff_factor", 1.0),
        ("growth_interval", 0),
    ],
)
def test_impossible_settings_are_refused(name, value):
    with raises(ValueError, name, str(value)):
        GradScaler(**{name: value})


@pytest.mark.task(4)
def test_the_scale_grows_up_to_the_largest_number_of_float32():
    largest = torch.finfo(torch.float32).max
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.0)
    found = []
    for start in (largest / 2, largest / 2 * (1 + 2**-20)):
        scaler = GradScaler(start, growth_interval=1)
        weight.grad = torch.ones(1)
        scaler.step(optimizer)
        scaler.update()
        found.append(scaler.get_scale())
    assert found == [largest, largest / 2 * (1 + 2**-20)]
