"""Merging: one matrix instead of a base and its adapter, so that what was trained costs nothing when it is used.

The base is never changed. A merged layer stands beside it, made from it anew each time: merging twice is merging once,
and what unmerging gives back is the base itself, bit for bit. Taking the update off again would not be: (W + u) - u
rounds twice.
"""

from torch import nn

from phase02_finetuning.project05_lora.lora import LoRALinear, adapter_in_use, check_adapter, lora_layers


def merged_linear(layer: LoRALinear, name: str) -> nn.Linear:
    """A plain, frozen linear layer that does what both do: the adapter's `merged_weight`, and the base's bias.

    It takes and gives as many numbers as the base (in_features, out_features), and is in training or evaluation mode
    as `layer` is.
    """
    base = layer.base
    adapter = layer.adapters[name]
    weight = adapter.merged_weight(base.weight)  # pyright: ignore[reportCallIssue]
    merged = nn.Linear(base.in_features, base.out_features, bias=False, device="meta")
    merged.weight = nn.Parameter(weight, requires_grad=False)
    merged.bias = base.bias
    return merged.train(layer.training)


def merge(model: nn.Module, name: str | None = None) -> None:
    """Merge an adapter, or for None the one in use (`adapter_in_use`): each layer that has it gets a merged layer.

    That is `merged_linear`, under the adapter's name in `merged`. It is used wherever the adapter is, and nowhere else:
    other adapters, and rows or blocks without one, still have the base. An adapter that is merged already is merged
    anew, from the base, with the numbers it has now. Raises ValueError for an adapter there is not.
    """
    name = adapter_in_use(model) if name is None else name
    check_adapter(model, name)
    for layer in lora_layers(model).values():
        if name in layer.adapters:
            layer.merged[name] = merged_linear(layer, name)


def unmerge(model: nn.Module, name: str | None = None) -> None:
    """Drop the merged layers of an adapter, or, for None, of all; base and adapter compute side by side again.

    Nothing happens where it is not merged. Raises ValueError for an adapter there is not.
    """
    if name is not None:
        check_adapter(model, name)
    for layer in lora_layers(model).values():
        for one in list(layer.merged):
            if name in (None, one):
                del layer.merged[one]


def merge_and_unload(model: nn.Module, name: str | None = None) -> nn.Module:
    """Make a plain model of it, for good, and return it (the same one): merged layers, and no adapters any more.

    Each layer that has the adapter (for None the one in use) becomes its `merged_linear`; one that has only others
    becomes its base. A layer in several places stays one layer. Raises ValueError for an adapter there is not.
    """
    name = adapter_in_use(model) if name is None else name
    check_adapter(model, name)
    plain: dict[LoRALinear, nn.Linear] = {
        layer: merged_linear(layer, name) if name in layer.adapters else layer.base
        for layer in lora_layers(model).values()
    }
    for place, module in list(model.named_modules(remove_duplicate=False)):
        if isinstance(module, LoRALinear):
            model.set_submodule(place, plain[module])
    return model
