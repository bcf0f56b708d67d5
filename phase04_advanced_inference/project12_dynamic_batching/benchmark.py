"""Measures what project 12 promises.

    python -m phase04_advanced_inference.project12_dynamic_batching.benchmark --preset cpu

`cpu` takes a minute and a half: texts alone and in company; steps without a model on four kinds of lengths; what a
schedule costs; and tiny-base, whose requests go through the engine one by one, in static batches, continuously, and
in chunks, and through transformers' generate. `full` has more requests, and a model of GPT-2 small's shape as well:
about 20 minutes. `smoke` does all of it in seconds, and its figures mean nothing.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from phase04_advanced_inference.project12_dynamic_batching.engine import Engine
from phase04_advanced_inference.project12_dynamic_batching.given.example import TINY, random_model
from phase04_advanced_inference.project12_dynamic_batching.given.in_steps import (
    StepSettings,
    equality,
    scheduling,
    steps,
)
from phase04_advanced_inference.project12_dynamic_batching.given.in_time import (
    TimeSettings,
    gpt2_small,
    in_time,
    tiny_base,
)
from phase04_advanced_inference.project12_dynamic_batching.given.recorder import Recorder
from phase04_advanced_inference.project12_dynamic_batching.given.timeline import timeline
from phase04_advanced_inference.project12_dynamic_batching.given.workload import workload
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.runner import Runner
from phase04_advanced_inference.project12_dynamic_batching.scheduler import Scheduler
from phase04_advanced_inference.project12_dynamic_batching.static_batching import StaticBatcher
from shared.config import parse
from shared.ladder.project import load
from shared.measuring import plot
from shared.measuring.arms import Report
from shared.phase01 import SamplingParams
from shared.phase03 import KVCache

FOLDER = Path(__file__).parent


@dataclass
class Settings:
    """What a preset in configs/ sets."""

    counted: StepSettings = field(default_factory=StepSettings)
    tiny: TimeSettings = field(default_factory=TimeSettings)
    """tiny-base"""
    large: TimeSettings | None = None
    """a model of GPT-2 small's shape, with random weights"""
    large_layers: int = 12
    large_dim: int = 768
    threads: int = 1
    preset: str = "cpu"


def recorded(static: bool, count: int = 24) -> list[dict]:
    """The steps of an engine with four places and chat lengths, on a tiny random model: the same on any machine."""
    config = replace(TINY, context_length=256)
    model, memory, recorder = random_model(config), Rows(4, 256), Recorder(clock=lambda: 0.0)
    batcher = StaticBatcher(memory, 4) if static else Scheduler(memory, 4, 32, chunk=16)
    engine = Engine(
        batcher, Runner(model, KVCache(config, 4, dtype=torch.float64), memory), recorder=recorder
    )
    for one in workload("chat", count, prompt=16, answer=24, longest=100, seed=4):
        engine.add([1] * one.prompt, SamplingParams(max_tokens=one.answer, temperature=0))
    engine.run()
    return recorder.lines


def draw(record: Path) -> None:
    """The pictures: of what the record holds, and of two engines at work."""
    content = json.loads(record.read_text(encoding="utf-8"))["series"]
    folder = record.parent
    timeline(
        folder / "timeline.png",
        {"static batching": recorded(static=True), "continuous batching": recorded(static=False)},
    )
    gains = {name: one for name, one in content.items() if one["x_label"] == "places"}
    if gains:
        title = "Steps of static batching over those of continuous batching"
        curves = {name.rpartition(", ")[2]: (one["x"], one["y"]) for name, one in gains.items()}
        plot.lines(folder / "gain.png", curves, title, "places", "times", log_x=True)
    for model in ("tiny-base", "124M"):
        for title in ("time to the first token", "time between tokens"):
            start = f"{title}, {model}, "
            curves = {
                name.removeprefix(start): (one["x"], one["y"])
                for name, one in content.items()
                if name.startswith(start)
            }
            if curves:
                name = f"{title.replace('time to the ', '').replace('time ', '').replace(' ', '-')}-{model.lower()}.png"
                said = "requests" if "first" in title else "tokens"
                plot.lines(
                    folder / name, curves, f"{title.capitalize()}, {model}", f"percent of the {said}", "ms", log_y=True
                )  # fmt: skip


def main() -> None:
    """Measure project 12 with the settings of a preset."""
    settings = parse(Settings, FOLDER / "configs", description=main.__doc__ or "")
    torch.set_num_threads(settings.threads)
    command = f"python -m phase04_advanced_inference.project12_dynamic_batching.benchmark --preset {settings.preset}"
    report = Report(FOLDER, load(FOLDER).promise, settings.preset, command)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        parts: list[tuple[str, Callable[[], None]]] = [
            ("texts alone and in company", lambda: equality(report, settings.counted)),
            ("steps without a model", lambda: steps(report, settings.counted)),
            ("what a schedule costs", lambda: scheduling(report, settings.counted)),
            ("tiny-base", lambda: in_time(report, settings.tiny, tiny_base(), place)),
        ]
        if settings.large is not None:
            large = partial(gpt2_small, settings.large_layers, settings.large_dim)
            timed = settings.large
            parts.append(("a model of GPT-2 small's shape", lambda: in_time(report, timed, large(), place)))
        for title, part in parts:
            print(f"measuring {title} …", file=sys.stderr)
            part()
    draw(report.finish())


if __name__ == "__main__":
    main()
