"""What peft calls our layers, and which base an adapter was trained over."""

import hashlib
from collections.abc import Mapping

import torch
from torch import nn

from phase02_finetuning.project05_lora.adapters import linear_layers
from phase02_finetuning.project05_lora.lora import lora_layers
from shared.phase01 import LLM, hugging_face_names


def peft_names(model: nn.Module) -> dict[str, str]:
    """Hugging Face's name of each linear layer, by ours: blocks.0.attention.q is model.layers.0.self_attn.q_proj.

    Of a model other than project 3's, such as one of transformers, they are the names it has.
    """
    if not isinstance(model, LLM):
        return {name: name for name in linear_layers(model)}
    theirs = {
        ours.removesuffix(".weight"): name.removesuffix(".weight")
        for ours, name in hugging_face_names(model.config).items()
    }
    return {name: theirs.get(name, name) for name in linear_layers(model)}


def fingerprint(model: nn.Module) -> str:
    """SHA-256 over the base: all weights and buffers but the adapters', by name, whatever adapters there are.

    Floats count in bfloat16, as most files keep them, so a base read in float32 or in bfloat16 is the same one. A base
    in 4 bits is another one than the one in floats: it computes other numbers.
    """
    state = model.state_dict()
    layers = lora_layers(model)
    hashed = hashlib.sha256()
    named = {_of_base(name, layers): tensor for name, tensor in state.items()}
    for name in sorted(named):
        if name:
            value = named[name].detach().cpu()
            value = value.to(torch.bfloat16).view(torch.int16) if value.is_floating_point() else value
            hashed.update(f"{name} {tuple(value.shape)}".encode())
            hashed.update(value.contiguous().numpy().tobytes())
    return hashed.hexdigest()


def _of_base(name: str, layers: Mapping[str, nn.Module]) -> str:
    """The name that an entry of the state has in a model without adapters; empty for what is the adapters'."""
    for layer in layers:
        if name.startswith(f"{layer}."):
            kind, _, rest = name.removeprefix(f"{layer}.").partition(".")
            return f"{layer}.{rest}" if kind == "base" else ""
    return name
