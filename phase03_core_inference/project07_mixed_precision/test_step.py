"""A scaled step against one without a scaler, which it must equal, and against torch's scaler."""

import copy

import pytest
import torch

from phase03_core_inference.project07_mixed_precision.scaler import GradScaler
from phase03_core_inference.project07_mixed_precision.step import scaled_step
from shared.testing import raises


def loss_fn(model, batch):
    return (model(batch["x"]).squeeze(-1) - batch["y"]).square().mean()


def example(rows=6):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    batch = {"x": torch.randn(rows, 3), "y": torch.randn(rows)}
    return model, batch


def make(model, rate=0.1):
    return [
        torch.optim.AdamW(model[0].parameters(), lr=rate),
        torch.optim.SGD(model[2].parameters(), lr=rate),
    ]


def plain_step(model, optimizers, batch, max_norm):
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss = loss_fn(model, batch)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    for optimizer in optimizers:
        optimizer.step()
    return loss.item(), norm.item()


@pytest.mark.task(5)
@pytest.mark.parametrize("max_norm", [1e9, 0.05])
def test_it_is_the_step_without_a_scaler(max_norm):
    model, batch = example()
    other = copy.deepcopy(model)
    ours, theirs, scaler = make(model), make(other), GradScaler(2.0**10)
    for _ in range(4):
        step = scaled_step(model, ours, batch, loss_fn, scaler, max_norm=max_norm)
        loss, norm = plain_step(other, theirs, batch, max_norm)
        assert step.loss == pytest.approx(loss, rel=1e-6)
        assert step.gradient_norm == pytest.approx(norm, rel=1e-6)
        assert step.applied
        for one, two in zip(model.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-7)


@pytest.mark.task(5)
def test_without_clipping_it_is_that_step_bit_for_bit():
    model, batch = example()
    other = copy.deepcopy(model)
    scaled_step(model, make(model), batch, loss_fn, GradScaler(2.0**10), max_norm=1e9)
    plain_step(other, make(other), batch, 1e9)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.task(5)
@pytest.mark.parametrize("micro_batch", [1, 2, 4, 6, 100])
def test_it_is_the_same_however_the_batch_is_cut(micro_batch):
    model, batch = example()
    model, batch = model.double(), {name: one.double() for name, one in batch.items()}
    other = copy.deepcopy(model)
    whole = scaled_step(model, make(model), batch, loss_fn, GradScaler(), max_norm=0.05)
    parts = scaled_step(other, make(other), batch, loss_fn, GradScaler(), micro_batch, max_norm=0.05)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-12)
    assert parts.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-12)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12)


@pytest.mark.task(5)
def test_old_gradients_do_not_count():
    model, batch = example()
    other = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, float("inf"))
    assert scaled_step(model, make(model), batch, loss_fn, GradScaler()).applied
    scaled_step(other, make(other), batch, loss_fn, GradScaler())
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.task(5)
def test_a_step_that_overflows_is_skipped_and_the_next_one_has_half_the_scale():
    model, batch = example()
    batch["y"][3] = float("inf")
    before = [parameter.detach().clone() for parameter in model.parameters()]
    scaler, optimizers = GradScaler(2.0**4, growth_interval=1), make(model)
    for scale in (8.0, 4.0):
        step = scaled_step(model, optimizers, batch, loss_fn, scaler, micro_batch=2)
        assert not step.applied
        assert scaler.value == scale
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), before, strict=True))
    batch["y"][3] = 0.0
    assert scaled_step(model, optimizers, batch, loss_fn, scaler).applied
    assert scaler.value == 8.0


@pytest.mark.task(5)
def test_torch_s_scaler_does_the_same():
    model, batch = example()
    other = copy.deepcopy(model)
    ours, theirs = make(model), make(other)
    scaler, peer = (
        GradScaler(2.0**125, growth_interval=3),
        torch.amp.GradScaler("cpu", 2.0**125, growth_interval=3),
    )
    for number in range(9):
        batch["y"][0] = 1e3 * (number % 3 == 0)
        scaled_step(model, ours, batch, loss_fn, scaler, max_norm=0.1)
        for optimizer in theirs:
            optimizer.zero_grad()
        peer.scale(loss_fn(other, batch)).backward()
        for optimizer in theirs:
            peer.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(other.parameters(), 0.1)
        for optimizer in theirs:
            peer.step(optimizer)
        peer.update()
        assert scaler.value == peer.get_scale()
        for one, two in zip(model.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)
    assert scaler.value < 2.0**125


@pytest.mark.task(5)
@pytest.mark.parametrize(
    ("name", "value"), [("micro_batch", -1), ("max_norm", 0.0), ("max_norm", float("nan"))]
)
def test_impossible_numbers_are_refused_before_any_work(name, value):
    def never(model, batch):
        raise AssertionError("the loss was asked for")

    model, batch = example()
    with raises(ValueError, str(value)):
        scaled_step(model, make(model), batch, never, GradScaler(), **{name: value})


@pytest.mark.task(5)
def test_a_part_that_has_no_gradient_this_time_does_not_move():
    model, batch = example()
    unused = torch.nn.Parameter(torch.ones(2))
    unused.grad = torch.ones(2)
    model.register_parameter("unused", unused)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
    scaled_step(model, [optimizer], batch, loss_fn, GradScaler(2.0**10))
    assert unused.grad is None
    assert torch.equal(unused, torch.ones(2))
