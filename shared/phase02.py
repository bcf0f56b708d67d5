"""What phase 2 hands to the phases above, each name with the project that teaches it."""

# project 4, supervised fine-tuning
from phase02_finetuning.project04_sft.answers import (
    Written,
    exact_match_by_skill,
    format_compliance,
    held_out_loss,
    write_answers,
)
from phase02_finetuning.project04_sft.collate import collate
from phase02_finetuning.project04_sft.given.batches import ExampleBatches
from phase02_finetuning.project04_sft.given.chat_model import ChatModel, export_chat, load_chat, publish_chat
from phase02_finetuning.project04_sft.given.control_tokens import add_control_tokens
from phase02_finetuning.project04_sft.given.conversation import Conversation
from phase02_finetuning.project04_sft.given.evaluation import measure as measure_chat
from phase02_finetuning.project04_sft.given.jinja import JINJA
from phase02_finetuning.project04_sft.loss import sft_loss
from phase02_finetuning.project04_sft.packing import document_attention, pack, packed_batch
from phase02_finetuning.project04_sft.records import read_records
from phase02_finetuning.project04_sft.schedule import cosine
from phase02_finetuning.project04_sft.templates import (
    CONTROL,
    END,
    TEMPLATES,
    Messages,
    check_messages,
    render,
    segments,
)
from phase02_finetuning.project04_sft.turns import Example, TooLongError, tokenize_all, tokenize_turns

# project 5, LoRA and QLoRA
from phase02_finetuning.project05_lora.adapters import add_adapter, train_only
from phase02_finetuning.project05_lora.lora import LoraConfig, LoRALinear
from phase02_finetuning.project05_lora.merging import merge, merge_and_unload, unmerge
from phase02_finetuning.project05_lora.plan import Setup, memory_plan
from phase02_finetuning.project05_lora.qlora import NF4Linear, quantize_base
from phase02_finetuning.project05_lora.saving import load_adapter, save_adapter
from phase02_finetuning.project05_lora.switching import adapters_off, select_adapter, use_adapter

__all__ = [
    "CONTROL",
    "END",
    "JINJA",
    "TEMPLATES",
    "ChatModel",
    "Conversation",
    "Example",
    "ExampleBatches",
    "LoRALinear",
    "LoraConfig",
    "Messages",
    "NF4Linear",
    "Setup",
    "TooLongError",
    "Written",
    "adapters_off",
    "add_adapter",
    "add_control_tokens",
    "check_messages",
    "collate",
    "cosine",
    "document_attention",
    "exact_match_by_skill",
    "export_chat",
    "format_compliance",
    "held_out_loss",
    "load_adapter",
    "load_chat",
    "measure_chat",
    "memory_plan",
    "merge",
    "merge_and_unload",
    "pack",
    "packed_batch",
    "publish_chat",
    "quantize_base",
    "read_records",
    "render",
    "save_adapter",
    "segments",
    "select_adapter",
    "sft_loss",
    "tokenize_all",
    "tokenize_turns",
    "train_only",
    "unmerge",
    "use_adapter",
    "write_answers",
]
