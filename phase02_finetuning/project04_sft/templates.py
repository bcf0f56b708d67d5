"""Chat templates: a conversation as one text, in the form that a model was trained on.

A conversation is a list of messages, each a dict of "role" (system, user or assistant) and "content". A template
writes it down so that a reader of tokens can tell who speaks and where a turn ends. For that it has control tokens,
single tokens that no typed text can have. So here a template gives segments and not only a text: what is a control
token, what is ordinary text, and which part the model is to learn to write.

    render([{"role": "user", "content": "Who?"}], "chatml", add_generation_prompt=True)
    "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n"

Elsewhere templates are written in Jinja and travel with the tokenizer (`given/jinja.py` has these five). Both must
give the same text: a model that is trained on one form and used with another answers badly, and nothing says why.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Messages = Sequence[Mapping[str, Any]]
ROLES = ("system", "user", "assistant")
ALPACA_HEADER = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request."
)


class Segment(NamedTuple):
    """A piece of a conversation's text: one control token, or ordinary text."""

    text: str
    control: bool = False
    """whether it is a control token of the template's; what people type never is, whatever it looks like"""
    trained: bool = False
    """whether the model is to write it: an assistant's text, and the token that ends it"""


def check_messages(messages: Sequence[Any]) -> None:
    """Raises ValueError, naming the message by its number from 1, for what no template can write down.

    There is at least one message. Each is a mapping with "role" and "content", both texts, and nothing else: another
    key is named, since it would be lost without a word. The role is one of ROLES (the error names what came and all
    three). The content is more than white space. A system message comes first, or not at all: the error of a second
    one or a late one names its number. After it user and assistant take turns, and the user begins: the error names
    the role that came and the one that was due.
    """
    if not messages:
        raise ValueError("there is no message: a conversation has at least one")
    due = "user"
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, Mapping) or not all(
            isinstance(message.get(key), str) for key in ("role", "content")
        ):
            raise ValueError(f"message {number} needs a role and a content, both texts; it is {message!r}")
        if extra := [str(key) for key in message if key not in ("role", "content")]:
            raise ValueError(f"message {number} has {', '.join(extra)}, which no template here writes down")
        role = message["role"]
        if role not in ROLES:
            raise ValueError(f"message {number} has the role {role!r}; there are {', '.join(ROLES)}")
        if not message["content"].strip():
            raise ValueError(f"message {number}, of the {role}, is empty")
        if role == "system":
            if number > 1:
                raise ValueError(f"message {number} is of the system, which speaks once, and first")
            continue
        if role != due:
            raise ValueError(f"message {number} is of the {role}; it is the turn of the {due}")
        due = "assistant" if role == "user" else "user"


def chatml(messages: Messages, add_generation_prompt: bool = False) -> list[Segment]:
    r"""ChatML, as Qwen and many others have it. Contents stay as they are.

        <|im_start|>system\nBe
        brief.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\nI.<|im_end|>\n

    <|im_start|> and <|im_end|> are control tokens, role and line ends ordinary text. Of an assistant's message, the
    content and the <|im_end|> after it are trained. The generation prompt is "<|im_start|>assistant\n".
    """
    found = []
    for message in messages:
        answers = message["role"] == "assistant"
        found += [
            Segment("<|im_start|>", control=True),
            Segment(message["role"] + "\n"),
            Segment(message["content"], trained=answers),
            Segment("<|im_end|>", control=True, trained=answers),
            Segment("\n"),
        ]
    if add_generation_prompt:
        found += [Segment("<|im_start|>", control=True), Segment("assistant\n")]
    return found


def llama3(messages: Messages, add_generation_prompt: bool = False) -> list[Segment]:
    r"""Llama 3's. Contents without the white space around them.

        <|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|><|start_header_id|>assistant
        <|end_header_id|>\n\nI.<|eot_id|>                               (without the line end in the middle)

    All in <| |> are control tokens; the first comes once. Of an assistant's message, the content and its <|eot_id|>
    are trained. The generation prompt is "<|start_header_id|>assistant<|end_header_id|>\n\n".
    """

    def header(role: str) -> list[Segment]:
        return [
            Segment("<|start_header_id|>", control=True),
            Segment(role),
            Segment("<|end_header_id|>", control=True),
            Segment("\n\n"),
        ]

    found = [Segment("<|begin_of_text|>", control=True)]
    for message in messages:
        answers = message["role"] == "assistant"
        found += [
            *header(message["role"]),
            Segment(message["content"].strip(), trained=answers),
            Segment("<|eot_id|>", control=True, trained=answers),
        ]
    if add_generation_prompt:
        found += header("assistant")
    return found


def alpaca(messages: Messages, add_generation_prompt: bool = False) -> list[Segment]:
    r"""Stanford Alpaca's, with a token that ends an answer, so that it can go on. Contents stay as they are.

        Below is … the request.\n\n### Instruction:\nWho?\n\n### Response:\nI.<|endoftext|>\n\n### Instruction:\nAnd …

    The header, ALPACA_HEADER, or the system's message in its place, comes once. Before a user's content is
    "\n\n### Instruction:\n", before an assistant's "\n\n### Response:\n", which is the generation prompt too. The only
    control token is <|endoftext|>: nobody can tell a typed "### Response:" from the template's. An assistant's
    content and its <|endoftext|> are trained.
    """
    system = [message["content"] for message in messages if message["role"] == "system"]
    found = [Segment(system[0] if system else ALPACA_HEADER)]
    for message in messages:
        if message["role"] == "user":
            found += [Segment("\n\n### Instruction:\n"), Segment(message["content"])]
        elif message["role"] == "assistant":
            found += [
                Segment("\n\n### Response:\n"),
                Segment(message["content"], trained=True),
                Segment("<|endoftext|>", control=True, trained=True),
            ]
    if add_generation_prompt:
        found.append(Segment("\n\n### Response:\n"))
    return found


def tinyworld(messages: Messages, add_generation_prompt: bool = False) -> list[Segment]:
    r"""Our own, for models that were pre-trained on tinyworld. Contents without the white space around them.

        <|endoftext|><|system|> Be brief.<|end|><|user|> Who?<|end|><|assistant|> I.<|end|>

    <|endoftext|> comes once, first, as before every text in pre-training. A role is one control token, and so is the
    end of a turn. Each content has a space before it, for that is how the model knows words: " Mia" after "Answer:"
    is one token, "Mia" another. Of an assistant's message, the space, the content and <|end|> are trained. The
    generation prompt is "<|assistant|>".
    """
    found = [Segment("<|endoftext|>", control=True)]
    for message in messages:
        answers = message["role"] == "assistant"
        found += [
            Segment(f"<|{message['role']}|>", control=True),
            Segment(" " + message["content"].strip(), trained=answers),
            Segment("<|end|>", control=True, trained=answers),
        ]
    if add_generation_prompt:
        found.append(Segment("<|assistant|>", control=True))
    return found


def question(messages: Messages, add_generation_prompt: bool = False) -> list[Segment]:
    r"""The form of tinyworld's questions, which tiny-base knows as it is: so its answers can be compared.

        <|endoftext|>Question: Who?\nAnswer: I.<|endoftext|>Question: And where?\nAnswer: Here.<|endoftext|>

    Contents are without the white space around them. <|endoftext|>, the only control token, comes first and ends each
    answer; a system's message is a line of its own before the first question. Of an assistant's message, which is
    " I." (with the space), that and its <|endoftext|> are trained. The generation prompt is "Answer:".
    """
    found = [Segment("<|endoftext|>", control=True)]
    for message in messages:
        content = message["content"].strip()
        if message["role"] == "system":
            found.append(Segment(content + "\n"))
        elif message["role"] == "user":
            found.append(Segment(f"Question: {content}\n"))
        else:
            found += [
                Segment("Answer:"),
                Segment(" " + content, trained=True),
                Segment("<|endoftext|>", control=True, trained=True),
            ]
    if add_generation_prompt:
        found.append(Segment("Answer:"))
    return found


TEMPLATES: dict[str, Callable[[Messages, bool], list[Segment]]] = {
    "tinyworld": tinyworld,
    "question": question,
    "chatml": chatml,
    "llama3": llama3,
    "alpaca": alpaca,
}
END = {
    "tinyworld": "<|end|>",
    "question": "<|endoftext|>",
    "chatml": "<|im_end|>",
    "llama3": "<|eot_id|>",
    "alpaca": "<|endoftext|>",
}
"""the control token that ends an assistant's message"""
CONTROL = {
    "tinyworld": ("<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    "question": ("<|endoftext|>",),
    "chatml": ("<|im_start|>", "<|im_end|>"),
    "llama3": ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "alpaca": ("<|endoftext|>",),
}
"""all control tokens of a template"""


def segments(messages: Messages, template: str, add_generation_prompt: bool = False) -> list[Segment]:
    """The conversation in segments. The generation prompt is what comes before an assistant's content.

    Raises ValueError as check_messages does, for an unknown template, and where a generation prompt is asked for
    after an assistant's message: two of them in a row are no conversation.
    """
    check_template(template)
    check_messages(messages)
    if add_generation_prompt and messages[-1]["role"] != "user":
        raise ValueError(f"after a message of the {messages[-1]['role']} it is not the assistant's turn")
    return TEMPLATES[template](messages, add_generation_prompt)


def check_template(template: str) -> None:
    """Raises ValueError for a name that no template has."""
    if template not in TEMPLATES:
        raise ValueError(f"there is no template {template!r}; there are {', '.join(TEMPLATES)}")


def render(messages: Messages, template: str, add_generation_prompt: bool = False) -> str:
    """The conversation as one text, byte for byte what the template's Jinja gives. Raises as `segments` does."""
    return "".join(segment.text for segment in segments(messages, template, add_generation_prompt))
