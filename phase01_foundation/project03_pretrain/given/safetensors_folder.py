"""A checkpoint folder as Hugging Face lays it out: config.json, and weights in one safetensors file or in several.

    config.json
    model.safetensors                        or, for a large model,
    model-00001-of-00002.safetensors ...     with model.safetensors.index.json to say which tensor is where

Everything is checked before the first tensor is read, and nothing is ever unpickled.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from shared.checkpoint import CheckpointError, read_metadata
from shared.files import replacing, write_text

CONFIG, SINGLE, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's config.json. Raises CheckpointError where there is none, or one that cannot be read."""
    if not folder.is_dir():
        raise CheckpointError(f"there is no folder {folder}")
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"{folder} has no {CONFIG}: it is no checkpoint, or saving it was cut short")
    return _read_json(folder / CONFIG)


def locate(folder: Path) -> dict[str, Path]:
    """The file that holds each tensor, by the tensor's name.

    Raises CheckpointError for a folder without weights, and for a file that is missing or not whole.
    """
    if (folder / SINGLE).is_file():
        read_metadata(folder / SINGLE)
        with _opened(folder / SINGLE) as file:
            return dict.fromkeys(file.keys(), folder / SINGLE)
    if not (folder / INDEX).is_file():
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        why = f"; {pickled[0]} is a pickle, which can run any code and is never read" if pickled else ""
        raise CheckpointError(f"{folder} has neither {SINGLE} nor {INDEX}{why}")
    shards = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(shards, dict) or not all(
        isinstance(shard, str) and Path(shard).name == shard for shard in shards.values()
    ):
        raise CheckpointError(f"{folder / INDEX} has no weight_map from tensors to files of this folder")
    for shard in sorted(set(shards.values())):
        read_metadata(folder / shard)
    return {name: folder / shard for name, shard in shards.items()}


def read(
    places: Mapping[str, Path], shapes: Mapping[str, tuple[int, ...]], unused: str, dtype: torch.dtype | None
) -> dict[str, Tensor]:
    """The tensors that `shapes` names, as CPU tensors, in `dtype` or, for None, as they are stored.

    A model computes in one format: where they are stored in several, such as norms in float32 beside matrices in
    bfloat16, None gives all of them the one that holds every number of each.

    `places` says which file holds each tensor. Tensors beyond those wanted are refused, unless their whole name
    matches the regular expression `unused`. Raises CheckpointError for a tensor that is missing, too many, of the
    wrong shape, or stored in a format that is no plain floating point.
    """
    folder = next(iter(places.values())).parent if places else "the checkpoint"
    if missing := [name for name in shapes if name not in places]:
        raise CheckpointError(f"{folder} has no tensor {_some(missing)}")
    extra = [name for name in places if name not in shapes and not re.fullmatch(unused, name)]
    if extra:
        raise CheckpointError(f"{folder} has tensors that this model has no place for: {_some(extra)}")
    by_file: dict[Path, list[str]] = {}
    for name in shapes:
        by_file.setdefault(places[name], []).append(name)
    stored = set()
    for path, names in by_file.items():
        with _opened(path) as file:
            stored |= {_check(path, file, name, shapes[name]) for name in names}
    if dtype is None and stored:
        dtype = functools.reduce(torch.promote_types, stored)
    tensors = {}
    for path, names in by_file.items():
        with _opened(path) as file:
            for name in names:
                # A copy: what the file maps into memory is not aligned, and goes when the file does.
                tensors[name] = file.get_tensor(name).to(dtype, copy=True)
    return tensors


def same(places: Mapping[str, Path], first: str, second: str) -> bool:
    """Whether two of the tensors in `places` hold the same numbers. One that cannot be read is like no other."""
    found = []
    for name in (first, second):
        with _opened(places[name]) as file:
            if name not in file.keys() or file.get_slice(name).get_dtype() not in FLOATS:  # noqa: SIM118
                return False
            found.append(file.get_tensor(name))
    one, other = found
    both = torch.promote_types(one.dtype, other.dtype)
    return torch.equal(one.to(both), other.to(both))


def write(
    folder: Path, config: Mapping[str, object], tensors: Mapping[str, Tensor], shard_bytes: int
) -> None:
    """Write config.json and the weights, in files of at most `shard_bytes` each (or one tensor, if that is larger).

    Each file is replaced in one step. Where more than one has to change, config.json goes first and comes back last, so
    whoever opens the folder meanwhile, or after a crash, finds a whole checkpoint or is told that it is none. What
    an earlier save left is removed; other files stay.
    """
    text = json.dumps(config, indent=2) + "\n"
    shards = _shards(tensors, shard_bytes)
    names = [SINGLE]
    if len(shards) > 1:
        names = [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
    old = {path.name for path in folder.glob("*") if path.name == SINGLE or SHARD.fullmatch(path.name)}
    same = (folder / CONFIG).is_file() and (folder / CONFIG).read_text(encoding="utf-8") == text
    if not (same and old == {SINGLE} == set(names)):
        (folder / CONFIG).unlink(missing_ok=True)
    (folder / INDEX).unlink(missing_ok=True)
    for name, shard in zip(names, shards, strict=True):
        with replacing(folder / name) as temporary:
            save_file({key: _own(tensor) for key, tensor in shard.items()}, temporary, {"format": "pt"})
    for name in old - set(names):
        (folder / name).unlink()
    if len(shards) > 1:
        total = sum(tensor.nbytes for tensor in tensors.values())
        where = {key: name for name, shard in zip(names, shards, strict=True) for key in shard}
        index = {"metadata": {"total_size": total}, "weight_map": where}
        write_text(folder / INDEX, json.dumps(index, indent=2) + "\n")
    write_text(folder / CONFIG, text)


def _shards(tensors: Mapping[str, Tensor], shard_bytes: int) -> list[dict[str, Tensor]]:
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if shards[-1] and size + tensor.nbytes > shard_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    return shards


def _own(tensor: Tensor) -> Tensor:
    # The format wants tensors that share no memory; layers that share weights do.
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, "pt") as file:
            yield file
    except SafetensorError as problem:
        raise CheckpointError(f"{path} is broken: {problem}") from None


def _check(path: Path, file: Any, name: str, shape: tuple[int, ...]) -> torch.dtype:
    """The format of a tensor, if it is one that fits."""
    if name not in file.keys():  # noqa: SIM118 - an open safetensors file is no dict
        raise CheckpointError(f"{path} has no tensor {name}, though the index says so")
    found = file.get_slice(name)
    if tuple(found.get_shape()) != shape:
        raise CheckpointError(
            f"{name} in {path} has the shape {tuple(found.get_shape())}; the config asks for {shape}"
        )
    if found.get_dtype() not in FLOATS:
        raise CheckpointError(
            f"{name} in {path} is stored as {found.get_dtype()}; this code reads {', '.join(FLOATS)}"
        )
    return FLOATS[found.get_dtype()]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path} is no JSON: {problem}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} must hold one JSON object")
    return content


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
