"""Measures what project 6 promises: python -m phase02_finetuning.project06_dpo.benchmark --preset cpu

`cpu` shows that losses are trl's, and trains a short DPO, within three minutes. `full` trains the `cpu` presets of
`style`, `train` and `reinforce` to their ends, sweeps beta, and pushes one run too far, in about an hour: that is the
promise. `gpu` does the same on a GPU. `smoke` does all of it in seconds, on a small random model, and means nothing.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from phase02_finetuning.project06_dpo import samples
from phase02_finetuning.project06_dpo.given import measurements
from phase02_finetuning.project06_dpo.given.benchmark_settings import Settings
from phase02_finetuning.project06_dpo.given.small_base import publish_small
from shared.artifacts import ArtifactError
from shared.command import exits_with_message
from shared.config import parse
from shared.device import pick_device, set_threads
from shared.ladder.project import load
from shared.measuring import plot
from shared.measuring.arms import Report

FOLDER = Path(__file__).parent


def draw(record: Path) -> None:
    """Reward against distance, and GRPO's curve, from the record."""
    series = json.loads(record.read_text(encoding="utf-8"))["series"]
    for name, title, file in (
        ("sweep of beta, rules", "What is written, by how far beta lets it go", "beta.png"),
        ("sweep of beta, margin", "What training sees, by how far beta lets it go", "margin.png"),
    ):
        if name in series:
            one = series[name]
            points = sorted(zip(one["x"], one["y"], strict=True))
            curve = {"DPO": ([x for x, _ in points], [y for _, y in points])}
            plot.lines(record.parent / file, curve, title, one["x_label"], one["y_label"])
    curves = {
        name.removeprefix("GRPO, "): (one["x"], one["y"])
        for name, one in series.items()
        if name.startswith("GRPO, ")
    }
    if curves:
        plot.lines(
            record.parent / "grpo.png", curves, "GRPO on sampled answers", "batch of answers", "share, 0 to 1"
        )


def main() -> None:
    """Measure project 6 with the settings of a preset."""
    settings = parse(Settings, FOLDER / "configs" / "benchmark", description=main.__doc__ or "")
    set_threads()
    command = f"python -m phase02_finetuning.project06_dpo.benchmark --preset {settings.preset}"
    with exits_with_message(Console(stderr=True), ValueError):
        report = Report(FOLDER, load(FOLDER).promise, settings.preset, command, pick_device(settings.device))
    with tempfile.TemporaryDirectory() as folder:
        if settings.preset == "smoke":
            os.environ["LADDER_WORK"] = folder  # nothing of the learner's is touched
            publish_small(settings.base)
        print("comparing with trl …", file=sys.stderr)
        measurements.equality(report, settings)
        report.save()
        try:
            print("training and judging …", file=sys.stderr)
            shown = measurements.preferences(report, settings)
            if settings.grpo_steps:
                print("trying and comparing …", file=sys.stderr)
                measurements.rewards(report, settings)
        except ArtifactError as problem:
            print(f"only the losses were measured: {problem}", file=sys.stderr)
        else:
            samples.main(shown, count=8, device=settings.device)
    draw(report.finish())


if __name__ == "__main__":
    main()
