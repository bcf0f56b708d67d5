"""Task 1: chunks become replies, and who stops reading hangs up. The OpenAI client reads from a made-up wire."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk

from phase10_deployment.project30_gradio.given.answer import Candidate, CutOffError, Reply, Usage, Written
from phase10_deployment.project30_gradio.reply import (
    add_chunk,
    add_piece,
    add_usage,
    continue_reply,
    stream_reply,
)

pytestmark = pytest.mark.task(1)


def chunk(*choices: dict[str, Any], **rest: Any) -> ChatCompletionChunk:
    base = {
        "id": "c",
        "created": 0,
        "model": "m",
        "object": "chat.completion.chunk",
        "choices": list(choices),
    }
    return ChatCompletionChunk.construct(**{**base, **rest})


def delta(text: str | None = None, index: int = 0, reason: str | None = None, **rest: Any) -> dict[str, Any]:
    return {"index": index, "delta": {"content": text}, "finish_reason": reason, **rest}


def piece(*choices: dict[str, Any], **rest: Any) -> Completion:
    base = {"id": "c", "created": 0, "model": "m", "object": "text_completion", "choices": list(choices)}
    return Completion.construct(**{**base, **rest})


def token(text: str, logprob: float, data: list[int] | None = None, top: Any = ()) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": data, "top_logprobs": list(top)}


USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def test_texts_are_joined_and_the_reply_before_stays():
    first = add_chunk(Reply(), chunk(delta("Mi")))
    second = add_chunk(first, chunk(delta("a.")))
    assert (first.text, second.text) == ("Mi", "Mia.")
    assert (first.pieces, second.pieces) == (1, 2)


def test_a_chunk_without_text_is_no_piece():
    reply = add_chunk(Reply("Mia", pieces=1), chunk({"index": 0, "delta": {"role": "assistant"}}))
    assert reply == Reply("Mia", pieces=1)
    assert add_chunk(reply, chunk(delta(""))) == Reply("Mia", pieces=1)


def test_a_chunk_with_nothing_but_ids_is_a_piece():
    assert add_chunk(Reply(), chunk(delta("", token_ids=[7]))) == Reply(ids=(7,), pieces=1)


def test_the_reason_is_the_first_that_came():
    reply = add_chunk(Reply("a"), chunk(delta(None, reason="length")))
    assert reply.reason == "length"
    assert add_chunk(reply, chunk(delta(None, reason="stop"))).reason == "length"
    assert add_chunk(reply, chunk(delta("b"))).reason == "length"


def test_only_the_choice_with_index_0_counts():
    reply = add_chunk(Reply(), chunk(delta("no", 1, reason="stop", token_ids=[1]), delta("yes", 0)))
    assert reply == Reply("yes", pieces=1)
    assert add_chunk(Reply(), chunk(delta("no", 1))) == Reply()


def test_a_chunk_may_have_several_tokens():
    listed = [
        token(" Mia", -0.5, [32, 77, 105, 97], [token(" Mia", -0.5, None), token(" Leo", -1.5, [32, 76])]),
        token("�", -0.25, [0xE2]),
    ]
    reply = add_chunk(Reply(), chunk(delta(" Mia", logprobs={"content": listed}, token_ids=[5, 6])))
    assert reply.ids == (5, 6)
    top = (Candidate(" Mia", -0.5, b" Mia"), Candidate(" Leo", -1.5, b" L"))
    assert reply.tokens == (Written(" Mia", -0.5, b" Mia", top), Written("�", -0.25, b"\xe2", ()))


def test_bytes_that_are_missing_are_the_texts_and_none_at_all_stay_none():
    reply = add_chunk(
        Reply(), chunk(delta("", logprobs={"content": [token("é", -1.0), token("<end>", -2.0, [])]}))
    )
    assert [one.data for one in reply.tokens] == ["é".encode(), b""]


def test_log_probabilities_may_be_null():
    for none in (None, {"content": None}, {"content": []}):
        assert add_chunk(Reply(), chunk(delta("a", logprobs=none))).tokens == ()


def test_ids_and_tokens_go_on_after_those_before():
    reply = Reply("a", (Written("a", -1.0, b"a"),), (1,))
    reply = add_chunk(reply, chunk(delta("b", logprobs={"content": [token("b", -2.0)]}, token_ids=[2])))
    assert (reply.ids, [one.text for one in reply.tokens]) == ((1, 2), ["a", "b"])


def test_the_usage_comes_in_a_chunk_without_choices():
    details = {"prompt_tokens_details": {"cached_tokens": 8}}
    assert add_chunk(Reply("a"), chunk(usage={**USAGE, **details})) == Reply("a", usage=Usage(9, 4, 8))


def test_what_was_cached_may_not_be_said():
    for details in ({}, {"prompt_tokens_details": None}, {"prompt_tokens_details": {}}):
        assert add_usage(Reply(), chunk(usage={**USAGE, **details})).usage == Usage(9, 4, None)
    zero = {"prompt_tokens_details": {"cached_tokens": 0}}
    assert add_usage(Reply(), chunk(usage={**USAGE, **zero})).usage == Usage(9, 4, 0)


def test_the_prompts_ids_are_kept():
    reply = add_chunk(Reply(), chunk(delta("a"), prompt_token_ids=[3, 1]))
    assert reply.prompt_ids == (3, 1)
    assert add_chunk(reply, chunk(delta("b"), prompt_token_ids=None)).prompt_ids == (3, 1)


def test_pieces_of_the_other_route():
    logprobs = {
        "tokens": [" the", " cat"],
        "token_logprobs": [-0.5, None],
        "top_logprobs": [{" a": -2.0, " the": -0.5}, None],
        "text_offset": [0, 4],
    }
    choice = {
        "index": 0,
        "text": " the cat",
        "finish_reason": None,
        "logprobs": logprobs,
        "token_ids": [4, 5],
    }
    reply = add_piece(Reply("So", (), (1,), pieces=1), piece(choice, prompt_token_ids=[9]))
    assert (reply.text, reply.ids, reply.prompt_ids, reply.pieces) == ("So the cat", (1, 4, 5), (9,), 2)
    first, second = reply.tokens
    top = (Candidate(" the", -0.5, b" the"), Candidate(" a", -2.0, b" a"))
    assert first == Written(" the", -0.5, b" the", top)
    assert (second.text, second.data, second.top, math.isnan(second.logprob)) == (" cat", b" cat", (), True)


def test_half_a_character_is_named_by_its_bytes():
    logprobs = {
        "tokens": ["bytes:\\xe2\\x82", "bytes:x"],
        "token_logprobs": [-0.5, -0.5],
        "top_logprobs": [{"bytes:\\xf0": -1.0}, None],
        "text_offset": [0, 0],
    }
    reply = add_piece(Reply(), piece({"index": 0, "text": "", "finish_reason": None, "logprobs": logprobs}))
    assert [token.data for token in reply.tokens] == [b"\xe2\x82", b"bytes:x"]
    assert reply.tokens[0].top == (Candidate("bytes:\\xf0", -1.0, b"\xf0"),)


def test_the_other_route_may_have_no_log_probabilities():
    choice = {"index": 0, "text": "a", "finish_reason": "stop"}
    for none in (
        None,
        {"tokens": None, "token_logprobs": None, "top_logprobs": None, "text_offset": None},
        {"tokens": ["a"], "token_logprobs": None, "top_logprobs": None, "text_offset": None},
    ):
        reply = add_piece(Reply(), piece({**choice, "logprobs": none}))
        assert (reply.text, reply.reason, len(reply.tokens)) == (
            "a",
            "stop",
            int(bool(none and none["tokens"])),
        )


def test_the_other_route_has_other_choices_and_a_usage_too():
    choice = {"index": 1, "text": "no", "finish_reason": "stop", "logprobs": None}
    reply = add_piece(Reply("a"), piece(choice, usage=USAGE))
    assert (reply.text, reply.reason, reply.usage) == ("a", None, Usage(9, 4, None))


class Wire(httpx2.AsyncByteStream):
    """A response as it comes in, event by event; it remembers what was read of it, and whether it was closed."""

    def __init__(self, *events: Any, breaks: Exception | None = None, waits: bool = False):
        self.events, self.breaks, self.waits = events, breaks, waits
        self.read, self.closed = 0, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in self.events:
            self.read += 1
            text = event if isinstance(event, str) else json.dumps(event)
            yield f"data: {text}\n\n".encode()
            await asyncio.sleep(0)
        if self.waits:
            await asyncio.sleep(3600)
        if self.breaks:
            raise self.breaks

    async def aclose(self) -> None:
        self.closed = True


def client(wire: Wire, requests: list[dict[str, Any]], status: int = 200) -> AsyncOpenAI:
    def respond(request: httpx2.Request) -> httpx2.Response:
        requests.append({"path": request.url.path, **json.loads(request.content)})
        return httpx2.Response(status, headers={"content-type": "text/event-stream"}, stream=wire)

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(respond))
    return AsyncOpenAI(base_url="http://server/v1", api_key="k", max_retries=0, http_client=http)


def event(text: str | None = None, reason: str | None = None) -> dict[str, Any]:
    return {
        "id": "c",
        "created": 0,
        "model": "m",
        "object": "chat.completion.chunk",
        "choices": [delta(text, reason=reason)],
    }


def text_event(text: str, reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "text": text, "finish_reason": reason, "logprobs": None}
    return {"id": "c", "created": 0, "model": "m", "object": "text_completion", "choices": [choice]}


ASKED = [{"role": "user", "content": "Who?"}]


async def gather(replies: Any, into: list[str]) -> None:
    async for reply in replies:
        into.append(reply.text)


def test_a_stream_is_a_growing_text():
    wire, requests, texts = Wire(event("Mi"), event("a"), event(".", "stop"), "[DONE]"), [], []
    fields = {"model": "tiny-chat", "temperature": 0.5, "extra_body": {"top_k": 3}}
    asyncio.run(gather(stream_reply(client(wire, requests), ASKED, fields), texts))
    assert texts == ["Mi", "Mia", "Mia."]
    [sent] = requests
    assert sent.pop("path") == "/v1/chat/completions"
    options = {"stream": True, "stream_options": {"include_usage": True}}
    plain = {"model": "tiny-chat", "temperature": 0.5, "top_k": 3}
    assert sent == {"messages": ASKED, **options, **plain}
    assert wire.closed is True


def test_the_other_route_streams_too():
    wire, requests, texts = Wire(text_event(" a"), text_event(" b", "length"), "[DONE]"), [], []
    asyncio.run(gather(continue_reply(client(wire, requests), (5, 6), {"model": "m"}), texts))
    assert texts == [" a", " a b"]
    [sent] = requests
    options = {"stream": True, "stream_options": {"include_usage": True}}
    assert sent == {"path": "/v1/completions", "prompt": [5, 6], "model": "m", **options}
    assert wire.closed is True


def streams(wire: Wire, chat: bool) -> Any:
    """One of the two, on a wire."""
    if chat:
        return stream_reply(client(wire, []), ASKED, {"model": "m"})
    return continue_reply(client(wire, []), [1], {"model": "m"})


@pytest.mark.parametrize("chat", [True, False])
def test_nothing_is_asked_before_somebody_reads(chat: bool):
    requests = []
    wire = Wire()
    call = stream_reply if chat else continue_reply
    replies = call(client(wire, requests), ASKED if chat else [1], {"model": "m"})  # pyright: ignore[reportArgumentType]
    assert requests == []
    asyncio.run(replies.aclose())


@pytest.mark.parametrize("chat", [True, False])
def test_who_closes_the_generator_hangs_up(chat: bool):
    made = event if chat else text_event
    wire = Wire(*[made(str(number)) for number in range(100)], made("", "stop"))

    async def read_two() -> tuple[str, bool]:
        replies = streams(wire, chat)
        await anext(replies)
        second = await anext(replies)
        await replies.aclose()
        return second.text, wire.closed  # now, and not when somebody sweeps up

    assert asyncio.run(read_two()) == ("01", True)
    assert wire.read < 10


@pytest.mark.parametrize("chat", [True, False])
def test_a_reader_that_is_cancelled_while_it_waits_hangs_up(chat: bool):
    wire = Wire((event if chat else text_event)("a"), waits=True)

    async def wait_and_be_cancelled() -> bool:
        texts: list[str] = []
        reader = asyncio.create_task(gather(streams(wire, chat), texts))
        while not texts:
            await asyncio.sleep(0.001)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        return wire.closed

    assert asyncio.run(wait_and_be_cancelled()) is True


@pytest.mark.parametrize("chat", [True, False])
def test_a_reader_that_fails_hangs_up(chat: bool):
    made = event if chat else text_event
    wire = Wire(*[made("a")] * 20, made("", "stop"))

    async def fail() -> bool:
        try:
            async with aclosing(streams(wire, chat)) as replies:
                async for _ in replies:
                    raise KeyError("the page's own mistake")
        except KeyError:
            return wire.closed
        return False

    assert asyncio.run(fail()) is True


@pytest.mark.parametrize("chat", [True, False])
def test_a_stream_that_ends_too_early_is_an_error(chat: bool):
    texts: list[str] = []
    wire = Wire((event if chat else text_event)("Mi"), "[DONE]")
    with pytest.raises(CutOffError):
        asyncio.run(gather(streams(wire, chat), texts))
    assert texts == ["Mi"]


@pytest.mark.parametrize("chat", [True, False])
def test_a_stream_that_breaks_keeps_its_error_and_is_closed(chat: bool):
    texts: list[str] = []
    wire = Wire((event if chat else text_event)("Mi"), breaks=httpx2.RemoteProtocolError("gone"))
    with pytest.raises((httpx2.RemoteProtocolError, openai.APIConnectionError)):
        asyncio.run(gather(streams(wire, chat), texts))
    assert texts == ["Mi"]
    assert wire.closed is True


def test_a_refusal_is_the_clients_error():
    wire = Wire('{"error": {"message": "no"}}')
    with pytest.raises(openai.RateLimitError):
        asyncio.run(gather(stream_reply(client(wire, [], 429), ASKED, {"model": "m"}), []))
