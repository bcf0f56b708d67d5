"""Advantages within a group, and the clipped loss: by loops, by gradients, and where nothing may be learnt."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from phase02_finetuning.project06_dpo.grpo import group_advantages, grpo_loss
from shared.testing import raises

rewards = arrays(
    "float64", st.tuples(st.integers(1, 4), st.integers(2, 6)), elements=st.sampled_from([0, 0.1, 0.5, 1])
)
ROWS: dict[str, Any] = {"low": 0.2, "high": 0.3, "beta": 0.05}


@pytest.mark.task(8)
@given(rewards)
def test_advantages_sum_to_nothing_in_each_group(drawn):
    for scale in (True, False):
        found = group_advantages(torch.from_numpy(drawn), scale)
        assert found.sum(dim=1).tolist() == pytest.approx([0.0] * len(drawn), abs=1e-9)


@pytest.mark.task(8)
@given(rewards)
def test_advantages_are_their_formula(drawn):
    found, plain = (group_advantages(torch.from_numpy(drawn), scale).tolist() for scale in (True, False))
    for mine, bare, group in zip(found, plain, drawn.tolist(), strict=True):
        mean = sum(group) / len(group)
        std = (sum((one - mean) ** 2 for one in group) / (len(group) - 1)) ** 0.5
        assert bare == pytest.approx([one - mean for one in group], abs=1e-9)
        assert mine == pytest.approx([(one - mean) / (std + 1e-4) for one in group], abs=1e-9)


@pytest.mark.task(8)
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1 / 3])
@pytest.mark.parametrize("scale", [True, False])
def test_a_group_of_equals_is_exactly_nothing(value, scale):
    drawn = torch.full((2, 7), value)
    drawn[1, 0] = 5.0
    found = group_advantages(drawn, scale)
    assert found[0].tolist() == [0.0] * 7
    assert found[1].abs().min().item() > 0


@pytest.mark.task(8)
def test_groups_do_not_know_of_each_other():
    drawn = torch.tensor([[0.0, 1.0], [1.0, 2.0], [5.0, 9.0]])
    found = group_advantages(drawn)
    for number in range(3):
        assert torch.equal(found[number], group_advantages(drawn[number : number + 1])[0])


@pytest.mark.task(8)
def test_one_answer_is_no_group():
    with raises(ValueError, 1, 2):
        group_advantages(torch.ones(3, 1))


def drawn(seed=0, rows=4, time=6, move=0.4) -> tuple[Any, Any, Any, Any, Any]:
    """Log-probabilities now, when sampled, and of the reference; advantages; and a mask of different lengths."""
    random = torch.Generator().manual_seed(seed)
    old = -3 * torch.rand(rows, time, generator=random, dtype=torch.float64)
    policy = old + move * torch.randn(rows, time, generator=random, dtype=torch.float64)
    reference = old + 0.5 * torch.randn(rows, time, generator=random, dtype=torch.float64)
    advantages = torch.randn(rows, generator=random, dtype=torch.float64)
    mask = torch.arange(time) < torch.randint(1, time + 1, (rows, 1), generator=random)
    return policy, old, reference, advantages, mask


def by_loops(policy, old, reference, advantages, mask, low, high, beta, average, max_tokens):
    rows = []
    for row in range(len(policy)):
        tokens = []
        for place in range(policy.shape[1]):
            if not mask[row, place]:
                continue
            ratio = (policy[row, place] - old[row, place]).exp().item()
            by = advantages[row].item()
            cut = max(1 - low, min(ratio, 1 + high))
            loss = -min(ratio * by, cut * by)
            if beta:
                r = (reference[row, place] - policy[row, place]).item()
                loss += beta * (2.718281828459045**r - r - 1)
            tokens.append(loss)
        rows.append(tokens)
    every = [one for row in rows for one in row]
    if average == "token":
        return sum(every) / len(every)
    if average == "sequence":
        return sum(sum(row) / len(row) for row in rows) / len(rows)
    return sum(every) / (len(rows) * max_tokens)


@pytest.mark.task(8)
@given(st.integers(0, 200), st.sampled_from(["token", "sequence", "constant"]), st.sampled_from([0.0, 0.05]))
@settings(max_examples=40)
def test_the_loss_is_its_formula(seed, average, beta):
    parts = drawn(seed)
    loss, _ = grpo_loss(*parts, 0.2, 0.3, beta, average, 9)
    assert loss.item() == pytest.approx(by_loops(*parts, 0.2, 0.3, beta, average, 9), rel=1e-9, abs=1e-12)


@pytest.mark.task(8)
@pytest.mark.parametrize("average", ["token", "sequence", "constant"])
def test_the_weight_is_what_the_loss_is_a_mean_over(average):
    """Cut into parts, weighed by it, the loss is the same."""
    parts = drawn(3)
    whole, metrics = grpo_loss(*parts, **ROWS, average=average, max_tokens=6)
    total = weights = 0.0
    for start in (0, 1):
        piece, found = grpo_loss(*[one[start::2] for one in parts], **ROWS, average=average, max_tokens=6)
        total, weights = total + piece * found["weight"], weights + found["weight"]
    assert (total / weights).item() == pytest.approx(whole.item(), rel=1e-12)
    assert int(weights) == int(metrics["weight"])
    assert int(metrics["weight"]) == (int(parts[4].sum()) if average == "token" else 4)


@pytest.mark.task(8)
def test_at_first_the_ratio_is_1_and_nothing_is_clipped():
    _, old, reference, advantages, mask = drawn()
    policy = old.clone().requires_grad_(True)
    loss, metrics = grpo_loss(policy, old, reference, advantages, mask, average="sequence")
    loss.backward()
    assert metrics["ratio"].item() == 1.0
    assert metrics["clipped"].item() == 0.0
    assert loss.item() == pytest.approx(-advantages.mean().item())
    lengths = mask.sum(dim=1, keepdim=True)
    expected = -(advantages[:, None] * mask / lengths) / 4
    torch.testing.assert_close(policy.grad, expected)


@pytest.mark.task(8)
@pytest.mark.parametrize(
    ("moved", "advantage", "learns"),
    [
        (0.5, 1.0, False), (-0.5, 1.0, True), (0.5, -1.0, True), (-0.5, -1.0, False),
        (0.1, 1.0, True), (-0.1, -1.0, True), (5.0, -1.0, True),
    ],
)  # fmt: skip
def test_the_clip_ends_steps_in_the_right_direction_alone(moved, advantage, learns):
    policy: Any = torch.tensor([[-1.0 + moved]], dtype=torch.float64, requires_grad=True)
    old, mask = torch.tensor([[-1.0]], dtype=torch.float64), torch.ones(1, 1, dtype=torch.bool)
    loss, metrics = grpo_loss(policy, old, None, torch.tensor([advantage], dtype=torch.float64), mask)
    loss.backward()
    assert (policy.grad.item() != 0) == learns
    assert metrics["clipped"].item() == (0.0 if learns else 1.0)


@pytest.mark.task(8)
def test_both_ends_of_the_clip_are_their_own():
    old = torch.zeros(2, 1, dtype=torch.float64)
    policy = torch.log(torch.tensor([[1.4], [0.7]], dtype=torch.float64))
    by, mask = torch.tensor([1.0, -1.0], dtype=torch.float64), torch.ones(2, 1, dtype=torch.bool)
    loss, _ = grpo_loss(policy, old, None, by, mask, low=0.1, high=0.3)
    assert loss.item() == pytest.approx((-1.3 + 0.9) / 2)


@pytest.mark.task(8)
@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_equal_rewards_teach_nothing_but_the_reference(beta):
    policy, old, reference, _, mask = drawn()
    policy.requires_grad_(True)
    by = group_advantages(torch.full((2, 2), 0.1, dtype=torch.float64)).flatten()
    grpo_loss(policy, old, reference, by, mask, beta=beta)[0].backward()
    assert (policy.grad.abs().max().item() > 0) == (beta > 0)
    assert policy.grad[~mask].abs().sum().item() == 0.0


@pytest.mark.task(8)
def test_gradients_are_those_of_finite_differences_and_reach_the_policy_alone():
    policy, old, reference, by, mask = (
        one.requires_grad_(True) if one.is_floating_point() else one for one in drawn(5)
    )
    assert (
        torch.autograd.gradcheck(lambda x: grpo_loss(x, old, reference, by, mask, **ROWS)[0], (policy,))
        is True
    )
    grpo_loss(policy, old, reference, by, mask, **ROWS)[0].backward()
    assert [one.grad for one in (old, reference, by)] == [None, None, None]


@pytest.mark.task(8)
def test_padding_is_nothing_whatever_stands_there():
    policy, old, reference, by, mask = drawn()
    expected, metrics = grpo_loss(policy, old, reference, by, mask, **ROWS)

    def odd(one, value):
        return torch.where(mask, one, torch.full_like(one, value))

    found, others = grpo_loss(odd(policy, 0.0), odd(old, -40.0), odd(reference, 3.0), by, mask, **ROWS)
    assert found.item() == expected.item()
    for name in ("kl", "ratio", "clipped", "weight"):
        assert others[name].item() == metrics[name].item()


@pytest.mark.task(8)
def test_metrics_are_means_over_the_answers_tokens():
    policy, old, reference, by, mask = drawn(2)
    _, metrics = grpo_loss(policy.requires_grad_(True), old, reference, by, mask, **ROWS)
    r = (reference - policy)[mask]
    assert metrics["kl"].item() == pytest.approx((r.exp() - r - 1).mean().item(), rel=1e-6)
    assert metrics["ratio"].item() == pytest.approx((policy - old)[mask].exp().mean().item(), rel=1e-6)
    assert not any(one.requires_grad for one in metrics.values())
    assert grpo_loss(policy, old, None, by, mask)[1]["kl"].item() == 0.0


@pytest.mark.task(8)
def test_an_empty_answer_counts_as_nothing():
    policy, old, reference, by, mask = drawn()
    mask = mask.clone()
    mask[0] = False
    for average in ("token", "sequence", "constant"):
        loss, _ = grpo_loss(policy, old, reference, by, mask, **ROWS, average=average, max_tokens=6)
        assert loss.isfinite().item() is True
    nothing, metrics = grpo_loss(policy, old, reference, by, torch.zeros_like(mask), **ROWS)
    assert nothing.item() == 0.0
    assert [metrics[name].item() for name in ("kl", "ratio", "clipped")] == [0.0, 0.0, 0.0]


@pytest.mark.task(8)
@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"low": -0.1}, ("low", -0.1)),
        ({"low": 1.5}, ("low", 1.5)),
        ({"high": -1.0}, ("high", -1.0)),
        ({"beta": -0.1}, ("beta", -0.1)),
        ({"average": "mean"}, ("average", "mean", "sequence")),
        ({"average": "constant"}, ("max_tokens", 0)),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, facts):
    with raises(ValueError, *facts):
        grpo_loss(*drawn(), **settings)


@pytest.mark.task(8)
def test_a_pull_to_the_reference_needs_one():
    policy, old, _, by, mask = drawn()
    with raises(ValueError, "beta", "reference"):
        grpo_loss(policy, old, None, by, mask, beta=0.1)
