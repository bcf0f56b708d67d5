"""What the benchmark measures: throughput beside the engine alone, first tokens, refusals, counters."""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from phase10_deployment.project28_serving.given.background import Command, running
from phase10_deployment.project28_serving.given.engine_process import EngineSettings
from phase10_deployment.project28_serving.given.links import CODE, environment
from phase10_deployment.project28_serving.given.loading import (
    Load,
    Loaded,
    bodies,
    disagreements,
    percentiles,
    run,
    settled,
)
from phase10_deployment.project28_serving.given.served import words_of
from shared.measuring.arms import Arm, Report, measure
from shared.phase01 import PromptTokenizer

MODEL = "tiny-chat"


@dataclass
class Settings:
    """What a preset in configs/ sets."""

    requests: int = 48
    """of a run"""
    at_once: int = 16
    max_tokens: int = 64
    prompt_words: int = 24
    repeats: int = 5
    first_tokens: int = 40
    """how many single requests the first token is measured with"""
    max_sequences: int = 16
    max_queue: int = 16
    """of the server that is put under ten times what it can hold"""
    mixed_requests: int = 400
    """for the counters, a fifth of which are left by their clients"""
    streams: tuple[int, ...] = ()
    """at which numbers of streams throughput and latency are measured besides"""
    peers: bool = False
    preset: str = "cpu"

    def load(self, seed: int, **changes: Any) -> Load:
        """A run."""
        fields = {"requests": self.requests, "at_once": self.at_once, "max_tokens": self.max_tokens}
        return Load(**{**fields, "prompt_words": self.prompt_words, "seed": seed, **changes})

    def engine(self) -> EngineSettings:
        """The engine of all arms."""
        return EngineSettings(MODEL, max_sequences=self.max_sequences)

    def words(self, *more: str) -> list[str]:
        """How `serve` is started."""
        return ["--model", MODEL, "--port", "0", "--max-sequences", str(self.max_sequences), *more]


class Offline:
    """The engine alone, in a process of its own."""

    def __init__(self, settings: EngineSettings):
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", CODE.format("offline"), json.dumps(asdict(settings))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(),
        )  # fmt: skip
        tokenizer, _ = words_of(settings.model)
        self.encode = PromptTokenizer(tokenizer).encode
        self._line()

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def write(self, load: Load, first: bool = False) -> dict[str, Any]:
        """The texts of a load, all added at once."""
        asked = [body for _, body, _ in bodies(load)]
        work = {
            "prompts": [self.encode(body["prompt"]) for body in asked],
            "seeds": [body["seed"] for body in asked],
            "max_tokens": load.max_tokens,
            "first": first,
        }
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(work) + "\n")
        self.process.stdin.flush()
        return self._line()

    def close(self) -> None:
        """It ends."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def offline(settings: EngineSettings) -> Iterator[Offline]:
    """The engine alone, inside the block."""
    made = Offline(settings)
    try:
        yield made
    finally:
        made.close()


def throughput(report: Report, settings: Settings, alone: Offline, process: Command) -> None:
    """The same texts by the engine alone, by the server with its engine in a process, and in a thread.

    Server and clients keep other cores busy, and cores share memory, caches, and often more. How much the engine alone
    loses by such a neighbour is measured beside it: one that computes for as large a share of the time.
    """
    work = settings.requests * settings.max_tokens
    rounds: dict[str, int] = {}
    busy, whole = 0.0, 0.0

    def seed(arm: str) -> int:
        """Every run has other prompts, and the arms of a round the same: nothing is cached from the run before."""
        rounds[arm] = rounds.get(arm, 0) + 1
        return rounds[arm]

    def written(arm: str) -> int:
        return alone.write(settings.load(seed(arm)))["tokens"]

    def served(server: Command, arm: str) -> int:
        return answered(asyncio.run(run(server.url, settings.load(seed(arm))))).tokens

    def served_by_process() -> int:
        nonlocal busy, whole
        own, began = psutil.Process(process.process.pid), time.perf_counter()
        before = time.process_time() + sum(own.cpu_times()[:2])
        tokens = served(process, "process")
        busy += time.process_time() + sum(own.cpu_times()[:2]) - before
        whole += time.perf_counter() - began
        return tokens

    with running(*settings.words("--engine-in-thread")) as thread:
        arms = [
            Arm("offline", lambda: written("offline"), work=work),
            Arm("process", served_by_process, work=work),
            Arm("thread", lambda: served(thread, "thread"), work=work),
        ]
        measured = measure(arms, check=_equal, warmup=1, repeats=settings.repeats, seconds=60)
    base, share = measured["offline"].throughput, min(1.0, busy / whole)
    with neighbour(share):
        arm = Arm("beside a neighbour", lambda: written("beside a neighbour"), work=work)
        beside = measure([arm], warmup=1, repeats=settings.repeats, seconds=60)[arm.name].throughput
    note = (
        f"{settings.requests} texts of {settings.max_tokens} tokens, {settings.at_once} at a time; offline "
        f"{base:,.0f} tokens/s"
    )
    for name, target in (("process", (">=", 0.95)), ("thread", None)):
        ratio = measured[name].throughput / base
        report.figure(f"served over offline, engine in a {name}", ratio, "", target, note=note)
    report.figure(
        "offline beside a neighbour as busy as server and clients, over offline", beside / base,
        note=f"a process that computes {100 * share:.0f}% of the time: so much of the loss is the machine's",
    )  # fmt: skip
    report.figure("served", measured["process"].throughput, "tokens/s", peers={"offline": base})


@contextmanager
def neighbour(share: float) -> Iterator[None]:
    """Inside the block, a process computes for this share of each 10 ms."""
    code = (
        "import time\nwhile True:\n    end = time.perf_counter() + {0}\n"
        "    while time.perf_counter() < end:\n        pass\n    time.sleep({1})"
    )
    process = subprocess.Popen([sys.executable, "-c", code.format(0.01 * share, 0.01 * (1 - share))])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def answered(loaded: Loaded) -> Loaded:
    if loaded.failed or len(loaded.whole) != len(loaded.exchanges):
        statuses = sorted({one.status for one in loaded.exchanges})
        raise AssertionError(
            f"of {len(loaded.exchanges)} requests {len(loaded.whole)} were answered: {statuses}"
        )
    return loaded


def _equal(out: Any) -> None:
    if len(set(out.values())) != 1:
        raise AssertionError(f"not the same tokens were written: {dict(out)}")


def first_token(report: Report, settings: Settings, alone: Offline, server: Command) -> None:
    """The first token of one request on an idle server, through HTTP and by the engine alone, in turns."""
    by_http, by_engine = [], []
    for number in range(settings.first_tokens + 3):
        load = settings.load(1000 + number, requests=1, at_once=1, max_tokens=2)
        own = alone.write(load, first=True)["seconds"]
        served = asyncio.run(run(server.url, load))
        if number >= 3:  # the first ones warm up
            by_engine.append(own)
            by_http.append(answered(served).exchanges[0].first)
    difference = 1000 * (statistics.median(by_http) - statistics.median(by_engine))
    note = (
        f"medians of {settings.first_tokens} single requests: {1000 * statistics.median(by_http):.2f} ms and "
    )
    note += f"{1000 * statistics.median(by_engine):.2f} ms; a new connection each"
    report.figure("first token, HTTP over the engine", difference, "ms", ("<=", 5), note=note)


def overload(report: Report, settings: Settings, alone: Offline, server: Command) -> None:
    """Ten times as many requests a second as it answers: how long a refusal takes, and what it costs the others."""
    places = settings.max_sequences + settings.max_queue
    with running(*settings.words("--max-queue", str(settings.max_queue))) as small:
        asyncio.run(run(small.url, settings.load(1)))
        full = answered(asyncio.run(run(small.url, settings.load(2, requests=3 * places, at_once=places))))
        rate = 10 * len(full.whole) / full.seconds
        flood = settings.load(3, requests=max(30 * places, int(10 * rate)), rate=rate)
        flooded = asyncio.run(run(small.url, flood))
        after = asyncio.run(settled(small.url))
    refused = [one for one in flooded.exchanges if one.status == 429]
    odd = [one for one in flooded.exchanges if one.status not in (200, 429) or not one.done]
    if odd or any(not one.retry_after for one in refused) or after["vllm:num_requests_running"]:
        raise AssertionError(f"{len(odd)} requests were neither answered nor refused")
    found = percentiles([one.seconds for one in refused])
    at, over = full.percentiles("seconds")["p95"], flooded.percentiles("seconds")["p95"]
    counts = f"{len(refused)} of {len(flooded.exchanges)} refused, {rate:.0f} came a second; clients on the same cores"
    report.figure(
        "refusal at ten times capacity",
        found["p50"],
        "ms",
        ("<=", 50),
        note=f"p95 {found['p95']:.1f} ms, {counts}",
    )
    report.figure(
        "p95 of the accepted, at ten times capacity over at capacity", over / at if at else 0.0, "", ("<=", 2),
        note=f"{over:.0f} ms and {at:.0f} ms",
    )  # fmt: skip


def counters(report: Report, settings: Settings, alone: Offline, server: Command) -> None:
    """Mixed requests; first all answered, then a fifth left by their clients: counters, gauges, memory."""
    count = settings.mixed_requests
    before = asyncio.run(settled(server.url))
    loaded = asyncio.run(run(server.url, settings.load(4, requests=max(8, count // 4), mixed=True)))
    middle = asyncio.run(settled(server.url))
    faults = disagreements(before, middle, answered(loaded))
    start = _memory(server)
    left = asyncio.run(run(server.url, settings.load(5, requests=count, mixed=True, disconnects=0.2)))
    end = asyncio.run(settled(server.url))
    faults += disagreements(middle, end, left)
    grown = _memory(server) / start - 1
    if left.failed:
        raise AssertionError(f"{len(left.failed)} requests failed")
    gone = sum(one.left for one in left.exchanges)
    report.figure(
        "counters that differ from the clients' sums", len(faults), "", ("==", 0), note="; ".join(faults)
    )
    report.figure(
        "memory, after mixed requests over before", grown, "", ("<=", 0.05),
        note=f"{count} requests, {gone} of them left by their clients; gauges back at 0",
    )  # fmt: skip


def _memory(server: Command) -> int:
    process = psutil.Process(server.process.pid)
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])
