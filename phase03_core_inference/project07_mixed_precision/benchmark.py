"""Measures what project 7 promises.

    python -m phase03_core_inference.project07_mixed_precision.benchmark --preset cpu

`cpu` times training step, prompt and decoding of the GPT-2-small shape in float32 and bfloat16, and trains a small
model in five ways, in one to two minutes. `full` does it with eight times as many tokens a step, and trains in seven
ways for four times as long, in about six. `exhaustive` rounds all 4,294,967,296 float32 numbers to four formats and
compares with torch, in about a quarter of an hour. `gpu`, on a GPU, adds float16 with loss scaling and the share of
the peak. `smoke` runs all of it in seconds, on so little that the figures mean nothing.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from rich.console import Console

from phase03_core_inference.project07_mixed_precision.autocast import Autocast
from phase03_core_inference.project07_mixed_precision.given import every_pattern, gpt2_small
from phase03_core_inference.project07_mixed_precision.given.operations import EXAMPLES, inputs
from phase03_core_inference.project07_mixed_precision.given.settings import TrainSettings
from phase03_core_inference.project07_mixed_precision.train import CONFIGS, Outcome, train
from shared import config
from shared.device import pick_device, set_threads
from shared.ladder.project import load
from shared.measuring import plot
from shared.measuring.arms import Arm, Report, measure, peak_flops
from shared.measuring.attempts import Attempts
from shared.measuring.memory import keep_freed_memory
from shared.options import run_command
from shared.phase01 import flops_per_token

FOLDER = CONFIGS.parent
MIB, GIB = 2**20, 2**30
Preset = Literal["smoke", "cpu", "full", "exhaustive", "gpu"]
STEP = {  # rows and tokens of a training step
    "smoke": (1, 32),
    "cpu": (1, 128),
    "full": (2, 512),
    "gpu": (8, 1024),
}
SAMPLE = 257  # every so-manyth pattern, an odd number: all lower halves come up
TRAINED = {
    "autocast": "bfloat16 autocast",
    "bfloat16": "bfloat16 weights alone",
    "masters": "bfloat16 with master weights",
    "kahan": "bfloat16 with Kahan",
    "float16": "float16 without loss scaling",
    "float16-scaled": "float16 with loss scaling",
}


def rounding(report: Report, every: int) -> None:
    """Numbers that our rounding and torch's treat differently: there must be none."""
    found = {dtype: every_pattern.differences(dtype, every) for dtype in every_pattern.WAYS}
    asked = next(iter(found.values()))[1]
    formats = ", ".join(str(dtype).removeprefix("torch.") for dtype in found)
    name = "all float32 numbers" if every == 1 else "a sample of float32 numbers"
    report.figure(
        f"rounded otherwise than by torch, of {name}", sum(one for one, _ in found.values()), "numbers", ("==", 0),
        note=f"{asked:,} patterns of 32 bits, each to {formats}; of NaN it is asked that it stays NaN",
    )  # fmt: skip


def operations(report: Report, device: torch.device) -> None:
    """Operations that give another dtype or other bits under our autocast than under torch's."""
    differing = asked = 0
    for example in EXAMPLES.values():
        for dtypes in ((torch.float32,), (torch.bfloat16,), (torch.float32, torch.bfloat16)):
            given = inputs(example, dtypes, device.type)
            outcomes = []
            for block in (Autocast(torch.bfloat16, device.type), torch.autocast(device.type, torch.bfloat16)):
                try:
                    with block:
                        outcomes.append(example[0](*given))
                except (RuntimeError, ValueError):
                    outcomes.append(None)
            ours, theirs = outcomes
            asked += 1
            if ours is None or theirs is None:
                differing += ours is not theirs
            else:
                same = ours.dtype == theirs.dtype and torch.equal(ours.nan_to_num(), theirs.nan_to_num())
                differing += not same
    report.figure(
        f"{_gpu(device)}operations unlike torch.autocast's", differing, "", ("==", 0),
        note=f"{asked} calls of {len(EXAMPLES)} operations, inputs in float32, bfloat16 and both; compared bit by bit",
    )  # fmt: skip


def _gpu(device: torch.device) -> str:
    return "GPU: " if device.type == "cuda" else ""


def training_step(report: Report, device: torch.device, preset: str) -> None:
    """A step of the GPT-2-small shape in each format: speed-up over float32, and memory."""
    shape = gpt2_small.SMALL if preset == "smoke" else gpt2_small.SHAPE
    rows, time = STEP[preset]
    steps = gpt2_small.training_steps(shape, rows, time, device, 3, 30.0)
    exact, prefix = steps["float32"], _gpu(device)
    count = steps["float32"].held.parameters // 4
    note = f"{count:,} weights, {rows} × {time} tokens, AdamW; float32 takes {1000 * exact.measured.seconds:,.0f} ms"

    def faster(name: str) -> float:
        return exact.measured.seconds / steps[name].measured.seconds

    report.figure(
        f"{prefix}training step, speed-up by autocast", faster("autocast"), "times", (">=", 2),
        {"torch.autocast": faster("torch.autocast")}, note=note,
    )  # fmt: skip
    report.figure(
        f"{prefix}training step, speed-up by bfloat16 weights", faster("bfloat16"), "times", (">=", 2),
        note=f"{note}; torch's AdamW, whose steps are partly lost",
    )  # fmt: skip
    report.figure(
        f"{prefix}training step, speed-up by bfloat16 weights with Kahan", faster("Kahan"), "times",
        note=f"{note}; its AdamW is a dozen torch operations, each a pass over memory, where torch's is one kernel",
    )  # fmt: skip
    if "float16" in steps:
        report.figure(
            f"{prefix}training step, speed-up by float16 with loss scaling", faster("float16"), "times", (">=", 2),
            note=note,
        )  # fmt: skip
    for name, timed in steps.items():
        held = timed.held
        report.figure(
            f"{prefix}memory of a training step, {name}", (held.total + timed.measured.memory) / GIB, "GiB",
            note=f"weights {held.parameters / MIB:,.0f} MiB, gradients {held.gradients / MIB:,.0f}, optimizer "
            f"{held.optimizer_state / MIB:,.0f}, copies {held.casts / MIB:,.0f}; "
            f"{timed.measured.memory / MIB:,.0f} MiB are growth at the peak of a step: activations, "
            "and gradients and copies where they are made anew",
        )  # fmt: skip
    if device.type == "cuda":
        for name, dtype in (
            ("float32", torch.float32),
            ("autocast", torch.bfloat16),
            ("bfloat16", torch.bfloat16),
        ):
            peak = peak_flops(dtype, device)
            rate = flops_per_token(shape) * steps[name].measured.throughput
            report.figure(
                f"{prefix}share of peak FLOP/s, {name}", 100 * rate / peak, "%",
                note=f"{rate / 1e12:.0f} of {peak / 1e12:.0f} TFLOP/s, the fastest product of large matrices; "
                f"{steps[name].measured.throughput:,.0f} tokens/s",
            )  # fmt: skip


def inference(report: Report, device: torch.device, preset: str) -> None:
    """Reading a prompt and decoding one token: weights cast once, and under autocast, against float32."""
    smoke, prefix = preset == "smoke", _gpu(device)
    shape = gpt2_small.SMALL if smoke else gpt2_small.SHAPE
    for what, time, target in (("prefill", 32 if smoke else 512, 2.0), ("decoding", 1, None)):
        found = gpt2_small.inference(shape, time, device, 3 if preset in ("smoke", "cpu") else 7, 10.0)
        exact = found["float32"].seconds
        note = f"{time} token{'s' * (time > 1)}, logits of the last; float32 takes {1000 * exact:,.1f} ms"
        note += "" if time > 1 else "; a step without a cache, for what it waits for is the weights"
        report.figure(
            f"{prefix}{what}, speed-up by weights cast once", exact / found["cast once"].seconds, "times",
            (">=", target) if target else None, {"autocast": exact / found["autocast"].seconds}, note=note,
        )  # fmt: skip


def products(report: Report, smoke: bool) -> None:
    """One product of matrices on this CPU, in float32, bfloat16 and float16."""
    size = 64 if smoke else 512
    a, b = torch.randn(2, size, size, generator=torch.Generator().manual_seed(0))
    arms = []
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        x, y = a.to(dtype), b.to(dtype)
        arms.append(Arm(str(dtype).removeprefix("torch."), lambda x=x, y=y: x @ y))

    def check(out: Mapping[str, torch.Tensor]) -> None:
        for one in out.values():
            torch.testing.assert_close(one.float(), out["float32"], rtol=0.05, atol=1.0)

    found = measure(arms, check, repeats=3 if smoke else 9, seconds=10.0)
    exact = found["float32"].seconds
    report.figure(
        "a product in bfloat16, speed-up over float32", exact / found["bfloat16"].seconds, "times",
        note=f"{size} × {size} matrices; float32 takes {1000 * exact:.2f} ms",
    )  # fmt: skip
    report.figure(
        "a product in float16, speed-up over float32", exact / found["float16"].seconds, "times",
        note="it loses: a CPU without instructions for float16 converts each number; so float16 is emulated here",
    )  # fmt: skip


def curves(report: Report, preset: str) -> None:
    """The small model in several ways: losses at the same steps, and the gap to float32 in the end."""
    five = json.dumps(["float32", *(one for one in TRAINED if one not in ("masters", "float16"))])
    given = {"full": ["--preset", "cpu"], "cpu": ["--preset", "cpu", "--steps", "30", "--recipes", five]}
    settings = config.parse(TrainSettings, CONFIGS, given.get(preset, ["--preset", preset]))
    outcomes = train(settings, Console(stderr=True))
    prefix = "GPU: " if settings.device == "cuda" else ""
    exact = outcomes["float32"].losses[-1]
    report.figure(
        f"{prefix}validation loss, float32", exact, "nats",
        note=f"{settings.steps} steps of {settings.batch_size} × {settings.context_length} characters of "
        f"{outcomes['float32'].corpus}; each step's loss as a part of a mean over {settings.batch_tokens:,} tokens",
    )  # fmt: skip
    for recipe, name in TRAINED.items():
        if recipe not in outcomes:
            continue
        one = outcomes[recipe]
        target = ("<=", 0.01) if recipe in ("autocast", "masters", "kahan", "float16-scaled") else None
        report.figure(
            f"{prefix}loss gap to float32, {name}", one.losses[-1] - exact, "nats", target, note=_lost(one)
        )
    for recipe, one in outcomes.items():
        report.series(f"{prefix}{recipe}", one.steps, one.losses, "step", "validation loss")


def _lost(one: Outcome) -> str:
    return (
        f"{one.still:.1%} of the weights that had a gradient were the same after a late step; "
        f"{one.skipped} steps skipped"
    )


def draw(record: Path) -> None:
    """The curves of the last run on a CPU, from the record."""
    series = json.loads(record.read_text(encoding="utf-8"))["series"]
    pictures = {
        "bfloat16": ("float32", "autocast", "bfloat16", "masters", "kahan"),
        "float16": ("float32", "float16", "float16-scaled"),
    }
    for name, recipes in pictures.items():
        drawn = {one: (series[one]["x"], series[one]["y"]) for one in recipes if one in series}
        if drawn:
            title = f"One model, the same steps: {name}"
            plot.lines(
                record.parent / f"{name}.png", drawn, title, "step", "validation loss (nats a character)"
            )


def main(preset: Annotated[Preset, typer.Option()] = "cpu") -> None:
    """Measure project 7: `cpu` in two minutes, `full` in six, `exhaustive` in fifteen, `gpu` on a GPU."""
    set_threads()
    keep_freed_memory()
    smoke = preset == "smoke"
    command = f"python -m phase03_core_inference.project07_mixed_precision.benchmark --preset {preset}"
    device = pick_device() if preset == "gpu" else torch.device("cpu")
    if preset == "gpu" and device.type != "cuda":
        raise typer.BadParameter("the gpu preset needs a CUDA GPU, and this machine has none")
    report = Report(FOLDER, load(FOLDER).promise, preset, command, device)
    if preset == "gpu":
        attempts = Attempts(report, seconds=8 * 60)
        parts: dict[str, Callable[[], None]] = {
            "operations": lambda: operations(report, device),
            "training step": lambda: training_step(report, device, preset),
            "inference": lambda: inference(report, device, preset),
            "curves": lambda: curves(report, preset),
        }
        for name, part in parts.items():
            attempts.run(name, part)
        report.finish()  # the pictures are the other machine's
        attempts.exit_if_missing()
        return
    if preset == "exhaustive":
        rounding(report, 1)
    else:
        training_step(report, device, preset)
        inference(report, device, preset)
        products(report, smoke)
        operations(report, device)
        curves(report, preset)
        rounding(report, 2**26 + 1 if smoke else SAMPLE)
    record = report.finish()
    draw(record)


if __name__ == "__main__":
    run_command(main)
