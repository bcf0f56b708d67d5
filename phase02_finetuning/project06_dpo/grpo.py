"""Group-relative policy optimization: several answers to each question, each judged by how it compares to the others.

The mean of the group stands in for a model of how good an answer is to be expected: no critic is trained. Shao et al.
2024, "DeepSeekMath" (arXiv:2402.03300).
"""

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from phase02_finetuning.project06_dpo.metrics import kl_estimate

Average = Literal["token", "sequence", "constant"]
EPSILON = 1e-4  # trl's, so that a group that hardly differs is not blown up


def group_advantages(
    rewards: Float[Tensor, "group sample"], scale: bool = True
) -> Float[Tensor, "group sample"]:
    """How much better each answer is than its group: reward - mean of the group, and, with `scale`, / (std + EPSILON).

    The standard deviation is that of a sample (n - 1 below the root). Where all rewards of a group are the same, its
    advantages are exactly 0, scaled or not, whatever rounding makes of the mean: nothing is to be learnt from it, and a
    division would blow up what is left. Otherwise they sum to 0 in each group, up to rounding.

    Without `scale` a question with few right answers counts less than one with half of them right; with it, all the
    same, so also those that are nearly always or nearly never answered (Liu et al. 2025, "Dr. GRPO", arXiv:2503.20783,
    who leave it out). Raises ValueError for groups of fewer than 2 samples, naming how many there are and that 2 is the
    least: one answer has nothing to be compared with.
    """
    if rewards.shape[1] < 2:
        raise ValueError(f"a group needs at least 2 samples to compare, not {rewards.shape[1]}")
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    if scale:
        centred = centred / (rewards.std(dim=1, keepdim=True) + EPSILON)
    alike = rewards.amax(dim=1, keepdim=True) == rewards.amin(dim=1, keepdim=True)
    return centred.masked_fill(alike, 0.0)


def grpo_loss(
    policy: Float[Tensor, "row time"],
    old: Float[Tensor, "row time"],
    reference: Float[Tensor, "row time"] | None,
    advantages: Float[Tensor, "row"],
    mask: Bool[Tensor, "row time"],
    low: float = 0.2,
    high: float = 0.2,
    beta: float = 0.0,
    average: str = "token",
    max_tokens: int = 0,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """The loss over sampled answers, for the trainer's Loss seam: a mean and its metrics.

    `policy`, `old` and `reference` are log-probabilities of each token: now, when it was sampled, and of the reference,
    which only beta above 0 needs. `mask` is True where a token of an answer stands. Of such a token

        ratio = exp(policy - old)
        loss  = - min(ratio · A, clip(ratio, 1 - low, 1 + high) · A) + beta · kl_estimate(policy, reference)

    So a token that has become likelier by more than `high`, and was good, gets no gradient any more, and neither does
    one that has become less likely by more than `low`, and was bad; a step in the wrong direction is never cut off.
    The policy alone gets gradients. What the mean is over (`average`):

        token       all tokens of all answers: a long answer counts more
        sequence    each answer's own mean, then over all rows: in a long answer each token counts less (the paper's);
                    a row without a token counts as 0
        constant    the sum, divided by rows · max_tokens: each token the same, whatever the length (Dr. GRPO)

    The metrics are means too: "kl", by `kl_estimate`, 0 without a reference; "ratio"; "clipped", the share of tokens
    that the clip leaves without a gradient, all over the tokens; and "weight", what the loss is a mean over: the number
    of tokens, or of rows. No number is read back from the device. With a single update a batch, policy and old are the
    same: every ratio is 1, nothing is clipped, the loss is the negative mean of the advantages, its gradient is not 0.

    Raises ValueError for low not from 0 to 1, high or beta below 0, an unknown average, average "constant" without
    max_tokens of at least 1, naming the argument and its value; and for beta above 0 without a reference, naming both.
    Schulman et al. 2017, PPO
    (arXiv:1707.06347), equation 7.
    """
    check_settings(low, high, beta, average, max_tokens)
    if beta and reference is None:
        raise ValueError(f"beta is {beta}, and there is no reference to keep near to")
    ratio = torch.exp(policy - old.detach())
    by = advantages.detach()[:, None]  # (row, 1)
    losses = -torch.minimum(ratio * by, ratio.clamp(1 - low, 1 + high) * by)
    kl = torch.zeros_like(policy) if reference is None else kl_estimate(policy, reference.detach())
    if beta:
        losses = losses + beta * kl
    losses = losses.masked_fill(~mask, 0.0)
    tokens, rows = mask.sum(), torch.full((), len(mask), device=mask.device)
    match average:
        case "token":
            loss, weight = losses.sum() / tokens.clamp(min=1), tokens
        case "sequence":
            loss, weight = (losses.sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean(), rows
        case _:  # constant
            loss, weight = losses.sum() / (rows * max_tokens), rows
    cut = ((by > 0) & (ratio > 1 + high)) | ((by < 0) & (ratio < 1 - low))

    def mean(values: Tensor) -> Tensor:
        return values.detach().float().masked_fill(~mask, 0.0).sum() / tokens.clamp(min=1)

    return loss, {"weight": weight, "kl": mean(kl), "ratio": mean(ratio), "clipped": mean(cut)}


def check_settings(low: float, high: float, beta: float, average: str, max_tokens: int) -> None:
    """Raises ValueError for what `grpo_loss` cannot work with, naming the argument."""
    if not 0 <= low <= 1:
        raise ValueError(f"low must be from 0 to 1, not {low}")
    for name, value in (("high", high), ("beta", beta)):
        if value < 0:
            raise ValueError(f"{name} must be 0 or more, not {value}")
    if average not in get_args(Average):
        raise ValueError(f"average must be {', '.join(get_args(Average))}, not {average!r}")
    if average == "constant" and max_tokens < 1:
        raise ValueError(f"average constant needs max_tokens of at least 1, not {max_tokens}")
