"""Measures what project 1 promises: python -m phase01_foundation.project01_minimal_gpt.benchmark --preset cpu

`cpu` trains the cpu preset, races nanoGPT's recipe to a loss of 1.88, and times attention by hand against torch's
fused kernel, in about seven minutes. `long` trains the long preset, in about a quarter of an hour. `gpu`, on a GPU,
measures the gpu preset's step with either attention and trains it, in a few minutes. `smoke` runs all of it in seconds,
on so little that the figures mean nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from rich.console import Console
from torch import Tensor

from phase01_foundation.project01_minimal_gpt.attention import Attend, causal_attention, torch_attention
from phase01_foundation.project01_minimal_gpt.generation import generate
from phase01_foundation.project01_minimal_gpt.given import nanogpt_recipe
from phase01_foundation.project01_minimal_gpt.given.run import Run
from phase01_foundation.project01_minimal_gpt.given.settings import TrainConfig
from phase01_foundation.project01_minimal_gpt.model import GPT, next_token_loss
from phase01_foundation.project01_minimal_gpt.sampling import SamplingParams
from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project01_minimal_gpt.train import (
    CONFIGS,
    load_data,
    log_validation,
    published,
    run_step,
    train,
)
from phase01_foundation.project01_minimal_gpt.training import make_optimizer, training_step
from shared import config
from shared.device import autocast, pick_device, pick_dtype, set_threads
from shared.ladder.project import load
from shared.measuring import plot
from shared.measuring.arms import Arm, Report, measure, peak_flops
from shared.measuring.attempts import Attempts
from shared.options import run_command

FOLDER = CONFIGS.parent
TARGET = 1.88
A100 = 1.4697  # what nanoGPT publishes for its 10.7 million parameters on an A100
A100_NAME = "nanoGPT on an A100"


def settings_of(preset: str, smoke: bool) -> TrainConfig:
    """A preset's settings; for the smoke test, the smoke preset's, whatever was asked for."""
    # Which device is measured does not depend on what the machine has besides: the record names it.
    device = "cuda" if preset == "gpu" and not smoke else "cpu"
    return config.parse(TrainConfig, CONFIGS, ["--preset", "smoke" if smoke else preset, "--device", device])


def measure_training(report: Report, preset: str, smoke: bool, target: float, minutes: float) -> None:
    """Train a preset from scratch, and note its validation loss and its time."""
    settings = settings_of(preset, smoke)
    # Under a name of its own: the learner's trained model is not ours to replace.
    settings = replace(settings, name=f"benchmark-{settings.name}", restart=True)
    run, _ = train(settings, Console(stderr=True))
    losses = [entry["validation_loss"] for entry in run.history]
    peers = {A100_NAME: A100} if preset in ("long", "gpu") else {}
    best = published(run)
    kept = "" if best["step"] == run.step else f"; that of step {best['step']:,}, whose weights were kept"
    kept += f", {losses[-1]:.4f} at the end" if kept else ""
    report.figure(
        f"validation loss, {preset} preset", best["validation_loss"], "nats", ("<=", target), peers,
        note=f"the last 10% of the text, whole; {run.model.parameter_count():,} parameters, {run.step:,} steps{kept}",
    )  # fmt: skip
    report.figure(
        f"training time, {preset} preset", run.seconds / 60, "minutes", ("<=", minutes),
        note="validation and sampling not counted",
    )  # fmt: skip
    seconds = [entry["seconds"] for entry in run.history]
    report.series(f"{preset} preset", seconds, losses, "seconds of training", "validation loss")


def measure_race(report: Report, smoke: bool) -> None:
    """Our race preset and nanoGPT's recipe in turns, so that a busy moment slows both; seconds to the target loss."""
    settings = settings_of("race", smoke)
    tokenizer, train_ids, validation_ids, _ = load_data(settings)
    steps, every = (20, 10) if smoke else (nanogpt_recipe.STEPS, 100)
    arms = {
        "ours": _our_race(settings, tokenizer, train_ids, validation_ids),
        "nanoGPT's recipe": nanogpt_recipe.train(train_ids, validation_ids, steps, every),
    }
    curves: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    running = dict(arms)
    while running:
        for name, arm in list(running.items()):
            point = next(arm, None)
            if point is None:
                del running[name]
            else:
                curves[name].append(point)
    ours, theirs = map(_time_to, curves.values())
    (our_end, our_loss), (their_end, their_loss) = (curve[-1] for curve in curves.values())
    note = f"nanoGPT's recipe ends at {their_loss:.3f} after {their_end:.0f} s"
    if theirs is None:
        note += f": it never reaches {TARGET}, and its whole time is taken, which flatters it"
    note += "; the two took turns, and validation is not counted"
    if ours is None:
        note = f"not reached: ours ends at {our_loss:.3f} after {our_end:.0f} s; {note}"
    else:
        report.figure(
            f"seconds to validation loss {TARGET}",
            ours,
            "s",
            peers={"nanoGPT's recipe": theirs or their_end},
            note=note,
        )
    speed_up = (theirs or their_end) / ours if ours else 0.0
    report.figure(f"speed-up to loss {TARGET} over nanoGPT's recipe", speed_up, "times", (">=", 3), note=note)
    for name, curve in curves.items():
        x, y = zip(*curve, strict=True)
        report.series(f"race: {name}", x, y, "seconds of training", "validation loss")


def _our_race(
    settings: TrainConfig, tokenizer: CharTokenizer, train_ids: Tensor, validation_ids: Tensor
) -> Iterator[tuple[float, float]]:
    dtype = pick_dtype(settings.dtype)
    shape = settings.model_config(tokenizer.vocab_size)
    run = Run.start(tokenizer, shape, settings.weight_decay, settings.seed, torch.device("cpu"))
    while run.step < settings.steps:
        run_step(run, settings, train_ids, dtype)
        if run.step % settings.evaluate_every == 0:
            log_validation(run, validation_ids, dtype)
            yield run.seconds, run.history[-1]["validation_loss"]


def _time_to(curve: list[tuple[float, float]]) -> float | None:
    return next((seconds for seconds, loss in curve if loss <= TARGET), None)


def measure_attention(report: Report, smoke: bool) -> None:
    """A training step with attention by hand and with torch's fused kernel, at a short and a long context."""
    dtype = pick_dtype()
    cpu = settings_of("cpu", smoke)
    for context, batch in [(32, 2)] if smoke else [(128, 16), (1024, 2)]:
        shape = replace(cpu.model_config(65), context_length=context)
        tokens, targets = torch.randint(65, (2, batch, context))

        def step(attend: Attend, shape=shape, tokens=tokens, targets=targets) -> Tensor:
            torch.manual_seed(0)
            model = GPT(shape)
            # An untrained model adds nothing of attention to its stream, and the check below would see nothing.
            for name, weight in model.named_parameters():
                if name.endswith(("out.weight", "head.weight")):
                    torch.nn.init.normal_(weight, std=shape.dim**-0.5)
            with autocast("cpu", dtype):
                logits = model(tokens, attend=attend)
                loss = next_token_loss(logits, targets)
            loss.backward()
            return logits.detach()

        measured = measure(
            [
                Arm("by hand", lambda step=step: step(causal_attention)),
                Arm("torch", lambda step=step: step(torch_attention)),
            ],
            check=_same_logits,
            repeats=3 if smoke else 15,
        )
        hand, fused = measured["by hand"], measured["torch"]
        report.figure(
            f"forward and backward, context {context}", hand.seconds * 1000, "ms",
            peers={"torch's fused attention": fused.seconds * 1000},
            note=f"{batch} × {context} characters, {str(dtype).removeprefix('torch.')}; peak memory "
            f"{hand.memory / 2**20:.0f} MiB by hand, {fused.memory / 2**20:.0f} MiB fused",
        )  # fmt: skip


def _same_logits(out: Mapping[str, Tensor]) -> None:
    """Raises AssertionError unless both ways give the same logits, but for the digits that bfloat16 has not."""
    error = ((out["by hand"] - out["torch"]).norm() / out["torch"].norm()).item()
    if error > 0.01:
        raise AssertionError(f"the logits of the two ways differ by {error:.1%}")


def measure_throughput(report: Report, smoke: bool) -> None:
    """The training step's share of what the machine can do at best, and the speed of writing."""
    settings = settings_of("cpu", smoke)
    dtype = pick_dtype()
    shape = settings.model_config(65)
    torch.manual_seed(0)
    model = GPT(shape)
    optimizer = make_optimizer(model, 0.1)
    tokens, targets = torch.randint(65, (2, settings.batch_size, shape.context_length))
    arm = Arm(
        "step",
        lambda: training_step(model, optimizer, tokens, targets, 1e-3, dtype=dtype),
        work=tokens.numel(),
    )
    [step] = measure([arm], repeats=3 if smoke else 20).values()
    # Forward 2, backward 4 operations a weight and token; the scores and the mean each take dim a pair of positions.
    per_token = 6 * (model.parameter_count() - model.embedding.weight.numel())
    per_token += 12 * shape.layers * shape.dim * shape.context_length
    peak = peak_flops(dtype)
    report.figure(
        "training throughput, cpu preset", step.throughput, "characters/s",
        note=f"{per_token * step.throughput / 1e9:.0f} of {peak / 1e9:.0f} GFLOP/s",
    )  # fmt: skip
    report.figure(
        "share of peak FLOP/s in training", 100 * per_token * step.throughput / peak, "%",
        note=f"peak is the fastest {str(dtype).removeprefix('torch.')} product of two 1024 × 1024 matrices, measured "
        "in this run; what is left goes to normalisations, softmax, copies and the optimizer",
    )  # fmt: skip

    tokenizer = CharTokenizer("".join(map(chr, range(65))))
    count = 8 if smoke else 100
    params = SamplingParams(max_tokens=count)
    prompts = {"1 prompt": 1, "8 prompts at once": 8}
    measured = measure(
        [
            Arm(name, lambda n=n: generate(model, tokenizer, ["!"] * n, params), work=n * count)
            for name, n in prompts.items()
        ],
        repeats=3,
    )
    for name, measurement in measured.items():
        report.figure(
            f"writing, {name}", measurement.throughput, "characters/s",
            note="the whole context is computed anew for every character; project 8's KV cache ends that",
        )  # fmt: skip


def measure_gpu(report: Report, device: torch.device, smoke: bool) -> None:
    """The gpu preset on a GPU: its step with attention by hand and fused, and what it learns.

    Exits with 1 where some figures are missing, with the others recorded.
    """
    attempts = Attempts(report, seconds=8 * 60)
    settings = settings_of("gpu", smoke)
    dtype = pick_dtype(settings.dtype, device)
    shape = settings.model_config(65)
    tokens, targets = torch.randint(65, (2, settings.batch_size, shape.context_length), device=device)

    def step(name: str, attend: Attend) -> None:
        torch.manual_seed(0)
        model = GPT(shape).to(device)
        optimizer = make_optimizer(model, settings.weight_decay)
        run = lambda: training_step(model, optimizer, tokens, targets, 1e-3, 1.0, dtype, attend)  # noqa: E731
        arm = Arm("step", run, work=tokens.numel(), unit="characters")
        measured = measure([arm], repeats=3 if smoke else 20, device=device)["step"]
        report.figure(
            f"GPU: training throughput, gpu preset, attention {name}", measured.throughput, "characters/s",
            note=f"{len(tokens)} × {shape.context_length} characters, {model.parameter_count():,} parameters; peak "
            f"memory of a step {measured.memory / 2**20:.0f} MiB",
        )  # fmt: skip

    attempts.run("training", lambda: measure_training(report, "gpu", smoke, target=A100, minutes=5))
    attempts.run("attention by hand", lambda: step("by hand", causal_attention))
    attempts.run("fused attention", lambda: step("fused", torch_attention))
    attempts.exit_if_missing()


def draw(record: Path, smoke: bool) -> None:
    """The curves of all runs so far, from the record."""
    series = json.loads(record.read_text(encoding="utf-8"))["series"]
    trained = {name: (one["x"], one["y"]) for name, one in series.items() if name.endswith("preset")}
    raced = {
        name.removeprefix("race: "): (one["x"], one["y"])
        for name, one in series.items()
        if name.startswith("race: ")
    }
    x, y = "seconds of training", "validation loss (nats a character)"
    levels = {"target 1.60": 1.60, f"{A100_NAME}: {A100}": A100}
    if trained:
        title = "Validation loss on Shakespeare"
        plot.lines(record.parent / "training.png", trained, title, x, y, hline={} if smoke else levels)
    if raced:
        title = f"The race to {TARGET}"
        levels = {f"target {TARGET}": TARGET}
        plot.lines(record.parent / "race.png", raced, title, x, y, hline={} if smoke else levels)


def main(preset: Annotated[Literal["smoke", "cpu", "long", "gpu"], typer.Option()] = "cpu") -> None:
    """Measure project 1: `cpu` in about seven minutes, `long` in about fifteen, `gpu` on a GPU, `smoke` in seconds."""
    set_threads()
    smoke = preset == "smoke"
    command = f"python -m phase01_foundation.project01_minimal_gpt.benchmark --preset {preset}"
    device = pick_device() if preset == "gpu" else torch.device("cpu")
    if preset == "gpu" and device.type != "cuda":
        raise typer.BadParameter("the gpu preset needs a CUDA GPU, and this machine has none")
    report = Report(FOLDER, load(FOLDER).promise, preset, command, device)
    if preset in ("smoke", "cpu"):
        measure_throughput(report, smoke)
        measure_attention(report, smoke)
        measure_race(report, smoke)
        measure_training(report, "cpu", smoke, target=1.60, minutes=3)
    if preset in ("smoke", "long"):
        measure_training(report, "long", smoke, target=1.47, minutes=20)
    if preset in ("smoke", "gpu"):
        measure_gpu(report, device, smoke)
    if preset == "gpu":
        report.finish()  # the pictures are the other machine's
    else:
        draw(report.finish(), smoke)


if __name__ == "__main__":
    run_command(main)
