"""What fine-tuning a model takes, as a table: ladder run 5 print_plan --model llama-7b --rows 4 --time 1024"""

from dataclasses import fields, replace
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from phase02_finetuning.project05_lora.given.shapes import SHAPES
from phase02_finetuning.project05_lora.plan import Plan, Setup, memory_plan
from shared.command import exits_with_message
from shared.options import run_command

GIB = 2**30


def plan_table(name: str, plans: dict[str, Plan]) -> Table:
    """One column a plan, one line a kind of memory, in GiB."""
    table = Table("GiB", *plans, title=f"Fine-tuning {name}", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for line in [*(field.name for field in fields(Plan)), "total"]:
        style = "bold" if line == "total" else None
        table.add_row(line, *(f"{getattr(plan, line) / GIB:,.3f}" for plan in plans.values()), style=style)
    return table


def main(
    model: Annotated[str, typer.Option(help=f"A shape: {', '.join(SHAPES)}.")] = "llama-7b",
    rank: Annotated[int, typer.Option(help="Of the adapters, which are on all linear layers.")] = 8,
    rows: Annotated[int, typer.Option(help="Texts at once.")] = 1,
    time: Annotated[int, typer.Option(help="Tokens of a text.")] = 512,
    dtype: Annotated[
        str, typer.Option(help="Of frozen weights and activations: bfloat16 or float32.")
    ] = "bfloat16",
    optimizer: Annotated[str, typer.Option(help="adamw or adamw_8bit.")] = "adamw",
    checkpointing: Annotated[bool, typer.Option(help="Gradient checkpointing.")] = False,
    logits_at_once: Annotated[
        int | None, typer.Option(help="Tokens; all, if not said.", show_default=False)
    ] = None,
) -> None:
    """What full fine-tuning, LoRA and QLoRA of a model hold in memory, line by line."""
    with exits_with_message(Console(stderr=True), ValueError):
        if model not in SHAPES:
            raise ValueError(f"there is no shape {model!r}; there is {', '.join(SHAPES)}")
        setup = Setup(
            rank=rank, rows=rows, time=time, dtype=dtype, optimizer=optimizer, checkpointing=checkpointing,
            logits_at_once=logits_at_once,
        )  # fmt: skip
        methods = ("full", "lora", "qlora")
        plans = {method: memory_plan(SHAPES[model], replace(setup, method=method)) for method in methods}
        Console().print(plan_table(model, plans))


if __name__ == "__main__":
    run_command(main)
