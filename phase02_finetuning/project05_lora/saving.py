"""Adapters on disk, in peft's format: peft opens ours, and we open peft's.

    adapter_config.json             rank, alpha, targets, and the name of the base
    adapter_model.safetensors       base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight, ... and lora_B
                                    with DoRA also ...lora_magnitude_vector; an adapter's name is in none of them

An adapter that is put on another base, or scaled in another way, is no error that shows: it only speaks nonsense. So
all that would change the function is checked before the model is touched.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from phase02_finetuning.project05_lora.adapters import add_adapter, check_new_name, matches
from phase02_finetuning.project05_lora.given.names import fingerprint, peft_names
from phase02_finetuning.project05_lora.given.peft_config import CONFIG, WEIGHTS, read_config, write_config
from phase02_finetuning.project05_lora.lora import LoraConfig, adapter_in_use, check_adapter, lora_layers
from shared.artifacts import CheckpointError
from shared.checkpoint import read_metadata
from shared.files import replacing, write_text

PARTS = {"A": "lora_A.weight", "B": "lora_B.weight", "magnitude": "lora_magnitude_vector"}
"""the parameters of a LoRA or DoRA, by their names here, and what peft calls them"""


def adapter_tensors(model: nn.Module, name: str) -> dict[str, Tensor]:
    """The adapter's parameters by peft's names: "base_model.model.", the layer's, a dot, and one of PARTS.

    A layer's name is the one in `peft_names`, which has ours as keys. They are the parameters themselves, no copies.
    """
    theirs = peft_names(model)
    return {
        f"base_model.model.{theirs[place]}.{PARTS[part]}": parameter
        for place, layer in lora_layers(model).items()
        if name in layer.adapters
        for part, parameter in layer.adapters[name].named_parameters()
    }


def save_adapter(
    model: nn.Module,
    folder: Path | str,
    name: str | None = None,
    *,
    base: str | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write one adapter, for None the one in use, to a folder that peft opens: CONFIG and WEIGHTS.

    The tensors are `adapter_tensors` on the CPU, in `dtype`, or, for None, as they are. The file's metadata are
    {"format": "pt", "base": fingerprint(model)}, for `load_adapter` to know the base by. The config's text is
    `write_config`'s, of the adapter's config, of the layers' names as peft has them, and of `base`, the base's name or
    path. Whether the adapter is merged, or in use, makes no difference.

    Both files are replaced in one step each (`replacing`, `write_text`). Where the config changes, the old one goes
    first and the new one comes last, so whoever opens the folder at any moment finds a whole adapter, or is told that
    there is none. Raises ValueError, before anything is written, for an adapter there is not.
    """
    name = adapter_in_use(model) if name is None else name
    check_adapter(model, name)
    folder, theirs = Path(folder), peft_names(model)
    layers = {place: layer for place, layer in lora_layers(model).items() if name in layer.adapters}
    config = next(iter(layers.values())).adapters[name].config
    assert isinstance(config, LoraConfig)
    text = write_config(config, [theirs[place] for place in layers], list(theirs.values()), base)
    tensors = {
        key: tensor.to("cpu", dtype or tensor.dtype) for key, tensor in adapter_tensors(model, name).items()
    }
    path = folder / CONFIG
    if not (path.is_file() and path.read_text(encoding="utf-8") == text):
        path.unlink(missing_ok=True)
    with replacing(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, {"format": "pt", "base": fingerprint(model)})
    write_text(path, text)


def load_adapter(
    model: nn.Module, folder: Path | str, name: str = "default", *, any_base: bool = False
) -> LoraConfig:
    """Put the adapter of a folder, ours or peft's, on the model, in use from now on; returns its config.

    `read_config` reads CONFIG: what it gives has the targets as the file has them, so as peft names layers. Every
    target must be the end of a layer's name in `peft_names`, and the file must hold exactly the tensors of these layers
    (`adapter_shapes`), each of its shape. Then `add_adapter` puts it on, with our names of all these layers as targets
    (in `peft_names`' order), and the numbers are copied into its parameters, in their dtype.

    Raises, and the model is then as it was: ValueError for a name that cannot be (`check_new_name`); CheckpointError
    for a file that is missing or broken; for a config that `read_config` refuses; for a target that is no layer of this
    model, naming it and the last parts of the names there are (q_proj, ...), each part once; for what `check_tensors`
    refuses; and for another base: where the file's metadata have a "base" that is not this model's `fingerprint`,
    unless `any_base`, which the message names.
    """
    check_new_name(model, name)
    folder = Path(folder)
    config = read_config(folder)
    theirs = peft_names(model)
    for target in config.targets:
        if not any(matches(layer, target) for layer in theirs.values()):
            endings = dict.fromkeys(layer.rpartition(".")[2] for layer in theirs.values())
            raise CheckpointError(f"{folder} is for layers {target}; this model has {', '.join(endings)}")
    places = [
        place for place, layer in theirs.items() if any(matches(layer, target) for target in config.targets)
    ]
    metadata, tensors = read_tensors(folder / WEIGHTS)
    check_tensors(folder, tensors, adapter_shapes(model, config, {place: theirs[place] for place in places}))
    if not any_base and metadata.get("base", own := fingerprint(model)) != own:
        raise CheckpointError(
            f"{folder} was trained over another base than this model; to use it all the same, set any_base"
        )
    mine = LoraConfig(config.rank, config.alpha, tuple(places), config.dropout, config.rslora, config.dora)
    add_adapter(model, mine, name)
    with torch.no_grad():
        for key, parameter in adapter_tensors(model, name).items():
            parameter.copy_(tensors[key])
    return mine


def adapter_shapes(
    model: nn.Module, config: LoraConfig, places: Mapping[str, str]
) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor that an adapter on these layers (ours: peft's name) must have, by peft's name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for place, layer in places.items():
        linear: Any = model.get_submodule(place)
        linear = getattr(linear, "base", linear)
        inputs, outputs, start = linear.in_features, linear.out_features, f"base_model.model.{layer}."
        shapes[start + PARTS["A"]] = (config.rank, inputs)
        shapes[start + PARTS["B"]] = (outputs, config.rank)
        if config.dora:
            shapes[start + PARTS["magnitude"]] = (outputs,)
    return shapes


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The metadata and the tensors of a safetensors file. Raises CheckpointError where it is missing or broken."""
    metadata = read_metadata(path)
    try:
        return metadata, load_file(path)
    except SafetensorError as problem:
        raise CheckpointError(f"{path} is broken: {problem}") from None


def check_tensors(folder: Path, tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises CheckpointError for a tensor that is missing, too many, of another shape, or of no floats, naming it.

    Where the shape is another, it names both, such as (2, 16); where the numbers are no floats, their dtype.
    """
    for name, shape in shapes.items():
        if name not in tensors:
            raise CheckpointError(f"{folder} has no tensor {name}, which its config asks for")
        if tuple(tensors[name].shape) != shape:
            found = tuple(tensors[name].shape)
            raise CheckpointError(
                f"{name} in {folder} has the shape {found}; config and model ask for {shape}"
            )
        if not tensors[name].is_floating_point():
            raise CheckpointError(f"{name} in {folder} is of {tensors[name].dtype}, and no floats")
    if extra := [name for name in tensors if name not in shapes]:
        raise CheckpointError(f"{folder} has {extra[0]}, which its config has no place for")
