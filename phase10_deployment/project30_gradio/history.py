"""A conversation, and what a person does to it: ask, retry, edit, undo.

All of it are functions from a list of messages to a new one. Nothing is kept here, and nothing that comes in is changed
or is part of what goes out: a page has many windows, each with a conversation of its own, and a list that two of them
hold shows one person what the other has written. (It has happened to many: a list outside of all functions is enough.)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Message = dict[str, str]
Messages = Sequence[Mapping[str, Any]]
JOINER = "\u2060"
"""a character that is not seen and has no width (WORD JOINER)"""


def shown(messages: Messages) -> list[Message]:
    """The messages as a chat window may have them, so that each is seen as the text it is: what `plain` turns back.

    A window of Gradio's takes a text for HTML. It leaves out scripts, but pictures are fetched, and big red letters are
    big and red. Escaping would be seen by whoever edits a message. So a JOINER goes behind each "<" and each "&": in
    HTML, "<" begins a tag, and "&" an entity, only if a letter or one of / ! ? # comes right behind it.
    """
    found = []
    for message in messages:
        content = re.sub("[<&]", lambda mark: mark[0] + JOINER, message["content"])
        found.append({"role": message["role"], "content": content})
    return found


def plain(window: Messages | None) -> list[Message]:
    """What a chat window holds, as messages of role and content alone.

    Gradio's messages have more: "metadata", "options", and a content that is a text, or a list of parts of which
    those with "type": "text" have a "text". The texts of the parts are joined as they are; other parts, pictures say,
    are left out. Messages of other roles than user, assistant and system are left out, too. None is no message.

    One JOINER right behind a "<" or a "&" is taken away: `shown` put it there.
    """
    found = []
    for message in window or []:
        if message["role"] not in ("user", "assistant", "system"):
            continue
        content = message["content"]
        if not isinstance(content, str):
            content = "".join(part["text"] for part in content if part.get("type") == "text")
        content = re.sub(f"([<&]){JOINER}", r"\1", content)
        found.append({"role": message["role"], "content": content})
    return found


def ask(history: Messages, text: str) -> list[Message]:
    """The conversation with a question of the user's at its end.

    A question at the end that was never answered gives way to it: two in a row are no conversation. Raises ValueError
    for a text that is nothing but white space.
    """
    if not text.strip():
        raise ValueError("there is nothing in the message: write something first")
    kept = _copy(history)
    if kept and kept[-1]["role"] == "user":
        kept.pop()
    return [*kept, {"role": "user", "content": text}]


def answer(history: Messages, text: str) -> list[Message]:
    """The conversation with the assistant's answer, as far as it has come.

    It takes the place of an answer at the end, which is what it was a moment ago; after a question it is appended.
    Raises ValueError for a conversation with nothing in it that could be answered: there is no user's message.
    """
    if not any(message["role"] == "user" for message in history):
        raise ValueError("there is no question of the user's to answer")
    kept = _copy(history)
    if kept[-1]["role"] == "assistant":
        kept.pop()
    return [*kept, {"role": "assistant", "content": text}]


def retry(history: Messages, index: int | None = None) -> list[Message]:
    """The conversation up to the question that is to be answered again: that is its last message.

    `index` is the place of a message, by default of the last one: a user's, which is that question, or an answer,
    whose question it then is. What came after is gone. Raises ValueError, naming the index and the number of messages,
    for a place where there is no message (the negative ones too), and where no user's message is at or before it.
    """
    index = len(history) - 1 if index is None else index
    _check(history, index)
    while index >= 0 and history[index]["role"] != "user":
        index -= 1
    if index < 0:
        raise ValueError(f"no question comes before message {index + 1} of {len(history)}")
    return _copy(history[: index + 1])


def edit(history: Messages, index: int, text: str) -> list[Message]:
    """The conversation with another text in the message at `index`, which is then the last one.

    What came after was said to something else, and goes. Raises ValueError, naming the index and the number of
    messages, for a place where there is none (the negative ones too), and for a text of nothing but white space.
    """
    _check(history, index)
    if not text.strip():
        raise ValueError("there is nothing in the message: write something, or undo it")
    return [*_copy(history[:index]), {"role": history[index]["role"], "content": text}]


def undo(history: Messages) -> tuple[list[Message], str]:
    """The conversation without the user's last message and all after it, and that message's text, to be written anew.

    Without a user's message, the conversation as it is and "".
    """
    for index in range(len(history) - 1, -1, -1):
        if history[index]["role"] == "user":
            return _copy(history[:index]), history[index]["content"]
    return _copy(history), ""


def request_messages(history: Messages, system: str = "") -> list[Message]:
    """What goes to the server: the system's prompt first, unless it is nothing but white space, then the conversation.

    An answer in which there is nothing but white space, as one that was stopped at once, is left out, with the question
    before it: templates refuse empty messages. Any system message of the conversation gives way to the prompt, and is
    gone without one.
    """
    found: list[Message] = [{"role": "system", "content": system}] if system.strip() else []
    for message in history:
        if message["role"] == "assistant" and not message["content"].strip():
            if found and found[-1]["role"] == "user":
                found.pop()
        elif message["role"] != "system":
            found.append({"role": message["role"], "content": message["content"]})
    return found


def forget(messages: Messages) -> list[Message]:
    """The messages without the oldest exchange, for a model that cannot read all of them: a system message stays.

    An exchange is a user's message and what follows, up to the next user's message. Raises ValueError where only one
    is left: then it is the message itself that is too long.
    """
    asked = [index for index, message in enumerate(messages) if message["role"] == "user"]
    if len(asked) < 2:
        raise ValueError("the last message alone is longer than the model can read")
    return _copy([*messages[: asked[0]], *messages[asked[1] :]])


def _check(history: Messages, index: int) -> None:
    if not 0 <= index < len(history):
        raise ValueError(f"there is no message {index}: the conversation has {len(history)}, counted from 0")


def _copy(history: Messages) -> list[Message]:
    return [dict(message) for message in history]
