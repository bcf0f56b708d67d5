"""Texts to ids where a trained model reads them: how a text begins, and where a prompt ends and its answer begins."""

from collections.abc import Sequence
from typing import Any

from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.token_file import END_OF_TEXT


def bos_ids(tokenizer: Tokenizer[Any]) -> list[int]:
    """The token that a text starts with, <|endoftext|>, as in training; none where the tokenizer does not have it."""
    return [tokenizer.special_tokens[END_OF_TEXT]] if END_OF_TEXT in tokenizer.special_tokens else []


def encode(tokenizer: Tokenizer[Any], text: str) -> list[int]:
    """The ids of a text; what looks like a special token in it is ordinary text."""
    return tokenizer.encode(text, disallowed_special=())


def encode_pair(tokenizer: Tokenizer[Any], context: str, continuation: str) -> tuple[list[int], list[int]]:
    """The ids of a context, begun as in training, and those of what continues it.

    As in lm-evaluation-harness, the two are encoded as one text, which is what the model meets when it reads, and
    cut where the context alone would end; spaces at the context's end go to the continuation. Where that leaves it no
    token, as "Ans" and "wer" in a text of the one token "Answer", the two are encoded each by itself. Without a context
    and a token to begin with, the first token becomes the context, for nothing could predict it.
    """
    bare = context.rstrip()
    continuation = context[len(bare) :] + continuation
    whole, place = encode(tokenizer, bare + continuation), len(encode(tokenizer, bare))
    start = bos_ids(tokenizer)
    if place and len(whole) <= place:
        return [*start, *encode(tokenizer, bare)], encode(tokenizer, continuation)
    if not start and not place:
        place = 1
    return [*start, *whole[:place]], whole[place:]


class PromptTokenizer:
    """A tokenizer as project 1's `generate` wants one: each prompt begins as texts did in training.

    So an empty prompt asks for the beginning of a text. `start` are the ids that come first, where it is not
    `begin` that says which.
    """

    def __init__(self, tokenizer: Tokenizer[Any], start: Sequence[int] | None = None):
        self.tokenizer = tokenizer
        self.start = bos_ids(tokenizer) if start is None else list(start)

    def encode(self, text: str) -> list[int]:
        """The ids of a prompt; what looks like a special token in it is ordinary text."""
        return [*self.start, *encode(self.tokenizer, text)]

    def decode(self, ids: list[int]) -> str:
        """The text of the ids."""
        return self.tokenizer.decode(ids)
