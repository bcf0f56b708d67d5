"""Gives a model and its tokenizer the control tokens of a template, with rows of the embedding to begin with."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from phase02_finetuning.project04_sft.templates import CONTROL, check_template
from shared.phase01 import LLM, Tokenizer, from_tensors

LIKE = {
    "<|system|>": ("<|endoftext|>",),
    "<|user|>": ("Question", ":"),
    "<|assistant|>": ("Answer", ":"),
    "<|end|>": ("<|endoftext|>",),
    "<|im_start|>": ("\n",),
    "<|im_end|>": ("<|endoftext|>",),
    "<|begin_of_text|>": ("<|endoftext|>",),
    "<|start_header_id|>": ("\n",),
    "<|end_header_id|>": (":",),
    "<|eot_id|>": ("<|endoftext|>",),
}
"""what a base model knows that does the same work: a new token begins as the mean of these, not as noise"""


def add_control_tokens(model: LLM, tokenizer: Tokenizer[Any], template: str) -> tuple[LLM, Tokenizer[Any]]:
    """A model and a tokenizer that have all control tokens of the template; the given ones stay as they are.

    What is missing gets the ids after the tokenizer's last. The model's embedding, and its head, get rows for them:
    each is the mean of the rows of what LIKE names, or of all rows, where the tokenizer has none of these. Where
    nothing is missing, both come back as they are. Raises ValueError for an unknown template.
    """
    check_template(template)
    missing = [name for name in CONTROL[template] if name not in tokenizer.special_tokens]
    if not missing:
        return model, tokenizer
    ids = {name: tokenizer.vocab_size + number for number, name in enumerate(missing)}
    size = max(model.config.vocab_size, tokenizer.vocab_size + len(missing))
    tensors = dict(model.state_dict())
    if model.config.tied_embeddings:
        del tensors["head.weight"]
    for name in ("embedding.weight", "head.weight"):
        if name in tensors:
            tensors[name] = _grown(tensors[name], size, ids, tokenizer)
    grown = from_tensors(
        replace(model.config, vocab_size=size), {name: one.detach().clone() for name, one in tensors.items()}
    )
    grown.attend = model.attend
    special = {**tokenizer.special_tokens, **ids}
    return grown.train(model.training), Tokenizer(tokenizer.model, special, tokenizer.added_tokens)


def _grown(rows: Tensor, size: int, ids: dict[str, int], tokenizer: Tokenizer[Any]) -> Tensor:
    more = torch.zeros(size - len(rows), rows.shape[1], dtype=rows.dtype, device=rows.device)
    grown = torch.cat([rows, more])
    for name, id in ids.items():
        grown[id] = rows[_like(LIKE.get(name, ()), tokenizer)].mean(dim=0)
    return grown


def _like(texts: Sequence[str], tokenizer: Tokenizer[Any]) -> list[int] | slice:
    """The ids of these texts; of what the tokenizer cannot encode, all ids."""
    found: list[int] = []
    for text in texts:
        try:
            found += tokenizer.encode(text, allowed_special="all")
        except ValueError:
            continue
    return found or slice(None)
