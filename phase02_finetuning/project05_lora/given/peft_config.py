"""adapter_config.json, as peft writes it: read with care, for a field that is passed over may change the function."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phase02_finetuning.project05_lora.adapters import matches
from phase02_finetuning.project05_lora.lora import LoraConfig
from shared.artifacts import CheckpointError
from shared.kinds import check_kind

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

# Whatever they say, the trained adapter computes the same.
NO_MATTER = {
    *("auto_mapping", "base_model_name_or_path", "revision", "task_type", "inference_mode", "peft_version"),
    *("megatron_core", "qalora_group_size", "runtime_config", "low_cpu_mem_usage"),
}
READ = {"peft_type", "r", "lora_alpha", "lora_dropout", "target_modules", "use_rslora", "use_dora"}
FIXED = {"bias": "none", "peft_type": "LORA"}
# How an adapter began makes no difference, save for those ways that also changed the base.
BEGINNINGS = (True, False, "gaussian", "orthogonal", "eva")


def write_config(config: LoraConfig, layers: Sequence[str], known: Sequence[str], base: str | None) -> str:
    """The text of an adapter_config.json, for an adapter on these layers, of those that the model has (`known`).

    Layers are named by their last part, q_proj, where that means no other layer than those; else by their whole names.
    """
    endings = list(dict.fromkeys(layer.rpartition(".")[2] for layer in layers))
    meant = [layer for layer in known if any(matches(layer, ending) for ending in endings)]
    targets = endings if set(meant) == set(layers) else list(layers)
    content = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": config.rank,
        "lora_alpha": int(config.alpha) if config.alpha == int(config.alpha) else config.alpha,
        "lora_dropout": config.dropout,
        "target_modules": targets,
        "use_rslora": config.rslora,
        "use_dora": config.dora,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "modules_to_save": None,
    }
    return json.dumps(content, indent=2) + "\n"


def read_config(folder: Path) -> LoraConfig:
    """The LoraConfig that a folder's adapter_config.json describes, its targets as peft names layers.

    Raises CheckpointError for a file that is missing or no JSON object; without r, lora_alpha or target_modules; with a
    value that cannot be; of another method than LoRA; and with any further field that is not known to make no
    difference and is not empty (null, false, {} or []), naming it and its value.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise CheckpointError(f"{folder} has no {CONFIG}: it is no adapter, or saving it was cut short")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path} is no JSON: {problem}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} must hold one JSON object")
    _refuse_what_is_not_done(path, content)
    targets = content["target_modules"]
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        raise CheckpointError(f"{path} has target_modules {targets!r}; this code reads a list of names")
    fields = {
        "r": (content["r"], int),
        "lora_alpha": (content["lora_alpha"], float),
        "lora_dropout": (content.get("lora_dropout") or 0.0, float),
        "use_rslora": (content.get("use_rslora") or False, bool),
        "use_dora": (content.get("use_dora") or False, bool),
    }
    try:
        for name, (value, kind) in fields.items():
            check_kind(name, value, kind)
        rank, alpha, dropout, rslora, dora = (value for value, _ in fields.values())
        return LoraConfig(rank, float(alpha), tuple(targets), float(dropout), rslora, dora)
    except ValueError as problem:
        raise CheckpointError(f"{path} cannot be used: {problem}") from None


def _refuse_what_is_not_done(path: Path, content: dict[str, Any]) -> None:
    for name in ("peft_type", "r", "lora_alpha", "target_modules"):
        if content.get(name) is None:
            raise CheckpointError(f"{path} has no {name}")
    for name, value in content.items():
        if name in FIXED and value != FIXED[name]:
            raise CheckpointError(f"{path} has {name} {value!r}; this code can only have {FIXED[name]!r}")
        if name == "init_lora_weights":
            if not any(value is one or (isinstance(value, str) and value == one) for one in BEGINNINGS):
                raise CheckpointError(f"{path} has {name} {value!r}, which changes the base as well")
        elif name not in {*FIXED, *READ, *NO_MATTER} and not _empty(value):
            raise CheckpointError(f"{path} has {name} {value!r}, which this code does not know how to follow")


def _empty(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, dict | list) and not value)
