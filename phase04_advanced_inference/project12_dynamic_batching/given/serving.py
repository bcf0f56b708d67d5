"""Requests that come while others are served: a loop around the engine, and the clock."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from phase04_advanced_inference.project12_dynamic_batching.engine import Engine
from phase04_advanced_inference.project12_dynamic_batching.latency import Latency
from shared.phase01 import SamplingParams


@dataclass(frozen=True)
class Arrival:
    """A request that comes so many seconds after the beginning."""

    seconds: float
    prompt: list[int]
    params: SamplingParams
    priority: int = 0


@dataclass
class Served:
    """What came out of it."""

    texts: list[list[int]]
    """what each wrote, in the order in which they came"""
    latency: Latency
    """in seconds"""
    steps: int
    seconds: float

    @property
    def written(self) -> int:
        """Tokens, of all together."""
        return sum(map(len, self.texts))


def serve(
    engine: Engine,
    arrivals: Sequence[Arrival],
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], object] = time.sleep,
) -> Served:
    """Serve what comes, in the order of arrival, until all have ended. Raises the error of one that fails."""
    begin, before = clock(), engine.steps
    texts: list[list[int]] = [[] for _ in arrivals]
    latency, places, coming = Latency(), dict[int, int](), 0
    while coming < len(arrivals) or engine.scheduler.sequences:
        now = clock() - begin
        while coming < len(arrivals) and arrivals[coming].seconds <= now:
            one = arrivals[coming]
            key = engine.add(one.prompt, one.params, priority=one.priority)
            latency.add(key, one.seconds)  # when it came, though a step was under way
            places[key] = coming
            coming += 1
        if not engine.scheduler.sequences:
            sleep(arrivals[coming].seconds - now)
            continue
        for output in engine.step():
            if output.error is not None:
                raise output.error
            texts[places[output.key]] += output.tokens
            latency.note(output.key, len(output.tokens), clock() - begin, output.finished)
    return Served(texts, latency, engine.steps - before, clock() - begin)
