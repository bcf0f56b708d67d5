"""Trained things on disk: publish a model with its card, find one by name, and read or write a checkpoint."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from shared.checkpoint import CheckpointError, read, read_dict, read_metadata, write
from shared.files import data_folder, shown, work_folder, write_text
from shared.measuring.provenance import provenance

__all__ = [
    "Artifact",
    "ArtifactError",
    "CheckpointError",
    "find",
    "publish",
    "read",
    "read_dict",
    "replaced_by_training",
    "write",
]

WEIGHTS = "model.safetensors"


class ArtifactError(Exception):
    """There is no model of that name, neither the learner's nor a released one."""


@dataclass(frozen=True)
class Artifact:
    """A trained model on disk, in a folder of its own; weights, config and card all stand in one file."""

    name: str
    folder: Path
    whose: str  # "yours" or "released"

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the model is built from. Raises CheckpointError for a broken file, as all of these do."""
        return self._part("config")

    @cached_property
    def card(self) -> dict[str, Any]:
        """Where the model comes from: data, seed, command, commit, device, date, losses and the like."""
        return self._part("card")

    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights by name, on the CPU."""
        path = self.folder / WEIGHTS
        found = read_dict(path, {})
        if odd := [name for name, one in found.items() if not isinstance(one, torch.Tensor)]:
            raise CheckpointError(f"{path} has a {odd[0]} that is no tensor")
        return found

    def _part(self, name: str) -> dict[str, Any]:
        path = self.folder / WEIGHTS
        metadata = read_metadata(path)
        if name not in metadata:
            raise CheckpointError(f"{path} has no {name}: it was not written by publish")
        try:
            part = json.loads(metadata[name])
        except (ValueError, RecursionError) as problem:
            raise CheckpointError(f"the {name} in {path} is no JSON: {problem}") from None
        if not isinstance(part, dict):
            raise CheckpointError(f"the {name} in {path} must be one JSON object")
        return part


def publish(
    name: str,
    tensors: Mapping[str, torch.Tensor],
    config: Mapping[str, object],
    card: Mapping[str, object],
    *,
    released: bool = False,
) -> Artifact:
    """Write a model to work/models/<name>/, or to data/models/<name>/ when it is to be released.

    `card` says what only the caller knows (data, seed, losses, time); command, commit, device, threads,
    versions and date are added. One file, model.safetensors, holds everything, and is replaced in one step;
    config.json and card.json are copies to be read. Raises ValueError for a name that is no plain folder
    name, TypeError for a config or card that JSON cannot hold, both before anything is written.
    """
    check_name(name)
    device = next((tensor.device for tensor in tensors.values()), torch.device("cpu"))
    full_card = {"name": name, **provenance(device), **card}
    parts = {
        "config": _json(config, f"the config of {name}"),
        "card": _json(full_card, f"the card of {name}"),
    }
    folder = (_released_models() if released else _own_models()) / name
    write(folder / WEIGHTS, dict(tensors), parts)
    for part, text in parts.items():
        write_text(folder / f"{part}.json", text)
    return Artifact(name, folder, "released" if released else "yours")


def find(name: str, build: Callable[[], object] | None = None, command: str = "") -> Artifact:
    """Find a model by name, the learner's own before the released one, and say in one line which it is.

    When there is none, `build` is called, which must publish it; without `build` the error names `command` as
    what builds it. Raises ArtifactError with the names that exist, ValueError for a name that is no plain
    folder name.
    """
    check_name(name)
    artifact = _look(name)
    if artifact is None and build is not None:
        print(f"model: {name} is not there yet; building it", file=sys.stderr)
        build()
        artifact = _look(name)
        if artifact is None:
            raise ArtifactError(f"building {name} has published no model of that name")
    if artifact is None:
        how = f" Build it with: {command}" if command else ""
        raise ArtifactError(f"there is no model {name!r}; there is {', '.join(names()) or 'none yet'}.{how}")
    print(f"model: {name}, {artifact.whose} ({shown(artifact.folder)})", file=sys.stderr)
    return artifact


def replaced_by_training(name: str) -> str:
    """What to say before a training whose model takes the place of the learner's own; empty where there is none."""
    artifact = _look(name)
    if not artifact or artifact.whose != "yours":
        return ""
    return (
        f"{name} is trained already, in {shown(artifact.folder)}: this run replaces it when it ends. "
        "To keep it, stop now and give this one another --name"
    )


def names() -> list[str]:
    """The models that exist, the learner's and the released, in order of their names."""
    files = [path for folder in (_own_models(), _released_models()) for path in folder.glob(f"*/{WEIGHTS}")]
    return sorted({path.parent.name for path in files})


def _look(name: str) -> Artifact | None:
    for whose, folder in (("yours", _own_models()), ("released", _released_models())):
        if (folder / name / WEIGHTS).is_file():
            return Artifact(name, folder / name, whose)
    return None


def _own_models() -> Path:
    return work_folder() / "models"


def _released_models() -> Path:
    return data_folder() / "models"


def check_name(name: str) -> None:
    """Raises ValueError for a name that no model can have, as it must be a plain folder name."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise ValueError(f"{name!r} cannot name a model: use small letters, digits, '-', '_' and '.'")


def _json(part: Mapping[str, object], what: str) -> str:
    try:
        return json.dumps(part, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as problem:
        raise TypeError(f"{what} cannot be written as JSON: {problem}") from None
