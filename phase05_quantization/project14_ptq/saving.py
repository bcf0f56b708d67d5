"""Quantized models in compressed-tensors' layout ("pack-quantized"), which vLLM, transformers and llm-compressor open.

A linear layer's `weight` is replaced by

    weight_packed       its codes, `pack`ed, as 32-bit words     int32 (outputs, words)
    weight_scale                                                 (outputs, groups); one scale for all is (1)
    weight_shape        [outputs, inputs]                        int64 (2)
    weight_zero_point   in an asymmetric grid: the zeros, packed down each column of groups (pack of its transpose,
                        transposed back), as 32-bit words        int32 (words, groups)

and config.json says in quantization_config which layers have which grid: one config group for each grid that is used,
and in `ignore` the layers that stayed floats.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int32, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from phase05_quantization.project14_ptq.given.llama_config import from_hugging_face, to_hugging_face
from phase05_quantization.project14_ptq.grids import Grid, QParams, Quantized, check_qparams
from phase05_quantization.project14_ptq.packing import pack, unpack
from phase05_quantization.project14_ptq.quant_linear import PackedWeight, QuantEmbedding, QuantLinear
from shared.checkpoint import CheckpointError
from shared.files import replacing, write_text
from shared.phase01 import LLM, Config, hugging_face_names

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
SCHEME = "quantization_config"


def words(packed: UInt8[Tensor, "rows bytes"]) -> Int32[Tensor, "rows words"]:
    """Packed rows as 32-bit words: the same bytes."""
    return packed.contiguous().view(torch.int32)


def weight_tensors(quantized: Quantized) -> dict[str, Tensor]:
    """What a file holds of one matrix, by the names of the layout: three tensors, in an asymmetric grid four.

    The scale of group "tensor" has shape (1), its zero point, which is not packed but int8, too.
    """
    grid, qparams = quantized.grid, quantized.qparams
    whole = grid.group == "tensor"
    found = {
        "weight_packed": words(pack(quantized.codes, grid.bits)),
        "weight_scale": qparams.scale.view(-1) if whole else qparams.scale,
        "weight_shape": torch.tensor(quantized.codes.shape),
    }
    if not grid.symmetric:
        zero = qparams.zero.view(-1) if whole else words(pack(qparams.zero.T.contiguous(), grid.bits)).T
        found["weight_zero_point"] = zero
    return {name: tensor.contiguous() for name, tensor in found.items()}


def read_weight(tensors: Mapping[str, Tensor], grid: Grid, where: str) -> Quantized:
    """The matrix of `weight_tensors`, for the grid that config.json says it has; `where` names it in errors.

    Raises CheckpointError, naming `where`: for a tensor that is missing, naming it; for packed rows that are not as
    long as so many codes of the grid's bits are (a file that says 4 bits and holds 8), naming the bits; for scales of
    another number than the grid has, or of another dtype; and for zeros in a symmetric grid.
    """
    wanted = {"weight_packed", "weight_scale", "weight_shape"}
    if not grid.symmetric:
        wanted.add("weight_zero_point")
    if missing := sorted(wanted - set(tensors)):
        raise CheckpointError(f"{where} lacks {', '.join(missing)}")
    if grid.symmetric and "weight_zero_point" in tensors:
        raise CheckpointError(f"{where} has a weight_zero_point, and its grid is symmetric")
    outputs, inputs = tensors["weight_shape"].tolist()
    whole = grid.group == "tensor"
    packed, scale = tensors["weight_packed"], tensors["weight_scale"]
    try:
        if packed.dtype != torch.int32 or len(packed) != outputs:
            raise ValueError(
                f"weight_packed is {tuple(packed.shape)} of {packed.dtype} for {outputs} outputs"
            )
        codes = unpack(packed.contiguous().view(torch.uint8), grid.bits, inputs)
        if scale.dtype != grid.scale_dtype:
            raise ValueError(f"weight_scale is {scale.dtype}, and the grid's are {grid.scale_dtype}")
        scale = scale.view(1, 1) if whole else scale
        if grid.symmetric:
            zero = torch.zeros_like(scale, dtype=torch.int8)
        elif whole:
            zero = tensors["weight_zero_point"].to(torch.int8).view(1, 1)
        else:
            packed_zero = tensors["weight_zero_point"].T.contiguous().view(torch.uint8)
            zero = unpack(packed_zero, grid.bits, outputs).T.contiguous()
        check_qparams(QParams(scale, zero), grid, outputs, inputs)
    except (ValueError, RuntimeError) as problem:
        raise CheckpointError(
            f"{where} does not hold {grid.bits}-bit codes of this grid: {problem}"
        ) from None
    return Quantized(codes, QParams(scale, zero), grid)


def scheme(grid: Grid) -> dict[str, Any]:
    """A grid in the words of quantization_config: num_bits, type "int", symmetric, strategy ("tensor", "channel" or
    "group") with group_size where it is a group and null else, dynamic false, and scale_dtype by its name ("float16").
    """
    strategy = grid.group if isinstance(grid.group, str) else "group"
    return {
        "num_bits": grid.bits,
        "type": "int",
        "symmetric": grid.symmetric,
        "strategy": strategy,
        "group_size": grid.group if strategy == "group" else None,
        "dynamic": False,
        "scale_dtype": f"torch.{_name(grid.scale_dtype)}",
    }


def grid_of(content: Mapping[str, Any], where: str) -> Grid:
    """The Grid of a `scheme`. Raises CheckpointError, naming what it says and what it may say, where this is none."""
    strategy, kind, dynamic = (
        content.get("strategy"),
        content.get("type", "int"),
        content.get("dynamic", False),
    )
    if strategy not in ("tensor", "channel", "group") or kind != "int" or dynamic:
        raise CheckpointError(
            f"{where} has strategy {strategy!r}, type {kind!r} and dynamic {dynamic!r}; known are tensor, channel and "
            "group, of type int, not dynamic"
        )
    dtype = str(content.get("scale_dtype") or "torch.float32").removeprefix("torch.")
    if dtype not in DTYPES:
        raise CheckpointError(f"{where} has scale_dtype {dtype!r}; known are {', '.join(DTYPES)}")
    try:
        group = content["group_size"] if strategy == "group" else strategy
        return Grid(content["num_bits"], group, content.get("symmetric", True), DTYPES[dtype])
    except (KeyError, TypeError, ValueError) as problem:
        raise CheckpointError(f"{where} is no grid: {problem}") from None


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def save_quantized(model: LLM, folder: Path | str, dtype: torch.dtype = torch.float32) -> None:
    """Write a model with QuantLinears, and where it has one its QuantEmbedding: config.json and model.safetensors.

    Names are Hugging Face's (`hugging_face_names`); what is not quantized is stored in `dtype`. A tied head is not
    written. For each grid that is used there is a config group, group_0, group_1, ... in the order of the model's
    layers, whose `targets` are the full names of its layers (model.layers.0.self_attn.q_proj, model.embed_tokens) and
    whose `weights` are its `scheme`; "ignore" lists the linear layers that stayed floats, and a tied lm_head in any
    case. quant_method is "compressed-tensors", format "pack-quantized", quantization_status "compressed".

    Weights come first, then config.json: a folder with a config is whole. Raises ValueError, before anything is
    written, for a model without any quantized layer, and for what config.json has no words for.
    """
    config, folder = to_hugging_face(model.config), Path(folder)
    theirs = hugging_face_names(model.config)
    tensors: dict[str, Tensor] = {}
    targets: dict[Grid, list[str]] = {}
    ignored: list[str] = []
    for ours, name in theirs.items():
        place, layer = ours.removesuffix(".weight"), name.removesuffix(".weight")
        module = _at(model, place)
        if module is None or isinstance(module, nn.Identity):  # no qk_norm
            continue
        if place == "head" and model.config.tied_embeddings:
            ignored.append(layer)
            continue
        if isinstance(module, QuantLinear | QuantEmbedding):
            quantized = module.packed_weight.quantized
            targets.setdefault(quantized.grid, []).append(layer)
            tensors |= {f"{layer}.{part}": tensor for part, tensor in weight_tensors(quantized).items()}
            continue
        tensors[name] = module.get_parameter("weight").detach().to(dtype)
        if isinstance(module, nn.Linear):
            ignored.append(layer)
    if not targets:
        raise ValueError("the model has no quantized layer; save it as it is")
    groups = {
        f"group_{i}": {"targets": names, "weights": scheme(grid)}
        for i, (grid, names) in enumerate(targets.items())
    }
    config["dtype"] = _name(dtype)
    config[SCHEME] = {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "ignore": ignored,
        "config_groups": groups,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").unlink(missing_ok=True)
    with replacing(folder / "model.safetensors") as path:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"})
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")


def load_quantized(folder: Path | str) -> LLM:
    """The model that `save_quantized` has written, in evaluation mode, its floats in float32; it computes the same.

    Raises CheckpointError, before a model is made, for a folder without the two files, for a config.json that is none
    or not of this layout (naming the quant_method and format that it has), for a target that the model has no layer
    for, naming it, for a tensor that is missing, of another shape or too many, naming it, and as `read_weight` and
    `grid_of` do.
    """
    folder = Path(folder)
    content, tensors = _read(folder)
    config = from_hugging_face(content, str(folder))
    about = content.get(SCHEME) or {}
    if (about.get("quant_method"), about.get("format")) != ("compressed-tensors", "pack-quantized"):
        raise CheckpointError(
            f"{folder} has quant_method {about.get('quant_method')!r} and format {about.get('format')!r}; this code "
            "reads 'compressed-tensors' and 'pack-quantized'"
        )
    grids: dict[str, Grid] = {}
    for name, group in about.get("config_groups", {}).items():
        grid = grid_of(group.get("weights") or {}, f"{name} of {folder}")
        grids |= dict.fromkeys(group.get("targets", []), grid)
    return _build(config, grids, tensors, str(folder))


def _build(config: Config, grids: dict[str, Grid], tensors: dict[str, Tensor], where: str) -> LLM:
    """The model of these tensors, once all of them fit."""
    left = dict(tensors)
    with torch.device("meta"):
        model = LLM(config)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    read: dict[str, Quantized] = {}
    floats: dict[str, Tensor] = {}
    for ours, name in hugging_face_names(config).items():
        layer = name.removesuffix(".weight")
        if ours not in shapes:  # a tied head, or no qk_norm
            continue
        if layer in grids:
            parts = {part: left.pop(f"{layer}.{part}") for part in _PARTS if f"{layer}.{part}" in left}
            read[ours] = read_weight(parts, grids.pop(layer), f"{layer} of {where}")
            found = tuple(read[ours].codes.shape)
        else:
            if name not in left:
                raise CheckpointError(f"{where} has no tensor {name}")
            floats[ours] = left.pop(name).float()
            found = tuple(floats[ours].shape)
        if found != shapes[ours]:
            raise CheckpointError(f"{name} of {where} is {found}, and the model's is {shapes[ours]}")
    if grids or left:
        raise CheckpointError(f"{where} has what the model has no place for: {', '.join([*grids, *left])}")
    for ours, tensor in floats.items():
        place, _, last = ours.rpartition(".")
        setattr(model.get_submodule(place), last, nn.Parameter(tensor))
    for ours, quantized in read.items():
        place = ours.removesuffix(".weight")
        if place == "embedding":
            packed = PackedWeight(quantized)
            model.set_submodule(place, QuantEmbedding(packed, torch.float32))
        else:
            model.set_submodule(place, _quant_linear(model.get_submodule(place), quantized))
    if config.tied_embeddings:
        _tie(model)
    return model.eval()


_PARTS = ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point")


def _quant_linear(linear: nn.Module, quantized: Quantized) -> QuantLinear:
    assert isinstance(linear, nn.Linear)
    made = QuantLinear(linear, quantized)
    made.like = torch.empty(0)  # not on the meta device
    return made


def _tie(model: LLM) -> None:
    """Make the head the embedding's matrix again, as codes or as floats."""
    embedding: nn.Module = model.embedding
    if isinstance(embedding, QuantEmbedding):
        head = _quant_linear(model.head, embedding.packed_weight.quantized)
        head.packed_weight = embedding.packed_weight
        model.set_submodule("head", head)
    else:
        model.head.weight = model.embedding.weight


def _at(model: nn.Module, place: str) -> nn.Module | None:
    try:
        return model.get_submodule(place)
    except AttributeError:
        return None


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "model.safetensors")
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, SafetensorError) as problem:
        reason = str(problem).split("\n", 1)[0]
        raise CheckpointError(f"{folder} holds no quantized model: {reason}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{folder / 'config.json'} must be an object")
    return content, tensors
