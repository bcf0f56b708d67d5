"""Train one small model in each way, and draw their losses on one plot: ladder run 7 train --preset cpu

Every way begins with the same weights and reads the same batches, so what differs is the number format. Nothing is
published: the models are to be compared, not to be kept.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from phase03_core_inference.project07_mixed_precision.autocast import Autocast
from phase03_core_inference.project07_mixed_precision.given.recipes import Learner, prepare
from phase03_core_inference.project07_mixed_precision.given.settings import TrainSettings
from phase03_core_inference.project07_mixed_precision.memory import Memory, memory_report
from shared import config, corpora
from shared.command import exits_with_message, steps_bar
from shared.device import explains_out_of_memory, pick_device, pick_dtype, set_threads
from shared.files import ROOT, shown, work_folder
from shared.measuring import plot
from shared.phase01 import Batches, CharTokenizer, learning_rate, validation_batches

CONFIGS = ROOT / "phase03_core_inference" / "project07_mixed_precision" / "configs"


@dataclass
class Outcome:
    """How one way went."""

    steps: list[int]
    """of the validations"""
    losses: list[float]
    """at these, in nats a token"""
    memory: Memory
    """of weights, gradients, optimizer and copies, after a step"""
    still: float
    """the share of weights with a gradient that one late step, at nine tenths of all, did not change"""
    skipped: int
    """steps left out because a gradient was not finite"""
    scale: float
    """of the loss, in the end"""
    corpus: str
    """what it was trained on, which may have stood in for the corpus asked for"""


@dataclass
class Data:
    """Token ids of both splits."""

    name: str
    vocab_size: int
    train: np.ndarray
    validation: np.ndarray


def load_data(settings: TrainSettings) -> Data:
    """The corpus as characters. Raises CorpusError where it cannot be had, ValueError where it is too short."""
    splits = ["train", "validation"]
    corpus = corpora.load(
        settings.corpus, fallback=settings.fallback, splits=splits, characters=settings.characters
    )
    texts = [corpus.split(split) for split in splits]
    tokenizer = CharTokenizer.from_text("".join(texts))
    train, validation = (np.array(tokenizer.encode(text), dtype=np.uint16) for text in texts)
    return Data(corpus.name, tokenizer.vocab_size, train, validation)


def validate(learner: Learner, data: Data, settings: TrainSettings, device: torch.device) -> float:
    """The mean loss over windows of the validation text."""
    learner.model.eval()
    losses = []
    with torch.no_grad():
        for batch in validation_batches(
            data.validation, settings.batch_size, settings.context_length, settings.validation_windows
        ):
            moved = {name: one.to(device) for name, one in batch.items()}
            losses += [learner.loss(moved).item()] * len(batch["tokens"])
    return sum(losses) / len(losses)


def train_one(
    recipe: str, data: Data, settings: TrainSettings, device: torch.device, console: Console
) -> Outcome:
    """Train in one way, as the settings say."""
    learner = prepare(recipe, settings, data.vocab_size, device)
    batches = Batches(data.train, settings.batch_size, settings.context_length, settings.seed)
    share = settings.batch_size * settings.context_length / settings.batch_tokens
    steps, losses, skipped, still = [0], [validate(learner, data, settings, device)], 0, 0.0
    with steps_bar(console) as bar:
        task = bar.add_task(recipe, total=settings.steps, loss=f"{recipe} {losses[-1]:.3f}")
        for step in range(settings.steps):
            batch = {name: one.to(device) for name, one in batches.next().items()}
            rate = learning_rate(
                step,
                peak=settings.learning_rate,
                warmup=settings.warmup,
                steps=settings.steps,
                decay_share=settings.decay_share,
            )
            late = step == settings.steps * 9 // 10
            before = [one.detach().clone() for one in learner.model.parameters()] if late else []
            skipped += not learner.step(batch, rate, share, settings.max_norm).applied
            if late:
                still = unmoved(learner, before)
            if (step + 1) % settings.evaluate_every == 0 or step + 1 == settings.steps:
                steps.append(step + 1)
                losses.append(validate(learner, data, settings, device))
            bar.update(task, advance=1, loss=f"{recipe} {losses[-1]:.3f}")
        with learner.block():  # the copies live while a block is open
            learner.model(batches.next()["tokens"].to(device))
            copies = [copy for _, copy in Autocast.casts.values()]
            memory = memory_report(learner.model, [learner.optimizer], copies)
    return Outcome(steps, losses, memory, still, skipped, learner.scaler.get_scale(), data.name)


def unmoved(learner: Learner, before: list[torch.Tensor]) -> float:
    """The share of weights, of those with a gradient that is not 0, which are what they were before the step."""
    same = moving = 0
    for parameter, old in zip(learner.model.parameters(), before, strict=True):
        if parameter.grad is not None:
            pushed = parameter.grad != 0
            moving += int(pushed.sum())
            same += int((pushed & (parameter == old)).sum())
    return same / max(1, moving)


def train(settings: TrainSettings, console: Console) -> dict[str, Outcome]:
    """Train in every way that the settings name. Raises ValueError or CorpusError before any work."""
    device = pick_device(settings.device)
    threads = set_threads(settings.threads)
    data = load_data(settings)
    for name, ids in (("train", data.train), ("validation", data.validation)):
        if len(ids) <= settings.context_length:
            raise ValueError(
                f"context_length {settings.context_length} is too long: the {name} text of {data.name} has only "
                f"{len(ids):,} characters"
            )
    console.print(f"machine: {device}, threads: {threads}", highlight=False)
    if pick_dtype("auto", device) != torch.bfloat16:
        console.print("this machine has no instructions for bfloat16: it runs, and is slow", highlight=False)
    outcomes = {}
    for recipe in settings.recipes:
        with explains_out_of_memory(device, "lower batch_size, context_length or dim"):
            outcomes[recipe] = train_one(recipe, data, settings, device, console)
    return outcomes


def table(outcomes: dict[str, Outcome]) -> Table:
    """One line for each way: its loss, the gap to the first one, its memory, its lost steps."""
    first = next(iter(outcomes.values())).losses[-1]
    found = Table(
        "trained in",
        "validation loss",
        "gap",
        "bytes a weight",
        "weights that a late step left",
        "skipped",
        "scale",
    )
    for name, one in outcomes.items():
        count = one.memory.parameters / (2 if name in ("bfloat16", "masters", "kahan") else 4)
        found.add_row(
            name,
            f"{one.losses[-1]:.4f}",
            f"{one.losses[-1] - first:+.4f}",
            f"{one.memory.total / count:.2f}",
            f"{one.still:.1%}",
            str(one.skipped),
            f"{one.scale:,.0f}" if name == "float16-scaled" else "",
        )
    return found


def draw(outcomes: dict[str, Outcome], folder: Path, name: str) -> list[Path]:
    """The curves of bfloat16 and those of float16, each beside float32, in two pictures; returns their paths."""
    drawn = []
    groups = {
        "bfloat16": ("float32", "autocast", "bfloat16", "masters", "kahan"),
        "float16": ("float32", "float16", "float16-scaled"),
    }
    for kind, recipes in groups.items():
        curves = {one: (outcomes[one].steps, outcomes[one].losses) for one in recipes if one in outcomes}
        if set(curves) - {"float32"}:
            path = folder / f"{name}-{kind}.png"
            plot.lines(path, curves, f"Training in {kind}", "step", "validation loss (nats a token)")
            drawn.append(path)
    return drawn


def main(argv: list[str] | None = None) -> None:
    """The command: exits with 2 for settings that cannot be followed."""
    settings = config.parse(
        TrainSettings, CONFIGS, argv, description="Train one model in several number formats."
    )
    console = Console(soft_wrap=True)
    with exits_with_message(console, ValueError, corpora.CorpusError):
        outcomes = train(settings, console)
        console.print(table(outcomes))
        for path in draw(outcomes, work_folder() / "mixed-precision", settings.name):
            console.print(f"curves: {shown(path)}", highlight=False)


if __name__ == "__main__":
    main()
