"""What phase 2 hands to the phases above, each name with the project that teaches it."""

# project 5, LoRA and QLoRA
from phase02_finetuning.project05_lora.adapters import add_adapter, train_only
from phase02_finetuning.project05_lora.lora import LoraConfig, LoRALinear
from phase02_finetuning.project05_lora.merging import merge, merge_and_unload, unmerge
from phase02_finetuning.project05_lora.plan import Setup, memory_plan
from phase02_finetuning.project05_lora.qlora import NF4Linear, quantize_base
from phase02_finetuning.project05_lora.saving import load_adapter, save_adapter
from phase02_finetuning.project05_lora.switching import adapters_off, select_adapter, use_adapter

__all__ = [
    "LoRALinear",
    "LoraConfig",
    "NF4Linear",
    "Setup",
    "adapters_off",
    "add_adapter",
    "load_adapter",
    "memory_plan",
    "merge",
    "merge_and_unload",
    "quantize_base",
    "save_adapter",
    "select_adapter",
    "train_only",
    "unmerge",
    "use_adapter",
]
