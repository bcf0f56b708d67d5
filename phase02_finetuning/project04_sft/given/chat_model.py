"""Chat models by name, and as folders that Hugging Face's tools open."""

import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from phase02_finetuning.project04_sft.given.jinja import JINJA
from phase02_finetuning.project04_sft.templates import CONTROL, END, TEMPLATES
from phase02_finetuning.project04_sft.turns import check_tokenizer
from shared import artifacts
from shared.files import write_text
from shared.phase01 import LLM, Tokenizer, load_base, publish_base, save_model, save_tokenizer

CHAT_TEMPLATE = "chat_template.jinja"


class ChatModel(NamedTuple):
    """A model with its tokenizer, and the name of the template that it was trained on."""

    model: LLM
    tokenizer: Tokenizer[Any]
    template: str


def load_chat(name: str = "tiny-chat", template: str = "") -> ChatModel:
    """A chat model by name, the learner's own or the released one; a base model speaks in the template "question".

    `template` takes the place of the one that its card names. Raises ArtifactError and CheckpointError as `load_base`
    does, and ValueError for a template that the tokenizer has no control tokens for.
    """
    model, tokenizer = load_base(name)
    with contextlib.redirect_stderr(io.StringIO()):  # load_base has said which model it is
        card = artifacts.find(name).card
    chosen = template or str(card.get("template", "question"))
    if chosen not in TEMPLATES:
        raise ValueError(f"there is no template {chosen!r}; there are {', '.join(TEMPLATES)}")
    check_tokenizer(tokenizer, chosen)
    return ChatModel(model, tokenizer, chosen)


def publish_chat(
    name: str,
    chat: ChatModel,
    card: Mapping[str, object],
    *,
    released: bool = False,
    dtype: torch.dtype | None = None,
) -> artifacts.Artifact:
    """Publish a chat model as `publish_base` does, with its template in the card and as Jinja beside it."""
    card = {**card, "template": chat.template}
    artifact = publish_base(name, chat.model, chat.tokenizer, card, released=released, dtype=dtype)
    write_text(artifact.folder / CHAT_TEMPLATE, JINJA[chat.template])
    return artifact


def export_chat(chat: ChatModel, folder: Path) -> None:
    """Write a folder that transformers, vLLM and others open: weights, tokenizer, and the template as Jinja.

    The token that ends an assistant's turn is the one that ends a text, so that they stop there. A template that
    begins with a token brings it along: tokenizers must not add a second. Raises ValueError as `save_model` does.
    """
    folder = Path(folder)
    names = CONTROL[chat.template]
    end = chat.tokenizer.special_tokens[END[chat.template]]
    save_model(chat.model, folder, bos_token_id=None, eos_token_id=end)
    save_tokenizer(chat.tokenizer, folder / "tokenizer.json")
    content = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": chat.model.config.context_length,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": False,
        "eos_token": END[chat.template],
        "pad_token": END[chat.template],
        "additional_special_tokens": [name for name in names if name != END[chat.template]],
    }
    write_text(folder / "tokenizer_config.json", json.dumps(content, indent=2) + "\n")
    write_text(folder / CHAT_TEMPLATE, JINJA[chat.template])
    settings = {"eos_token_id": end, "pad_token_id": end, "do_sample": False}
    write_text(folder / "generation_config.json", json.dumps(settings, indent=2) + "\n")
