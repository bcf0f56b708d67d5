"""Try the block manager and the engine with random operations: ladder run 13 fuzz"""

from typing import Annotated

import typer
from rich.console import Console

from phase04_advanced_inference.project13_paged_attention.given.fuzzing import SETTINGS, ManagerFuzz
from phase04_advanced_inference.project13_paged_attention.given.fuzzing import fuzz as run_fuzz
from shared.command import exits_with_message
from shared.options import run_command


def main(
    operations: Annotated[int, typer.Option(help="On the block manager.")] = 100_000,
    steps: Annotated[int, typer.Option(help="Of the engine, in each of the twelve configurations.")] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed does the same.")] = 0,
) -> None:
    """Random operations and steps without a model; after each, all that must hold is checked."""
    with exits_with_message(Console(stderr=True), ValueError):
        if operations < 1 or steps < 1:
            raise ValueError(f"--operations and --steps must be at least 1, not {operations} and {steps}")
        print(
            f"{operations:,} operations: {said(ManagerFuzz(seed).run(operations).counts)}; no fault",
            flush=True,
        )
        for number, setting in enumerate(SETTINGS, start=1):
            counts = run_fuzz(setting, steps, seed).counts
            print(f"{number:>2}: {steps:,} steps: {said(counts)}; no fault. {setting}", flush=True)


def said(counts: dict[str, int]) -> str:
    """Counts as text."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


if __name__ == "__main__":
    run_command(main)
