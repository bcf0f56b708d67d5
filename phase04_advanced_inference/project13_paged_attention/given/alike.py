"""One request, one text, however it is computed: alone and dense, in company, in chunks, sent back, with guesses."""

import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from phase04_advanced_inference.project11_speculative_decoding.ngram import NGramProposer
from phase04_advanced_inference.project12_dynamic_batching.engine import Engine
from phase04_advanced_inference.project12_dynamic_batching.given.example import (
    random_model,
    random_prompts,
)
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.runner import Runner
from phase04_advanced_inference.project12_dynamic_batching.scheduler import Scheduler
from phase04_advanced_inference.project13_paged_attention.given.pieces import token_pieces
from phase04_advanced_inference.project13_paged_attention.given.small import LETTERS, poison
from phase04_advanced_inference.project13_paged_attention.llm_engine import LLMEngine, Texts
from phase04_advanced_inference.project13_paged_attention.sampler import Sampler
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from shared import tinyworld
from shared.measuring.arms import Report
from shared.phase01 import LLM, PromptTokenizer, load_base, load_llama2c, load_llama2c_tokenizer
from shared.phase03 import KVCache

ROOM = {"block_size": 4, "max_sequences": 4, "max_tokens": 32, "watermark": 0.0}
WAYS: dict[str, dict[str, Any]] = {
    "in company": {"max_sequences": 8},
    "in chunks": {"max_sequences": 6, "max_tokens": 12, "chunk": 3},
    "sent back and computed anew": {"short": True, "max_sequences": 6},
    "sent back to the host": {"short": True, "max_sequences": 6, "swap_blocks": 80},
    "with guesses": {"max_sequences": 6, "proposer": NGramProposer()},
}
"""settings of an engine; `short` is for a pool in which not all have room"""


@dataclass
class AlikeSettings:
    """How many random requests must be written alike by each model."""

    random: int = 100
    trained: int = 20
    """by tiny-base, and by stories260K where a mirror has it"""


@dataclass
class Case:
    """A model in float64, its tokenizer, and what it may be asked."""

    name: str
    model: LLM
    tokenizer: Texts
    prompts: list[list[int]]
    short: int
    """blocks of a pool that is too small for six of them"""
    wide: int = 120
    bases: list[list[int]] = field(default_factory=lambda: [[]])
    """some prompts begin with one of these"""


def cases(settings: AlikeSettings) -> Iterator[Case]:
    """A tiny random model, which is unsure of everything, and trained ones, which read real text."""
    prompts = random_prompts(settings.random, seed=0, longest=14)
    bases = [*random_prompts(4, seed=1, longest=12), []]
    yield Case("a random model", random_model(), LETTERS, prompts, 13, bases=bases)
    model, bare = load_base("tiny-base", torch.float64)
    tokenizer = PromptTokenizer(bare)
    yield Case("tiny-base", model, tokenizer, _beginnings(tokenizer, settings.trained), 24)
    folder = Path(os.environ.get("LADDER_DATA_MIRROR") or "no mirror") / "models" / "stories260K"
    if (folder / "stories260K.bin").is_file():
        stories = load_llama2c(folder / "stories260K.bin").to(torch.float64)
        words = load_llama2c_tokenizer(folder / "tok512.bin")
        yield Case("stories260K", stories, words, _beginnings(words, settings.trained), 40)


def _beginnings(tokenizer: Texts, count: int) -> list[list[int]]:
    """Beginnings of tinyworld's stories, of 8 to 120 characters; a story comes twice, so some begin alike."""
    draw = random.Random(0)
    text = tinyworld.text("validation", 0, 40_000)
    starts = [draw.randrange(len(text) - 200) for _ in range(max(1, count // 2))]
    return [
        tokenizer.encode(text[start : start + draw.randint(8, 120)])
        for start in (draw.choice(starts) for _ in range(count))
    ]


def dense(case: Case, prompt: list[int], params: SamplingParams) -> list[int]:
    """What project 12's engine writes of one prompt alone, in a row of its own."""
    config = case.model.config
    rows = Rows(1, config.context_length)
    runner = Runner(case.model, KVCache(config, 1, dtype=torch.float64), rows)
    sampler = Sampler(token_pieces(case.tokenizer, config.vocab_size, special=False))
    engine = Engine(Scheduler(rows, 1), runner, sampler)
    engine.add(prompt, params)
    [text] = engine.run().values()
    return text


def paged(case: Case, way: Mapping[str, Any]) -> LLMEngine:
    """An engine over blocks, with NaN in all of them: whoever reads what is not the text's is found out."""
    settings = {**ROOM, **way}
    blocks = case.short if settings.pop("short", False) else case.wide
    engine = LLMEngine(case.model, case.tokenizer, blocks, **settings)
    poison(engine.runner.store)
    return engine


def written_alike(case: Case, seed: int = 0) -> int:
    """How many requests were written alike in all WAYS, guesses greedily. Raises AssertionError for another text."""
    draw, done = random.Random(seed), 0
    for first in range(0, len(case.prompts), 20):
        asked = [
            (
                [*draw.choice(case.bases), *prompt],
                SamplingParams(
                    max_tokens=draw.randint(2, 12), temperature=draw.choice([0.0, 0.7, 1.0]), top_k=draw.choice([0, 5]),
                    repetition_penalty=draw.choice([1.0, 1.3]), presence_penalty=draw.choice([0.0, 0.5]),
                    seed=draw.randrange(10**6),
                ),
            )
            for prompt in case.prompts[first : first + 20]
        ]  # fmt: skip
        for name, way in WAYS.items():
            if name == "with guesses":
                asked = [(prompt, replace(params, temperature=0.0)) for prompt, params in asked]
            results = paged(case, way).generate(
                [prompt for prompt, _ in asked], [params for _, params in asked]
            )
            for (prompt, params), result in zip(asked, results, strict=True):
                alone, written = dense(case, prompt, params), result.completions[0].tokens
                if alone != written:
                    raise AssertionError(f"{case.name} after {prompt}: {alone} alone, and {written} {name}")
        done += len(asked)
    return done


def equality(report: Report, settings: AlikeSettings) -> None:
    """Raises AssertionError unless every request is written alike, dense and paged, in all WAYS."""
    done = {case.name: written_alike(case) for case in cases(settings)}
    asked = settings.random + settings.trained * (len(done) - 1)
    report.figure(
        "requests written alike, however computed", sum(done.values()), "requests", ("==", asked),
        note=f"float64, each alone in a row of a cache, and over blocks {', '.join(WAYS)} (greedy); "
        + ", ".join(f"{count:,} by {name}" for name, count in done.items()),
    )  # fmt: skip
