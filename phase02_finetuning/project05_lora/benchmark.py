"""Measures what project 5 promises: python -m phase02_finetuning.project05_lora.benchmark --preset cpu

`cpu` shows that layers, files and codes are those of peft and bitsandbytes, then measures a training step and its
memory, decoding with adapters, files, and two short trainings, in three minutes. `full` trains every rank from 1 to 16,
QLoRA and all weights, each for the same seconds, in about 40 minutes: that is the promise. `gpu` trains the same for
the same number of steps, on a GPU; `7b` trains a model of 7B's shape there. `smoke` runs the small ones in seconds, on
so little that it means nothing.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from rich.console import Console
from torch import nn

from phase02_finetuning.project05_lora.adapters import add_adapter
from phase02_finetuning.project05_lora.dora import DoRA
from phase02_finetuning.project05_lora.given import measurements
from phase02_finetuning.project05_lora.given.example import random_model, random_tokens, trained
from phase02_finetuning.project05_lora.given.measurements import SIZES, Sizes
from phase02_finetuning.project05_lora.given.peers import (
    HAS_BITSANDBYTES,
    HAS_PEFT,
    library,
    peft_layer,
    peft_model,
    transformers_model,
)
from phase02_finetuning.project05_lora.lora import LoRA, LoraConfig
from phase02_finetuning.project05_lora.nf4 import quantize_nf4
from phase02_finetuning.project05_lora.saving import save_adapter
from shared.command import exits_with_message
from shared.device import pick_device
from shared.ladder.project import load
from shared.measuring import plot
from shared.measuring.arms import Report
from shared.options import run_command

FOLDER = Path(__file__).parent
LEARNT = 90  # percent: a skill that has more at every rank says nothing about ranks


def equality(report: Report, folder: Path) -> None:
    """The largest differences from peft, and the bytes that differ from bitsandbytes; nothing for who is not there."""
    if not HAS_PEFT:
        print("peft is not installed: it is not compared with", file=sys.stderr)
    else:
        worst = 0.0
        for kind in ("lora", "rslora", "dora"):
            torch.manual_seed(0)
            base, x = nn.Linear(64, 48), torch.randn(16, 64)
            config = LoraConfig(4, 12.0, ("0",), rslora=kind == "rslora", dora=kind == "dora")
            adapter = (DoRA if config.dora else LoRA)(base, config)
            nn.init.normal_(adapter.B)
            worst = max(worst, float((adapter(x, base(x), base) - peft_layer(base, adapter)(x)).abs().max()))
        report.figure(
            "largest difference from peft's layers",
            worst,
            "",
            ("<=", 1e-5),
            note="LoRA, rank-stabilised, DoRA",
        )
        model, tokens = random_model(), random_tokens()
        theirs = transformers_model(model, folder / "base")
        add_adapter(model, LoraConfig(4, 12.0, ("q", "down")))
        trained(model)
        save_adapter(model, folder / "adapter")
        off = (peft_model(theirs, folder / "adapter")(tokens).logits - model(tokens)).abs().max()
        report.figure(
            "largest difference of logits, our adapter opened by peft", float(off), "", ("<=", 1e-4)
        )
    if not HAS_BITSANDBYTES:
        print("bitsandbytes is not installed: it is not compared with", file=sys.stderr)
    else:
        torch.manual_seed(0)
        weight = torch.randn(512, 512)
        codes, _ = library("bitsandbytes").functional.quantize_4bit(weight, blocksize=64, quant_type="nf4")
        differ = int((quantize_nf4(weight).codes != codes.flatten()).sum())
        report.figure("codes that differ from those of bitsandbytes", differ, "bytes", ("==", 0))


def quality(report: Report, sizes: Sizes, preset: str) -> None:
    """Full fine-tuning and adapters, trained as long from the same model, by exact match and loss."""
    console = Console(stderr=True)
    whole = preset in ("full", "gpu")
    runs = [("full", 2), *(("lora", rank) for rank in sizes.ranks), *([("qlora", 2)] if whole else [])]
    scores, losses = {}, {}
    by_skill: dict[str, list[float]] = {}
    for way, rank in runs:
        name = "full" if way == "full" else f"{way} r {rank}"
        run, after = measurements.equal_work(sizes, way, rank, console)
        scores[name], losses[name] = measurements.points(after), run.history[-1]["validation_loss"]
        if way == "lora" and after:
            for skill, share in after.skill_accuracy().items():
                by_skill.setdefault(skill, []).append(100 * share)
        measurements.curve(report, name, run, "step" if sizes.steps else "seconds")
        report.save()
    long = f"{sizes.steps:,} steps" if sizes.steps else f"{sizes.seconds:g} s"
    note = f"{long} each from tiny-base, {sizes.per_skill} items a skill, greedy answers"
    where = f"{preset} preset"
    report.figure(
        f"exact match, LoRA r 2 (1% of the parameters) minus full, {where}", measurements.above(scores, "lora r 2"),
        "points", (">=", -2.0) if whole else None, note=note,
    )  # fmt: skip
    for name, score in scores.items():
        report.figure(f"exact match, {name}, {where}", score, "%", note=note)
        report.figure(f"loss of held-out answers, {name}, {where}", losses[name], "nats", note=note)
    if whole:
        off = losses["qlora r 2"] - losses["lora r 2"]
        report.figure("loss, QLoRA above LoRA, both r 2", off, "nats", ("<=", 0.05), note=note)
        report.series(
            "sweep",
            sizes.ranks,
            [scores[f"lora r {rank}"] for rank in sizes.ranks],
            "rank",
            "exact match (%)",
        )
        for skill, shares in by_skill.items():
            report.series(f"sweep, {skill}", sizes.ranks, shares, "rank", "exact match (%)")


def small(report: Report, sizes: Sizes, preset: str) -> None:
    """All that is measured of small models."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("comparing with peft and bitsandbytes …", file=sys.stderr)
        equality(report, folder)
        if sizes.device == "cpu":
            print("measuring steps …", file=sys.stderr)
            measurements.steps(report, sizes)
            print("measuring decoding …", file=sys.stderr)
            measurements.decoding(report, sizes)
        measurements.file_sizes(report, folder)
        print("training …", file=sys.stderr)
        quality(report, sizes, preset)


def draw(record: Path) -> None:
    """The losses over seconds, and exact match over rank, from the record."""
    series = json.loads(record.read_text(encoding="utf-8"))["series"]
    curves = {name: (one["x"], one["y"]) for name, one in series.items() if not name.startswith("sweep")}
    chosen = [name for name in ("full", "lora r 1", "lora r 2", "lora r 8", "qlora r 2") if name in curves]
    if chosen:
        by = series[chosen[0]]["x_label"]
        title = f"Fine-tuning for the same {'seconds' if 'seconds' in by else 'steps'}"
        picture = {name: curves[name] for name in chosen}
        plot.lines(record.parent / "losses.png", picture, title, by, "loss of the answers (nats)")
    if "sweep" in series:
        sweep = {"all skills": (series["sweep"]["x"], series["sweep"]["y"])}
        for name, one in series.items():
            if name.startswith("sweep, ") and min(one["y"]) < LEARNT:
                sweep[name.removeprefix("sweep, ")] = one["x"], one["y"]
        plot.lines(
            record.parent / "ranks.png", sweep, "Exact match by rank: all skills, and those with room",
            "rank", "exact match (%)", log_x=True,
        )  # fmt: skip


def main(
    preset: Annotated[
        Literal["smoke", "cpu", "full", "gpu", "7b"], typer.Option(help="How much is measured.")
    ] = "cpu",
) -> None:
    """Measure project 5."""
    torch.set_num_threads(1)
    sizes = SIZES[preset]
    command = f"python -m phase02_finetuning.project05_lora.benchmark --preset {preset}"
    with exits_with_message(Console(stderr=True), ValueError):
        report = Report(FOLDER, load(FOLDER).promise, preset, command, pick_device(sizes.device))
    if sizes.seven_b:
        print("training a model of 7B's shape …", file=sys.stderr)
        measurements.seven_b(report, sizes.seven_b)
    else:
        small(report, sizes, preset)
    draw(report.finish())


if __name__ == "__main__":
    run_command(main)
