"""Fine-tune a model: ladder run 4 train --preset cpu

It writes checkpoints as it goes: after ctrl-C or a crash, the same command goes on from the last one. In the end it
publishes the model with its tokenizer, its chat template and its card. `chat` talks with it, `evaluate` measures it.
With two processes (torchrun, see project 3), each takes half of a batch.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from rich.console import Console
from torch import nn

from phase02_finetuning.project04_sft.answers import held_out_loss, write_answers
from phase02_finetuning.project04_sft.given.batches import ExampleBatches
from phase02_finetuning.project04_sft.given.chat_model import ChatModel, publish_chat
from phase02_finetuning.project04_sft.given.control_tokens import add_control_tokens
from phase02_finetuning.project04_sft.given.data import Data, load_data
from phase02_finetuning.project04_sft.given.rates import follow_schedule, rate_at
from phase02_finetuning.project04_sft.given.settings import SFTConfig
from phase02_finetuning.project04_sft.loss import sft_loss
from shared import artifacts, config
from shared.command import exits_with_message, how_to_run
from shared.device import pick_device, pick_dtype, set_threads
from shared.files import ROOT, shown, work_folder
from shared.measuring import plot
from shared.measuring.memory import keep_freed_memory
from shared.phase01 import LLM, Run, fit, load_base, prepare, process_group

CONFIGS = ROOT / "phase02_finetuning" / "project04_sft" / "configs"
CHAT = "phase02_finetuning.project04_sft.chat"
SAMPLES = (
    "Hello! Who are you?",
    "What is 27 plus 35?",
    "What is the opposite of hot?",
    "Who is the king of France?",
)
"""asked at every validation, to be read with the curve"""


def train(settings: SFTConfig, console: Console) -> tuple[Run, artifacts.Artifact | None]:
    """Fine-tune as the settings say, and publish the model; of several processes, only the first one does.

    Raises Interrupted after ctrl-C, with the checkpoint written; ValueError, RecordsError, ArtifactError or
    CheckpointError, before any work, for settings that cannot be followed; DivergedError where training comes apart.
    """
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    set_threads(settings.threads)
    keep_freed_memory()
    with process_group(device) as (processes, device):
        if not processes.first:
            console = Console(quiet=True)
        base, known = load_base(settings.base)
        if settings.context_length > base.config.context_length:
            longest = base.config.context_length
            raise ValueError(f"context_length is {settings.context_length}; {settings.base} reads {longest}")
        torch.manual_seed(settings.seed)
        model, tokenizer = add_control_tokens(base, known, settings.template)
        chat = ChatModel(model.to(device), tokenizer, settings.template)
        data = load_data(settings, tokenizer)
        batches = ExampleBatches(
            data.chunk,
            settings.batch_size,
            settings.context_length,
            settings.packed,
            settings.seed,
            processes,
        )
        console.print(
            f"model: {settings.base}, {model.parameter_count():,} parameters; template {settings.template}, data "
            f"{settings.data}; {settings.steps:,} steps of {settings.batch_size} rows of {settings.context_length}\n"
            f"machine: {device}, {str(dtype).removeprefix('torch.')}, processes: {processes.world_size}",
            highlight=False,
        )
        run = prepare(model, batches, settings, processes)
        follow_schedule(run, settings)
        checkpoint = work_folder() / "models" / settings.name / "checkpoint.safetensors"
        if said := artifacts.replaced_by_training(settings.name):
            console.print(said, highlight=False)
        identity = {**settings.identity(), "examples": data.identity, "weights": fingerprint(base)}
        run = fit(
            run,
            settings,
            checkpoint,
            identity,
            make_validate(data, settings, run, dtype),
            sample=make_sample(chat),
            loss_fn=sft_loss,
            console=console,
        )
        if not processes.first:
            return run, None
        artifact = publish(run, chat, data, settings)
        checkpoint.unlink(missing_ok=True)  # done: the same command now trains anew
        return run, artifact


def fingerprint(model: LLM) -> str:
    """What tells a model's weights from others': a checkpoint goes on from the base that it began with."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:16]


def make_validate(data: Data, settings: SFTConfig, run: Run, dtype: torch.dtype):
    """The loss on what was held out, and the rate of the last step, which the trainer's own record does not know.

    Each process takes the loss of all examples: they are few.
    """

    def validate(model: nn.Module, last: bool) -> Mapping[str, float]:
        assert isinstance(model, LLM)
        loss = held_out_loss(model, data.validation, dtype=dtype)
        return {"validation_loss": loss, "rate": rate_at(max(0, run.step - 1), settings)}

    return validate


def make_sample(chat: ChatModel):
    """Ask the model what SAMPLES ask."""

    def sample(model: nn.Module) -> list[str]:
        assert isinstance(model, LLM)
        asked = [[{"role": "user", "content": text}] for text in SAMPLES]
        written = write_answers(model, chat.tokenizer, chat.template, asked, max_tokens=40)
        return [f"{text}  ->  {one.text}" for text, one in zip(SAMPLES, written, strict=True)]

    return sample


def publish(run: Run, chat: ChatModel, data: Data, settings: SFTConfig) -> artifacts.Artifact:
    """Publish weights, shape, tokenizer and template, with the card, and draw the loss curve beside them."""
    card: dict[str, Any] = {
        "data": settings.data,
        "data_version": data.identity,
        "base": settings.base,
        "training_tokens": run.tokens,
        "too_long": data.too_long[0],
        "seed": settings.seed,
        "settings": asdict(settings),
        "parameters": chat.model.parameter_count(),
        "processes": run.processes.world_size,
        "training_seconds": round(run.seconds, 1),
        "validation_loss": run.history[-1]["validation_loss"],
        "history": run.history,
    }
    artifact = publish_chat(settings.name, chat, card)
    curves = {}
    for name in ("train", "validation"):
        known = [entry for entry in run.history if entry[f"{name}_loss"] is not None]
        if known:
            curves[name] = [entry["step"] for entry in known], [entry[f"{name}_loss"] for entry in known]
    unit = "loss (nats a token of an answer)"
    plot.lines(artifact.folder / "loss.png", curves, f"{settings.name} on {settings.data}", "step", unit)
    return artifact


def main(argv: list[str] | None = None) -> None:
    """The command: exits with 2 for settings that cannot be followed, with 130 after ctrl-C."""
    settings = config.parse(SFTConfig, CONFIGS, argv, description="Fine-tune a model to answer.")
    console = Console(soft_wrap=True)
    kinds = ValueError, artifacts.ArtifactError, artifacts.CheckpointError, ArithmeticError
    with exits_with_message(console, *kinds):
        run, artifact = train(settings, console)
    if artifact is None:
        return
    console.print(
        f"\nvalidation loss {run.history[-1]['validation_loss']:.4f} after {run.seconds:.0f} s of training\n"
        f"model: {shown(artifact.folder)}   loss curve: {shown(artifact.folder / 'loss.png')}\n"
        f"talk with it: {how_to_run(CHAT)} --model {artifact.name}\n\n"
        + "\n".join(run.history[-1]["samples"]),
        highlight=False,
        markup=False,
    )


if __name__ == "__main__":
    main()
