"""Put adapters on a model's layers by the ends of their names, and train nothing else."""

import re

from torch import nn

from phase02_finetuning.project05_lora.dora import DoRA
from phase02_finetuning.project05_lora.lora import LoRA, LoraConfig, LoRALinear, check_adapter, lora_layers
from shared.phase01 import replace_linears


def matches(layer: str, target: str) -> bool:
    """Whether a layer's name is the target, or ends in a dot and the target: "q" is blocks.0.attention.q, not .seq."""
    return layer == target or layer.endswith(f".{target}")


def linear_layers(model: nn.Module) -> list[str]:
    """The names of the layers that can have adapters, in the order of `named_modules`.

    Those are linear layers, and layers that have adapters already; what is inside the latter is none.
    """
    found = []
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{layer}.") for layer in found)
        if isinstance(module, nn.Linear | LoRALinear) and not inside:
            found.append(name)
    return found


def check_new_name(model: nn.Module, name: str) -> None:
    """Raises ValueError for a name that no new adapter can have: one that is taken, or is no plain word."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"an adapter's name has letters, digits, - and _ only, not {name!r}")
    if any(name in layer.adapters for layer in lora_layers(model).values()):
        raise ValueError(f"there is an adapter {name!r} already")


def add_adapter(model: nn.Module, config: LoraConfig, name: str = "default") -> list[str]:
    """Put a new adapter on every layer that a target of the config names; returns these layers' names.

    Of `linear_layers`, those are meant which `matches` one of the targets. Plain linear layers become LoRALinear around
    the very same layer (project 3's `replace_linears`); a layer that has adapters gets one more. Each gets its own
    LoRA, or, with config.dora, DoRA. From now on, this adapter is in use, on all layers that have any (`chosen`). As B
    is zero, the model then says what its base says.

    Raises ValueError, before anything is changed, for a name that cannot be (`check_new_name`), and for targets that
    match no layer, naming each of them and the last parts of the names there are (q, k, v, ...), each part once.
    """
    check_new_name(model, name)
    layers = linear_layers(model)
    unknown = [target for target in config.targets if not any(matches(layer, target) for layer in layers)]
    if unknown:
        endings = dict.fromkeys(layer.rpartition(".")[2] for layer in layers)
        raise ValueError(f"no linear layer is called {', '.join(unknown)}; there are {', '.join(endings)}")
    wanted = [layer for layer in layers if any(matches(layer, target) for target in config.targets)]
    replace_linears(model, lambda place, linear: LoRALinear(linear) if place in wanted else None)
    for place in wanted:
        layer = model.get_submodule(place)
        assert isinstance(layer, LoRALinear)
        layer.adapters[name] = (DoRA if config.dora else LoRA)(layer.base, config)
    for layer in lora_layers(model).values():
        layer.chosen = name
    return wanted


def train_only(model: nn.Module, name: str = "default") -> list[nn.Parameter]:
    """Freeze all of the model but this adapter, and return the adapter's parameters, for an optimizer.

    Everything else needs no gradient any more: the base, embeddings and norms, other adapters. The adapter is in use
    from now on, on all layers that have any, and it is not merged: a merged layer would hide it from the gradient.
    Raises ValueError for an adapter there is not (`check_adapter`), and changes nothing then.
    """
    check_adapter(model, name)
    model.requires_grad_(False)
    trained = []
    for layer in lora_layers(model).values():
        layer.chosen = name
        if name in layer.merged:
            del layer.merged[name]
        if name in layer.adapters:
            trained += layer.adapters[name].requires_grad_(True).parameters()
    return trained
