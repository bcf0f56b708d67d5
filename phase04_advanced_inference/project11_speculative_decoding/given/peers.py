"""transformers' assisted generation, for comparison: the same target, the same draft model, the same prompts."""

from collections.abc import Sequence
from pathlib import Path

import torch
import transformers

from shared.phase01 import LLM, save_model


class Assisted:
    """The target and the draft model as transformers has them, with a fixed number of guesses."""

    def __init__(self, model: LLM, draft: LLM, folder: Path, count: int):
        """Writes both to a folder, and reads them back."""
        dtype = model.embedding.weight.dtype
        found = []
        for name, one in (("target", model), ("draft", draft)):
            save_model(one, folder / name)
            found.append(transformers.AutoModelForCausalLM.from_pretrained(folder / name, dtype=dtype).eval())
        self.target, self.draft = found
        self.draft.generation_config.num_assistant_tokens = count
        self.draft.generation_config.num_assistant_tokens_schedule = "constant"
        self.draft.generation_config.assistant_confidence_threshold = 0.0

    @torch.no_grad()
    def write(self, prompt: Sequence[int], tokens: int, assisted: bool) -> list[int]:
        """So many tokens after the prompt, greedy."""
        ids = torch.tensor([list(prompt)])
        written = self.target.generate(
            ids, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, eos_token_id=None,
            attention_mask=torch.ones_like(ids), **({"assistant_model": self.draft} if assisted else {}),
        )  # fmt: skip
        return written[0, len(prompt) :].tolist()
