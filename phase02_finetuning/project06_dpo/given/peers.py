"""trl beside ours, where it is installed: its trainers on a small model, and the losses that they give."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from phase02_finetuning.project04_sft.given.chat_model import ChatModel, export_chat
from phase02_finetuning.project06_dpo.losses import dpo_loss
from phase02_finetuning.project06_dpo.pairs import PairExample, collate_pairs
from phase02_finetuning.project06_dpo.policy import pair_logprobs, reference_logprobs
from shared.phase01 import IGNORED

with warnings.catch_warnings():  # about what their own imports use
    warnings.simplefilter("ignore")
    try:
        import trl as _trl
    except ImportError:
        _trl = None

trl: Any = _trl


def pair_records(examples: Sequence[PairExample]) -> list[dict[str, list[int]]]:
    """The pairs as trl has them once they are tokenized: the ids of the prompt and of both answers."""
    found = []
    for chosen, rejected in examples:
        start = next(place for place, label in enumerate(chosen.labels) if label != IGNORED)
        found.append(
            {
                "prompt_ids": chosen.ids[:start],
                "chosen_ids": chosen.ids[start:],
                "rejected_ids": rejected.ids[start:],
            }
        )
    return found


def dpo_trainer(chat: ChatModel, folder: Path, examples: Sequence[PairExample], **settings: Any) -> Any:
    """trl's DPOTrainer of this model, opened from a folder, on these pairs in their order."""
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast

    export_chat(chat, folder / "model")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder / "model"))
    config = trl.DPOConfig(
        output_dir=str(folder / "out"), use_cpu=True, bf16=False, report_to="none", disable_tqdm=True,
        train_sampling_strategy="sequential", save_strategy="no", logging_steps=1, max_length=None, **settings,
    )  # fmt: skip
    words = Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}] * len(examples))
    trainer = trl.DPOTrainer(
        model=str(folder / "model"), args=config, train_dataset=words, processing_class=tokenizer
    )
    # In place of what it has made of the words: the very ids that we read.
    trainer.train_dataset = Dataset.from_list(pair_records(examples))
    return trainer


def dpo_losses(
    chat: ChatModel, folder: Path, examples: Sequence[PairExample], **settings: Any
) -> list[float]:
    """The loss of each step of a run of trl's DPOTrainer."""
    trainer = dpo_trainer(chat, folder, examples, **settings)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def grpo_trainer(chat: ChatModel, folder: Path, **settings: Any) -> Any:
    """trl's GRPOTrainer of this model, ready to be asked for `_compute_loss`.

    By default it multiplies the KL estimate by the ratio, which corrects for tokens that the old policy has written;
    here it is the paper's loss, without.
    """
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast

    export_chat(chat, folder / "model")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder / "model"))
    config = trl.GRPOConfig(
        output_dir=str(folder / "out"), use_cpu=True, bf16=False, report_to="none",
        per_device_train_batch_size=4, num_generations=2, use_bias_correction_kl=False, **settings,
    )  # fmt: skip
    trainer = trl.GRPOTrainer(
        model=str(folder / "model"), reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=config, train_dataset=Dataset.from_list([{"prompt": "a"}] * 4), processing_class=tokenizer,
    )  # fmt: skip
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    return trainer


def our_dpo_losses(
    model: nn.Module, examples: Sequence[PairExample], rows: int, beta: float, rate: float, steps: int
) -> list[float]:
    """The loss of each step of the same by our parts: all weights trained, the reference's numbers made before."""
    batches = [collate_pairs(examples[start : start + rows]) for start in range(0, len(examples), rows)]
    reference = reference_logprobs(model, batches)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    losses = []
    for step in range(steps):
        start = step % len(batches) * rows
        policy = pair_logprobs(model, batches[step % len(batches)]).sums
        known = reference[start : start + rows]
        loss = dpo_loss(policy[:, 0], policy[:, 1], known[:, 0], known[:, 1], beta).losses.mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses
