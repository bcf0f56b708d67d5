"""What is known of an answer while it is written: its text, its tokens, and what else could have stood there."""

from dataclasses import dataclass


class CutOffError(Exception):
    """The stream ended, without an error of its own, before the answer did: there was no finish_reason."""


@dataclass(frozen=True)
class Candidate:
    """A token that could stand at a place."""

    text: str
    """as the server shows it; half a character has a mark in its place"""
    logprob: float
    """the natural logarithm of its probability"""
    data: bytes
    """its bytes, which joined with those of its neighbours are text"""


@dataclass(frozen=True)
class Written(Candidate):
    """A token that was written, and the likeliest ones for its place."""

    top: tuple[Candidate, ...] = ()
    """likeliest first; the written one is among them, unless it was drawn from further down"""


@dataclass(frozen=True)
class Usage:
    """What the server counted."""

    prompt: int
    """tokens of the prompt"""
    completion: int
    """tokens that were written"""
    cached: int | None = None
    """tokens of the prompt that the prefix cache had; None where the server does not say"""


@dataclass(frozen=True)
class Reply:
    """An answer as far as it has come. Never changed: each piece that arrives makes a new one."""

    text: str = ""
    tokens: tuple[Written, ...] = ()
    """where log-probabilities were asked for"""
    ids: tuple[int, ...] = ()
    """of the tokens written, where `return_token_ids` was asked for"""
    prompt_ids: tuple[int, ...] = ()
    """of the prompt, template and all, where `return_token_ids` was asked for"""
    pieces: int = 0
    """how many chunks have brought something"""
    reason: str | None = None
    """why it has ended: "stop", "length" and so on; None while it goes on"""
    usage: Usage | None = None
