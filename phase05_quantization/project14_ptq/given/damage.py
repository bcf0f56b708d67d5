"""What a quantized model has lost: perplexity, and right answers by skill, each item one pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from shared import tinyworld
from shared.phase01 import LLM, PromptTokenizer, log_likelihoods, perplexity, torch_attention


@dataclass(frozen=True)
class Damage:
    """What was measured of one model."""

    perplexity: float
    exact: float
    """the share of right answers"""
    by_skill: dict[str, float]


@dataclass(frozen=True)
class Test:
    """The texts and questions that every model is measured on: the same ones."""

    ids: list[int]
    texts: Sequence[tuple[list[int], list[int]]]
    """question and answer, with the token that ends it"""
    skills: Sequence[str]

    __test__ = False  # pytest would look for tests in it


def make_test(tokenizer: Any, documents: int = 30, per_skill: int = 20) -> Test:
    """tinyworld's test split: so many documents end to end, and so many questions a skill."""
    prompts = PromptTokenizer(tokenizer)
    ids = [
        token for one in islice(tinyworld.documents("test"), documents) for token in prompts.encode(one.text)
    ]
    items = [item for group in tinyworld.evaluation("test", per_skill).values() for item in group]
    answers = [
        (
            prompts.encode(item.query),
            tokenizer.encode(" " + item.answer, disallowed_special=()) + prompts.start,
        )
        for item in items
    ]
    return Test(ids, answers, [item.skill for item in items])


def measure_model(model: LLM, test: Test) -> Damage:
    """In float32. An answer is right if its tokens and the end are the likeliest, each after the right ones before it:
    that is what greedy decoding would write, found in one pass.
    """
    found = perplexity(model, test.ids, attend=torch_attention)
    right = [one.greedy for one in log_likelihoods(model, test.texts, attend=torch_attention)]
    skills = {
        skill: [r for r, s in zip(right, test.skills, strict=True) if s == skill] for skill in test.skills
    }
    by_skill = {skill: sum(one) / len(one) for skill, one in skills.items()}
    return Damage(found.per_token, sum(right) / len(right), by_skill)


def loss_on(tokens: torch.Tensor) -> Any:
    """A function that gives a model's loss on these rows of tokens, in nats a token."""

    @torch.inference_mode()
    def loss(model: Any) -> float:
        total = model(tokens[:, :-1], attend=torch_attention, targets=tokens[:, 1:])
        return total.item() / tokens[:, 1:].numel()

    return loss
