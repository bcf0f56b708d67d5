"""Nested state with tensors, such as an optimizer's, in one safetensors file. Nothing is ever unpickled.

The tensors stand under flat names ("optimizer.state.0.exp_avg"), for any safetensors reader to look at. The
structure around them is JSON in the file's metadata.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from shared.files import replacing

VERSION = "1"  # of the structure below; a reader refuses what it does not know

DTYPES = {
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32),
    *(torch.uint64, torch.bool, torch.complex64),
}


class CheckpointError(Exception):
    """A checkpoint file is missing, broken or not one of ours."""


def write(path: Path | str, state: object, extra: Mapping[str, str] | None = None) -> None:
    """Write nested dicts, lists and tuples of tensors, numbers, strings, bools and None; whole or not at all.

    Keys are strings, numbers, bools or None. `read` gives back equal values of the same types, on the CPU and
    without gradients. A tensor that occurs twice (tied weights) is stored once and comes back as one tensor.
    `extra` is more text for the file's metadata. Raises TypeError, before anything is written, for a value
    that cannot be stored, naming its place in `state`.
    """
    tensors: dict[str, torch.Tensor] = {}
    structure = _flatten(state, "", tensors, {})
    metadata = {
        "format": "pt",
        "ladder_version": VERSION,
        "structure": json.dumps(structure, allow_nan=False),
    }
    with replacing(Path(path)) as temporary:
        save_file(_separate(tensors), temporary, {**metadata, **(extra or {})})


def read(path: Path | str) -> Any:
    """Read what `write` wrote, with the tensors on the CPU.

    Raises CheckpointError for a file that is missing, cut short, not safetensors or of an unknown version.
    """
    path = Path(path)
    metadata = read_metadata(path)
    if "structure" not in metadata:
        raise CheckpointError(f"{path} is a safetensors file, but not a checkpoint of this project's")
    if metadata.get("ladder_version") != VERSION:
        found = metadata.get("ladder_version")
        raise CheckpointError(f"{path} has format version {found}; this code reads version {VERSION}")
    # The loader maps the file. Copies lie where torch would have put them, aligned, so that a resumed run
    # adds up in the same order, bit for bit, as one that was never stopped.
    try:
        tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
        return _restore(json.loads(metadata["structure"]), tensors)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as problem:
        raise CheckpointError(f"{path} is broken: {problem}") from None


def read_dict(path: Path | str, entries: Mapping[str, type]) -> dict[str, Any]:
    """What `read` gives, where that is a dict by text with these entries, each of its type; it may have more.

    Raises CheckpointError as `read` does, and for another state, naming the first entry that it lacks.
    """
    state = read(path)
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} holds no dict, but a {type(state).__name__}")
    if odd := [name for name in state if not isinstance(name, str)]:
        raise CheckpointError(f"{path} has an entry {odd[0]!r}, whose name is no text")
    for name, kind in entries.items():
        if not isinstance(state.get(name), kind):
            raise CheckpointError(f"{path} has no {name!r} that is a {kind.__name__}")
    return state


def read_metadata(path: Path) -> dict[str, str]:
    """The text that a safetensors file carries beside its tensors; checks that the file is whole.

    Raises CheckpointError for a file that is missing, cut short or no safetensors file.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint at {path}")
    size = path.stat().st_size
    # The format: the header's length in 8 bytes, the header (JSON, at most 100 MB), the tensors' bytes.
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        begins = file.read(1)
        if size <= 8:
            raise CheckpointError(f"{path} is cut short or empty: it has {size} bytes")
        if begins != b"{" or length > 100_000_000:
            raise CheckpointError(f"{path} is not a safetensors file")
        if size < 8 + length:
            raise CheckpointError(
                f"{path} is cut short: {size:,} bytes; its header alone takes {8 + length:,}"
            )
        text = begins + file.read(length - 1)
    try:
        header = json.loads(text)
        metadata = header.pop("__metadata__", None) or {}
        if not all(isinstance(value, str) for value in metadata.values()):
            raise TypeError("metadata is text")
        expected = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (ValueError, AttributeError, TypeError, KeyError, IndexError, RecursionError):
        raise CheckpointError(f"{path} is not a safetensors file: its header cannot be read") from None
    if size != expected:
        problem = "is cut short" if size < expected else "has grown at its end"
        raise CheckpointError(f"{path} {problem}: it has {size:,} bytes, and its header says {expected:,}")
    return metadata


def _flatten(value: object, place: str, tensors: dict[str, torch.Tensor], seen: dict[tuple, str]) -> object:
    """The JSON structure of `value`; its tensors go to `tensors`. Scalars stand for themselves.

    All else is an object of one entry: {"tensor": name}, {"dict": [[key, value], ...]}, {"list": [...]},
    {"tuple": [...]}, {"float": "inf"}.
    """
    if isinstance(value, torch.Tensor):
        return {"tensor": _add(value, place, tensors, seen)}
    if isinstance(value, Mapping):
        for key in value:
            if not (key is None or isinstance(key, str | int | float)):
                where = place or "the state"
                raise TypeError(f"{where} has the key {key!r}: keys are strings, numbers, bools or None")
        return {
            "dict": [
                [_scalar(key), _flatten(entry, f"{place}.{key}" if place else str(key), tensors, seen)]
                for key, entry in value.items()
            ]
        }
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_flatten(entry, f"{place}.{i}", tensors, seen) for i, entry in enumerate(value)]}
    if value is None or isinstance(value, str | int | float):
        return _scalar(value)
    raise TypeError(
        f"{place or 'the state'} is of type {type(value).__name__}, which a checkpoint cannot hold: "
        "it holds tensors, numbers, strings, bools, None, and dicts, lists and tuples of them"
    )


def _scalar(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}  # JSON has no infinity
    return value


def _add(tensor: torch.Tensor, place: str, tensors: dict[str, torch.Tensor], seen: dict[tuple, str]) -> str:
    """Put a tensor among the others and return its name; one that is there already keeps its first name."""
    if tensor.dtype not in DTYPES or tensor.layout != torch.strided or tensor.is_meta:
        kind = f"{tensor.dtype}, {tensor.layout}, on {tensor.device}"
        raise TypeError(f"{place or 'the state'} is a tensor that a checkpoint cannot hold ({kind})")
    where = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride())
    same = (*where, tensor.dtype, tensor.is_conj(), tensor.is_neg())
    if tensor.numel() and same in seen:
        return seen[same]
    name = place or "state"
    while name in tensors or name == "__metadata__":  # which is the format's own
        name += "'"
    tensors[name] = tensor.detach().resolve_conj().resolve_neg()
    seen[same] = name
    return name


def _separate(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Contiguous CPU tensors that share no memory, as the format wants; copies only where it must."""
    taken: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        own = tensor.cpu().contiguous()
        if own.untyped_storage().data_ptr() in taken or own.untyped_storage().nbytes() != own.nbytes:
            own = own.clone(memory_format=torch.contiguous_format)
        taken.add(own.untyped_storage().data_ptr())
        separate[name] = own
    return separate


def _restore(structure: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(structure, dict):
        return structure
    [(kind, content)] = structure.items()
    match kind:
        case "tensor":
            return tensors[content]
        case "float":
            return float(content)
        case "list":
            return [_restore(entry, tensors) for entry in content]
        case "tuple":
            return tuple(_restore(entry, tensors) for entry in content)
        case _:
            return {_restore(key, tensors): _restore(entry, tensors) for key, entry in content}
