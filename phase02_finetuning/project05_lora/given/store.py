"""Trained adapters by name: the learner's own in work/models, else a released one in data/models."""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from phase02_finetuning.project05_lora.given.peft_config import CONFIG
from phase02_finetuning.project05_lora.saving import load_adapter, save_adapter
from shared.artifacts import ArtifactError, CheckpointError, check_name
from shared.files import data_folder, shown, work_folder, write_text
from shared.measuring.provenance import provenance
from shared.phase01 import LLM, Tokenizer, load_base


def publish_adapter(model: nn.Module, name: str, base: str, card: dict[str, Any]) -> Path:
    """Write the adapter in use to work/models/<name>/, as peft has it, with a card beside it; returns the folder.

    It is stored in bfloat16: half the file, and more digits than an adapter needs.
    """
    check_name(name)
    folder = work_folder() / "models" / name
    save_adapter(model, folder, base=base, dtype=torch.bfloat16)
    write_text(
        folder / "card.json",
        json.dumps({"name": name, "base": base, **provenance(), **card}, indent=2) + "\n",
    )
    return folder


def find_adapter(name: str) -> Path:
    """The folder of an adapter, and one line on stderr that says which. Raises ArtifactError where there is none."""
    check_name(name)
    for whose, root in (("yours", work_folder()), ("released", data_folder())):
        folder = root / "models" / name
        if (folder / CONFIG).is_file():
            print(f"adapter: {name}, {whose} ({shown(folder)})", file=sys.stderr)
            return folder
    raise ArtifactError(f"there is no adapter {name!r} in work/models or data/models")


def load_adapted(name: str) -> tuple[LLM, Tokenizer[Any]]:
    """An adapter on the base that its config names, in use, and the base's tokenizer.

    Raises ArtifactError where one of the two is not there, CheckpointError for files that are broken or do not fit.
    """
    folder = find_adapter(name)
    try:
        base = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
        check_name(base)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CheckpointError(f"{folder / CONFIG} does not say which base the adapter is for") from None
    model, tokenizer = load_base(base)
    load_adapter(model, folder)
    return model, tokenizer
