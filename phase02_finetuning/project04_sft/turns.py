"""From a conversation to ids and labels: what the model reads, and what of it the model is trained to write.

The loss counts the assistant's words and the token that ends its turn, of every turn, and nothing else: a model
that is trained on the user's words learns to ask, and one that is not trained on the end never stops.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from phase02_finetuning.project04_sft.templates import CONTROL, Messages, segments
from shared.phase01 import IGNORED, Tokenizer


class Example(NamedTuple):
    """A conversation's tokens. `labels` has the token itself where the model is to write it, else IGNORED."""

    ids: list[int]
    labels: list[int]


class TooLongError(ValueError):
    """A conversation has more tokens than the model can read."""


def check_tokenizer(tokenizer: Tokenizer[Any], template: str) -> None:
    """Raises ValueError, naming them, for control tokens of the template that the tokenizer has not."""
    if missing := [name for name in CONTROL[template] if name not in tokenizer.special_tokens]:
        raise ValueError(f"the tokenizer has no {', '.join(missing)}, which the template {template} needs")


def tokenize_turns(
    messages: Messages,
    tokenizer: Tokenizer[Any],
    template: str,
    context_length: int | None = None,
    add_generation_prompt: bool = False,
) -> Example:
    """The ids of a conversation, and a label for each.

    Control segments become the ids of these special tokens. All other text is encoded as ordinary text, so that
    "<|im_end|>" in what a user has typed is five or six tokens of text, never the one that ends a turn. Ordinary
    segments side by side are encoded together, as one text, which is how a model meets them: "user\\n" and "Who?" are
    "user\\nWho?". But where what is trained begins or ends there is always a cut. So the ids up to there are those of
    the same conversation ended by a generation prompt, and the model goes on from what it was trained to go on from.
    Nothing is added: a token for the beginning comes from the template, or not at all.

    Raises ValueError as `segments` and `check_tokenizer` do; for a conversation in which nothing is trained, unless
    it ends in a generation prompt; and TooLongError, naming both numbers, for more tokens than context_length, if
    that is given: half an answer teaches a model to stop in the middle.
    """
    parts = segments(messages, template, add_generation_prompt)
    check_tokenizer(tokenizer, template)
    ids: list[int] = []
    labels: list[int] = []
    for (control, trained), group in groupby(parts, key=lambda part: (part.control, part.trained)):
        texts = [part.text for part in group]
        if control:
            new = [tokenizer.special_tokens[text] for text in texts]
        else:
            new = tokenizer.encode("".join(texts), disallowed_special=())
        ids += new
        labels += new if trained else [IGNORED] * len(new)
    if not add_generation_prompt and all(label == IGNORED for label in labels):
        raise ValueError(
            "the assistant says nothing in this conversation, so there is nothing to learn from it"
        )
    if context_length is not None and len(ids) > context_length:
        raise TooLongError(f"the conversation has {len(ids)} tokens; the model reads {context_length}")
    return Example(ids, labels)


def tokenize_all(
    conversations: Iterable[Messages], tokenizer: Tokenizer[Any], template: str, context_length: int
) -> tuple[list[Example], int]:
    """The examples of all conversations that fit, in order, and how many were left out because they are too long.

    Only TooLongError is passed over; every other error is raised.
    """
    examples, too_long = [], 0
    for messages in conversations:
        try:
            examples.append(tokenize_turns(messages, tokenizer, template, context_length))
        except TooLongError:
            too_long += 1
    return examples, too_long
