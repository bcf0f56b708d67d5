"""Measures what project 9 promises: python -m phase03_core_inference.project09_flash_attention.benchmark --preset cpu

`gpu`, on a GPU, measures the Triton kernels against torch's flash kernel, in two to three minutes.
"""

from pathlib import Path
from typing import Annotated, Literal

import torch
import typer

from phase03_core_inference.project09_flash_attention.given.gpu_measurements import gpu
from shared.device import pick_device, set_threads
from shared.ladder.project import load
from shared.measuring.arms import Report
from shared.options import run_command

FOLDER = Path(__file__).parent


def main(preset: Annotated[Literal["smoke", "cpu", "gpu"], typer.Option()] = "cpu") -> None:
    """Measure project 9: `cpu` in about two minutes, `gpu` on a GPU in about as many, `smoke` in seconds."""
    set_threads()
    command = f"python -m phase03_core_inference.project09_flash_attention.benchmark --preset {preset}"
    device = pick_device() if preset == "gpu" else torch.device("cpu")
    if preset == "gpu" and device.type != "cuda":
        raise typer.BadParameter("the gpu preset needs a CUDA GPU, and this machine has none")
    report = Report(FOLDER, load(FOLDER).promise, preset, command, device)
    if preset == "gpu":
        gpu(report, device)
        report.finish()


if __name__ == "__main__":
    run_command(main)
