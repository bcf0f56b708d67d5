"""What goes between the server and its engine's process: a line of JSON each, and nothing that is ever unpickled.

To the engine:    {"do": "add", "key": 7, "prompt": […], "params": {…}, …}   {"do": "abort", "key": 7}
From the engine:  {"pieces": [[7, 0, " Mia", [312], null, null, []]], "stats": {…}, …}     one a step, for all
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from shared.phase04 import SamplingParams

Logprob = Sequence[Any]
"""a token, its log-probability, and the likeliest tokens there with theirs: [5, -0.1, [[5, -0.1], [7, -2.5]]]"""


@dataclass(frozen=True)
class Ask:
    """Texts that are wanted after one prompt."""

    prompt: list[int]
    params: SamplingParams
    adapter: str = ""
    """whose weights answer; "" is the base"""
    salt: str = ""
    """who shares blocks: prompts with another salt share none"""
    prompt_logprobs: int | None = None
    """with how many likeliest ones the log-probabilities of the prompt itself are wanted; None: not at all"""
    generate: bool = True
    """False: only the prompt's log-probabilities are wanted"""


@dataclass
class Piece:
    """What has come of one text since the last time somebody looked."""

    index: int
    text: str = ""
    tokens: list[int] = field(default_factory=list)
    reason: str | None = None
    """why the text has ended: "stop", "length" or "error"; None while it goes on"""
    error: str | None = None
    logprobs: list[Logprob] = field(default_factory=list)
    """one for each of the tokens, where they were asked for"""


def add_command(key: int, ask: Ask) -> dict[str, Any]:
    """The command that lets an engine take in a request."""
    return {
        "do": "add",
        "key": key,
        "prompt": ask.prompt,
        "params": asdict(ask.params),
        "adapter": ask.adapter,
        "salt": ask.salt,
        "prompt_logprobs": ask.prompt_logprobs,
        "generate": ask.generate,
    }


def params_of(content: Mapping[str, Any]) -> SamplingParams:
    """Settings as they came over the wire, where JSON has made texts of the keys of logit_bias, and lists of tuples."""
    settings = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
    bias = {int(token): value for token, value in content["logit_bias"].items()}
    return SamplingParams(**{**settings, "logit_bias": bias})


def as_logprob(entry: Any) -> Logprob:
    """A TokenLogprobs of project 13's sampler as it goes over the wire."""
    return entry.token, entry.logprob, [(token, value) for token, value in entry.top]


def encode(message: Mapping[str, Any]) -> bytes:
    """A message as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The message of a line."""
    return json.loads(line)
