"""What an engine can be asked about itself: numbers for the metrics, and a picture of its blocks."""

from collections.abc import Iterable, Mapping
from typing import Any

from shared.phase04 import LLMEngine


def engine_stats(engines: Iterable[LLMEngine]) -> dict[str, int]:
    """Numbers of all engines together: how many run and wait, blocks, and counts since the start."""
    found: dict[str, int] = dict.fromkeys(
        (
            "running", "waiting", "free", "blocks", "steps",
            "queried", "hit", "preempted", "guessed", "accepted",
        ), 0,
    )  # fmt: skip
    for engine in engines:
        saved, pool = engine.saved, engine.manager.pool
        found["running"] += len(engine.scheduler.running)
        found["waiting"] += len(engine.scheduler.sequences) - len(engine.scheduler.running)
        found["free"] += pool.num_free
        found["blocks"] += pool.num_blocks
        found["steps"] += engine.engine.steps
        found["queried"] += saved.prompts.total.queried
        found["hit"] += saved.prompts.total.hit
        found["preempted"] += saved.preempted
        found["guessed"] += saved.guessed
        found["accepted"] += saved.accepted
    return found


def engine_view(engine: LLMEngine, requests: Mapping[int, int]) -> dict[str, Any]:
    """The engine after a step: who runs with which blocks, who waits, what is free. `requests` says whose texts.

    "computed" is how many tokens of a text are in its blocks, "scheduled" how many the next step has to compute.
    """
    scheduler, manager = engine.scheduler, engine.manager
    running = [
        {
            "id": key,
            "request": requests.get(key),
            "tokens": len(one.tokens),
            "blocks": list(manager.tables.get(key, [])),
            "computed": one.num_computed,
            "scheduled": one.pending,
        }
        for key, one in scheduler.running.items()
    ]
    waiting = [
        {"id": key, "request": requests.get(key), "tokens": len(one.tokens)}
        for key, one in scheduler.sequences.items()
        if key not in scheduler.running
    ]
    return {
        "step": engine.engine.steps,
        "running": running,
        "waiting": waiting,
        "free": manager.pool.num_free,
        "blocks": manager.pool.num_blocks,
        "block_size": manager.block_size,
        "hits": sum(scheduler.hits.values()),
        "preempted": list(scheduler.preempted),
    }
