"""A whole workload: many requests, some of which begin alike, all there at the beginning; and how it was served."""

import random
import time
from collections.abc import Callable
from collections.abc import Sequence as List
from dataclasses import dataclass

from phase04_advanced_inference.project12_dynamic_batching.given.workload import Request as Lengths
from phase04_advanced_inference.project12_dynamic_batching.given.workload import workload
from phase04_advanced_inference.project12_dynamic_batching.latency import percentile
from phase04_advanced_inference.project13_paged_attention.llm_engine import LLMEngine
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams

Words = Callable[[Lengths, int], list[int]]
"""so many tokens as a request's prompt has, and the request's number in, the tokens out"""


@dataclass
class WorkloadSettings:
    """What a preset sets for it."""

    requests: int = 256
    prompt: int = 48
    """the mean length of what is each request's own"""
    shared: int = 96
    """the length of what several begin with, as an application's instructions"""
    prefixes: int = 4
    """how many different ones there are; a quarter of the requests have none"""
    answer: int = 48
    longest: int = 192
    """of a prompt's own part, and of an answer"""
    size: int = 32
    """places"""
    budget: int = 512
    """tokens a step"""
    block_size: int = 16
    memory: int = 8192
    """tokens of which there is room in blocks"""
    dtypes: tuple[str, ...] = ("float32",)
    compiled: bool = True
    """vLLM compiles the model when it starts, as it does by itself; that takes it a minute or more"""
    repeats: int = 2
    one_by_one: int = 16
    """so many requests, the first ones, also through transformers, one after the other: all would take too long"""

    def draw(self, words: Words, seed: int = 5) -> "list[Asked]":
        """The requests, the same for the same seed: lengths as in chat, and prefixes of which the first is the most
        frequent, as 1, 1/2, 1/3, ...
        """
        draw = random.Random(seed)
        lengths = workload("chat", self.requests, self.prompt, self.answer, self.longest, seed=seed)
        weights = [1 / (1 + number) for number in range(self.prefixes)]
        asked = []
        for number, one in enumerate(lengths):
            start: list[int] = []
            if self.shared and draw.random() < 0.75:
                which = draw.choices(range(self.prefixes), weights)[0]
                start = words(Lengths(0.0, self.shared, 1), 100_000 + which)
            asked.append(Asked(start + words(one, number), one.answer))
        return asked


@dataclass(frozen=True)
class Asked:
    """A request: go on from these tokens with exactly so many, the likeliest each."""

    prompt: list[int]
    answer: int


def said(asked: List[Asked]) -> str:
    """How much it is, in words."""
    read, written = sum(len(one.prompt) for one in asked), sum(one.answer for one in asked)
    return f"{len(asked)} requests, {read:,} tokens in prompts, {written:,} to be written, all there at the beginning"


@dataclass
class Outcome:
    """How a workload was served."""

    texts: list[list[int]]
    """what was written, in the order of the requests"""
    first: list[float]
    """seconds to the first token, of each request"""
    seconds: float
    hit: int = 0
    """how many tokens of prompts were cached"""

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return sum(map(len, self.texts)) / self.seconds

    def first_token(self, share: float) -> float:
        """Milliseconds until so many of the requests have their first token."""
        return 1000 * percentile(self.first, share)


def through_engine(engine: LLMEngine, asked: List[Asked]) -> Outcome:
    """By an engine with nobody in it. Raises the error of a request that fails."""
    begin = time.perf_counter()
    keys = [engine.add(one.prompt, SamplingParams(max_tokens=one.answer, temperature=0)) for one in asked]
    first: dict[int, float] = {}
    while engine.requests:
        deltas = engine.step()
        now = time.perf_counter() - begin
        for delta in deltas:
            if delta.error is not None:
                raise delta.error
            if delta.tokens:
                first.setdefault(delta.key, now)
    seconds = time.perf_counter() - begin
    results = [engine.results.pop(key) for key in keys]
    texts = [one.completions[0].tokens for one in results]
    return Outcome(texts, [first[key] for key in keys], seconds, sum(one.cached for one in results))


def one_by_one(write: Callable[[list[list[int]], int], list[list[int]]], asked: List[Asked]) -> Outcome:
    """By what writes so many tokens after each prompt, one request after the other.

    When the first token of each is there, is not known: its text's end is taken.
    """
    begin, texts, first = time.perf_counter(), [], []
    for one in asked:
        texts += write([one.prompt], one.answer)
        first.append(time.perf_counter() - begin)
    return Outcome(texts, first, time.perf_counter() - begin)


class Numbers:
    """A tokenizer for a model with random weights: each token is its number."""

    def encode(self, text: str, /) -> list[int]:
        """The numbers."""
        return [int(word) for word in text.split()]

    def decode(self, ids: list[int], /) -> str:
        """The numbers, with a blank after each."""
        return "".join([f"{token} " for token in ids])
