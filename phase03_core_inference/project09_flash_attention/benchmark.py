"""Measures what project 9 promises: python -m phase03_core_inference.project09_flash_attention.benchmark --preset cpu

`cpu` measures the C++ kernel beside torch's fused attention and attention written out, its memory, a whole prefill and
some steps of training, in about a minute; `full` does so at more lengths, up to 16,384, in about three. `gpu`, on a
GPU, measures the Triton kernels beside torch's flash kernel, in two to three minutes. `smoke` shows in seconds that the
parts for a CPU run.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer

from phase03_core_inference.project09_flash_attention.given import measurements
from phase03_core_inference.project09_flash_attention.given.gpu_measurements import gpu
from shared import config
from shared.device import pick_device, set_threads
from shared.ladder.project import load
from shared.measuring import plot
from shared.measuring.arms import Report
from shared.options import run_command

FOLDER = Path(__file__).parent


def draw(record: Path) -> None:
    """The curves of all runs so far, from the record."""
    known = json.loads(record.read_text(encoding="utf-8"))["series"]
    series = {name: (one["x"], one["y"]) for name, one in known.items()}

    def some(start: str) -> dict[str, tuple[list[float], list[float]]]:
        return {name.removeprefix(start): xy for name, xy in series.items() if name.startswith(start)}

    positions = "positions"
    for start, file, title, unit in (
        ("forward: ", "forward.png", "Forward", "ms"),
        ("forward and backward: ", "backward.png", "Forward and backward", "ms"),
        ("memory, forward and backward: ", "memory.png", "Memory, forward and backward", "MiB"),
    ):
        if curves := some(start):
            plot.lines(record.parent / file, curves, title, positions, unit)


def main(preset: Annotated[Literal["smoke", "cpu", "full", "gpu"], typer.Option()] = "cpu") -> None:
    """Measure project 9: `cpu` in a minute, `full` in three, `gpu` on a GPU in as many, `smoke` in seconds."""
    set_threads()
    command = f"python -m phase03_core_inference.project09_flash_attention.benchmark --preset {preset}"
    device = pick_device() if preset == "gpu" else torch.device("cpu")
    if preset == "gpu" and device.type != "cuda":
        raise typer.BadParameter("the gpu preset needs a CUDA GPU, and this machine has none")
    report = Report(FOLDER, load(FOLDER).promise, preset, command, device)
    if preset == "gpu":
        gpu(report, device)
        report.finish()  # the pictures are the other machine's
        return
    settings = config.parse(measurements.Settings, FOLDER / "configs", ["--preset", preset])
    settings = replace(settings, preset=preset)
    torch.manual_seed(0)
    for title, part in (
        ("speed", measurements.measure_speed),
        ("memory", measurements.measure_memory),
        ("a whole prefill", measurements.measure_prefill),
        ("training", measurements.measure_training),
    ):
        print(f"measuring {title} …", file=sys.stderr)
        part(report, settings)
    draw(report.finish())


if __name__ == "__main__":
    run_command(main)
