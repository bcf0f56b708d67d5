"""What the benchmark counts: steps, which are the same on any machine, and what a schedule costs."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from phase04_advanced_inference.project12_dynamic_batching.given.example import (
    ShortRows,
    make_engine,
    random_model,
    random_prompts,
)
from phase04_advanced_inference.project12_dynamic_batching.given.simulate import (
    NOBODY,
    continuous_steps,
    harmonic,
    simulate,
    static_steps,
)
from phase04_advanced_inference.project12_dynamic_batching.given.watched import Watched, looked_at
from phase04_advanced_inference.project12_dynamic_batching.given.workload import workload
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.scheduler import Scheduler
from phase04_advanced_inference.project12_dynamic_batching.sequence import Sequence, SequenceStatus
from phase04_advanced_inference.project12_dynamic_batching.static_batching import StaticBatcher
from shared.measuring.arms import Arm, Report, measure
from shared.phase01 import SamplingParams
from shared.phase03 import generate_tokens

LONGEST = 4096


@dataclass
class StepSettings:
    """What a preset sets for what is counted."""

    alike: int = 300
    """so many random requests must be written alike alone and in company"""
    requests: int = 4096
    """of the workloads without a model"""
    answer: int = 128
    """their mean length"""
    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    """of the curve"""
    waiting: tuple[int, ...] = (10, 100, 1000, 10_000)
    """with which the cost of a schedule is measured"""
    repeats: int = field(default=9)


def equality(report: Report, settings: StepSettings) -> None:
    """Raises AssertionError unless every request writes in company, in all configurations, what it writes alone."""
    model, draw = random_model(), random.Random(0)
    done = 0
    while done < settings.alike:
        count = min(24, settings.alike - done)
        asked = [
            (prompt, SamplingParams(max_tokens=draw.randint(1, 12), temperature=draw.choice([0.0, 0.7, 1.0]),
                                    top_k=draw.choice([0, 5]), repetition_penalty=draw.choice([1.0, 1.3]),
                                    seed=draw.randrange(10**6)))
            for prompt in random_prompts(count, seed=done, longest=20)
        ]  # fmt: skip
        alone = [generate_tokens(model, [prompt], params)[0] for prompt, params in asked]
        for size, budget, chunk, total in ((4, 40, None, None), (8, 12, 3, None), (4, 16, 6, 50)):
            memory = None if total is None else ShortRows(size, model.config.context_length, total)
            engine = make_engine(model, size, budget, chunk, memory)
            order = draw.sample(range(count), count)
            keys = {i: engine.add(*asked[i], priority=draw.randrange(3)) for i in order}
            texts = engine.run()
            for i, expected in enumerate(alone):
                if texts[keys[i]] != expected:
                    raise AssertionError(
                        f"after {asked[i][0]} it writes {expected} alone, {texts[keys[i]]} in company"
                    )
        done += count
    report.figure(
        "requests written alike alone and in company", done, "requests", ("==", settings.alike),
        note="float64, each in three engines: whole prompts, chunks, and a memory so short that some are sent back; in "
        "random order, with random priorities and settings",
    )  # fmt: skip


def steps(report: Report, settings: StepSettings) -> None:
    """Static over continuous over one by one, in steps, on four kinds of lengths."""
    bound = {8: ("exponential", 2.5), 32: ("exponential", 3.5)}
    for name in ("exponential", "chat", "uniform", "alike"):
        requests = workload(name, settings.requests, 1, settings.answer, LONGEST)
        lengths = [request.answer for request in requests]
        for size in (8, 32):
            target = bound[size][1] if bound[size][0] == name else None
            static, continuous = static_steps(lengths, size), continuous_steps(lengths, size)
            if name == "exponential":
                made = (
                    simulate(StaticBatcher(Rows(size, LONGEST), size), requests).steps,
                    simulate(Scheduler(Rows(size, LONGEST), size, max_tokens=LONGEST), requests).steps,
                )
                if made != (static, continuous):
                    raise AssertionError(f"batchers make {made} steps, by arithmetic {(static, continuous)}")
            peers = {"the bound, H_B": harmonic(size)} if name == "exponential" else None
            report.figure(
                f"static over continuous, steps, {size} places, {name}", static / continuous, "times",
                (">=", target) if target else ("==", 1.0) if name == "alike" else None, peers,
                note=f"{len(requests):,} requests, all there at the beginning: {static:,} steps and {continuous:,}"
                + ("; the same by arithmetic and by the batchers" if name == "exponential" else "")
                + ("; lengths that are alike leave nothing to gain" if name == "alike" else ""),
            )  # fmt: skip
            report.figure(
                f"one by one over continuous, steps, {size} places, {name}", sum(lengths) / continuous, "times",
                note="as many as there are places, but for the end, where some are idle",
            )  # fmt: skip
        gains = [static_steps(lengths, size) / continuous_steps(lengths, size) for size in settings.sizes]
        report.series(name, settings.sizes, gains, "places", "times fewer steps")
    report.series(
        "the bound for exponential lengths, H_B", settings.sizes, map(harmonic, settings.sizes), "places",
        "times fewer steps",
    )  # fmt: skip


def _queue(waiting: int, kind: type[Sequence] = Sequence) -> Scheduler:
    """A scheduler with eight texts that go on and on, and so many that wait."""
    found = Scheduler(Rows(8, 10**6), max_waiting=waiting + 8)
    params = SamplingParams(max_tokens=500_000)
    for key in range(waiting + 8):
        found.add(kind(key, [0], params, 10**6, key % 3, NOBODY))
    found.update(made := found.schedule(), [[0] for _ in made])
    return found


def scheduling(report: Report, settings: StepSettings) -> None:
    """What a schedule looks at and costs, beside one that sorts all who wait in each step."""

    def ours(scheduler: Scheduler, rounds: int = 50) -> None:
        """Steps in which one leaves and one comes in."""
        for _ in range(rounds):
            made = scheduler.schedule()
            scheduler.update(made, [[0] for _ in made])
            gone = next(iter(scheduler.running))
            scheduler.abort(gone)
            scheduler.add(Sequence(gone, [0], PARAMS, 10**6, gone % 3, NOBODY))

    def sorting(scheduler: Scheduler, rounds: int = 50) -> None:
        """The same, with all who wait in order."""
        for _ in range(rounds):
            ours(scheduler, 1)
            waiting = [one for one in scheduler.sequences.values() if one.status is SequenceStatus.WAITING]
            waiting.sort(key=scheduler.waiting.rank)

    costs: list[float] = []
    for count in settings.waiting:
        run: Callable[..., None] = partial(ours, _queue(count))
        arms = [Arm("ours", run), Arm("sorting all who wait", partial(sorting, _queue(count)))]
        measured = measure(arms, repeats=settings.repeats)
        micro = {name: 1e6 * min(one.times) / 50 / 8 for name, one in measured.items()}
        costs.append(micro["ours"])
        report.figure(
            f"a schedule's cost, {count:,} waiting", micro["ours"], "µs a sequence", ("<=", 5.0),
            {"sorting all who wait": micro["sorting all who wait"]},
            note="eight run, one leaves in each step and one comes in, with its choice and its update; the fastest run",
        )  # fmt: skip
    report.series("scheduling", settings.waiting, costs, "waiting", "µs a sequence")
    most = 0
    scheduler = _queue(max(settings.waiting), Watched)
    for _ in range(20):
        scheduler.abort(next(iter(scheduler.running)))
        with looked_at() as seen:
            made = scheduler.schedule()
        most = max(most, len(seen) - len(made))
        scheduler.update(made, [[0] for _ in made])
    report.figure(
        "requests looked at beyond those scheduled", most, "", ("<=", 3),
        note=f"{max(settings.waiting):,} wait, in three priorities: one of each; with one priority, one",
    )  # fmt: skip


PARAMS = SamplingParams(max_tokens=500_000)
