"""A model judged by what it writes: to wishes by their rules, how far it has gone, and what it has forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from phase02_finetuning.project04_sft.answers import write_answers
from phase02_finetuning.project04_sft.collate import collate
from phase02_finetuning.project04_sft.given.chat_model import ChatModel
from phase02_finetuning.project04_sft.given.evaluation import own_questions
from phase02_finetuning.project04_sft.templates import END
from phase02_finetuning.project04_sft.turns import Example, tokenize_turns
from phase02_finetuning.project06_dpo.given.data import drawn_wishes, in_batches
from phase02_finetuning.project06_dpo.logprobs import token_logprobs
from phase02_finetuning.project06_dpo.losses import dpo_loss
from phase02_finetuning.project06_dpo.metrics import (
    WinRate,
    kl_estimate,
    preference_metrics,
    rule_scores,
    win_rate,
)
from phase02_finetuning.project06_dpo.pairs import Pair, tokenize_pairs
from phase02_finetuning.project06_dpo.policy import reference_logprobs, sides
from phase02_finetuning.project06_dpo.rollout import sample_answers
from shared.phase01 import IGNORED

MOST = 48  # tokens of an answer


@dataclass(frozen=True)
class Verdict:
    """One model beside the one it came from, on the same wishes of the test split."""

    loss: float
    """DPO's, on the pairs"""
    metrics: dict[str, float]
    """`preference_metrics`"""
    before: dict[str, float]
    after: dict[str, float]
    """what is written, by rule, from 0 to 1"""
    wins: WinRate
    kl: float
    """nats an answer, on what the model samples"""
    ended: float
    """the share of answers that end within the limit"""
    own_items: float
    """exact match on tinyworld's own questions, in percent; NaN where none were asked"""
    wishes: list[Pair]
    texts_before: Sequence[str]
    texts: list[str]

    @property
    def score(self) -> tuple[float, float]:
        """The mean over rules, before and after."""
        return (
            sum(self.before.values()) / len(self.before),
            sum(self.after.values()) / len(self.after),
        )


def written_to(chat: ChatModel, wishes: Sequence[Pair]) -> tuple[list[str], float]:
    """What the model writes, greedily, and the share that ended."""
    written = write_answers(*chat, [wish.prompt for wish in wishes], MOST)
    return [one.text for one in written], sum(one.ended for one in written) / len(written)


@torch.no_grad()
def distance(policy: ChatModel, reference: ChatModel, wishes: Sequence[Pair], seed: int = 0) -> float:
    """KL(policy ‖ reference) in nats an answer, estimated on one sampled answer to each wish."""
    tokenizer, template = policy.tokenizer, policy.template
    room = policy.model.config.context_length - MOST
    prompts = [tokenize_turns(one.prompt, tokenizer, template, room, True).ids for one in wishes]
    answers = sample_answers(policy.model, prompts, MOST, {tokenizer.special_tokens[END[template]]}, seed)
    examples = [
        Example([*prompt, *ids], [IGNORED] * len(prompt) + ids)
        for prompt, ids in zip(prompts, answers, strict=True)
    ]
    total = 0.0
    device = next(policy.model.parameters()).device
    for start in range(0, len(examples), 32):
        batch = {name: one.to(device) for name, one in collate(examples[start : start + 32]).items()}
        mine, theirs = (
            token_logprobs(one.model(batch["tokens"]), batch["targets"]) for one in (policy, reference)
        )
        total += kl_estimate(mine, theirs).sum().item()
    return total / len(examples)


def judge(
    chat: ChatModel,
    base: ChatModel,
    per_rule: int = 20,
    per_skill: int = 20,
    beta: float = 0.1,
    before: Sequence[str] | None = None,
) -> Verdict:
    """Judge a model beside its base, on so many wishes of each rule and questions of each skill (0: none).

    `before` is what the base has written to the very same wishes, where that is known already. Both models must have
    the same tokenizer and template. Raises ValueError where they do not.
    """
    if chat.template != base.template or chat.tokenizer.vocab_size != base.tokenizer.vocab_size:
        raise ValueError(
            "the two models speak in different templates or vocabularies, and cannot be compared"
        )
    wishes = drawn_wishes("test", 8 * per_rule)
    context = min(one.model.config.context_length for one in (chat, base)) - MOST
    examples, wishes = tokenize_pairs(wishes, chat.tokenizer, chat.template, context)
    batches = in_batches(examples)
    policy, reference = (reference_logprobs(one.model, batches) for one in (chat, base))
    texts, ended = written_to(chat, wishes)
    old = list(before) if before is not None else written_to(base, wishes)[0]
    return Verdict(
        dpo_loss(*sides(policy), *sides(reference), beta).losses.mean().item(),
        {name: one.item() for name, one in preference_metrics(policy, reference, beta).items()},
        rule_scores(wishes, old),
        rule_scores(wishes, texts),
        win_rate(wishes, old, texts),
        distance(chat, base, wishes),
        ended,
        own_questions(chat, per_skill)[0] if per_skill else float("nan"),
        wishes,
        old,
        texts,
    )
