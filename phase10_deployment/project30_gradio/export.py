"""A conversation to take along: as JSON that one can fine-tune on (project 4), and as Markdown that one can read.

Both have to hold whatever was said in it. The JSON has to be a record as `read_records` wants it. In the Markdown
nobody may forge a turn: a message that contains "## assistant", or HTML, or three backticks, is that text and nothing
else. So each message stands in a code block with a fence that is longer than any in it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

Messages = Sequence[Mapping[str, Any]]


def exchanges(messages: Messages) -> list[dict[str, str]]:
    """The part of a conversation that is a record: a system message, if it begins with one, then question and answer.

    Left out are: system messages elsewhere, and those of nothing but white space; a question without an answer after
    it, as one at the end; an answer without a question before it; and an exchange of which one side is nothing but
    white space. Contents stay as they are. What comes out takes turns, the user first, and ends with an answer (or has
    nothing but the system's message in it, or nothing at all).
    """
    found = []
    if messages and messages[0]["role"] == "system" and messages[0]["content"].strip():
        found.append({"role": "system", "content": messages[0]["content"]})
    question = None
    for message in messages:
        if message["role"] == "user":
            question = message["content"]
        elif message["role"] == "assistant" and question is not None:
            if question.strip() and message["content"].strip():
                found.append({"role": "user", "content": question})
                found.append({"role": "assistant", "content": message["content"]})
            question = None
    return found


def to_json(messages: Messages, source: Mapping[str, Any] | None = None) -> str:
    """The conversation as a JSON text: a list with one record, as project 4's `read_records` reads it.

        [{"messages": [{"role": "user", "content": "Who?"}, …], "source": {"model": "tiny-chat"}}]

    "messages" are its `exchanges`. `source`, where it is given, is whatever is worth keeping of where they come from.
    Indented by 2, everything that is no ASCII as it is but for lone surrogates, which no UTF-8 file can hold: "�"
    stands for each. A line end at the end. Raises ValueError where there is no exchange.
    """
    kept = exchanges(messages)
    if not any(message["role"] == "assistant" for message in kept):
        raise ValueError("there is nothing to export yet: no question has been answered")
    record: dict[str, Any] = {"messages": kept}
    if source is not None:
        record["source"] = dict(source)
    text = json.dumps([record], indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def fenced(text: str) -> str:
    """A text as a code block of Markdown: whatever is in it, a reader of Markdown gets this text and nothing else.

    The fence is of backticks, three or as many more as it takes to be longer than any run of backticks in the text. The
    text begins on the line after it, and the closing fence has a line of its own: one line end is put before it. Of
    "\\r\\n" and "\\r", which Markdown takes for line ends too, each becomes "\\n".
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    longest = max([len(run) for run in re.findall("`+", text)], default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def to_markdown(messages: Messages, title: str = "A conversation") -> str:
    r"""The conversation as Markdown: the title as a heading, then each message under its role, `fenced`.

        # A conversation\n\n## user\n\n```\nWho?\n```\n\n## assistant\n\n```\nMia.\n```\n

    All messages are in it, also a question without an answer and an empty answer: this is for reading. Of the title,
    line ends become spaces, and what Markdown or HTML would take for markup has a backslash before it: any of
    \\ ` * _ { } [ ] < > ( ) # + - . ! | & ~
    """
    flat = re.sub(r"[\r\n]+", " ", title)
    parts = ["# " + re.sub(r"([\\`*_{}\[\]<>()#+\-.!|&~])", r"\\\1", flat)]
    for message in messages:
        parts += [f"## {message['role']}", fenced(message["content"])]
    return "\n\n".join(parts) + "\n"
