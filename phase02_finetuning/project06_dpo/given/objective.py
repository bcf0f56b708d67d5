"""The two losses as the trainer's Loss seam wants them: (model, batch) in, a mean and its metrics out."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from phase02_finetuning.project06_dpo.given.settings import PreferenceConfig, ReinforceConfig
from phase02_finetuning.project06_dpo.grpo import grpo_loss
from phase02_finetuning.project06_dpo.logprobs import LogProbs, token_logprobs
from phase02_finetuning.project06_dpo.losses import dpo_loss, hinge_loss, ipo_loss, kto_loss, simpo_loss
from phase02_finetuning.project06_dpo.metrics import preference_metrics
from phase02_finetuning.project06_dpo.policy import pair_logprobs, reference_of, sides
from shared.phase01 import IGNORED, Batch


@dataclass(frozen=True)
class PairObjective:
    """The loss of pairs that the settings name. A batch without "reference" asks the model's own base for it."""

    settings: PreferenceConfig

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss over the pairs, and `preference_metrics`."""
        policy = pair_logprobs(model, batch)
        if "reference" in batch:
            reference = batch["reference"]
        else:
            with reference_of(model):
                reference = pair_logprobs(model, batch).sums
        return self.loss(policy, reference), preference_metrics(policy.sums, reference, self.settings.beta)

    def loss(self, policy: LogProbs, reference: Tensor) -> Tensor:
        """The mean loss over pairs whose log-probabilities are known."""
        losses = self._losses(policy, reference).mean()
        if self.settings.nll:
            losses = losses - self.settings.nll * policy.means[:, 0].mean()
        return losses

    def _losses(self, policy: LogProbs, reference: Tensor) -> Tensor:
        beta = self.settings.beta
        chosen, rejected = sides(policy.means)
        sums = *sides(policy.sums), *sides(reference)
        means = chosen, rejected, *sides(reference / policy.counts)
        match self.settings.loss:
            case "sigmoid":
                return dpo_loss(*sums, beta, self.settings.label_smoothing).losses
            case "hinge":
                return hinge_loss(*sums, beta)
            case "ipo":
                return ipo_loss(*means, beta)
            case "simpo":
                return simpo_loss(chosen, rejected, beta, self.settings.gamma)
            case "kto":
                liked = torch.tensor([True, False], device=reference.device).expand(reference.shape)
                # How far the policy has moved on these answers, liked or not, stands in for a draw of its own.
                moved = (policy.sums - reference).detach().mean()
                flat = policy.sums.flatten(), reference.flatten(), liked.flatten()
                return kto_loss(*flat, moved, beta).view(-1, 2).mean(dim=1)


@dataclass(frozen=True)
class RewardObjective:
    """GRPO's loss of sampled answers, whose batch is `RolloutBatches`'."""

    settings: ReinforceConfig

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and what grpo_loss says of it, with the rewards and the share of answers that teach anything."""
        one, targets = self.settings, batch["targets"]
        policy = token_logprobs(model(batch["tokens"]), targets)
        loss, metrics = grpo_loss(
            policy, batch["old"], batch.get("reference"), batch["advantages"], targets != IGNORED,
            one.low, one.high, one.beta, one.average, one.max_tokens,
        )  # fmt: skip
        signal = (batch["advantages"] != 0).float().mean()
        return loss, {**metrics, "reward": batch["rewards"].mean(), "signal": signal}
