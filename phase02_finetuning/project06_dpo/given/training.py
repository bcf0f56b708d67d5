"""What the three trainings begin and end with: a chat model with an adapter on it, and a chat model published."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from phase02_finetuning.project04_sft.given.chat_model import ChatModel, load_chat, publish_chat
from phase02_finetuning.project05_lora.adapters import add_adapter, train_only
from phase02_finetuning.project05_lora.lora import LoraConfig, lora_layers
from phase02_finetuning.project05_lora.merging import merge_and_unload
from phase02_finetuning.project06_dpo.given.settings import TunedConfig
from shared import artifacts
from shared.measuring import plot
from shared.phase01 import Run


def begin(settings: TunedConfig, lora: tuple[int, float] | None, device: torch.device) -> ChatModel:
    """The base by name, on the device: with a new adapter of this rank and alpha, which alone is trained, or whole."""
    chat = load_chat(settings.base, settings.template)
    torch.manual_seed(settings.seed)
    if lora:
        add_adapter(chat.model, LoraConfig(*lora))
        train_only(chat.model)
    else:
        chat.model.requires_grad_(True)
    chat.model.to(device)
    return chat


def publish(chat: ChatModel, run: Run, settings: TunedConfig, card: Mapping[str, Any]) -> artifacts.Artifact:
    """Publish the model, an adapter merged into it, with the card and a picture of the validation loss."""
    if lora_layers(chat.model):
        merge_and_unload(chat.model)
    chat.model.eval()
    full: dict[str, Any] = {
        "base": settings.base,
        "training_tokens": run.tokens,
        "seed": settings.seed,
        "settings": asdict(settings),
        "training_seconds": round(run.seconds, 1),
        "validation_loss": run.history[-1]["validation_loss"],
        "history": run.history,
        **card,
    }
    artifact = publish_chat(settings.name, chat, full)
    curves = {
        name: ([entry["step"] for entry in run.history], [entry[f"{name}_loss"] for entry in run.history])
        for name in ("train", "validation")
    }
    plot.lines(artifact.folder / "loss.png", curves, settings.name, "step", "loss")
    return artifact


def numbers(found: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as plain numbers."""
    return {name: float(one) for name, one in found.items()}
