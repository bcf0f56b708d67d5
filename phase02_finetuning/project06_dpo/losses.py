"""Losses for pairs of answers: they differ by one function of one number.

    h = (log π(chosen) - log π_ref(chosen)) - (log π(rejected) - log π_ref(rejected))

DPO wants β h large and takes its logistic loss; hinge stops at 1; IPO wants h to be a certain number and no more. SimPO
needs no reference, and KTO no pairs. Policies get gradients, references never do. All inputs are (pair), in nats.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


class Preference(NamedTuple):
    """A loss for each pair, and the implicit rewards of its two answers, which have no gradient."""

    losses: Tensor
    chosen_rewards: Tensor
    rejected_rewards: Tensor


def check_positive(name: str, value: float) -> None:
    """Raises ValueError, naming it, for what must be above 0."""
    if not value > 0:
        raise ValueError(f"{name} must be above 0, not {value}")


def dpo_loss(
    policy_chosen: Float[Tensor, "pair"],
    policy_rejected: Float[Tensor, "pair"],
    reference_chosen: Float[Tensor, "pair"],
    reference_rejected: Float[Tensor, "pair"],
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> Preference:
    """Direct preference optimization, from the sums of each answer's log-probabilities under policy and reference.

        loss = - (1 - ε) log σ(β h) - ε log σ(- β h)

    ε is label_smoothing, the share of pairs that may be the wrong way round.

    A policy that is its own reference has h = 0, and so the loss ln 2, whatever β and ε. The implicit reward of an
    answer is β (log π - log π_ref), detached. The log of the sigmoid is torch's `logsigmoid`: the sigmoid itself would
    be 0 for a bad pair, and its log minus infinity.

    Raises ValueError for beta that is not above 0, and for label_smoothing not from 0 to below 0.5 (at one half there
    is nothing to learn, beyond it the opposite), naming the argument and its value. Rafailov et al. 2023
    (arXiv:2305.18290), equation 7; the smoothing: Mitchell 2023, "A note on DPO with noisy preferences".
    """
    check_positive("beta", beta)
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing must be from 0 to below 0.5, not {label_smoothing}")
    chosen = policy_chosen - reference_chosen.detach()
    rejected = policy_rejected - reference_rejected.detach()
    wanted = beta * (chosen - rejected)
    losses = -(1 - label_smoothing) * F.logsigmoid(wanted) - label_smoothing * F.logsigmoid(-wanted)
    return Preference(losses, beta * chosen.detach(), beta * rejected.detach())


def hinge_loss(
    policy_chosen: Float[Tensor, "pair"],
    policy_rejected: Float[Tensor, "pair"],
    reference_chosen: Float[Tensor, "pair"],
    reference_rejected: Float[Tensor, "pair"],
    beta: float = 0.1,
) -> Float[Tensor, "pair"]:
    """max(0, 1 - β h): a pair that is told apart well enough is left alone. Inputs and errors as in `dpo_loss`.

    SLiC-HF: Zhao et al. 2023 (arXiv:2305.10425), with the reference in the margin as Rafailov et al. have it.
    """
    check_positive("beta", beta)
    h = (policy_chosen - reference_chosen.detach()) - (policy_rejected - reference_rejected.detach())
    return torch.relu(1 - beta * h)


def ipo_loss(
    policy_chosen: Float[Tensor, "pair"],
    policy_rejected: Float[Tensor, "pair"],
    reference_chosen: Float[Tensor, "pair"],
    reference_rejected: Float[Tensor, "pair"],
    beta: float = 0.1,
) -> Float[Tensor, "pair"]:
    """(h - 1 / (2 β))²: h is to be 1 / (2 β) and no more, so that a pair seen often does not drive it to infinity.

    The inputs are means, nats a token (`LogProbs.means`), not sums: with sums a long answer's h would be far larger for
    the same difference, and the authors have confirmed that they divide. A policy that is its own reference has
    (1 / (2 β))², 25 for β = 0.1. Errors as in `dpo_loss`. Azar et al. 2023 (arXiv:2310.12036), equation 17.
    """
    check_positive("beta", beta)
    h = (policy_chosen - reference_chosen.detach()) - (policy_rejected - reference_rejected.detach())
    return (h - 1 / (2 * beta)).square()


def simpo_loss(
    policy_chosen: Float[Tensor, "pair"],
    policy_rejected: Float[Tensor, "pair"],
    beta: float = 2.0,
    gamma: float = 1.0,
) -> Float[Tensor, "pair"]:
    """-log σ(β (chosen - rejected) - γ), without any reference.

    The inputs are means, nats a token (`LogProbs.means`): what is rewarded is what decoding goes by. γ is the margin,
    in units of the reward, by which the chosen answer is to be ahead. Raises ValueError for beta not above 0 and for
    gamma below 0, naming the argument and its value. Meng et al. 2024 (arXiv:2405.14734), equation 6.
    """
    check_positive("beta", beta)
    if gamma < 0:
        raise ValueError(f"gamma must be 0 or more, not {gamma}")
    return -F.logsigmoid(beta * (policy_chosen - policy_rejected) - gamma)


def kto_loss(
    policy: Float[Tensor, "answer"],
    reference: Float[Tensor, "answer"],
    desirable: Bool[Tensor, "answer"],
    kl: Float[Tensor, ""],
    beta: float = 0.1,
    undesirable_weight: float = 1.0,
) -> Float[Tensor, "answer"]:
    """For single answers that somebody liked or did not like: 1 minus how surely each is on its right side.

        r = log π - log π_ref       z = max(0, kl), without a gradient
        desirable       1 - σ(β (r - z))
        undesirable     undesirable_weight · (1 - σ(β (z - r)))

    `policy` and `reference` are sums, in nats. `kl` is an estimate of how far the policy has moved from the reference
    on answers in general: the point that gains and losses are felt from. A policy that is its own reference has 0.5.
    Raises ValueError for beta or undesirable_weight not above 0, naming it and its value. Ethayarajh et al. 2024
    (arXiv:2402.01306), equation 8.
    """
    check_positive("beta", beta)
    check_positive("undesirable_weight", undesirable_weight)
    moved = beta * (policy - reference.detach() - kl.detach().clamp(min=0))
    return torch.where(desirable, 1 - torch.sigmoid(moved), undesirable_weight * (1 - torch.sigmoid(-moved)))
