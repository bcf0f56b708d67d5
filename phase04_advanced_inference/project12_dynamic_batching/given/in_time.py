"""What the benchmark times: the same requests through the engine in four ways, and through transformers."""

import math
from collections.abc import Callable, Mapping
from collections.abc import Sequence as List
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from phase04_advanced_inference.project12_dynamic_batching.engine import Batcher, Engine
from phase04_advanced_inference.project12_dynamic_batching.given.padded import Padded
from phase04_advanced_inference.project12_dynamic_batching.given.serving import Arrival, Served, serve
from phase04_advanced_inference.project12_dynamic_batching.given.workload import Request, workload
from phase04_advanced_inference.project12_dynamic_batching.latency import Latency, percentile
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.runner import Runner
from phase04_advanced_inference.project12_dynamic_batching.scheduler import Scheduler
from phase04_advanced_inference.project12_dynamic_batching.static_batching import StaticBatcher
from shared import tinyworld
from shared.measuring.arms import Arm, Report, measure
from shared.phase01 import LLM, Config, SamplingParams, load_base
from shared.phase03 import DecodeStep, KVCache

WAYS = ("continuous", "continuous in chunks", "static", "one by one")
BUDGET = 512


@dataclass
class TimeSettings:
    """What a preset sets for what is timed; one such for each model."""

    requests: int = 24
    prompt: int = 48
    """the mean length"""
    answer: int = 40
    longest: int = 240
    """of a prompt, and of an answer"""
    size: int = 8
    """places"""
    chunk: int = 32
    load: float = 0.7
    """for latencies: the share of the requests a second that continuous batching can serve"""
    rounds: int = 1
    """of all requests, for the latencies"""
    repeats: int = 2
    transformers: bool = True


@dataclass(frozen=True)
class Model:
    """A model with what it is asked."""

    name: str
    llm: LLM
    texts: Callable[[Request, int], list[int]]
    """the prompt of a request and its number"""


def tiny_base() -> Model:
    """The released model, asked to go on with pieces of stories."""
    llm, tokenizer = load_base("tiny-base")
    ids = tokenizer.encode(tinyworld.text("validation", 0, 120_000))

    def prompt(request: Request, number: int) -> list[int]:
        start = number * 97 % (len(ids) - request.prompt)
        return ids[start : start + request.prompt]

    return Model("tiny-base", llm, prompt)


def gpt2_small(layers: int = 12, dim: int = 768) -> Model:
    """A Llama of GPT-2 small's shape with random weights: what it writes is nonsense, and takes as long."""
    config = Config(50_257, 1024, layers, 12, 12, dim, 2048, tied_embeddings=True)
    llm, generator = LLM(config).eval(), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in llm.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.02, generator=generator)

    def prompt(request: Request, number: int) -> list[int]:
        draw = torch.Generator().manual_seed(number)
        return torch.randint(config.vocab_size, (request.prompt,), generator=draw).tolist()

    return Model("124M", llm, prompt)


class Ways:
    """Engines for a model, by name."""

    def __init__(self, model: LLM, settings: TimeSettings):
        self.model, self.settings = model, settings
        self.decode = DecodeStep(model, torch.get_num_threads())

    def engine(self, way: str) -> Engine:
        """A new engine, with nobody in it."""
        settings, config = self.settings, self.model.config
        rows = 1 if way == "one by one" else settings.size
        memory = Rows(rows, config.context_length)
        batcher: Batcher = StaticBatcher(memory, rows)
        if way != "static":
            chunk = settings.chunk if way == "continuous in chunks" else None
            batcher = Scheduler(memory, rows, BUDGET, chunk=chunk)
        cache = KVCache(config, rows, config.context_length, self.model.embedding.weight.dtype)
        return Engine(batcher, Runner(self.model, cache, memory, self.decode))


def in_time(report: Report, settings: TimeSettings, model: Model, folder: Path) -> None:
    """Throughput with all requests there at the beginning, and then latencies as they come."""
    requests = workload("chat", settings.requests, settings.prompt, settings.answer, settings.longest)
    arrivals = [
        Arrival(0.0, model.texts(one, i), SamplingParams(max_tokens=one.answer, temperature=0))
        for i, one in enumerate(requests)
    ]
    ways = Ways(model.llm, settings)
    rate = _throughput(report, settings, model, arrivals, ways, folder) / settings.answer
    _latencies(report, settings, model, ways, settings.load * rate)


def _throughput(
    report: Report, settings: TimeSettings, model: Model, arrivals: List[Arrival], ways: Ways, folder: Path
) -> float:
    """Tokens a second in each way, all in turns; returns that of continuous batching."""
    written = sum(one.params.max_tokens for one in arrivals)

    def run(engine: Engine) -> list[list[int]]:
        return serve(engine, arrivals).texts

    arms = [Arm(way, run, partial(ways.engine, way), written) for way in WAYS]
    if settings.transformers:
        peer = Padded(model.llm, folder / model.name)
        prompts = [one.prompt for one in arrivals]
        counts = [one.params.max_tokens for one in arrivals]
        arms.append(
            Arm("transformers, padded", lambda: peer.write(prompts, counts, settings.size), work=written)
        )
    measured = measure(arms, check=_same_texts, warmup=0, repeats=settings.repeats)
    found = {name: one.throughput for name, one in measured.items()}
    ours = found.pop("continuous")
    read = sum(len(one.prompt) for one in arrivals)
    report.figure(
        f"tokens/s, {model.name}, continuous", ours, "tokens/s",
        (">", max(found["static"], found.get("transformers, padded", 0.0))), found,
        note=f"float32, {settings.size} places, chat lengths: {len(arrivals)} requests, {read:,} tokens in prompts, "
        f"{written:,} to be written, all there at the beginning; chunks of {settings.chunk} tokens",
    )  # fmt: skip
    report.figure(f"continuous over static, tokens/s, {model.name}", ours / found["static"], "times")
    report.figure(f"continuous over one by one, tokens/s, {model.name}", ours / found["one by one"], "times")
    return ours


def _same_texts(out: Mapping[str, list[list[int]]]) -> None:
    """Raises AssertionError where a way writes other texts: few may differ, as choices may be close in float32."""
    for name, texts in out.items():
        pairs = list(zip(out["continuous"], texts, strict=True))
        alike = sum(ours[:4] == theirs[:4] for ours, theirs in pairs)
        if [len(ours) for ours, _ in pairs] != [len(theirs) for _, theirs in pairs] or alike < 0.8 * len(
            pairs
        ):
            raise AssertionError(
                f"of {len(pairs)} texts by {name!r} only {alike} begin as those of the engine"
            )


def _latencies(report: Report, settings: TimeSettings, model: Model, ways: Ways, rate: float) -> None:
    """How long users wait, at the same traffic in each way but one by one, in turns."""
    found = {way: Latency() for way in WAYS[:3]}
    for round_ in range(settings.rounds):
        requests = workload(
            "chat", settings.requests, settings.prompt, settings.answer, settings.longest, rate, seed=round_ + 1
        )  # fmt: skip
        arrivals = [
            Arrival(one.arrival, model.texts(one, i), SamplingParams(max_tokens=one.answer, temperature=0))
            for i, one in enumerate(requests)
        ]
        for way in found:
            served: Served = serve(ways.engine(way), arrivals)
            for name in ("first_token", "between_tokens", "end_to_end"):
                getattr(found[way], name).extend(getattr(served.latency, name))
    for name, title in (
        ("first_token", "time to the first token"),
        ("between_tokens", "time between tokens"),
        ("end_to_end", "whole answer"),
    ):
        for share in (0.5, 0.95, 0.99):
            milli = {way: 1000 * percentile(getattr(one, name), share) for way, one in found.items()}
            ours = milli.pop("continuous")
            report.figure(
                f"{title}, {100 * share:.0f}%, {model.name}, continuous", ours, "ms", peers=milli,
                note=f"{settings.rounds * settings.requests} requests at random times, {rate:.3g} a second, in each "
                f"way the same: {settings.load:.0%} of what continuous batching can serve",
            )  # fmt: skip
        shares = [0.05 * i for i in range(1, 20)] + [0.99]
        for way, one in found.items():
            values = [1000 * percentile(getattr(one, name), share) for share in shares]
            report.series(
                f"{title}, {model.name}, {way}", [100 * share for share in shares], values, "percent", "ms"
            )
    if not all(math.isfinite(value) for one in found.values() for value in one.end_to_end):
        raise AssertionError("a request has not ended")
