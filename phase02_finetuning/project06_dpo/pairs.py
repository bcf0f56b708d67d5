"""Pairs of answers to one prompt, one of them preferred: from files, and as what a model reads.

    {"prompt": "Tell me about Ben.", "chosen": "Ben likes blue.", "rejected": "ben blue"}
    {"messages": [{"role": "user", "content": "Hello!"}], "chosen": "Hello! How are you?", "rejected": "What."}

as one JSON list or as JSON lines. A pair that is broken is an error, with file and line, and so is a pair of equal
answers: it teaches nothing, and mostly stands for a mistake in making the file.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from phase02_finetuning.project04_sft.collate import collate
from phase02_finetuning.project04_sft.given.located_json import LineError, located
from phase02_finetuning.project04_sft.templates import check_messages
from phase02_finetuning.project04_sft.turns import Example, TooLongError, tokenize_turns
from shared.phase01 import IGNORED, Batch, Tokenizer


@dataclass(frozen=True)
class Pair:
    """The turns before, the answer that is preferred, and the other one; `rule` names tinyworld's, or is empty."""

    prompt: tuple[dict[str, str], ...]
    chosen: str
    rejected: str
    rule: str = ""


class PairExample(NamedTuple):
    """A pair as a model reads it: the same prompt and each of its answers, of which the answer alone has labels."""

    chosen: Example
    rejected: Example


class PairsError(ValueError):
    """A file of pairs cannot be used; the message has the file, the line and what is wrong there."""


def to_pair(record: Any) -> Pair:
    """The pair of one record.

    Its prompt is under "prompt", a text that the user says or a list of messages, or under "messages", such a list. The
    answers, under "chosen" and "rejected", are texts, or lists of one message of the assistant, which is how trl's sets
    have them. "rule", if it is there, is a text. Other keys, such as an id, are passed over.

    Raises ValueError for a record that is no object, naming its type; for one without chosen or rejected, or with none
    or both of prompt and messages, naming these and the keys it has; for a prompt, an answer or a rule of another kind,
    naming its key and its type; for an answer in another role than the assistant's, naming its key and that role; for
    an empty answer (nothing but white space), naming its key; for answers that are equal, but for white space around
    them, naming the text; for messages that `check_messages` refuses; and for a prompt that does not end with the user,
    naming who it ends with.
    """
    if not isinstance(record, Mapping):
        raise ValueError(f"a record is an object, not {type(record).__name__}")
    keys = ", ".join(map(str, record)) or "none"
    if missing := [key for key in ("chosen", "rejected") if key not in record]:
        raise ValueError(f"a record of a pair has {missing[0]} too; its keys: {keys}")
    forms = [key for key in ("prompt", "messages") if key in record]
    if len(forms) != 1:
        raise ValueError(f"a record of a pair has prompt or messages, and one of them; its keys: {keys}")
    prompt = record[forms[0]]
    if forms == ["prompt"] and isinstance(prompt, str):
        prompt = [{"role": "user", "content": prompt}]
    if not isinstance(prompt, list):
        raise ValueError(f"{forms[0]} must be a list of messages, not {type(prompt).__name__}")
    check_messages(prompt)
    if prompt[-1]["role"] != "user":
        raise ValueError(f"a prompt ends with the user; this one ends with the {prompt[-1]['role']}")
    chosen, rejected = (_answer(record[key], key) for key in ("chosen", "rejected"))
    if chosen.strip() == rejected.strip():
        raise ValueError(f"chosen and rejected are the same answer: {chosen.strip()[:40]!r}")
    rule = record.get("rule", "")
    if not isinstance(rule, str):
        raise ValueError(f"rule must be a text, not {type(rule).__name__}")
    return Pair(tuple(prompt), chosen, rejected, rule)


def _answer(value: Any, key: str) -> str:
    """An answer's text, as `to_pair` says; `key` is where it was, for an error. A message may have other keys too."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
        message = value[0]
        if message.get("role") != "assistant":
            raise ValueError(f"{key} must be the assistant's, not of {message.get('role')!r}")
        value = message.get("content")
    if not isinstance(value, str):
        raise ValueError(f"{key} must be a text, or a list of one message, not {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{key} is empty")
    return value


def read_pairs(path: Path | str) -> list[Pair]:
    """All pairs of a file: one JSON list of records, or JSON lines; UTF-8.

    `located` gives the records with their lines. Raises PairsError for the first thing that is wrong, with the file's
    path, the line (counted from 1) on which the record begins or the JSON breaks, and what is wrong: what `located` and
    `to_pair` say. Also for a file without any pair, naming line 1. OSError for one that cannot be read.
    """
    found = []
    line = 1
    try:
        for line, record in located(Path(path).read_bytes()):  # noqa: B007 - for the error below
            found.append(to_pair(record))
    except LineError as problem:
        raise PairsError(f"{path}, line {problem.line}: {problem}") from None
    except ValueError as problem:
        raise PairsError(f"{path}, line {line}: {problem}") from None
    if not found:
        raise PairsError(f"{path}, line 1: there is no pair in it")
    return found


def tokenize_pair(
    pair: Pair, tokenizer: Tokenizer[Any], template: str, context_length: int | None = None
) -> PairExample:
    """Both conversations, the prompt with each answer, as ids and labels (`tokenize_turns`).

    The last answer alone has labels, with the token that ends it: what the assistant has said in the prompt is the same
    in both, and neither was preferred for it. The prompt's ids, ended by a generation prompt, are the beginning of
    either conversation, so that much of the labels becomes IGNORED. Raises as `tokenize_turns` does: TooLongError where
    one of the two is longer than context_length, so a pair is left out as a whole.
    """
    start = len(tokenize_turns(pair.prompt, tokenizer, template, None, add_generation_prompt=True).ids)
    answers = []
    for answer in (pair.chosen, pair.rejected):
        messages = [*pair.prompt, {"role": "assistant", "content": answer}]
        ids, labels = tokenize_turns(messages, tokenizer, template, context_length)
        answers.append(Example(ids, [IGNORED] * start + labels[start:]))
    return PairExample(*answers)


def tokenize_pairs(
    pairs: Sequence[Pair], tokenizer: Tokenizer[Any], template: str, context_length: int
) -> tuple[list[PairExample], list[Pair]]:
    """The examples of all pairs that fit, in order, and these pairs; only TooLongError is passed over."""
    examples, kept = [], []
    for pair in pairs:
        with suppress(TooLongError):
            examples.append(tokenize_pair(pair, tokenizer, template, context_length))
            kept.append(pair)
    return examples, kept


def collate_pairs(examples: Sequence[PairExample], pad_id: int = 0) -> Batch:
    """{"tokens": (pair, 2, time), "targets": (pair, 2, time)}, int64: of each the chosen answer, then the other.

    Project 4's `collate` does the work: targets one place ahead, padded on the right, all rows to the longest. The
    first dimension counts pairs, so that the trainer cuts a batch between pairs and never through one. Raises
    ValueError for no examples.
    """
    flat = collate([answer for example in examples for answer in example], pad_id)
    return {name: part.unflatten(0, (-1, 2)) for name, part in flat.items()}
