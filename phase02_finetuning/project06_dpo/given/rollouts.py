"""Batches that the policy writes itself: exercises, tried and judged, for the trainer to learn from."""

from typing import Any

import torch
from torch import Tensor

from phase02_finetuning.project04_sft.given.chat_model import ChatModel
from phase02_finetuning.project06_dpo.given.settings import ReinforceConfig
from phase02_finetuning.project06_dpo.grpo import group_advantages
from phase02_finetuning.project06_dpo.logprobs import token_logprobs
from phase02_finetuning.project06_dpo.policy import reference_of
from phase02_finetuning.project06_dpo.rollout import rollout
from shared.device import autocast
from shared.phase01 import Batch
from shared.tuning.tinyworld import SKILLS, Exercise, exercise

ROWS = 64  # answers that are read at once where nothing is trained


class RolloutBatches:
    """Endless batches of sampled answers, `batch_size` exercises with `group_size` answers each.

    Batch number n has exercises and draws of its own, and the policy that is there when it is asked for. With
    `updates` above 1 the same answers come so many times. `rewards` and `signal` record each batch's mean reward, and
    its share of groups whose answers differ in reward.
    """

    def __init__(self, chat: ChatModel, settings: ReinforceConfig, dtype: torch.dtype = torch.float32):
        self.chat, self.settings, self.dtype = chat, settings, dtype
        self.number = 0
        self.rewards: list[float] = []
        self.signal: list[float] = []
        self._batch: Batch = {}

    def exercises(self, number: int) -> list[Exercise]:
        """The exercises of batch number n: each of the skills in turn."""
        skills = self.settings.skills or SKILLS
        first = number * self.settings.batch_size
        return [
            exercise(first + row, "train", self.settings.seed + 1, skills[(first + row) % len(skills)])
            for row in range(self.settings.batch_size)
        ]

    def next(self) -> Batch:
        """{"tokens", "targets", "old" and, with beta, "reference": (row, time); "advantages", "rewards": (row)}."""
        made, used = divmod(self.number, self.settings.updates)
        if not used:
            self._batch = self._try(made)
        self.number += 1
        return self._batch

    def _try(self, made: int) -> Batch:
        one, model = self.settings, self.chat.model
        tried = rollout(
            model, self.chat.tokenizer, self.chat.template, self.exercises(made), one.group_size,
            one.max_tokens, one.seed * 1_000_003 + made,
        )  # fmt: skip
        batch = {
            "tokens": tried.tokens,
            "targets": tried.targets,
            "old": self._logprobs(tried.tokens, tried.targets),
            "advantages": group_advantages(tried.rewards, one.scale).flatten(),
            "rewards": tried.rewards.flatten(),
        }
        if one.beta:
            with reference_of(model):
                batch["reference"] = self._logprobs(tried.tokens, tried.targets)
        self.rewards.append(tried.rewards.mean().item())
        differ = tried.rewards.amax(dim=1) > tried.rewards.amin(dim=1)
        self.signal.append(differ.float().mean().item())
        return batch

    @torch.no_grad()
    def _logprobs(self, tokens: Tensor, targets: Tensor) -> Tensor:
        model = self.chat.model
        device, was_training = next(model.parameters()).device, model.training
        model.eval()
        found = []
        for part, those in zip(tokens.split(ROWS), targets.split(ROWS), strict=True):
            with autocast(device, self.dtype):
                found.append(token_logprobs(model(part.to(device)), those.to(device)).cpu())
        model.train(was_training)
        return torch.cat(found)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the number, the answers in use, and the record."""
        return {
            "number": self.number, "batch": self._batch, "rewards": self.rewards, "signal": self.signal,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.number, self._batch = state["number"], state["batch"]
        self.rewards, self.signal = list(state["rewards"]), list(state["signal"])
