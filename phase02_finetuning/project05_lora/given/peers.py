"""peft and bitsandbytes beside ours, where they are installed: layers and models with the same numbers in them."""

import importlib
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from phase02_finetuning.project05_lora.lora import LoRA
from shared.phase01 import LLM, save_model

HAS_PEFT, HAS_BITSANDBYTES = find_spec("peft") is not None, find_spec("bitsandbytes") is not None


def library(name: str) -> Any:
    """The module of that name, imported when it is asked for, which takes seconds; its warnings are not shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def peft_layer(base: nn.Linear, adapter: LoRA, merge: bool = False) -> Any:
    """peft's layer around a copy of the base, with the adapter's numbers; merged, a plain layer again."""
    peft = library("peft")
    copy = nn.Linear(base.in_features, base.out_features, bias=base.bias is not None)
    copy.load_state_dict(base.state_dict())
    config = adapter.config
    wrapped = peft.get_peft_model(
        nn.Sequential(copy),
        peft.LoraConfig(
            r=config.rank, lora_alpha=config.alpha, target_modules=["0"], lora_dropout=config.dropout,
            use_rslora=config.rslora, use_dora=config.dora,
        ),
    )  # fmt: skip
    layer = wrapped.base_model.model[0]
    with torch.no_grad():
        layer.lora_A["default"].weight.copy_(adapter.A)
        layer.lora_B["default"].weight.copy_(adapter.B)
        if config.dora:
            layer.lora_magnitude_vector["default"].weight.copy_(adapter.magnitude)
    return wrapped.merge_and_unload()[0] if merge else layer


def transformers_model(model: LLM, folder: Path) -> Any:
    """The model as transformers has it, in float32 and evaluation mode, by way of this folder."""
    from transformers import AutoModelForCausalLM

    save_model(model, folder)
    return AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32).eval()


def peft_model(theirs: Any, folder: Path) -> Any:
    """A model of transformers with the adapter of a folder on it, opened by peft."""
    return library("peft").PeftModel.from_pretrained(theirs, str(folder)).eval()
