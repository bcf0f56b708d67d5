"""What a user would batch with instead: transformers' generate, on prompts that are filled up to the longest."""

import importlib
from collections.abc import Sequence as List
from pathlib import Path
from typing import Any

import torch

from shared.phase01 import LLM, save_model


class Padded:
    """Static batches by transformers: each row is computed until the longest of its batch has ended."""

    def __init__(self, model: LLM, folder: Path):
        transformers: Any = importlib.import_module("transformers")
        transformers.logging.disable_progress_bar()
        save_model(model, folder)
        dtype = model.embedding.weight.dtype
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()

    @torch.inference_mode()
    def write(self, prompts: List[List[int]], counts: List[int], size: int) -> list[list[int]]:
        """Greedily, so many tokens after each prompt, in batches of `size`."""
        texts: list[list[int]] = []
        for start in range(0, len(prompts), size):
            batch, wanted = prompts[start : start + size], counts[start : start + size]
            width = max(map(len, batch))
            tokens = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in batch])
            mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in batch])
            found = self.model.generate(
                tokens, attention_mask=mask, do_sample=False, max_new_tokens=max(wanted),
                min_new_tokens=max(wanted), eos_token_id=None, pad_token_id=0,
            )  # fmt: skip
            rows = found[:, width:].tolist()
            texts += [row[:count] for row, count in zip(rows, wanted, strict=True)]
        return texts
