"""Rewards, accuracies, the distance from the reference, and what is written, judged by its rule."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase02_finetuning.project06_dpo.given.example import some_wishes
from phase02_finetuning.project06_dpo.metrics import (
    WinRate,
    kl_estimate,
    preference_metrics,
    rule_scores,
    win_rate,
)
from shared.testing import raises
from shared.tuning.tinyworld import rule_score

task = pytest.mark.task(7)


def two(*rows) -> Any:
    return torch.tensor(rows, dtype=torch.float64)


@task
def test_rewards_and_margin_are_means_over_pairs():
    policy, reference = two([-3, -9], [-5, -2]), two([-4, -7], [-5, -6])
    found = preference_metrics(policy, reference, 0.5)
    assert found["chosen_reward"].item() == pytest.approx(0.5 * (1 + 0) / 2)
    assert found["rejected_reward"].item() == pytest.approx(0.5 * (-2 + 4) / 2)
    assert found["margin"].item() == pytest.approx(0.5 * (3 - 4) / 2)
    assert found["accuracy"].item() == 0.5
    assert found["raw_accuracy"].item() == 0.5


@task
def test_the_two_accuracies_ask_different_things():
    """The rejected answer is still likelier, but less so than it was."""
    policy, reference = two([-9, -3], [-9, -3]), two([-12, -2], [-8, -3])
    found = preference_metrics(policy, reference, 0.1)
    assert found["accuracy"].item() == 0.5
    assert found["raw_accuracy"].item() == 0.0
    found = preference_metrics(two([-9, -3]), two([-12, -2]), 0.1)
    assert found["accuracy"].item() == 1.0


@task
def test_its_own_reference_is_a_coin():
    policy = -torch.rand(7, 2)
    found = preference_metrics(policy, policy.clone(), 0.1)
    assert found["accuracy"].item() == 0.5
    assert found["margin"].item() == 0.0
    assert (
        preference_metrics(two([-2, -2], [-1, -2]), two([0, 0], [0, 0]), 1.0)["raw_accuracy"].item() == 0.75
    )


@task
def test_swapped_answers_negate_margin_and_turn_accuracy():
    policy, reference = torch.randn(2, 9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one = preference_metrics(policy, reference, 0.3)
    other = preference_metrics(policy.flip(1), reference.flip(1), 0.3)
    assert other["margin"].item() == pytest.approx(-one["margin"].item())
    assert other["accuracy"].item() == pytest.approx(1 - one["accuracy"].item())
    assert other["chosen_reward"].item() == pytest.approx(one["rejected_reward"].item())


@task
def test_metrics_have_no_gradient():
    policy = torch.randn(3, 2, requires_grad=True)
    found = preference_metrics(policy, torch.randn(3, 2, requires_grad=True), 0.1)
    assert sorted(found) == ["accuracy", "chosen_reward", "margin", "raw_accuracy", "rejected_reward"]
    assert not any(one.requires_grad for one in found.values())


@task
@given(st.floats(-30, 0), st.floats(-30, 0))
def test_the_estimate_is_its_formula_and_never_below_0(policy, reference):
    found = kl_estimate(two(policy), two(reference)).item()
    r = reference - policy
    assert found == pytest.approx(math.exp(r) - r - 1, rel=1e-9, abs=1e-12)
    assert found >= 0


@task
@pytest.mark.parametrize("r", [1e-4, -1e-4, 3e-3])
def test_small_distances_are_not_rounding(r):
    policy = torch.zeros(1, dtype=torch.float32)
    found = kl_estimate(policy, policy + r).item()
    assert found == pytest.approx(r * r / 2, rel=2e-3)


@task
def test_the_mean_over_what_the_policy_writes_is_the_kl():
    random = torch.Generator().manual_seed(0)
    policy, reference = torch.randn(2, 6, generator=random, dtype=torch.float64).log_softmax(dim=-1)
    exact = (policy.exp() * (policy - reference)).sum()
    found = (policy.exp() * kl_estimate(policy, reference)).sum()
    torch.testing.assert_close(found, exact)
    backwards = (reference.exp() * (reference - policy)).sum()
    assert (backwards - exact).abs() > 0.05


@task
def test_the_estimate_pulls_the_policy_to_its_reference():
    policy = two(-1.0, -3.0).requires_grad_(True)
    kl_estimate(policy, two(-2.0, -2.0)).sum().backward()
    assert policy.grad.sign().tolist() == [1.0, -1.0]


@task
def test_scores_are_means_by_rule():
    wishes = some_wishes(40)
    texts = [one.chosen if number % 2 else one.rejected for number, one in enumerate(wishes)]
    found = rule_scores(wishes, texts)
    assert list(found) == list(dict.fromkeys(one.rule for one in wishes))
    for rule, score in found.items():
        mine = [rule_score(rule, w.prompt, t) for w, t in zip(wishes, texts, strict=True) if w.rule == rule]
        assert score == pytest.approx(sum(mine) / len(mine))


@task
def test_wins_losses_and_ties_are_by_the_rules():
    wishes = some_wishes(30)
    chosen, rejected = [one.chosen for one in wishes], [one.rejected for one in wishes]
    assert win_rate(wishes, rejected, chosen) == WinRate(30, 0, 0, 0)
    assert win_rate(wishes, chosen, rejected) == WinRate(0, 30, 0, 0)
    assert win_rate(wishes, chosen, chosen) == WinRate(0, 0, 30, 30)
    mixed = [*chosen[:10], *rejected[10:15], *chosen[15:]]
    before = [*rejected[:10], *chosen[10:]]
    assert win_rate(wishes, before, mixed) == WinRate(10, 5, 15, 15)


@task
def test_other_words_of_the_same_worth_are_a_tie():
    wish: Any = SimpleNamespace(rule="polite", prompt=({"role": "user", "content": "Please sing."},))
    found = win_rate([wish, wish], ["I am sorry.", "No."], ["Sorry, no.", "No."])
    assert found == WinRate(0, 0, 2, 1)


@task
def test_a_rule_may_need_what_the_user_said():
    prompt = ({"role": "user", "content": "Say in at most three words who Ben is."},)
    wish: Any = SimpleNamespace(rule="short_enough", prompt=prompt)
    assert rule_scores([wish], ["He is a boy with a dog."]) == {"short_enough": 0.0}
    assert win_rate([wish], ["He is a boy with a dog."], ["A boy."]).wins == 1


@task
def test_other_numbers_of_answers_are_refused():
    wishes = some_wishes(3)
    texts = ["Hello."] * 3
    with raises(ValueError, 2, 3):
        win_rate(wishes, texts, texts[:2])
    with raises(ValueError, 4, 3):
        win_rate(wishes, [*texts, "One more."], texts)
    with raises(ValueError, 2, 3):
        rule_scores(wishes, texts[:2])


def test_the_share_of_those_that_differ():
    assert WinRate(8, 2, 90, 80).of_those_that_differ == 0.8
    assert WinRate(0, 0, 5, 5).of_those_that_differ is None
