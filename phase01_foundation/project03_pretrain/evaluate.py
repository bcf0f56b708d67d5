"""Evaluate a trained model: ladder run 3 evaluate --model tiny-base

Prints a table for each task, and all figures as one line of JSON last.
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from phase01_foundation.project03_pretrain.given.evaluation import TASKS, evaluate
from phase01_foundation.project03_pretrain.given.pretrained import load_base
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message
from shared.corpora import CorpusError
from shared.device import pick_device, pick_dtype
from shared.files import write_text
from shared.options import run_command

QUICK = "perplexity,skills"


def main(
    model: Annotated[str, typer.Option(help="The model's name.")] = "tiny-base",
    tasks: Annotated[str, typer.Option(help=f"With commas between them: {', '.join(TASKS)}.")] = QUICK,
    limit: Annotated[
        int | None,
        typer.Option(
            help="Documents (perplexity), items a skill, pairs a paradigm (blimp), or questions.", min=1
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file too.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
) -> None:
    """Evaluate a trained model. perplexity and skills need no file; the others read theirs through shared.corpora."""
    console = Console()
    names = [name.strip() for name in tasks.split(",")]
    with exits_with_message(Console(stderr=True), ValueError, ArtifactError, CheckpointError, CorpusError):
        if unknown := [name for name in names if name not in TASKS]:
            raise ValueError(f"there is no task {unknown[0]!r}; there is {', '.join(TASKS)}")
        if json_file is not None and not json_file.absolute().parent.is_dir():
            raise ValueError(f"there is no folder {json_file.parent} to write {json_file.name} to")
        place = pick_device(device)
        number_format = pick_dtype(dtype, place)
        llm, tokenizer = load_base(model)
        llm = llm.to(place)
        figures: dict[str, Any] = {
            "model": model,
            "parameters": llm.parameter_count(),
            "dtype": str(number_format).removeprefix("torch."),
        }
        for name in names:
            began = time.perf_counter()
            figures[name] = evaluate(llm, tokenizer, name, limit, number_format, console)
            figures[name]["seconds"] = round(time.perf_counter() - began, 2)
        if json_file is not None:
            write_text(json_file, json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    run_command(main)
