"""Steps without a model: what a batcher decides does not depend on which tokens are written, only on how many."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from phase04_advanced_inference.project12_dynamic_batching import sequence
from phase04_advanced_inference.project12_dynamic_batching.engine import Batcher
from phase04_advanced_inference.project12_dynamic_batching.given.workload import Request
from phase04_advanced_inference.project12_dynamic_batching.latency import Latency
from shared.phase01 import SamplingParams

NOBODY = torch.Generator()  # nothing is drawn, and ten thousand generators would take memory


def request_of(key: int, request: Request, priority: int = 0) -> sequence.Sequence:
    """A sequence as long as the request, all of its tokens 0."""
    params = SamplingParams(max_tokens=request.answer)
    limit = request.prompt + request.answer
    return sequence.Sequence(key, [0] * request.prompt, params, limit, priority, NOBODY)


@dataclass
class Simulation:
    """What came out of it."""

    steps: int
    """those that were made"""
    tokens: int
    """computed, prompts and answers"""
    written: int
    latency: Latency
    """in steps, those included in which nobody was there"""


def simulate(batcher: Batcher, requests: Sequence[Request]) -> Simulation:
    """Serve requests, `arrival` in steps: one that comes at 2.5 may be scheduled in the step from 3 to 4.

    Every sequence whose text is computed to its end writes one token. All of `requests` must come in the order of
    arrival.
    """
    found, now, coming = Simulation(0, 0, 0, Latency()), 0, 0
    while coming < len(requests) or batcher.sequences:
        while coming < len(requests) and requests[coming].arrival <= now:
            found.latency.add(coming, requests[coming].arrival)
            batcher.add(request_of(coming, requests[coming]))
            coming += 1
        now += 1
        scheduled = batcher.schedule()
        if not scheduled:
            continue
        found.steps += 1
        found.tokens += sum(count for _, count in scheduled)
        chosen = [[0] if count == one.pending else [] for one, count in scheduled]
        for (one, _), written in zip(scheduled, batcher.update(scheduled, chosen), strict=True):
            found.written += len(written)
            found.latency.note(one.key, len(written), now, one.finished)
    return found


def static_steps(lengths: Sequence[int], size: int) -> int:
    """What static batches of `size` take, by arithmetic: each as long as its longest."""
    return sum(max(lengths[i : i + size]) for i in range(0, len(lengths), size))


def continuous_steps(lengths: Iterable[int], size: int) -> int:
    """What `size` places take that are filled as soon as they are free, by arithmetic."""
    free = [0] * size  # when each place is free again
    for length in lengths:
        heapq.heapreplace(free, free[0] + length)
    return max(free)


def harmonic(size: int) -> float:
    """H_B = 1 + 1/2 + ... + 1/B: the expected longest of B exponential lengths, as a multiple of their mean."""
    return sum(1 / i for i in range(1, size + 1))
