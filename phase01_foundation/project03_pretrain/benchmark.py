"""Measures what project 3 promises: python -m phase01_foundation.project03_pretrain.benchmark --preset cpu

`cpu` measures the trainer: a step of the 125M preset, activation memory, resuming, several processes; five minutes.
`base` evaluates tiny-base and tiny-draft on all tasks. `speedrun` and `wikitext2` train these presets, in seven and in
fifteen minutes. On a GPU, `gpu` measures the training step of the real size, in ten minutes at most, and `wikitext103`
trains it to its end. `smoke` runs all of it in seconds, on so little that it means nothing.
"""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import torch
import typer
from rich.console import Console

from phase01_foundation.project03_pretrain.given import measurements
from phase01_foundation.project03_pretrain.given.evaluation import TASKS, evaluate
from phase01_foundation.project03_pretrain.given.gpu_measurements import gpu_steps
from phase01_foundation.project03_pretrain.given.pretrained import load_base
from phase01_foundation.project03_pretrain.given.settings import PretrainConfig
from phase01_foundation.project03_pretrain.run import Run
from phase01_foundation.project03_pretrain.scoring import perplexity
from phase01_foundation.project03_pretrain.train import CONFIGS, train
from shared import artifacts, config, corpora
from shared.device import pick_device, pick_dtype, set_threads
from shared.ladder.project import load
from shared.measuring import plot
from shared.measuring.arms import Report
from shared.options import run_command

FOLDER = CONFIGS.parent
A100 = 1.4697  # what nanoGPT publishes for its 10.7 million parameters on an A100
# AWD-LSTM's perplexity a word on the validation text (Merity et al. 2017), as nats a token of bpe-10k.
AWD_LSTM = math.log(68.6) * 217_646 / 275_607
ON_A_GPU = ("gpu", "wikitext103")
Preset = Literal["smoke", "cpu", "base", "speedrun", "wikitext2", "gpu", "wikitext103"]


def settings_of(preset: str, smoke: bool) -> PretrainConfig:
    """A preset's settings; for the smoke test, the smoke preset's, whatever was asked for."""
    # Which device is measured does not depend on what the machine has besides: the record names it.
    device = "cuda" if preset in ON_A_GPU and not smoke else "cpu"
    return config.parse(
        PretrainConfig, CONFIGS, ["--preset", "smoke" if smoke else preset, "--device", device]
    )


def trained(preset: str, smoke: bool) -> tuple[Run, artifacts.Artifact, PretrainConfig]:
    """Train a preset from scratch, under a name of its own."""
    settings = settings_of(preset, smoke)
    settings = replace(settings, name=f"benchmark-{settings.name}", restart=True)
    run, artifact = train(settings, Console(stderr=True))
    assert artifact is not None
    return run, artifact, settings


def curve(report: Report, name: str, run: Run) -> None:
    """The validation losses of a run, over its seconds."""
    seconds, losses = zip(
        *((entry["seconds"], entry["validation_loss"]) for entry in run.history), strict=True
    )
    report.series(name, seconds, losses, "seconds of training", "validation loss")


def speedrun(report: Report, smoke: bool) -> None:
    """Characters of Shakespeare to a validation loss of 1.47, in eight minutes."""
    run, _, _ = trained("speedrun", smoke)
    report.figure(
        "validation loss, speedrun", run.history[-1]["validation_loss"], "nats", ("<=", 1.47),
        {"nanoGPT on an A100": A100},
        note=f"the last 10% of the text, windows side by side; {run.step:,} steps, {run.tokens:,} characters read",
    )  # fmt: skip
    report.figure(
        "training time, speedrun",
        run.seconds / 60,
        "minutes",
        ("<=", 8),
        note="validation and sampling not counted",
    )
    curve(report, "speedrun", run)


def wikitext2(report: Report, smoke: bool) -> None:
    """WikiText-2 with project 2's tokenizer: perplexity a token and a word."""
    run, artifact, settings = trained("wikitext2", smoke)
    model, tokenizer = load_base(artifact.name)
    splits = ["validation", "test"]
    corpus = corpora.load(settings.corpus, splits=splits, characters=settings.characters)
    for split in splits:
        text = corpus.split(split)
        ids = tokenizer.encode_to_array(text, disallowed_special=())
        # As the field counts: each line's end is a word too.
        words = len(text.split()) + text.count("\n")
        found = perplexity(
            model,
            ids,
            stride=settings.context_length // 2,
            words=words,
            bytes=len(text.encode()),
            dtype=pick_dtype(),
        )
        note = f"{found.tokens:,} tokens, {words:,} words with line ends; stride {settings.context_length // 2}; "
        note += f"{model.parameter_count():,} parameters, {run.seconds / 60:.1f} minutes of training"
        report.figure(f"perplexity a token, {split}", found.per_token, "", note=note)
        report.figure(f"perplexity a word, {split}", found.per_word or 0.0, "", note=note)
        report.figure(f"bits a byte, {split}", found.bits_per_byte or 0.0, "", note=note)
    curve(report, "wikitext2", run)


class Figure(NamedTuple):
    """One number of an evaluation, for the report."""

    name: str
    value: float
    unit: str = ""
    note: str = ""
    peers: dict[str, float] | None = None


def figures(task: str, found: dict[str, Any]) -> list[Figure]:
    """The figures of one task, from what `evaluate` found."""
    if task == "perplexity":
        note = f"{found['loss']:.4f} nats a token; {found['tokens']:,} tokens of documents never trained on"
        note += ", each with half a context before it"
        return [
            Figure("perplexity a token, tinyworld", found["per_token"], note=note),
            Figure("perplexity a word, tinyworld", found["per_word"], note=note),
        ]
    if task == "skills":
        note = f"{found['items']:,} questions, greedy answers"
        skills = [
            Figure(f"exact match, {skill}", 100 * share, "%") for skill, share in found["by_skill"].items()
        ]
        return [Figure("exact match, tinyworld", 100 * found["accuracy"], "%", note), *skills]
    if task == "blimp":
        note = f"{found['pairs']:,} pairs of sentences, 67 paradigms"
        return [Figure("BLiMP", 100 * found["accuracy"], "%", note, {"chance": 100 * found["chance"]})]
    note = f"{found['count']:,} questions; acc {100 * found['acc']:.1f}%"
    return [
        Figure(f"{task}, acc_norm", 100 * found["acc_norm"], "%", note, {"chance": 100 * found["chance"]})
    ]


def base(report: Report, smoke: bool) -> None:
    """The released models, on every task there is."""
    names = ["smoke"] if smoke else ["tiny-base", "tiny-draft"]
    if smoke:
        train(replace(settings_of("smoke", True), name="smoke", restart=True), Console(quiet=True))
    for name in names:
        artifact = artifacts.find(name)
        model, tokenizer = load_base(name)
        card = artifact.card
        report.figure(
            f"{name}: parameters", model.parameter_count(), "", ("<=", {"tiny-draft": 1e6}.get(name, 6e6)),
            note=f"{(artifact.folder / artifacts.WEIGHTS).stat().st_size / 1e6:.2f} MB on disk; "
            f"{card['training_tokens']:,} tokens in {card['training_seconds'] / 60:.0f} minutes",
        )  # fmt: skip
        for task in ("perplexity", "skills") if smoke else TASKS:
            found = evaluate(model, tokenizer, task, 2 if smoke else None, pick_dtype(), Console(stderr=True))
            for figure in figures(task, found):
                report.figure(
                    f"{name}: {figure.name}", figure.value, figure.unit, None, figure.peers, figure.note
                )
        history = card["history"]
        report.series(f"training: {name}", [entry["tokens"] for entry in history],
                      [entry["validation_loss"] for entry in history], "tokens read", "validation loss")  # fmt: skip


def gpu(report: Report, smoke: bool) -> None:
    """The 125M preset's training step on a GPU: speed, share of peak and memory, by its settings."""
    device = torch.device("cpu") if smoke else pick_device()
    settings = settings_of("gpu", smoke)
    settings = replace(settings, micro_batch=1) if smoke else settings
    gpu_steps(report, replace(settings, device=str(device)), device, smoke)


def wikitext103(report: Report, smoke: bool) -> None:
    """The 125M preset, trained to its end on a GPU: where it ends, how fast, and at what share of the peak."""
    run, _, _ = trained("gpu", smoke)
    last = run.history[-1]
    report.figure(
        "validation loss, gpu preset", last["validation_loss"], "nats", note=f"{run.tokens:,} tokens"
    )
    note = "of the whole run, the minute of compiling included"
    report.figure("training throughput, gpu preset", run.tokens / run.seconds, "tokens/s", note=note)
    report.figure("share of peak FLOP/s, gpu preset", 100 * last.get("share_of_peak", 0.0), "%")
    curve(report, "gpu preset", run)


def trainer(report: Report, smoke: bool) -> None:
    """All that concerns the trainer itself."""
    measurements.activation_memory(report, smoke)
    measurements.resume(report, settings_of("smoke", True))
    measurements.processes(report, settings_of("smoke", True))
    measurements.rows_at_once(report, settings_of("cpu", smoke), smoke)
    measurements.large_model(report, settings_of("gpu", smoke), smoke)


def draw(record: Path) -> None:
    """The curves of all runs so far, from the record."""
    known = json.loads(record.read_text(encoding="utf-8"))["series"]
    series = {name: (one["x"], one["y"]) for name, one in known.items()}

    def some(start: str) -> dict[str, tuple[list[float], list[float]]]:
        return {name.removeprefix(start).strip(): xy for name, xy in series.items() if name.startswith(start)}

    folder = record.parent
    if memory := some("activation memory:"):
        plot.lines(
            folder / "memory.png", memory, "Activation memory and depth", "layers", "peak memory (MiB)"
        )
    if released := some("training:"):
        # At the same count of tokens the smaller model may be the better one: its learning rate has fallen already.
        title = "Validation loss; the learning rate is 0 where a curve ends"
        unit = "validation loss (nats a token)"
        millions = {name: ([count / 1e6 for count in x], y) for name, (x, y) in released.items()}
        plot.lines(folder / "base.png", millions, title, "tokens read (millions)", unit)
    seconds = "seconds of training"
    if "speedrun" in series:
        levels = {f"nanoGPT on an A100: {A100}": A100}
        title, unit = "Speedrun on Shakespeare", "validation loss (nats a character)"
        plot.lines(
            folder / "speedrun.png", {"speedrun": series["speedrun"]}, title, seconds, unit, hline=levels
        )
    unit = "validation loss (nats a token)"
    if "wikitext2" in series:
        levels = {f"AWD-LSTM, 33M: {AWD_LSTM:.2f}": AWD_LSTM}
        curves = {f"this, 7M: {series['wikitext2'][1][-1]:.2f}": series["wikitext2"]}
        title = "WikiText-2 read twice, and hundreds of times (AWD-LSTM)"
        plot.lines(folder / "wikitext2.png", curves, title, seconds, unit, hline=levels)
    if "gpu preset" in series:
        plot.lines(
            folder / "gpu.png", {"gpu preset": series["gpu preset"]}, "125M on WikiText-103", seconds, unit
        )


PARTS: dict[str, Callable[[Report, bool], None]] = {
    "cpu": trainer,
    "base": base,
    "speedrun": speedrun,
    "wikitext2": wikitext2,
    "gpu": gpu,
    "wikitext103": wikitext103,
}


def main(preset: Annotated[Preset, typer.Option()] = "cpu") -> None:
    """Measure project 3: `cpu` the trainer, `base` the released models; the others train that preset."""
    set_threads()
    device = pick_device() if preset in ON_A_GPU else torch.device("cpu")
    if preset in ON_A_GPU and device.type != "cuda":
        raise typer.BadParameter(f"the preset {preset} needs a CUDA GPU, and this machine has none")
    command = f"python -m phase01_foundation.project03_pretrain.benchmark --preset {preset}"
    report = Report(FOLDER, load(FOLDER).promise, preset, command, device)
    if preset == "smoke":
        with measurements.own_work_folder():
            for part in PARTS.values():
                part(report, True)
    else:
        PARTS[preset](report, False)
    draw(report.finish())


if __name__ == "__main__":
    run_command(main)
