"""A request as the engine sees it: tokens, of which the first so many have been computed.

There is no phase of reading and no phase of writing here. A sequence has tokens, its prompt and what was written
after it, and the keys and values of the first `num_computed` of them are in memory. The others are pending. A step
computes some of them; where it reaches the last one, the model has an opinion on the next token, and the text grows
by one:

    tokens          [p p p p p p p]        a prompt of seven, nothing computed: 7 pending
    step of 4       [P P P P p p p]        a chunk: 3 pending, and no token yet
    step of 3       [P P P P P P P t]      the prompt's end: the first token is chosen, and is pending itself
    step of 1       [P P P P P P P T t]    and so on, one in a step
"""

from collections.abc import Sequence as List
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import torch

from shared.phase01 import SamplingParams


class SequenceStatus(Enum):
    """Where a sequence is, and once it has ended, why."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED_STOPPED = "stopped"
    """a token of `stop_ids` was chosen"""
    FINISHED_LENGTH = "length"
    """it has `max_tokens` tokens, or the model's context is full"""
    FINISHED_ABORTED = "aborted"
    """nobody wants it any more, or its step failed"""

    @property
    def finished(self) -> bool:
        """Whether it has ended, for whatever reason."""
        return self not in (SequenceStatus.WAITING, SequenceStatus.RUNNING)


@dataclass(slots=True, eq=False)
class Sequence:
    """One request on its way: its text, how far it has been computed, and what was asked for."""

    key: int
    """the name that whoever asks knows it by"""
    tokens: list[int]
    """the prompt and all that was written after it"""
    params: SamplingParams
    limit: int
    """the most tokens of a text that the model can read: its context"""
    priority: int = 0
    """0 is served first; see priority.py"""
    generator: torch.Generator | None = None
    """what draws its tokens, and nobody else's; seeded with `params.seed` where none is given"""
    num_prompt: int = field(init=False)
    """how many of the tokens are the prompt's"""
    num_computed: int = 0
    """how many of the tokens, from the first, have their keys and values in memory"""
    arrival: int = 0
    """how many requests came before it"""
    status: SequenceStatus = SequenceStatus.WAITING
    draft: list[int] = field(default_factory=list)
    """tokens that may come next, which a step computes too, to see whether they are right; empty in this project"""

    def __post_init__(self):
        self.tokens = list(self.tokens)
        self.num_prompt = len(self.tokens)
        if self.generator is None:
            self.generator = torch.Generator().manual_seed(self.params.seed)

    @property
    def written(self) -> list[int]:
        """The tokens after the prompt."""
        return self.tokens[self.num_prompt :]

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        return self.status.finished

    @property
    def pending(self) -> int:
        """How many tokens a step may compute of it: those of the text and of the draft, less those computed."""
        return len(self.tokens) + len(self.draft) - self.num_computed

    @property
    def longest(self) -> int:
        """The most tokens that will ever be computed of it, if nothing but its length ends it.

        The prompt and `max_tokens` more, less the last one, which is chosen and never read; at most `limit`.
        """
        return min(self.num_prompt + self.params.max_tokens - 1, self.limit)

    def write(self, token: int) -> bool:
        """End the text, or write one more token; returns whether the token was written.

        A token of `params.stop_ids` ends the text as FINISHED_STOPPED and is not written. Any other is written, and
        the text ends as FINISHED_LENGTH when it now has `params.max_tokens` tokens after the prompt, or more tokens
        in all than `limit`: the context is full, and the last token was chosen but cannot be read.
        """
        if token in self.params.stop_ids:
            self.status = SequenceStatus.FINISHED_STOPPED
            return False
        self.tokens.append(token)
        if len(self.tokens) - self.num_prompt >= self.params.max_tokens or len(self.tokens) > self.limit:
            self.status = SequenceStatus.FINISHED_LENGTH
        return True

    def advance(self, count: int, chosen: List[int]) -> list[int]:
        """A step has computed `count` pending tokens, and `chosen` come next; returns those that were written.

        `chosen` is empty where tokens of the text are still pending. They are written (`write`) one after the other,
        until one of them ends the text; the draft is used up, whatever was chosen. Then `num_computed` has grown by
        `count`, but the last token of a text is never computed: with a draft of which the first tokens were right,
        fewer than `count` were of any use.

        One that had ended before, as by an abort while the step ran, takes nothing: it returns [], and nothing
        changes.
        """
        if self.finished:
            return []
        written = []
        for token in chosen:
            if self.write(token):
                written.append(token)
            if self.finished:
                break
        self.draft = []
        self.num_computed = min(self.num_computed + count, len(self.tokens) - 1)
        return written


class Scheduled(NamedTuple):
    """A sequence's part in a step: how many of its pending tokens are computed."""

    sequence: Sequence
    count: int  # pyright: ignore[reportIncompatibleMethodOverride] (a tuple's own, of no use here)
