"""Measures what project 4 promises: python -m phase02_finetuning.project04_sft.benchmark --preset cpu

`cpu` compares texts, labels, losses and layouts with transformers and trl, measures what packing saves, and
fine-tunes for a minute, within three minutes in all. `released` measures the released model instead. `full` does both,
and trains the `cpu` preset of `train` to its end, twice: by a cosine, as it is, and in a straight line; about half an
hour. `gpu` does that on a GPU, and trains the `long` preset as well. `smoke` does all but that in seconds, on so little
that it means nothing.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from phase02_finetuning.project04_sft.given import measurements
from phase02_finetuning.project04_sft.given.benchmark_settings import Settings
from shared.command import exits_with_message
from shared.config import parse
from shared.device import pick_device, set_threads
from shared.ladder.project import load
from shared.measuring import plot
from shared.measuring.arms import Report

FOLDER = Path(__file__).parent


def draw(record: Path) -> None:
    """Validation losses, and the skills before and after, from the record."""
    content = json.loads(record.read_text(encoding="utf-8"))
    curves = {
        name.removeprefix("validation loss, "): (one["x"], one["y"])
        for name, one in content["series"].items()
        if name.startswith("validation loss, ")
    }
    if curves:
        title = "Loss on answers that were held out"
        plot.lines(record.parent / "loss.png", curves, title, "tokens read", "nats a token")
    for which in ("cpu preset", "long preset", "released model"):
        ending = f", tinyworld's questions, {which}"
        skills = {
            name.removesuffix(ending): one["value"]
            for name, one in content["measured"].items()
            if name.endswith(ending) and not name.startswith("exact match")
        }
        if skills:
            title = f"Exact match by skill after fine-tuning, {which}"
            plot.bars(record.parent / f"skills-{which.split()[0]}.png", skills, title, "percent right")


def main() -> None:
    """Measure project 4 with the settings of a preset."""
    settings = parse(Settings, FOLDER / "configs" / "benchmark", description=main.__doc__ or "")
    set_threads()
    command = f"python -m phase02_finetuning.project04_sft.benchmark --preset {settings.preset}"
    with exits_with_message(Console(stderr=True), ValueError):
        report = Report(FOLDER, load(FOLDER).promise, settings.preset, command, pick_device(settings.device))
    parts: dict[str, Callable[[Report, Settings], None]] = {
        "the same as others' libraries": measurements.equality,
    }
    if settings.device == "cpu":
        parts["what packing saves"] = measurements.packing_gain
    if settings.steps:
        parts["a short fine-tuning"] = measurements.short_tuning
    if settings.released:
        parts["the released model"] = measurements.released
    if settings.long:
        parts["a long fine-tuning, with steps written out"] = measurements.long_tuning
    if settings.whole:
        parts["the whole of it, by a cosine and in a straight line"] = measurements.whole_tuning
    with tempfile.TemporaryDirectory() as folder:
        if settings.preset == "smoke":
            os.environ["LADDER_WORK"] = folder  # nothing of the learner's is touched
        for title, part in parts.items():
            print(f"measuring {title} …", file=sys.stderr)
            part(report, settings)
            report.save()
    draw(report.finish())


if __name__ == "__main__":
    main()
