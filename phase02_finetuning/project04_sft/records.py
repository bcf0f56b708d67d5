"""Conversations from files, in the three forms that instruction data comes in.

    Alpaca      {"instruction": "Sort these.", "input": "b, a", "output": "a, b"}
    ShareGPT    {"conversations": [{"from": "human", "value": "Who?"}, {"from": "gpt", "value": "I."}]}
    messages    {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "I."}]}

as one JSON list of them or as JSON lines. A broken record is an error, with file and line: one that is skipped in
silence is missed by nobody, and one that is trained on spoils the model.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phase02_finetuning.project04_sft.given.located_json import LineError, located
from phase02_finetuning.project04_sft.templates import check_messages

Conversation = list[dict[str, str]]
SPEAKERS = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
}
"""roles by the names that ShareGPT's form has for them"""


class RecordsError(ValueError):
    """A file of conversations cannot be used; the message has the file, the line and what is wrong there."""


def to_messages(record: Any) -> Conversation:
    """The conversation of one record, in any of the three forms; it ends in an answer.

    The form is told by its key: "messages", "conversations" or "instruction". Other keys of a record, such as an
    id, are passed over; those of a message and of a turn are not.

        messages    as they are
        ShareGPT    each turn has "from", one of SPEAKERS, and "value", both texts, and nothing else
        Alpaca      the user says the instruction and, if "input" is there and is more than white space, a blank line
                    and the input (null counts as none); the assistant says "output" or, where there is none,
                    "response". All are texts

    Raises ValueError for a record that is no object, naming its type; for one with none of the three keys or with
    several of them, naming the keys it has; for an Alpaca record without an answer, naming its keys; for a turn with
    other keys than it should have, naming those it has; for an unknown speaker, naming it; for anything that should be
    a list or a text and is none, naming its key; for what `check_messages` refuses; and for a conversation that does
    not end with the assistant, whose last message nobody answers.
    """
    if not isinstance(record, Mapping):
        raise ValueError(f"a record is an object, not {type(record).__name__}")
    keys = ", ".join(map(str, record)) or "none"
    forms = [key for key in ("messages", "conversations", "instruction") if key in record]
    if len(forms) != 1:
        raise ValueError(
            f"a record has messages, conversations or instruction, and one of them; its keys: {keys}"
        )
    if forms == ["instruction"]:
        found = _from_alpaca(record, keys)
    else:
        turns = record[forms[0]]
        if not isinstance(turns, list):
            raise ValueError(f"{forms[0]} must be a list, not {type(turns).__name__}")
        found = turns if forms == ["messages"] else [_from_turn(turn) for turn in turns]
    check_messages(found)
    if found[-1]["role"] != "assistant":
        raise ValueError("the conversation ends without an answer of the assistant")
    return [dict(message) for message in found]


def _from_alpaca(record: Mapping[str, Any], keys: str) -> Conversation:
    """The two messages of an Alpaca record, as `to_messages` says. `keys` are its keys, for an error."""
    answer = "output" if "output" in record else "response"
    if answer not in record:
        raise ValueError(f"a record with an instruction has an output or a response too; its keys: {keys}")
    texts = {"instruction": record["instruction"], "input": record.get("input"), answer: record[answer]}
    texts["input"] = "" if texts["input"] is None else texts["input"]
    for key, text in texts.items():
        if not isinstance(text, str):
            raise ValueError(f"{key} must be a text, not {type(text).__name__}")
    asked = texts["instruction"]
    if texts["input"].strip():
        asked += "\n\n" + texts["input"]
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": texts[answer]}]


def _from_turn(turn: Any) -> dict[str, str]:
    """The message of one of ShareGPT's turns, as `to_messages` says; the value itself is left to `check_messages`."""
    if not isinstance(turn, Mapping) or set(turn) != {"from", "value"}:
        has = ", ".join(map(str, turn)) if isinstance(turn, Mapping) else type(turn).__name__
        raise ValueError(f"a turn of conversations has from and value, and nothing else; this one: {has}")
    if turn["from"] not in SPEAKERS:
        raise ValueError(f"a turn is from {turn['from']!r}; known are {', '.join(SPEAKERS)}")
    return {"role": SPEAKERS[turn["from"]], "content": turn["value"]}


def read_records(path: Path | str) -> list[Conversation]:
    """All conversations of a file: one JSON list of records, or JSON lines; UTF-8, with or without a byte order mark.

    `located` gives the records with their lines. Raises RecordsError for the first thing that is wrong, with the
    file's path, the line (counted from 1) on which the record begins or the JSON breaks, and what is wrong: what
    `located` and `to_messages` say. Also for a file without any record. OSError for one that cannot be read.
    """
    found = []
    place = 1
    try:
        for line, record in located(Path(path).read_bytes()):
            place = line
            found.append(to_messages(record))
    except LineError as problem:
        raise RecordsError(f"{path}, line {problem.line}: {problem}") from None
    except ValueError as problem:
        raise RecordsError(f"{path}, line {place}: {problem}") from None
    if not found:
        raise RecordsError(f"{path}, line 1: there is no record in it")
    return found
