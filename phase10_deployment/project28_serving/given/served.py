"""What is served: a model by name or by folder, its tokenizer and template, and what a request may ask of it."""

import contextlib
import io
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from shared.phase01 import PromptTokenizer, Tokenizer, load_model, load_tokenizer
from shared.phase02 import CONTROL, END, JINJA, TEMPLATES, ChatModel, load_chat

END_OF_TEXT = "<|endoftext|>"


def load_served(model: str, template: str = "") -> ChatModel:
    """A released or own model by name, or a folder as Hugging Face's tools write one, with `tokenizer.json` in it.

    Raises as `load_chat` and `load_model` do, and as `of_folder` does.
    """
    folder = Path(model)
    if not is_folder(folder):
        return load_chat(model, template)
    tokenizer, named = of_folder(folder, template)
    return ChatModel(load_model(folder), tokenizer, named)


def is_folder(folder: Path) -> bool:
    """Whether a model is there, as Hugging Face's tools write one."""
    return (folder / "config.json").is_file() and (folder / "tokenizer.json").is_file()


def of_folder(folder: Path, template: str) -> tuple[Tokenizer[Any], str]:
    """A folder's tokenizer and template: the one given, or else the one whose Jinja lies beside the weights.

    Raises ValueError for a folder without a template that is known here.
    """
    jinja = folder / "chat_template.jinja"
    text = jinja.read_text(encoding="utf-8") if jinja.is_file() else ""
    named = template or next((name for name, known in JINJA.items() if known == text), "")
    if named not in TEMPLATES:
        raise ValueError(f"say which template {folder} has, one of {', '.join(TEMPLATES)}: not {named!r}")
    return load_tokenizer(folder / "tokenizer.json"), named


def words_of(model: str, template: str = "") -> tuple[Tokenizer[Any], str]:
    """A model's tokenizer and template, for who needs no weights; nothing is said. Raises as `load_served` does."""
    if is_folder(Path(model)):
        return of_folder(Path(model), template)
    with contextlib.redirect_stderr(io.StringIO()):  # the engine's process says which model it is
        found = load_chat(model, template)
    return found.tokenizer, found.template


@dataclass
class Served:
    """All that is to be known of the model to read a request."""

    name: str
    tokenizer: Tokenizer[Any]
    template: str
    context_length: int
    vocab_size: int
    capacity: int
    """the most tokens that one text can have, were it alone: all blocks"""
    adapters: tuple[str, ...] = ()
    most_texts: int = 16
    """the largest `n`"""
    most_prompts: int = 64
    """how many prompts a request may have"""
    created: int = 0
    """when the server started, in seconds since 1970"""
    extra: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def prompts(self) -> PromptTokenizer:
        """The tokenizer of plain prompts: each begins as texts did in training."""
        return PromptTokenizer(self.tokenizer)

    @property
    def names(self) -> tuple[str, ...]:
        """What may be named as `model`."""
        return (self.name, *self.adapters)

    @property
    def longest(self) -> int:
        """The most tokens of a prompt and of what is written after it, together."""
        return min(self.context_length, self.capacity)

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """The tokens that end a text."""
        names = dict.fromkeys((END[self.template], END_OF_TEXT))
        special = self.tokenizer.special_tokens
        return tuple(special[name] for name in names if name in special)

    @cached_property
    def lead(self) -> str:
        """What stands before an answer's first word in this template, and is no part of it."""
        return " " if self.template in ("tinyworld", "question") else ""

    @cached_property
    def control(self) -> tuple[str, ...]:
        """The template's control tokens."""
        return CONTROL[self.template]

    @cached_property
    def longest_token(self) -> int:
        """How many bytes the longest token has: a text of more bytes than that times its tokens cannot be."""
        decode = self.tokenizer.decode_bytes
        return max(len(decode([token])) for token in range(self.tokenizer.vocab_size))

    def text_of(self, token: int) -> str:
        """A token as a text of its own; half a character is U+FFFD."""
        return self.bytes_of(token).decode("utf-8", "replace")

    def bytes_of(self, token: int) -> bytes:
        """The token's bytes; none where there is no such token."""
        with contextlib.suppress(ValueError, KeyError, IndexError):
            return self.tokenizer.decode_bytes([token])
        return b""
