"""Measures what project 14 promises.

    python -m phase05_quantization.project14_ptq.benchmark --preset cpu

`cpu` quantizes tiny-base by the main methods and measures perplexity, exact match and bytes; then it writes with eight
and with four bits on GPT-2 small's shape, in under three minutes. `full` has every method on every grid, what
calibration does, activations with and without outliers, a plan of bits, 100 questions a skill, two threads, and
llama.cpp and ctranslate2 where they are installed, in about an hour. `smoke` does a little of all in seconds.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from phase05_quantization.project14_ptq.given import measurements
from phase05_quantization.project14_ptq.given.measurements import Bench
from phase05_quantization.project14_ptq.given.settings import Settings
from phase05_quantization.project14_ptq.given.speed import speed
from shared.config import parse
from shared.ladder.project import load
from shared.measuring import plot
from shared.measuring.arms import Report

FOLDER = Path(__file__).parent
TABLES: dict[str, Callable[[Bench], None]] = {
    "calibration": measurements.calibrations,
    "activations": measurements.activations,
    "plan": measurements.plan,
}


DRAWN = ("nearest", "clip", "awq", "gptq", "gptq-order", "gptq-clip")
"""what a plot has colours for"""


def draw(record: Path) -> None:
    """Damage over bytes, a line a method, from the record."""
    series = json.loads(record.read_text(encoding="utf-8"))["series"]
    curves = {
        name: (one["x"], one["y"]) for name, one in series.items() if name in DRAWN and len(one["x"]) > 1
    }
    if curves:
        title = "What each method costs, over what is left"
        plot.lines(
            record.parent / "damage.png",
            curves,
            title,
            "MB, all included",
            "rise of the loss, nats",
            log_y=True,
        )


def main() -> None:
    """Measure project 14 with the settings of a preset."""
    settings = parse(Settings, FOLDER / "configs", description=main.__doc__ or "")
    command = f"python -m phase05_quantization.project14_ptq.benchmark --preset {settings.preset}"
    report = Report(FOLDER, load(FOLDER).promise, settings.preset, command)
    print("measuring tiny-base in floats …", file=sys.stderr)
    bench = Bench(report, settings)
    measurements.codes(report, bench.model)
    with tempfile.TemporaryDirectory() as folder:
        parts: list[tuple[str, Callable[[], None]]] = [("weights", partial(measurements.weights, bench))]
        parts += [(name, partial(part, bench)) for name, part in TABLES.items() if name in settings.tables]
        parts += [
            (f"speed, threads: {count}", partial(speed, report, settings, count, Path(folder)))
            for count in settings.thread_counts()
        ]
        for title, part in parts:
            print(f"measuring {title} …", file=sys.stderr)
            part()
    for name, points in bench.curves.items():
        xs, ys = zip(*sorted(points), strict=True)
        report.series(name, xs, ys, "MB, all included", "rise of the loss, nats")
    torch.set_num_threads(1)
    draw(report.finish())


if __name__ == "__main__":
    main()
