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

# project 6, DPO and GRPO
from phase02_finetuning.project06_dpo.grpo import group_advantages, grpo_loss
from phase02_finetuning.project06_dpo.logprobs import LogProbs, sequence_logprobs, token_logprobs
from phase02_finetuning.project06_dpo.losses import dpo_loss, hinge_loss, ipo_loss, kto_loss, simpo_loss
from phase02_finetuning.project06_dpo.metrics import kl_estimate, preference_metrics, win_rate
from phase02_finetuning.project06_dpo.pairs import Pair, PairExample, collate_pairs, read_pairs, tokenize_pair
from phase02_finetuning.project06_dpo.policy import pair_logprobs, reference_of
from phase02_finetuning.project06_dpo.reference_cache import ReferenceCache
from phase02_finetuning.project06_dpo.rollout import rollout, sample_answers

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
    "LogProbs",
    "LoraConfig",
    "Messages",
    "NF4Linear",
    "Pair",
    "PairExample",
    "ReferenceCache",
    "Setup",
    "TooLongError",
    "Written",
    "adapters_off",
    "add_adapter",
    "add_control_tokens",
    "check_messages",
    "collate",
    "collate_pairs",
    "cosine",
    "document_attention",
    "dpo_loss",
    "exact_match_by_skill",
    "export_chat",
    "format_compliance",
    "group_advantages",
    "grpo_loss",
    "held_out_loss",
    "hinge_loss",
    "ipo_loss",
    "kl_estimate",
    "kto_loss",
    "load_adapter",
    "load_chat",
    "measure_chat",
    "memory_plan",
    "merge",
    "merge_and_unload",
    "pack",
    "packed_batch",
    "pair_logprobs",
    "preference_metrics",
    "publish_chat",
    "quantize_base",
    "read_pairs",
    "read_records",
    "reference_of",
    "render",
    "rollout",
    "sample_answers",
    "save_adapter",
    "segments",
    "select_adapter",
    "sequence_logprobs",
    "sft_loss",
    "simpo_loss",
    "token_logprobs",
    "tokenize_all",
    "tokenize_pair",
    "tokenize_turns",
    "train_only",
    "unmerge",
    "use_adapter",
    "win_rate",
    "write_answers",
]
