"""Measures what project 13 promises.

    python -m phase04_advanced_inference.project13_paged_attention.benchmark --preset cpu

TODO: what `cpu` measures, beside what a user would pick instead, and how long it takes. `smoke` does it in seconds.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from shared.config import parse
from shared.device import set_threads
from shared.ladder.project import load
from shared.measuring.arms import Arm, Report, measure

FOLDER = Path(__file__).parent


@dataclass
class Settings:
    """What a preset in configs/ sets."""

    length: int = 1_000_000
    """How many values."""
    preset: str = "cpu"


def main() -> None:
    """Measure project 13 with the settings of a preset."""
    settings = parse(Settings, FOLDER / "configs", description=main.__doc__ or "")
    set_threads()
    command = (
        f"python -m phase04_advanced_inference.project13_paged_attention.benchmark --preset {settings.preset}"
    )
    report = Report(FOLDER, load(FOLDER).promise, settings.preset, command)
    values = torch.randn(settings.length)
    # TODO: Arm("ours", lambda: paged_attention(values)) goes first, and `check` sees that all give the same.
    arms = [Arm("torch", lambda: values.cumsum(0))]
    measured = measure(arms, repeats=3 if settings.preset == "smoke" else 9)
    report.figure("running sums", measured["torch"].seconds, "s", note=f"{settings.length:,} values")
    report.finish()


if __name__ == "__main__":
    main()
