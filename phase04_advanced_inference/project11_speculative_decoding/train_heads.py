"""Train heads on a model that stays as it is: ladder run 11 train_heads --preset cpu

A few minutes on two cores. Stopped by ctrl-C, it goes on where it was when the same command is given again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt
from rich.console import Console
from torch import Tensor, nn

from phase04_advanced_inference.project11_speculative_decoding.given.heads import publish_heads
from phase04_advanced_inference.project11_speculative_decoding.mtp import MTPHeads, mtp_losses
from shared import artifacts, config, tinyworld
from shared.command import exits_with_message
from shared.device import autocast, pick_device, pick_dtype, set_threads
from shared.files import shown, work_folder
from shared.phase01 import (
    LLM,
    Batch,
    DocumentBatches,
    LossFn,
    Run,
    Tokenizer,
    TrainerConfig,
    cached_tokens,
    fit,
    load_base,
    prepare,
    torch_attention,
    validation_batches,
)

CONFIGS = Path(__file__).parent / "configs" / "heads"
TokenIds = UInt[np.ndarray, "tokens"]


@dataclass(frozen=True)
class HeadsConfig(TrainerConfig):
    """What the heads are trained on."""

    name: str = "tiny-heads"
    base: str = "tiny-base"
    """the model they are for, by name"""
    heads: int = 3
    characters: int = 4_000_000
    """of tinyworld's train split"""
    validation_windows: int = 32
    context_length: int = 256

    def __post_init__(self):
        super().__post_init__()
        for name, least in (("heads", 1), ("characters", 2_000), ("validation_windows", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.context_length <= self.heads:
            raise ValueError(
                f"context_length must be above the {self.heads} heads, not {self.context_length}"
            )


def make_loss(model: LLM) -> LossFn:
    """The mean of all heads' losses, on the streams of a model that is not trained; each head's own as a metric."""

    def loss_fn(heads: nn.Module, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        assert isinstance(heads, MTPHeads)
        with torch.no_grad():
            hidden = model.hidden(batch["tokens"], attend=torch_attention)
        losses = mtp_losses(heads, model, hidden, batch["targets"])
        return losses.mean(), {f"head_{i}": loss.detach() for i, loss in enumerate(losses, start=1)}

    return loss_fn


def texts(split: str, characters: int) -> Iterable[str]:
    """Documents of a split of tinyworld, up to so many characters."""
    for document in tinyworld.documents(split):
        characters -= len(document.text)
        if characters < 0:
            return
        yield document.text


def validation(heads: nn.Module, loss_fn: LossFn, ids: TokenIds, settings: HeadsConfig) -> dict[str, float]:
    """The mean loss on validation text, of all heads and of each."""
    device = next(heads.parameters()).device
    totals, count = torch.zeros(settings.heads), 0
    for batch in validation_batches(ids, 8, settings.context_length, settings.validation_windows):
        with autocast(device, pick_dtype(settings.dtype, device)):
            _, metrics = loss_fn(heads, {name: part.to(device) for name, part in batch.items()})
        totals += torch.tensor([float(loss) for loss in metrics.values()])
        count += 1
    return {"validation_loss": float(totals.mean() / count)} | {
        f"head_{i}_loss": float(total / count) for i, total in enumerate(totals, start=1)
    }


def train(settings: HeadsConfig, console: Console) -> tuple[Run, artifacts.Artifact]:
    """Train and publish. Raises ArtifactError or CheckpointError for a base that cannot be had."""
    device = pick_device(settings.device)
    set_threads(settings.threads)
    model, tokenizer = load_base(settings.base)
    model.to(device).requires_grad_(False)
    ids = {split: token_ids(split, settings, tokenizer) for split in ("train", "validation")}
    torch.manual_seed(settings.seed)
    heads = MTPHeads(model.config.dim, settings.heads).to(device)
    end = tokenizer.special_tokens["<|endoftext|>"]
    batches = DocumentBatches(ids["train"], end, settings.batch_size, settings.context_length, settings.seed)
    loss_fn = make_loss(model)

    def validate(heads: nn.Module, last: bool) -> Mapping[str, float]:
        return validation(heads, loss_fn, ids["validation"], settings)

    run = prepare(heads, batches, settings)
    checkpoint = work_folder() / "models" / settings.name / "checkpoint.safetensors"
    if said := artifacts.replaced_by_training(settings.name):
        console.print(said, highlight=False)
    run = fit(run, settings, checkpoint, settings.identity(), validate, loss_fn=loss_fn, console=console)
    card = {
        "data": "tinyworld",
        "base": settings.base,
        "training_tokens": run.tokens,
        "seed": settings.seed,
        "settings": asdict(settings),
        "parameters": sum(parameter.numel() for parameter in heads.parameters()),
        "training_seconds": round(run.seconds, 1),
        "validation_loss": run.history[-1]["validation_loss"],
        "history": run.history,
    }
    artifact = publish_heads(settings.name, heads, settings.base, card)
    checkpoint.unlink(missing_ok=True)  # done: the same command now trains anew
    return run, artifact


def token_ids(split: str, settings: HeadsConfig, tokenizer: Tokenizer[Any]) -> TokenIds:
    """The tokens of a split's documents, kept in a file. Raises ValueError for fewer than a row has."""
    size = settings.characters if split == "train" else settings.characters // 10
    name = f"tinyworld-{tinyworld.version()}-heads-{split}-{size}"
    ids = cached_tokens(name, lambda: texts(split, size), tokenizer)
    if len(ids) <= settings.context_length:
        raise ValueError(
            f"context_length {settings.context_length} is too long: the {split} text has only {len(ids):,} tokens"
        )
    return ids


def main(argv: list[str] | None = None) -> None:
    """The command: exits with 2 for settings that cannot be followed, with 130 after ctrl-C."""
    settings = config.parse(
        HeadsConfig, CONFIGS, argv, description="Train heads that guess a model's next tokens."
    )
    console = Console(soft_wrap=True)
    with exits_with_message(console, ValueError, artifacts.ArtifactError, artifacts.CheckpointError):
        run, artifact = train(settings, console)
    entry = run.history[-1]
    losses = ", ".join(f"{entry[f'head_{i}_loss']:.3f}" for i in range(1, settings.heads + 1))
    console.print(
        f"\nvalidation loss of the heads, nearest first: {losses}, after {run.seconds:.0f} s of training\n"
        f"heads: {shown(artifact.folder)}",
        highlight=False,
    )


if __name__ == "__main__":
    main()
