"""Measures what project 11 promises.

    python -m phase04_advanced_inference.project11_speculative_decoding.benchmark --preset cpu

`cpu` first shows that guesses change no text. Then it measures how many stay, by kind of text and by who guesses, and
how much faster texts are written: on tiny-base, and on tiny-base grown to 109 million parameters, alone and in a batch,
in a minute. `full` does so for more texts, more k, more batch sizes and both formats, beside transformers'
assisted generation, in a quarter of an hour. `smoke` does all of it in seconds, on so little that the figures mean
nothing.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from phase04_advanced_inference.project11_speculative_decoding.given import kinds, speed
from phase04_advanced_inference.project11_speculative_decoding.given.kinds import Settings
from shared.config import parse
from shared.ladder.project import load
from shared.measuring import plot
from shared.measuring.arms import Report

FOLDER = Path(__file__).parent


def measure_speed(report: Report, settings: Settings, format: str, folder: Path) -> None:
    """Both targets in a format: alone, beside transformers, and in batches."""
    for pair in speed.pairs(settings, format):
        print(f"measuring speed: {pair.name}, {format} …", file=sys.stderr)
        # In bfloat16 transformers takes a minute for the grown model's texts.
        peer = settings.peers and format == "float32"
        assisted = speed.transformers_gain(settings, pair, folder / pair.name) if peer else {}
        speed.alone(report, settings, pair, assisted)
        speed.in_company(report, settings, pair)


def draw(record: Path) -> None:
    """Tokens a pass over k, and the gain over batch size, from the record."""
    series = json.loads(record.read_text(encoding="utf-8"))["series"]
    for x_label, file, title, hline in (
        ("guesses a pass", "tokens.png", "Tokens a pass of tiny-base, stories", None),
        (
            "texts at once",
            "batches.png",
            f"With k = {kinds.COUNT} guesses, times as fast as without",
            {"no gain": 1.0},
        ),
    ):
        curves = {name: (one["x"], one["y"]) for name, one in series.items() if one["x_label"] == x_label}
        if curves:
            y_label = next(one["y_label"] for one in series.values() if one["x_label"] == x_label)
            plot.lines(record.parent / file, curves, title, x_label, y_label, hline, log_x=hline is not None)


def main() -> None:
    """Measure project 11 with the settings of a preset."""
    settings = parse(Settings, FOLDER / "configs", description=main.__doc__ or "")
    torch.set_num_threads(1)
    module = "phase04_advanced_inference.project11_speculative_decoding.benchmark"
    command = f"python -m {module} --preset {settings.preset}"
    report = Report(FOLDER, load(FOLDER).promise, settings.preset, command)
    with tempfile.TemporaryDirectory() as folder:
        parts: list[tuple[str, Callable[[], None]]] = [
            ("the same texts with guesses as without", lambda: kinds.equality(report, settings)),
            ("how many guesses stay", lambda: kinds.acceptance(report, settings)),
            *(
                (f"the speed in {format}", partial(measure_speed, report, settings, format, Path(folder)))
                for format in settings.formats
            ),
        ]
        for title, part in parts:
            print(f"measuring {title} …", file=sys.stderr)
            part()
    draw(report.finish())


if __name__ == "__main__":
    main()
