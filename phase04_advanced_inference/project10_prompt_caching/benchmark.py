"""Measures what project 10 promises.

    python -m phase04_advanced_inference.project10_prompt_caching.benchmark --preset cpu

`cpu` first shows that the cache changes no logits and that the pool loses no block; then it measures the time to the
first token beside transformers with a reused cache, what the cache costs where it hits nothing, and what conversations
compute, in about a minute. `full` does so for prompts of 128 to 2,000 tokens, in a few minutes. `smoke` does
all of it in seconds, on a model so small that the figures mean nothing.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch

from phase04_advanced_inference.project10_prompt_caching.given import measurements, soundness, talking
from phase04_advanced_inference.project10_prompt_caching.given.settings import Settings
from shared.config import parse
from shared.ladder.project import load
from shared.measuring import plot
from shared.measuring.arms import Report

FOLDER = Path(__file__).parent


def draw(record: Path) -> None:
    """The curves, from the record."""
    series = json.loads(record.read_text(encoding="utf-8"))["series"]
    gains = {name: (one["x"], one["y"]) for name, one in series.items() if one["y_label"] == "times as fast"}
    if gains:
        title = "How many times as fast the first token comes, its beginning cached"
        plot.lines(record.parent / "first_token.png", gains, title, "tokens of the prompt", "times")
    for name, one in series.items():
        if one["x_label"] == "place of the changed token":
            title = f"{name[0].upper()}{name[1:]}"
            curve = {"first token": (one["x"], one["y"])}
            plot.lines(record.parent / "partings.png", curve, title, one["x_label"], "ms")


def main() -> None:
    """Measure project 10 with the settings of a preset."""
    settings = parse(Settings, FOLDER / "configs", description=main.__doc__ or "")
    torch.set_num_threads(1)
    command = (
        f"python -m phase04_advanced_inference.project10_prompt_caching.benchmark --preset {settings.preset}"
    )
    report = Report(FOLDER, load(FOLDER).promise, settings.preset, command)
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            "the same logits with the cache as without": lambda: soundness.equality(report, settings),
            "random operations on the pool": lambda: soundness.pool(report, settings),
            "conversations": lambda: talking.conversations(report),
            "the cost without a hit": lambda: measurements.cost(report, settings),
            "the time to the first token": lambda: measurements.first_token(report, settings, Path(folder)),
        }
        for title, part in parts.items():
            print(f"measuring {title} …", file=sys.stderr)
            part()
    draw(report.finish())


if __name__ == "__main__":
    main()
