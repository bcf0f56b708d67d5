"""Draw a recorded engine: ladder run 12 draw static.jsonl continuous.jsonl --out timeline.png"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from phase04_advanced_inference.project12_dynamic_batching.given.recorder import read_recording
from phase04_advanced_inference.project12_dynamic_batching.given.timeline import MOST, timeline
from shared.command import exits_with_message
from shared.files import shown
from shared.options import run_command


def main(
    files: Annotated[
        list[Path], typer.Argument(help="Recordings, as serve_batch writes them, one below the other.")
    ],
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("timeline.png"),
    most: Annotated[int, typer.Option(help="Draw so many requests of each at most.")] = MOST,
) -> None:
    """Draw recordings as a timeline: requests from top to bottom, steps from left to right."""
    with exits_with_message(Console(stderr=True), ValueError):
        if most < 1:
            raise ValueError(f"--most must be at least 1, not {most}")
        timeline(out, {path.stem: read_recording(path) for path in files}, most)
        print(shown(out))


if __name__ == "__main__":
    run_command(main)
