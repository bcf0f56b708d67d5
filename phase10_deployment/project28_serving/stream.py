"""A stream of server-sent events in OpenAI's form, while the text is written.

    data: {"id":"chatcmpl-1",…,"choices":[{"index":0,"delta":{"role":"assistant","content":""},…}]}

    data: {"id":"chatcmpl-1",…,"choices":[{"index":0,"delta":{"content":" Mia"},…}]}

    data: [DONE]

An event a token is what a server does most. All but the text is the same in each, so it is made once, and what is
left is one `json.dumps` of the text: half the time of building the object anew, a third of a library's.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from phase10_deployment.project28_serving.given.errors import ApiError
from phase10_deployment.project28_serving.given.wire import Piece

DONE = b"data: [DONE]\n\n"


@dataclass
class Head:
    """What all events of a stream have in common, and what is asked of them."""

    id: str
    created: int
    model: str
    chat: bool
    usage: bool = False
    """whether a last event has the counts"""
    lead: str = ""
    """what is taken off the beginning of each text (`Leads`)"""
    token_ids: bool = False
    """whether choices have "token_ids\""""
    prompt_ids: list[list[int]] | None = None
    """with `token_ids`, the prompts' tokens, for the first event"""
    echo: list[str] = field(default_factory=list)
    """by text, what each begins with, where the prompt is wanted too"""


class Leads:
    """Takes a lead, as the space before a chat's first word, off the beginning of texts that come in pieces."""

    def __init__(self, lead: str):
        """`lead` is one character, or "" where nothing is to be taken off."""
        self.lead = lead
        self.begun: set[int] = set()
        """the texts of which something has come"""

    def strip(self, index: int, text: str) -> str:
        """The piece of a text, without the lead where it is the first that is not empty, and begins with it."""
        if not text or index in self.begun:
            return text
        self.begun.add(index)
        return text.removeprefix(self.lead)


def sse(content: Mapping[str, Any]) -> bytes:
    """An object as one server-sent event."""
    return b"data: " + json.dumps(content, separators=(",", ":")).encode() + b"\n\n"


def choice_maker(head: Head) -> Callable[[int, str, str | None, Any, list[int]], bytes]:
    """What makes an event of a choice: index, text, finish_reason, logprobs and tokens in, bytes out.

    In a chat the choice has {"index", "delta": {"content": text}, "logprobs", "finish_reason"}, else {"index", "text",
    "logprobs", "finish_reason"}; with `head.token_ids`, "token_ids" too. Where `head.usage`, the event has "usage":
    null, as every event but the last one. All that does not change is written once, here.
    """
    kind = "chat.completion.chunk" if head.chat else "text_completion"
    common = {"id": head.id, "object": kind, "created": head.created, "model": head.model}
    begin = "data: " + json.dumps(common, separators=(",", ":"))[:-1] + ',"choices":[{"index":'
    before, after = (',"delta":{"content":', "}") if head.chat else (',"text":', "")
    end = "}]" + (',"usage":null' if head.usage else "") + "}\n\n"

    def make(index: int, text: str, reason: str | None, logprobs: Any, tokens: list[int]) -> bytes:
        said = "null" if reason is None else f'"{reason}"'
        likely = "null" if logprobs is None else json.dumps(logprobs, separators=(",", ":"))
        ids = f',"token_ids":{json.dumps(tokens)}' if head.token_ids else ""
        return (
            f'{begin}{index}{before}{json.dumps(text)}{after},"logprobs":{likely},"finish_reason":{said}{ids}{end}'
        ).encode()

    return make


def sse_events(
    pieces: AsyncIterator[list[Piece]],
    head: Head,
    texts: int,
    usage: Callable[[], Mapping[str, int]],
    logprobs: Callable[[Piece], Any] = lambda piece: None,
) -> AsyncGenerator[bytes, None]:
    """What yields the events of a stream of `texts` texts.

    1. In a chat, for each text an event with the delta {"role": "assistant", "content": ""}, before anything is known.
       In a completion, with `head.token_ids` an event with `choices` [], and then for each text that is echoed one with
       what `head.echo` has of it. With `head.token_ids` the first event of all has "prompt_token_ids", those of the
       first prompt.
    2. For each piece one event, with its text (less the lead), its tokens, and what `logprobs` makes of it; but none
       for a piece with nothing to say: no text, no tokens that are wanted, no log-probabilities and no reason. The last
       event of a text has its finish_reason, "stop" or "length".
    3. With `head.usage`, an event with `choices` [] and what `usage` returns then, when everything has been counted.
    4. `DONE`, and nothing after it.

    A text that ends with the reason "error", and an error that `pieces` raises, are told by an event {"error": …}, an
    ApiError's content, of status 500 with the error's words unless it is an ApiError; then comes `DONE` at once, with
    no usage: the status line was sent long ago. The text of the piece with the reason "error" is not sent. Where who
    reads goes away, `pieces` is closed.

    (This is called, and not awaited: the generator that it returns is made inside.)
    """
    make, leads = choice_maker(head), Leads(head.lead)

    async def events() -> AsyncGenerator[bytes, None]:
        try:
            for event in _openings(head, texts):
                yield event
            for index, text in enumerate(head.echo):
                yield make(index, text, None, None, [])
            async for group in pieces:
                for piece in group:
                    if piece.reason == "error":
                        raise ApiError(f"the text failed: {piece.error}", status=500)
                    text, likely = leads.strip(piece.index, piece.text), logprobs(piece)
                    if text or likely is not None or piece.reason or (head.token_ids and piece.tokens):
                        yield make(piece.index, text, piece.reason, likely, piece.tokens)
            if head.usage:
                yield sse({**_common(head), "choices": [], "usage": usage()})
        except Exception as error:
            known = error if isinstance(error, ApiError) else ApiError(str(error), status=500)
            yield sse(known.content)
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()
        yield DONE

    return events()


def _common(head: Head) -> dict[str, Any]:
    kind = "chat.completion.chunk" if head.chat else "text_completion"
    return {"id": head.id, "object": kind, "created": head.created, "model": head.model}


def _openings(head: Head, texts: int) -> list[bytes]:
    """What comes before anything is known of the texts."""
    contents: list[dict[str, Any]] = []
    for index in range(texts if head.chat else 0):
        delta = {"role": "assistant", "content": ""}
        choice: dict[str, Any] = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        if head.token_ids:
            choice["token_ids"] = []
        contents.append({**_common(head), "choices": [choice]})
    if head.token_ids and head.prompt_ids:
        contents = contents or [{**_common(head), "choices": []}]
        contents[0]["prompt_token_ids"] = head.prompt_ids[0]
    return [sse({**content, "usage": None} if head.usage else content) for content in contents]
