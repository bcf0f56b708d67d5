"""What preference training has changed: rewards and accuracy, the distance from the reference, and what is written.

The first three can be splendid while nothing changes that anybody reads: a chosen answer may become e²⁵ times as likely
and still not be the likeliest. So the last one counts.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from shared.tuning.tinyworld import rule_score


@runtime_checkable
class Judged(Protocol):
    """A request with the rule that answers to it are judged by: tinyworld's Wish, or a Pair that names its rule."""

    @property
    def prompt(self) -> Sequence[dict[str, str]]: ...

    @property
    def rule(self) -> str: ...


class WinRate(NamedTuple):
    """Of answers before and after: how many became better, worse, or neither."""

    wins: int
    losses: int
    ties: int
    same: int
    """answers that are word for word what they were; they are among the ties"""

    @property
    def of_those_that_differ(self) -> float | None:
        """The share of wins where one was better, from 0 to 1; None where none was."""
        decided = self.wins + self.losses
        return self.wins / decided if decided else None


def kl_estimate(
    policy: Float[Tensor, "*shape"], reference: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """An estimate of KL(policy ‖ reference) from the log-probabilities of tokens that the policy has written, each.

        r = reference - policy            k3 = exp(r) - r - 1

    Its mean over what the policy writes is the KL, for exp(r) - 1 has the mean 0 there; and unlike -r, which has the
    same mean, no single one is below 0, and they scatter less. Near r = 0, exp(r) - 1 in floats is nothing but
    rounding: torch's `expm1` is exact. Schulman 2020, "Approximating KL divergence".
    """
    r = reference - policy
    return torch.expm1(r) - r


def preference_metrics(
    policy: Float[Tensor, "pair 2"], reference: Float[Tensor, "pair 2"], beta: float
) -> dict[str, Tensor]:
    """Means over the pairs, without a gradient; both inputs are sums in nats, of the chosen answer and the rejected.

        chosen_reward, rejected_reward      β (log π - log π_ref)
        margin                              chosen_reward - rejected_reward
        accuracy                            how many chosen rewards are above the rejected one's
        raw_accuracy                        how many chosen answers are likelier than the rejected one, reference or not

    In both shares a tie counts one half. So a policy that is its own reference has an accuracy of 0.5, as a coin has,
    while its raw accuracy may be anything: of two answers one is likelier for its length alone.
    """
    policy, reference = policy.detach(), reference.detach()
    chosen, rejected = (beta * (policy - reference)).unbind(dim=1)
    return {
        "chosen_reward": chosen.mean(),
        "rejected_reward": rejected.mean(),
        "margin": (chosen - rejected).mean(),
        "accuracy": _share_above(chosen, rejected),
        "raw_accuracy": _share_above(*policy.unbind(dim=1)),
    }


def _share_above(one: Float[Tensor, "pair"], other: Float[Tensor, "pair"]) -> Float[Tensor, ""]:
    """How often one is above the other, a tie counting one half."""
    return (((one - other).sign() + 1) / 2).mean()


def rule_scores(wishes: Sequence[Judged], written: Sequence[str]) -> dict[str, float]:
    """The mean of `rule_score` by rule, from 0 to 1, in the order in which the rules first come.

    `rule_score(rule, messages, text)` judges one answer. Raises ValueError for another number of answers than wishes,
    naming both, and as `rule_score` does.
    """
    found: dict[str, list[float]] = {}
    for wish, text in _together(wishes, written):
        found.setdefault(wish.rule, []).append(rule_score(wish.rule, wish.prompt, text))
    return {rule: sum(scores) / len(scores) for rule, scores in found.items()}


def win_rate(wishes: Sequence[Judged], before: Sequence[str], after: Sequence[str]) -> WinRate:
    """Each answer after the training against the one before it, both to the same wish, by `rule_score` of its rule.

    A win is a higher score, a loss a lower one, a tie an equal one, whatever the texts; `same` counts ties of equal
    texts. Raises ValueError for another number of answers, before or after, than wishes, naming both numbers.
    """
    wins = losses = ties = same = 0
    old = [text for _, text in _together(wishes, before)]
    for (wish, text), was in zip(_together(wishes, after), old, strict=True):
        change = rule_score(wish.rule, wish.prompt, text) - rule_score(wish.rule, wish.prompt, was)
        wins += change > 0
        losses += change < 0
        ties += change == 0
        same += text == was
    return WinRate(wins, losses, ties, same)


def _together(wishes: Sequence[Judged], written: Sequence[str]) -> list[tuple[Judged, str]]:
    """Each wish with what was written to it. Raises ValueError for other numbers of them."""
    if len(wishes) != len(written):
        raise ValueError(f"there are {len(written)} answers to {len(wishes)} wishes")
    return list(zip(wishes, written, strict=True))
