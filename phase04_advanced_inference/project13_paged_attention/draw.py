"""Draw a recorded engine, its requests and its blocks: ladder run 13 draw answer.jsonl --out answer.png"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from phase04_advanced_inference.project12_dynamic_batching.given.recorder import read_recording
from phase04_advanced_inference.project13_paged_attention.given.block_grid import draw_blocks
from shared.command import exits_with_message
from shared.files import shown
from shared.options import run_command


def main(
    file: Annotated[Path, typer.Argument(help="A recording, as `answer --record` writes it.")],
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("blocks.png"),
    most: Annotated[int, typer.Option(help="Draw so many requests at most.")] = 60,
) -> None:
    """Draw a recording: requests and blocks from top to bottom, steps from left to right."""
    with exits_with_message(Console(stderr=True), ValueError):
        if most < 1:
            raise ValueError(f"--most must be at least 1, not {most}")
        draw_blocks(out, read_recording(file), most)
        print(shown(out))


if __name__ == "__main__":
    run_command(main)
