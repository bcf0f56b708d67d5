"""Prompts by kind of text, for measurements: stories, quotations, and questions of each skill; and how a text ends."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from shared import tinyworld
from shared.phase01 import PromptTokenizer, Tokenizer

END_OF_TEXT = "<|endoftext|>"


def stories(tokenizer: Tokenizer[Any], count: int, length: int = 24) -> list[list[int]]:
    """The first tokens of so many stories that no model has read."""
    encode = PromptTokenizer(tokenizer).encode
    found = tinyworld.documents("test", 0, ["story"])
    return [encode(document.text)[: length + 1] for document in islice(found, count)]


def quotations(tokenizer: Tokenizer[Any], count: int, length: int = 64) -> list[list[int]]:
    """Of so many stories the beginning, and then its first words once more: the rest of it is likely to follow."""
    encode = PromptTokenizer(tokenizer).encode
    found = tinyworld.documents("test", 1, ["story"])
    prompts = []
    for document in islice(found, count):
        tokens = encode(document.text)[: length + 1]
        prompts.append([*tokens, *encode("\n\n")[1:], *tokens[1:13]])
    return prompts


def questions(tokenizer: Tokenizer[Any], per_skill: int) -> dict[str, list[list[int]]]:
    """Of each skill so many questions, up to where the answer has to begin."""
    encode = PromptTokenizer(tokenizer).encode
    return {
        skill: [encode(item.query) for item in items]
        for skill, items in tinyworld.evaluation("test", per_skill).items()
    }


def story_ends(tokenizer: Tokenizer[Any]) -> tuple[int, ...]:
    """The token that ends a story."""
    return (tokenizer.special_tokens[END_OF_TEXT],)


def answer_ends(tokenizer: Tokenizer[Any]) -> tuple[int, ...]:
    """The tokens that come only after an answer: the end, and the beginning of the next question."""
    question: Sequence[int] = tokenizer.encode("\nQuestion")[len(tokenizer.encode("\n")) :]
    return (*story_ends(tokenizer), *question[:1])
