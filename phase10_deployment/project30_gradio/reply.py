"""An answer as it is written: the server's stream of chunks, as a stream of ever longer replies.

A chunk brings a piece. A page that shows text wants all of it so far, with what is known of its tokens, and it wants it
as a value that nothing changes later. So each chunk makes a new `Reply` out of the one before.

Whoever stops reading must be noticed. The server goes on writing for a client that has not hung up, and holds the
blocks of its prompt; it sees that nobody wants the answer when the connection is closed, and not before.
"""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from openai import AsyncOpenAI

from phase10_deployment.project30_gradio.given.answer import Candidate, CutOffError, Reply, Usage, Written


def add_usage(reply: Reply, chunk: Any) -> Reply:
    """The reply with what a chunk says of the whole request, of either route.

    `chunk.usage`, which the last chunk has, becomes a `Usage`: prompt_tokens, completion_tokens, and cached_tokens of
    `prompt_tokens_details`, None where there are no such details or they do not say. `chunk.prompt_token_ids`, which
    is no part of OpenAI's interface and so may be missing or None, becomes `prompt_ids`. What a chunk does not have
    stays as it was.
    """
    if ids := getattr(chunk, "prompt_token_ids", None):
        reply = replace(reply, prompt_ids=tuple(ids))
    if chunk.usage is not None:
        details = chunk.usage.prompt_tokens_details
        cached = details.cached_tokens if details is not None else None
        usage = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens, cached)
        reply = replace(reply, usage=usage)
    return reply


def add_chunk(reply: Reply, chunk: Any) -> Reply:
    """The reply with one more chunk of `/v1/chat/completions` (openai's ChatCompletionChunk); `reply` stays as it is.

    Of the choices, only the one with index 0 counts; the chunk with the usage has none at all. A choice has

        delta.content           text to append; None or "" is none
        logprobs.content        a list of tokens, or logprobs or its content is None: each becomes a `Written` of its
                                token, logprob, bytes and top_logprobs (`Candidate`s, in their order). Where bytes is
                                None they are the token's, in UTF-8. Several tokens may come in one chunk
        token_ids               ids to append; may be missing or None
        finish_reason           becomes `reason`, where it is not None: the first one stays

    `pieces` counts the chunks that bring text or ids. What `add_usage` finds belongs to it too.
    """
    reply = add_usage(reply, chunk)
    for choice in chunk.choices:
        if choice.index != 0:
            continue
        listed = (choice.logprobs.content or []) if choice.logprobs is not None else []
        tokens = tuple(
            Written(
                one.token,
                one.logprob,
                _bytes(one),
                tuple(Candidate(other.token, other.logprob, _bytes(other)) for other in one.top_logprobs),
            )
            for one in listed
        )
        reply = _grown(reply, choice.delta.content or "", tokens, choice)
    return reply


def add_piece(reply: Reply, chunk: Any) -> Reply:
    """The reply with one more chunk of `/v1/completions` (openai's Completion); `reply` stays as it is.

    As `add_chunk`, but for the names: the text is `choice.text`, and `choice.logprobs` (or None) has lists of one
    length: `tokens`, `token_logprobs` and `top_logprobs`, the last of mappings from token to log-probability, in any
    order: here the likeliest comes first. Each of the two latter lists, and a mapping in it, may be None: a token
    without a log-probability has NaN, and no candidates. `tokens` may be None too, and then there are none. A token's
    bytes are its text's, in UTF-8; one that is no whole characters is written by its bytes instead, as
    "bytes:\\xe2\\x82" (with one backslash each), and has those.
    """
    reply = add_usage(reply, chunk)
    for choice in chunk.choices:
        if choice.index != 0:
            continue
        found = choice.logprobs
        names = (found.tokens or []) if found is not None else []
        nothing = [None] * len(names)
        logprobs = (found.token_logprobs or nothing) if found is not None else []
        tops = (found.top_logprobs or nothing) if found is not None else []
        tokens = tuple(
            Written(name, float("nan") if logprob is None else logprob, _named(name), _ranked(top or {}))
            for name, logprob, top in zip(names, logprobs, tops, strict=True)
        )
        reply = _grown(reply, choice.text, tokens, choice)
    return reply


def _grown(reply: Reply, text: str, tokens: tuple[Written, ...], choice: Any) -> Reply:
    """The reply with a text and tokens appended, and the ids and the reason of a choice."""
    ids = tuple(getattr(choice, "token_ids", None) or ())
    return replace(
        reply,
        text=reply.text + text,
        tokens=reply.tokens + tokens,
        ids=reply.ids + ids,
        pieces=reply.pieces + bool(text or ids),
        reason=reply.reason or choice.finish_reason,
    )


def _bytes(token: Any) -> bytes:
    """A token's bytes, as chat's log-probabilities have them."""
    return token.token.encode() if token.bytes is None else bytes(token.bytes)


def _named(name: str) -> bytes:
    """The bytes of a token of `/v1/completions`, by its name there."""
    if re.fullmatch(r"bytes:(\\x[0-9a-f]{2})+", name):
        return bytes.fromhex(name.removeprefix("bytes:").replace("\\x", ""))
    return name.encode()


def _ranked(top: Mapping[str, float]) -> tuple[Candidate, ...]:
    """The tokens of a mapping, the likeliest first."""
    ordered = sorted(top.items(), key=lambda item: -item[1])
    return tuple(Candidate(name, logprob, _named(name)) for name, logprob in ordered)


def stream_reply(
    client: AsyncOpenAI, messages: Sequence[Mapping[str, str]], fields: Mapping[str, Any]
) -> AsyncGenerator[Reply, None]:
    """The answer to a conversation: a `Reply` after each chunk, of `client.chat.completions`.

    A plain function that returns an asynchronous generator. The request is made when the first reply is asked for:
    streamed, with `stream_options` that include the usage, and with `fields` (model, temperature and so on) as named
    arguments.

    However it ends, the stream of the response is closed: when it is read to its end, when it breaks, when the
    generator is closed between two chunks (`aclose`), and when the task that waits for a chunk is cancelled. Only so
    the server learns that nobody reads any more.

    Raises what the client raises, with the replies before it already given; and CutOffError where the stream ends
    although no chunk had a finish_reason.
    """

    async def replies() -> AsyncGenerator[Reply, None]:
        reply = Reply()
        stream = await client.chat.completions.create(  # pyright: ignore[reportCallIssue]
            messages=[dict(message) for message in messages],  # pyright: ignore[reportArgumentType]
            stream=True,
            stream_options={"include_usage": True},
            **fields,
        )
        async with stream:
            async for chunk in stream:
                reply = add_chunk(reply, chunk)
                yield reply
        if reply.reason is None:
            raise CutOffError(f"the stream ended after {len(reply.text)} characters, without a finish_reason")

    return replies()


def continue_reply(
    client: AsyncOpenAI, ids: Sequence[int], fields: Mapping[str, Any]
) -> AsyncGenerator[Reply, None]:
    """What follows these tokens: a `Reply` after each chunk, of `client.completions` with the ids as the prompt.

    Of what was there before, the replies have nothing. In all else as `stream_reply`.
    """

    async def replies() -> AsyncGenerator[Reply, None]:
        reply = Reply()
        stream = await client.completions.create(  # pyright: ignore[reportCallIssue]
            prompt=list(ids), stream=True, stream_options={"include_usage": True}, **fields
        )
        async with stream:
            async for chunk in stream:
                reply = add_piece(reply, chunk)
                yield reply
        if reply.reason is None:
            raise CutOffError(f"the stream ended after {len(reply.text)} characters, without a finish_reason")

    return replies()
