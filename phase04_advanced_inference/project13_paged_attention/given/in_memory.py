"""What the benchmark counts: texts, however they are computed, and blocks; the same on any machine."""

import random
from dataclasses import dataclass, replace

import torch

from phase04_advanced_inference.project10_prompt_caching.block_pool import BlockPool
from phase04_advanced_inference.project11_speculative_decoding.ngram import NGramProposer
from phase04_advanced_inference.project12_dynamic_batching.engine import Engine
from phase04_advanced_inference.project12_dynamic_batching.given.example import (
    TINY,
    random_model,
    random_prompts,
)
from phase04_advanced_inference.project12_dynamic_batching.given.simulate import request_of
from phase04_advanced_inference.project12_dynamic_batching.given.workload import Request, workload
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.runner import Runner
from phase04_advanced_inference.project12_dynamic_batching.scheduler import Scheduler
from phase04_advanced_inference.project13_paged_attention.block_manager import BlockManager
from phase04_advanced_inference.project13_paged_attention.given.pieces import token_pieces
from phase04_advanced_inference.project13_paged_attention.given.small import LETTERS, make_engine
from phase04_advanced_inference.project13_paged_attention.paged_scheduler import PagedScheduler
from phase04_advanced_inference.project13_paged_attention.sampler import Sampler
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from shared.measuring.arms import Report
from shared.phase01 import LLM
from shared.phase03 import KVCache

SIZES = (1, 4, 8, 16, 32, 64, 128)


@dataclass
class CountSettings:
    """What a preset sets for what is counted."""

    alike: int = 100
    """so many random requests must be written alike, however they are computed"""
    requests: int = 600
    """of the workloads without a model"""
    prompt: int = 160
    answer: int = 256
    longest: int = 2048
    """their mean lengths, and the longest that a prompt and an answer may be"""
    rows: int = 16
    """the pool has room for so many of the longest texts"""


WAYS = {
    "in company": {"max_sequences": 8},
    "in chunks": {"max_sequences": 6, "max_tokens": 12, "chunk": 3},
    "sent back and computed anew": {"num_blocks": 13, "max_sequences": 6},
    "sent back to the host": {"num_blocks": 13, "max_sequences": 6, "swap_blocks": 40},
    "with guesses": {"num_blocks": 30, "max_sequences": 6, "proposer": NGramProposer()},
}


def dense(model: LLM, prompt: list[int], params: SamplingParams) -> list[int]:
    """What project 12's engine writes of one prompt alone, in a row of its own."""
    rows = Rows(1, TINY.context_length)
    runner = Runner(model, KVCache(TINY, 1, dtype=torch.float64), rows)
    engine = Engine(Scheduler(rows, 1), runner, Sampler(token_pieces(LETTERS, TINY.vocab_size)))
    engine.add(prompt, params)
    [text] = engine.run().values()
    return text


def equality(report: Report, settings: CountSettings) -> None:
    """Raises AssertionError unless every request is written alike, dense and paged, in all WAYS; guesses greedily."""
    model, draw, done = random_model(), random.Random(0), 0
    beginnings = random_prompts(4, seed=1, longest=12)
    while done < settings.alike:
        count = min(20, settings.alike - done)
        asked = [
            (
                [*draw.choice([*beginnings, []]), *prompt],
                SamplingParams(
                    max_tokens=draw.randint(2, 12), temperature=draw.choice([0.0, 0.7, 1.0]), top_k=draw.choice([0, 5]),
                    repetition_penalty=draw.choice([1.0, 1.3]), presence_penalty=draw.choice([0.0, 0.5]),
                    seed=draw.randrange(10**6),
                ),
            )
            for prompt in random_prompts(count, seed=done, longest=14)
        ]  # fmt: skip
        for name, way in WAYS.items():
            if name == "with guesses":
                asked = [(prompt, replace(params, temperature=0.0)) for prompt, params in asked]
            engine = make_engine(model, **way)
            results = engine.generate([prompt for prompt, _ in asked], [params for _, params in asked])
            for (prompt, params), result in zip(asked, results, strict=True):
                alone, written = dense(model, prompt, params), result.completions[0].tokens
                if alone != written:
                    raise AssertionError(f"after {prompt} it writes {alone} alone, and {written} {name}")
        done += count
    report.figure(
        "requests written alike, however computed", done, "requests", ("==", settings.alike),
        note=f"float64, each alone in a row of a cache, and over blocks {', '.join(WAYS)} (greedy)",
    )  # fmt: skip


@dataclass
class Filled:
    """How full memory was, over the steps in which requests waited."""

    tokens: int = 0
    """computed ones held, summed over steps"""
    slots: int = 0
    """those of all blocks that were held"""
    texts: int = 0
    steps: int = 0
    computed: int = 0
    """tokens, all that were computed at all"""
    preempted: int = 0

    @property
    def waste(self) -> float:
        """The share of held slots with nothing in them."""
        return 1 - self.tokens / max(1, self.slots)

    @property
    def formula(self) -> float:
        """(B - 1) / 2 slots a text, with B = slots a block as in `fill`."""
        return self.texts * self.half / max(1, self.tokens + self.texts * self.half)

    half: float = 7.5


def fill(requests: list[Request], num_blocks: int, block_size: int) -> Filled:
    """Serve requests, all there at the beginning, without a model; nobody shares a prefix."""
    manager = BlockManager(BlockPool(num_blocks, block_size))
    scheduler = PagedScheduler(manager, max_sequences=4096, max_tokens=8192)
    for key, request in enumerate(requests):
        scheduler.add(request_of(key, request))
        manager.salts[key] = str(key)
    found = Filled(half=(block_size - 1) / 2)
    while scheduler.sequences:
        scheduled = scheduler.schedule()
        found.computed += sum(count for _, count in scheduled)
        if len(scheduler.waiting):
            found.steps += 1
            found.texts += len(scheduled)
            found.tokens += sum(one.num_computed + count for one, count in scheduled)
            found.slots += block_size * sum(len(manager.tables[one.key]) for one, _ in scheduled)
            found.preempted += len(scheduler.preempted)
        scheduler.update(scheduled, [[0] if count == one.pending else [] for one, count in scheduled])
    return found


def waste(report: Report, settings: CountSettings) -> None:
    """How much of memory is wasted, and how many texts are in it, beside rows for the longest text."""
    capacity = settings.rows * settings.longest
    names = {"chat": "lengths as in chat", "exponential": "exponential lengths", "uniform": "uniform lengths"}
    for name, said in names.items():
        requests = workload(name, settings.requests, settings.prompt, settings.answer, settings.longest // 2)
        found = fill(requests, capacity // 16, 16)
        texts = found.texts / max(1, found.steps)
        needed = sum(request.prompt + request.answer - 1 for request in requests)
        report.figure(
            f"waste, {said}", 100 * found.waste, "%", ("<=", 4.0) if name == "chat" else None,
            {"7.5 tokens a text": 100 * found.formula},
            note=f"blocks of 16; {found.tokens / found.texts:,.0f} tokens a text, over {found.steps:,} steps",
        )  # fmt: skip
        report.figure(
            f"texts in a fixed pool, paged over reserved, {said}", texts / settings.rows, "times",
            (">=", 3.0) if name == "chat" else None,
            note=f"{texts:,.0f} texts at once, beside {settings.rows} rows of {settings.longest:,} tokens; "
            f"{found.preempted:,} sent back, {found.computed / needed - 1:.1%} of the tokens computed again",
        )  # fmt: skip
    requests = workload("chat", settings.requests, settings.prompt, settings.answer, settings.longest // 2)
    found = [fill(requests, capacity // size, size) for size in SIZES]
    report.series("measured", SIZES, [100 * one.waste for one in found], "tokens a block", "% wasted")
    report.series(
        "(B - 1) / 2 a text", SIZES, [100 * one.formula for one in found], "tokens a block", "% wasted"
    )
