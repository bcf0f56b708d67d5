"""Small models, tokenizers and pairs for tests, pictures and traces."""

from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from phase02_finetuning.project04_sft.given.example import ALL_CONTROL, TINY, random_model, small_tokenizer
from phase02_finetuning.project04_sft.turns import Example
from phase02_finetuning.project05_lora.adapters import add_adapter
from phase02_finetuning.project05_lora.lora import LoraConfig
from phase02_finetuning.project06_dpo.pairs import Pair, PairExample
from shared.phase01 import IGNORED, LLM, Batch, Config, Tokenizer
from shared.tuning.tinyworld import Exercise, exercises, wishes

TEMPLATE = "tinyworld"
SMALL = replace(TINY, context_length=256, vocab_size=290 + len(ALL_CONTROL))


def small_chat(config: Config = SMALL, dtype: torch.dtype = torch.float64) -> tuple[LLM, Tokenizer[Any], str]:
    """A small random model, a tokenizer with control tokens, and their template."""
    return random_model(config, dtype), small_tokenizer(), TEMPLATE


def adapted_model(dtype: torch.dtype = torch.float64, seed: int = 0, move: float = 0.0) -> LLM:
    """A small random model with an adapter; its B is moved at random by so much, as if it had been trained."""
    torch.manual_seed(seed)
    model = random_model(SMALL, dtype, seed)
    add_adapter(model, LoraConfig(rank=2, alpha=4.0))
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if move and name.endswith(".B"):
                parameter.add_(move * torch.randn(parameter.shape, generator=random).to(parameter))
    return model


def random_pairs(count: int, seed: int = 0, longest: int = 12) -> list[PairExample]:
    """Pairs of random ids: a prompt of 2 to 5, and two answers of 1 to `longest`, which alone have labels."""
    random = torch.Generator().manual_seed(seed)

    def ids(least: int, most: int) -> list[int]:
        length = int(torch.randint(least, most + 1, (), generator=random))
        return torch.randint(SMALL.vocab_size, (length,), generator=random).tolist()

    found = []
    for _ in range(count):
        prompt = ids(2, 5)
        answers = (ids(1, longest) for _ in range(2))
        chosen, rejected = (Example([*prompt, *one], [IGNORED] * len(prompt) + one) for one in answers)
        found.append(PairExample(chosen, rejected))
    return found


def pairs_by_hand(examples: list[PairExample], time: int = 24) -> Batch:
    """The batch of these pairs, padded to `time`, made place by place: it leans on no task."""
    tokens = torch.zeros(len(examples), 2, time, dtype=torch.int64)
    targets = torch.full((len(examples), 2, time), IGNORED)
    for n, pair in enumerate(examples):
        for side, (ids, labels) in enumerate(pair):
            for place in range(len(ids) - 1):
                tokens[n, side, place] = ids[place]
                targets[n, side, place] = labels[place + 1]
    return {"tokens": tokens, "targets": targets}


def some_wishes(count: int = 8, split: str = "test", rule: str | None = None) -> list[Pair]:
    """The first of tinyworld's wishes, as pairs."""
    found = islice(wishes(split, 0, rule), count)
    return [Pair(one.prompt, one.chosen, one.rejected, one.rule) for one in found]


def some_exercises(count: int, skill: str = "opposites") -> list[Exercise]:
    """The first exercises of a skill."""
    return list(islice(exercises("train", 0, [skill]), count))


def trace_example() -> Tensor:
    """A step of DPO and a step of GRPO on a small random model, with the reference from a cache."""
    import tempfile

    from phase02_finetuning.project06_dpo.grpo import group_advantages, grpo_loss
    from phase02_finetuning.project06_dpo.logprobs import token_logprobs
    from phase02_finetuning.project06_dpo.losses import dpo_loss
    from phase02_finetuning.project06_dpo.metrics import preference_metrics
    from phase02_finetuning.project06_dpo.pairs import collate_pairs, tokenize_pair
    from phase02_finetuning.project06_dpo.policy import pair_logprobs, reference_logprobs, reference_of
    from phase02_finetuning.project06_dpo.reference_cache import ReferenceCache
    from phase02_finetuning.project06_dpo.rollout import rollout

    model, tokenizer = adapted_model(torch.float32, move=0.1), small_tokenizer()
    examples = [tokenize_pair(one, tokenizer, TEMPLATE, 256) for one in some_wishes(2)]
    batch = collate_pairs(examples)
    with tempfile.TemporaryDirectory() as folder, reference_of(model):
        reference = ReferenceCache(folder).get(model, examples, lambda: reference_logprobs(model, [batch]))
    policy = pair_logprobs(model, batch).sums
    loss = dpo_loss(policy[:, 0], policy[:, 1], reference[:, 0], reference[:, 1]).losses.mean()
    preference_metrics(policy, reference, 0.1)

    tried = rollout(model, tokenizer, TEMPLATE, some_exercises(2), 2, max_tokens=2)
    mask = tried.targets != IGNORED
    rewards = torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    logps = token_logprobs(model(tried.tokens), tried.targets)
    more, _ = grpo_loss(logps, logps.detach(), None, group_advantages(rewards).flatten(), mask)
    return (loss + more).detach()
