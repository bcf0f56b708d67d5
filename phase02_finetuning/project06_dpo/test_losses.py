"""Losses for pairs: beside plain formulas, at their beginning, at extremes, and by finite differences."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase02_finetuning.project06_dpo.losses import dpo_loss, hinge_loss, ipo_loss, kto_loss, simpo_loss
from shared.testing import raises

nats = st.floats(-80, 0, allow_subnormal=False)
four = st.tuples(nats, nats, nats, nats)


def row(value) -> Any:
    return torch.tensor([value], dtype=torch.float64)


def rows(pc, pr, rc, rr) -> tuple[Any, Any, Any, Any]:
    return row(pc), row(pr), row(rc), row(rr)


def random_four(count=6, seed=0) -> tuple[Any, Any, Any, Any]:
    random = torch.Generator().manual_seed(seed)
    pc, pr, rc, rr = (-20 * torch.rand(count, generator=random, dtype=torch.float64) for _ in range(4))
    return pc, pr, rc, rr


def margin(pc, pr, rc, rr):
    return (pc - rc) - (pr - rr)


def log_sigmoid(x):
    return -math.log1p(math.exp(-x)) if x > 0 else x - math.log1p(math.exp(x))


@pytest.mark.task(2)
@pytest.mark.parametrize("beta", [0.01, 0.1, 5.0])
def test_the_first_loss_is_ln_2(beta):
    chosen, rejected = torch.randn(2, 5)
    found = dpo_loss(chosen, rejected, chosen.clone(), rejected.clone(), beta)
    assert found.losses.tolist() == pytest.approx([math.log(2)] * 5, abs=1e-7)
    assert found.chosen_rewards.tolist() == found.rejected_rewards.tolist() == [0.0] * 5


@pytest.mark.task(2)
@given(four, st.floats(0.01, 2), st.floats(0, 0.49))
def test_dpo_is_its_formula(values, beta, smoothing):
    found = dpo_loss(*rows(*values), beta, smoothing)
    wanted = beta * margin(*values)
    expected = -(1 - smoothing) * log_sigmoid(wanted) - smoothing * log_sigmoid(-wanted)
    assert found.losses.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    pc, pr, rc, rr = values
    assert found.chosen_rewards.item() == pytest.approx(beta * (pc - rc), rel=1e-9, abs=1e-12)
    assert found.rejected_rewards.item() == pytest.approx(beta * (pr - rr), rel=1e-9, abs=1e-12)


@pytest.mark.task(2)
@given(four)
def test_swapped_answers_negate_the_margin(values):
    pc, pr, rc, rr = rows(*values)
    one, other = dpo_loss(pc, pr, rc, rr), dpo_loss(pr, pc, rr, rc)
    ahead = (one.chosen_rewards - one.rejected_rewards).item()
    assert (other.chosen_rewards - other.rejected_rewards).item() == -ahead
    assert (other.losses - one.losses).item() == pytest.approx(ahead, abs=1e-9)


@pytest.mark.task(2)
def test_extreme_pairs_have_finite_losses_and_gradients():
    values: Any = [0.0, -5e4], [-5e4, 0.0], [0.0, 0.0], [0.0, 0.0]
    pc, pr, rc, rr = map(torch.tensor, values)
    pc.requires_grad_(True)
    losses = dpo_loss(pc, pr, rc, rr, beta=1.0).losses
    losses.sum().backward()
    assert pc.grad is not None
    assert losses.tolist() == [0.0, 5e4]
    assert pc.grad.tolist() == [0.0, -1.0]


@pytest.mark.task(2)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_dpo_gradients_are_those_of_finite_differences(smoothing):
    pc, pr, rc, rr = random_four()
    inputs = pc.requires_grad_(True), pr.requires_grad_(True)
    assert (
        torch.autograd.gradcheck(lambda a, b: dpo_loss(a, b, rc, rr, 0.3, smoothing).losses, inputs) is True
    )


@pytest.mark.task(2)
def test_dpo_trains_the_policy_and_nothing_else():
    pc, pr, rc, rr = (one.requires_grad_(True) for one in random_four())
    found = dpo_loss(pc, pr, rc, rr)
    found.losses.sum().backward()
    assert rc.grad is None
    assert rr.grad is None
    assert (pc.grad < 0).all().item() is True
    assert (pr.grad > 0).all().item() is True
    assert found.chosen_rewards.requires_grad is False
    assert found.rejected_rewards.requires_grad is False


@pytest.mark.task(2)
def test_smoothing_makes_certainty_dear():
    """Without it, ever larger margins are ever better; with it, the best margin is a finite one."""
    ahead = torch.linspace(0, 200, 201, dtype=torch.float64)
    nothing = torch.zeros_like(ahead)
    plain = dpo_loss(ahead, nothing, nothing, nothing, 0.1).losses
    smooth = dpo_loss(ahead, nothing, nothing, nothing, 0.1, 0.1).losses
    assert plain.argmin().item() == 200
    assert ahead[smooth.argmin()].item() == pytest.approx(math.log(9) / 0.1, abs=1)


@pytest.mark.task(2)
@pytest.mark.parametrize("beta", [0.0, -0.1])
def test_dpo_refuses_a_beta_that_is_not_above_0(beta):
    with raises(ValueError, "beta", beta):
        dpo_loss(*random_four(), beta)


@pytest.mark.task(2)
@pytest.mark.parametrize("smoothing", [-0.1, 0.5, 1.0])
def test_dpo_refuses_a_smoothing_beyond_one_half(smoothing):
    with raises(ValueError, "label_smoothing", smoothing):
        dpo_loss(*random_four(), 0.1, smoothing)


@pytest.mark.task(3)
@given(four, st.floats(0.01, 2))
def test_hinge_is_its_formula(values, beta):
    assert hinge_loss(*rows(*values), beta).item() == pytest.approx(
        max(0.0, 1 - beta * margin(*values)), abs=1e-9
    )


@pytest.mark.task(3)
@given(four, st.floats(0.01, 2))
def test_ipo_is_its_formula(values, beta):
    expected = (margin(*values) - 1 / (2 * beta)) ** 2
    assert ipo_loss(*rows(*values), beta).item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.task(3)
@given(nats, nats, st.floats(0.01, 5), st.floats(0, 3))
def test_simpo_is_its_formula(chosen, rejected, beta, gamma):
    found = simpo_loss(row(chosen), row(rejected), beta, gamma).item()
    assert found == pytest.approx(-log_sigmoid(beta * (chosen - rejected) - gamma), rel=1e-9, abs=1e-12)


@pytest.mark.task(3)
@given(nats, nats, st.booleans(), st.floats(-5, 20), st.floats(0.01, 2), st.floats(0.1, 3))
def test_kto_is_its_formula(policy, reference, good, kl, beta, weight):
    found = kto_loss(
        row(policy), row(reference), torch.tensor([good]), torch.tensor(kl, dtype=torch.float64), beta, weight
    ).item()
    ahead = beta * (policy - reference - max(0.0, kl))
    expected = 1 - math.exp(log_sigmoid(ahead)) if good else weight * (1 - math.exp(log_sigmoid(-ahead)))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.task(3)
def test_first_losses_of_the_others():
    chosen, rejected = torch.randn(2, 5)
    same = chosen, rejected, chosen.clone(), rejected.clone()
    assert hinge_loss(*same, 0.1).tolist() == [1.0] * 5
    assert ipo_loss(*same, 0.1).tolist() == pytest.approx([25.0] * 5)
    liked = torch.tensor([True, False, True, True, False])
    assert kto_loss(chosen, chosen.clone(), liked, torch.tensor(0.0)).tolist() == [0.5] * 5


@pytest.mark.task(3)
@pytest.mark.parametrize("loss", [hinge_loss, ipo_loss])
def test_a_margin_that_is_reached_is_left_alone(loss):
    """DPO pushes for ever; these two have a place where the gradient is 0, and IPO pulls back beyond it."""
    ahead: Any = torch.tensor([5.0, 60.0], dtype=torch.float64, requires_grad=True)
    nothing = torch.zeros(2, dtype=torch.float64)
    loss(ahead, nothing, nothing, nothing, 0.1).sum().backward()
    signs = ahead.grad.sign().tolist()
    assert signs == ([-1.0, 0.0] if loss is hinge_loss else [0.0, 1.0])


@pytest.mark.task(3)
@pytest.mark.parametrize("loss", [hinge_loss, ipo_loss])
def test_references_of_the_others_get_no_gradient(loss):
    pc, pr, rc, rr = (one.requires_grad_(True) for one in random_four())
    loss(pc, pr, rc, rr).sum().backward()
    assert rc.grad is None
    assert rr.grad is None
    torch.testing.assert_close(pc.grad, -pr.grad)
    assert pc.grad.abs().max().item() > 0


@pytest.mark.task(3)
def test_kto_trains_the_policy_towards_what_was_liked():
    policy, reference = (one.requires_grad_(True) for one in random_four(4)[:2])
    kl = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    liked = torch.tensor([True, False, True, False])
    kto_loss(policy, reference, liked, kl).sum().backward()
    assert policy.grad.sign().tolist() == [-1.0, 1.0, -1.0, 1.0]
    assert reference.grad is None
    assert kl.grad is None


@pytest.mark.task(3)
def test_simpo_gradients_are_those_of_finite_differences():
    chosen, rejected = (one.requires_grad_(True) for one in random_four()[:2])
    assert torch.autograd.gradcheck(lambda a, b: simpo_loss(a, b), (chosen, rejected)) is True


@pytest.mark.task(3)
@pytest.mark.parametrize("loss", [hinge_loss, ipo_loss])
def test_the_others_refuse_a_beta_that_is_not_above_0(loss):
    with raises(ValueError, "beta", -1.0):
        loss(*random_four(), -1.0)


@pytest.mark.task(3)
def test_simpo_and_kto_refuse_what_cannot_be():
    one, other = random_four()[:2]
    liked, kl = torch.ones(6, dtype=torch.bool), torch.tensor(0.0, dtype=torch.float64)
    with raises(ValueError, "beta", 0.0):
        simpo_loss(one, other, 0.0)
    with raises(ValueError, "gamma", -0.5):
        simpo_loss(one, other, 2.0, -0.5)
    with raises(ValueError, "beta", 0.0):
        kto_loss(one, other, liked, kl, 0.0)
    with raises(ValueError, "undesirable_weight", 0.0):
        kto_loss(one, other, liked, kl, 0.1, 0.0)
