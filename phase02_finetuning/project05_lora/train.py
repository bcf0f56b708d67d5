"""Fine-tune a model: ladder run 5 train --preset cpu --method lora --rank 2

Full fine-tuning, LoRA, or QLoRA, on tinyworld's questions, with AdamW. It writes checkpoints as it goes: after ctrl-C
or a crash the same command goes on. In the end it writes an adapter as peft has it, or, with `--method full`, a model.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from phase02_finetuning.project05_lora.adapters import add_adapter, train_only
from phase02_finetuning.project05_lora.given.data import AnswerBatches, held_out
from phase02_finetuning.project05_lora.given.settings import FinetuneConfig
from phase02_finetuning.project05_lora.given.store import publish_adapter
from phase02_finetuning.project05_lora.merging import merge_and_unload
from phase02_finetuning.project05_lora.qlora import quantize_base
from shared import artifacts, config
from shared.command import exits_with_message
from shared.device import autocast, pick_device, pick_dtype, set_threads
from shared.files import ROOT, shown, work_folder
from shared.measuring.memory import keep_freed_memory
from shared.phase01 import (
    IGNORED,
    LLM,
    Batch,
    Run,
    Tokenizer,
    fit,
    load_base,
    next_token_loss,
    prepare,
    publish_base,
    skill_scores,
)
from shared.tinyworld import Score

CONFIGS = ROOT / "phase02_finetuning" / "project05_lora" / "configs"


def prepare_model(model: LLM, settings: FinetuneConfig) -> int:
    """Make the model what the method asks for, in place; returns how many numbers are trained."""
    if settings.method == "full":
        model.requires_grad_(True)
    else:
        if settings.method == "qlora":
            quantize_base(model)
        add_adapter(model, settings.lora_config())
        train_only(model)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def make_validate(batches: list[Batch], dtype: torch.dtype):
    """The mean loss over the answers of these batches, in nats a token."""

    def validate(model: nn.Module, last: bool) -> Mapping[str, float]:
        device = next(model.parameters()).device
        total, count = 0.0, 0
        for batch in batches:
            targets = int((batch["targets"] != IGNORED).sum())
            with autocast(device, dtype):
                loss, _ = next_token_loss(model, {name: part.to(device) for name, part in batch.items()})
            total, count = total + loss.item() * targets, count + targets
        return {"validation_loss": total / count}

    return validate


def exact_match(model: LLM, tokenizer: Tokenizer[Any], settings: FinetuneConfig) -> Score | None:
    """tinyworld's evaluation, greedy answers; None where the settings ask for no items."""
    if not settings.per_skill:
        return None
    return skill_scores(model, tokenizer, per_skill=settings.per_skill).score


def train(settings: FinetuneConfig, console: Console) -> tuple[Run, Path, tuple[Score | None, Score | None]]:
    """Fine-tune as the settings say; returns the run, the folder that was written, and the scores before and after.

    Raises Interrupted after ctrl-C, with the checkpoint written; ValueError, ArtifactError or CheckpointError, before
    any training, for settings that cannot be followed; DivergedError where training comes apart.
    """
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    threads = set_threads(settings.threads)
    keep_freed_memory()
    model, tokenizer = load_base(settings.base)
    torch.manual_seed(settings.seed)
    whole = model.parameter_count()
    count = prepare_model(model, settings)
    model.to(device)
    context = model.config.context_length
    batches = AnswerBatches(tokenizer, settings.batch_size, context, settings.seed, settings.skills)
    validate = make_validate(held_out(tokenizer, settings.validation_items, context, settings.skills), dtype)
    console.print(
        f"{settings.method}: {count:,} of {whole:,} parameters are trained ({count / whole:.2%})\n"
        f"machine: {device}, {str(dtype).removeprefix('torch.')}, threads: {threads}",
        highlight=False,
    )
    before = exact_match(model, tokenizer, settings)
    run = prepare(model, batches, settings)
    checkpoint = work_folder() / "models" / settings.name / "checkpoint.safetensors"
    identity = {
        **settings.identity(),
        "targets": list(settings.targets),
        "skills": list(settings.skills or ()),
    }
    run = fit(run, settings, checkpoint, identity, validate, console=console)
    model.eval()
    after = exact_match(model, tokenizer, settings)
    folder = publish(run, model, tokenizer, settings, (before, after))
    checkpoint.unlink(missing_ok=True)  # done: the same command now trains anew
    return run, folder, (before, after)


def publish(
    run: Run,
    model: LLM,
    tokenizer: Tokenizer[Any],
    settings: FinetuneConfig,
    scores: tuple[Score | None, ...],
) -> Path:
    """Write what was trained, with its card: the adapter, and with `merge` the merged model; or the whole model."""
    card = {
        "data": "tinyworld's questions",
        "method": settings.method,
        "seed": settings.seed,
        "settings": asdict(settings),
        "trained_parameters": sum(one.numel() for one in model.parameters() if one.requires_grad),
        "training_tokens": run.tokens,
        "training_seconds": round(run.seconds, 1),
        "validation_loss": run.history[-1]["validation_loss"],
        "exact_match": [None if score is None else round(score.accuracy, 4) for score in scores],
        "history": run.history,
    }
    if settings.method == "full":
        return publish_base(settings.name, model, tokenizer, card, dtype=torch.bfloat16).folder
    folder = publish_adapter(model, settings.name, settings.base, card)
    if settings.merge:
        merge_and_unload(model)
        publish_base(settings.name, model, tokenizer, card, dtype=torch.bfloat16)
    return folder


def score_table(before: Score, after: Score) -> Table:
    """Exact match of each skill, before and after, in percent."""
    table = Table("skill", "before", "after")
    for name, share in before.skill_accuracy().items():
        table.add_row(name, f"{share:.0%}", f"{after.skill_accuracy()[name]:.0%}")
    table.add_row("all", f"{before.accuracy:.1%}", f"{after.accuracy:.1%}")
    return table


def main(argv: list[str] | None = None) -> None:
    """The command: exits with 2 for settings that cannot be followed, with 130 after ctrl-C."""
    settings = config.parse(FinetuneConfig, CONFIGS, argv, description="Fine-tune a language model.")
    console = Console(soft_wrap=True)
    with exits_with_message(console, ValueError, artifacts.ArtifactError, artifacts.CheckpointError):
        run, folder, (before, after) = train(settings, console)
    if before is not None and after is not None:
        console.print(score_table(before, after))
    console.print(
        f"validation loss {run.history[-1]['validation_loss']:.4f} after {run.seconds:.0f} s of training\n"
        f"written to {shown(folder)}",
        highlight=False,
    )


if __name__ == "__main__":
    main()
