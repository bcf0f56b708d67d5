"""Try a scheduler with random requests and aborts: ladder run 12 fuzz --steps 20000"""

from typing import Annotated

import typer
from rich.console import Console

from phase04_advanced_inference.project12_dynamic_batching.given.fuzzing import SETTINGS
from phase04_advanced_inference.project12_dynamic_batching.given.fuzzing import fuzz as run_fuzz
from shared.command import exits_with_message
from shared.options import run_command


def main(
    steps: Annotated[int, typer.Option(help="In each of the twelve configurations.")] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed does the same.")] = 0,
) -> None:
    """Random requests, aborts and steps in twelve configurations; after each step, all that must hold is checked."""
    with exits_with_message(Console(stderr=True), ValueError):
        if steps < 1:
            raise ValueError(f"--steps must be at least 1, not {steps}")
        for number, setting in enumerate(SETTINGS, start=1):
            found = run_fuzz(setting, steps, seed)
            print(
                f"{number:>2}: {steps:,} steps, {found.next_key:,} requests, {found.refused:,} refused, "
                f"{found.aborted:,} aborted, {found.preempted:,} sent back; no fault. {setting}",
                flush=True,
            )


if __name__ == "__main__":
    run_command(main)
