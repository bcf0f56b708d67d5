"""A model may know more ids than its tokenizer: its embedding was padded, or ids were left free. They make no text."""

from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import Tensor

from phase01_foundation.project01_minimal_gpt.attention import Attend
from phase01_foundation.project01_minimal_gpt.generation import LanguageModel
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.model import LLM, Config


def unknown_ids(tokenizer: Tokenizer[Any], vocab_size: int) -> set[int]:
    """The ids below `vocab_size` that the tokenizer cannot decode."""
    return {id for id in range(vocab_size) if not _decodes(tokenizer, id)}


def without_unknown(model: LLM, tokenizer: Tokenizer[Any], ends: Collection[int] = ()) -> LanguageModel:
    """The model for project 1's `generate`, with the ids left out that the tokenizer cannot decode.

    `ends`, which end a text and are not decoded, stay. A model all of whose ids make text comes back as it is.
    """
    unknown = sorted(unknown_ids(tokenizer, model.config.vocab_size) - set(ends))
    return _Without(model, unknown) if unknown else model


class _Without:
    """A model that gives some ids no probability."""

    def __init__(self, model: LLM, ids: list[int]):
        self.model = model
        self.ids = torch.tensor(ids)

    @property
    def config(self) -> Config:
        return self.model.config

    def __call__(self, tokens: Tensor, /, *, attend: Attend | None = None) -> Tensor:
        logits = self.model(tokens, attend=attend)  # (row, time, vocab)
        return logits.index_fill_(-1, self.ids.to(logits.device), float("-inf"))

    def parameters(self) -> Iterator[Tensor]:
        return self.model.parameters()

    def eval(self) -> object:
        return self.model.eval()


def _decodes(tokenizer: Tokenizer[Any], id: int) -> bool:
    try:
        tokenizer.decode_bytes([id])
    except ValueError:
        return False
    return True
