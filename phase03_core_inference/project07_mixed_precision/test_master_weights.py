"""Master weights against an optimizer in float32 that gets the same gradients."""

import pytest
import torch

from phase03_core_inference.project07_mixed_precision.master_weights import MasterWeights
from phase03_core_inference.project07_mixed_precision.scaler import GradScaler
from shared.testing import raises

B16 = torch.bfloat16
MAKERS = {
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.1),
    "sgd": lambda groups: torch.optim.SGD(groups, lr=1e-3, momentum=0.9),
}


def parameters(dtype=B16):
    generator = torch.Generator().manual_seed(0)
    shapes = (3, 4), (5,)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator).to(B16).to(dtype)) for shape in shapes]


def gradients(step):
    generator = torch.Generator().manual_seed(100 + step)
    return [torch.randn(shape, generator=generator).to(B16) for shape in ((3, 4), (5,))]


@pytest.mark.task(6)
@pytest.mark.parametrize("kind", MAKERS)
def test_it_is_training_in_float32_with_rounded_gradients(kind):
    narrow, wide = parameters(), parameters(torch.float32)
    ours, theirs = MasterWeights(narrow, MAKERS[kind]), MAKERS[kind]([{"params": wide}])
    for step in range(20):
        for one, other, gradient in zip(narrow, wide, gradients(step), strict=True):
            one.grad, other.grad = gradient, gradient.float()
        ours.step()
        theirs.step()
        for one, other, master in zip(narrow, wide, ours.masters, strict=True):
            assert torch.equal(master, other)
            assert torch.equal(one, other.to(B16))
            assert one.dtype == B16
            assert master.dtype == torch.float32


@pytest.mark.task(6)
def test_small_steps_add_up_where_bfloat16_alone_stands_still():
    plain, helped = (torch.nn.Parameter(torch.ones(3, dtype=B16)) for _ in range(2))
    alone = torch.optim.SGD([plain], lr=0.001)
    masters = MasterWeights([helped], lambda groups: torch.optim.SGD(groups, lr=0.001))
    for _ in range(100):
        for parameter, optimizer in ((plain, alone), (helped, masters)):
            parameter.grad = torch.ones(3, dtype=B16)
            optimizer.step()
    assert torch.equal(plain, torch.ones(3, dtype=B16))
    assert torch.equal(helped, torch.full((3,), 0.9).to(B16))


@pytest.mark.task(6)
def test_groups_keep_their_options_and_a_schedule_reaches_the_inner_optimizer():
    first, second = parameters()
    groups = [{"params": [first], "weight_decay": 0.5}, {"params": [second], "lr": 0.25}]
    optimizer = MasterWeights(groups, lambda groups: torch.optim.SGD(groups, lr=1.0))
    assert [group["params"] for group in optimizer.param_groups] == [[first], [second]]
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.25]
    assert [group["weight_decay"] for group in optimizer.inner.param_groups] == [0.5, 0.0]
    assert [list(map(id, group["params"])) for group in optimizer.inner.param_groups] == [
        [id(master)] for master in optimizer.masters
    ]
    optimizer.param_groups[1]["lr"] = 0.0
    before = [master.clone() for master in optimizer.masters]
    for parameter in (first, second):
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert not torch.equal(optimizer.masters[0], before[0])
    assert torch.equal(optimizer.masters[1], before[1])


@pytest.mark.task(6)
def test_a_parameter_without_a_gradient_stays_and_no_gradient_is_kept():
    first, second = parameters()
    optimizer = MasterWeights([first, second], MAKERS["adamw"])
    before = second.detach().clone()
    for gradient in (torch.ones_like(first), None, torch.ones_like(first)):
        moved = first.detach().clone()
        first.grad = gradient
        optimizer.step()
        assert torch.equal(first, moved) is (gradient is None)
        assert torch.equal(second, before)
        assert all(master.grad is None for master in optimizer.masters)
    with torch.no_grad():
        second.fill_(0.25)  # changed by hand, and without a gradient: it is left alone
    first.grad = torch.ones_like(first)
    optimizer.step()
    assert torch.equal(second, torch.full_like(second, 0.25))


@pytest.mark.task(6)
def test_the_masters_are_their_own_memory_and_no_part_of_a_graph():
    narrow = parameters()
    optimizer = MasterWeights(narrow, MAKERS["sgd"])
    assert all(
        torch.equal(master, one.float()) for master, one in zip(optimizer.masters, narrow, strict=True)
    )
    assert not any(master.requires_grad for master in optimizer.masters)
    optimizer.masters[0].zero_()
    assert narrow[0].any()


@pytest.mark.task(6)
def test_a_scaler_unscales_the_parameters_gradients():
    [first, _] = parameters()
    optimizer, scaler = MasterWeights([first], MAKERS["sgd"]), GradScaler(init_scale=8.0)
    before = optimizer.masters[0].clone()
    first.grad = torch.full_like(first, 8.0)
    scaler.step(optimizer)
    torch.testing.assert_close(optimizer.masters[0], before - 1e-3)


@pytest.mark.task(6)
def test_it_goes_on_from_its_state_as_if_it_had_not_stopped():
    def run(optimizer, narrow, steps):
        for step in steps:
            for one, gradient in zip(narrow, gradients(step), strict=True):
                one.grad = gradient
            optimizer.step()

    whole = parameters()
    run(MasterWeights(whole, MAKERS["adamw"]), whole, range(6))
    first = parameters()
    stopped = MasterWeights(first, MAKERS["adamw"])
    run(stopped, first, range(3))
    second = [torch.nn.Parameter(one.detach().clone()) for one in first]
    resumed = MasterWeights(second, MAKERS["adamw"])
    resumed.load_state_dict(stopped.state_dict())
    run(resumed, second, range(3, 6))
    assert all(torch.equal(one, other) for one, other in zip(whole, second, strict=True))


@pytest.mark.task(6)
def test_only_narrow_weights_have_masters():
    with raises(TypeError, "torch.float32"):
        MasterWeights(parameters(torch.float32), MAKERS["sgd"])
    half = torch.nn.Parameter(torch.ones(2, dtype=torch.float16))
    half.grad = torch.ones(2, dtype=torch.float16)
    MasterWeights([half], lambda groups: torch.optim.SGD(groups, lr=0.5)).step()
    assert torch.equal(half, torch.full((2,), 0.5, dtype=torch.float16))


@pytest.mark.task(6)
def test_a_state_of_another_model_is_refused():
    first, second = parameters()
    state = MasterWeights([first], MAKERS["sgd"]).state_dict()
    with raises(ValueError, 1, 2):
        MasterWeights([first, second], MAKERS["sgd"]).load_state_dict(state)
