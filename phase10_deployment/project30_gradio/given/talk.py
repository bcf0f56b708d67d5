"""One answer, from the question in the window to the last word: all tasks at work together, without any layout."""

import html
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import openai

from phase10_deployment.project30_gradio.explain import explain_error
from phase10_deployment.project30_gradio.given.answer import Candidate, Reply, Written
from phase10_deployment.project30_gradio.given.pace import paced
from phase10_deployment.project30_gradio.given.server import ServerLink
from phase10_deployment.project30_gradio.history import Message, answer, forget, request_messages
from phase10_deployment.project30_gradio.meter import cache_hits, meter_line, speed
from phase10_deployment.project30_gradio.reply import continue_reply, stream_reply
from phase10_deployment.project30_gradio.settings import request_fields
from phase10_deployment.project30_gradio.tokens_view import go_on_from, text_before

log = logging.getLogger(__name__)
AT_MOST_EVERY = 0.06
"""seconds: faster, nobody reads, and page and browser would only be busy"""


@dataclass(frozen=True)
class Turn:
    """What a window shows at one moment of an answer."""

    history: list[Message]
    reply: Reply = Reply()  # noqa: RUF009 (frozen)
    meter: str = ""
    trouble: str = ""
    """a sentence, where something went wrong"""
    done: bool = False
    """whether it is the last one"""


def watched(fields: Mapping[str, Any], candidates: int, chat: bool = True) -> dict[str, Any]:
    """The fields with the wish for the tokens' ids and, unless it is 0, for so many candidates for each."""
    extra = {**fields.get("extra_body", {}), "return_token_ids": True}
    asked = {**fields, "extra_body": extra}
    if candidates:
        asked |= {"logprobs": True, "top_logprobs": candidates} if chat else {"logprobs": candidates}
    return asked


async def answer_turns(
    server: ServerLink,
    model: str,
    history: list[Message],
    system: str,
    values: Mapping[str, Any],
    candidates: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[Turn, None]:
    """The answer to the conversation, as it grows. What goes wrong is a Turn with a sentence, and never raises.

    Where the conversation is longer than the model reads, its oldest exchanges are left out of what is sent.
    """
    forgotten = 0
    try:
        fields = watched({"model": model, **request_fields(values)}, candidates)
        messages = request_messages(history, system)
        while True:
            try:
                made = stream_reply(server.client, messages, fields)
                async with aclosing(_turns(server, history, Reply(), "", model, made, clock)) as turns:
                    async for turn in turns:
                        note = f" · {forgotten} oldest messages left out" if forgotten else ""
                        yield replace(turn, meter=turn.meter + note if turn.meter else "")
                return
            except openai.BadRequestError as problem:
                if problem.code != "context_length_exceeded":
                    raise
                shorter = forget(messages)
                forgotten += len(messages) - len(shorter)
                messages = shorter
    except Exception as problem:
        yield _trouble(history, Reply(), "", problem, server)


async def other_turns(
    server: ServerLink,
    model: str,
    history: list[Message],
    reply: Reply,
    index: int,
    other: Candidate,
    values: Mapping[str, Any],
    candidates: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[Turn, None]:
    """The answer as it goes on from another token at place `index` of the reply. As `answer_turns`, else."""
    try:
        fields = watched({"model": model, **request_fields(values)}, candidates, chat=False)
        token = await token_of(server, reply, index, other)
        ids = go_on_from(reply, index, token)
        begun = text_before(reply, index, other)
        if not reply.text[:1].isspace():  # the server has cut the space off that its template begins with
            begun = begun.lstrip()
        written = reply.tokens[index]
        put = Written(other.text, other.logprob, other.data, written.top)
        kept = Reply("", (*reply.tokens[:index], put), (*reply.ids[:index], token), reply.prompt_ids)
        made = continue_reply(server.client, ids, fields)
        async with aclosing(_turns(server, history, kept, begun, model, made, clock)) as turns:
            async for turn in turns:
                yield turn
    except Exception as problem:
        yield _trouble(history, reply, reply.text, problem, server)


async def token_of(server: ServerLink, reply: Reply, index: int, other: Candidate) -> int:
    """The id of a candidate. Raises ValueError for one that cannot be told from its text: half a character, say."""
    if other.data == reply.tokens[index].data:
        return reply.ids[index]
    found = await server.tokenize(prompt=other.text, add_special_tokens=False)
    if len(found["tokens"]) != 1:
        raise ValueError(f"“{other.text}” cannot be put there by hand: it is no single token of plain text")
    return found["tokens"][0]


async def _turns(
    server: ServerLink,
    history: list[Message],
    kept: Reply,
    begun: str,
    model: str,
    replies: AsyncGenerator[Reply, None],
    clock: Callable[[], float],
) -> AsyncGenerator[Turn, None]:
    """The turns of one request, whose replies come after `kept`, with the text `begun` before theirs."""
    before = "" if server.tells_hits else await server.metrics()
    start, arrivals, told = clock(), [], Reply()

    def arrived(reply: Reply) -> bool:
        nonlocal told
        told = reply
        arrivals.append((clock(), max(len(told.ids), len(told.tokens), told.pieces)))
        return bool(told.text)

    try:
        async with aclosing(paced(replies, AT_MOST_EVERY, arrived)) as stream:
            async for reply in stream:
                yield _turn(history, kept, begun, reply, meter_line(speed(start, arrivals), None, None))
    except openai.BadRequestError:
        raise
    except Exception as problem:
        if told.text:
            history = answer(history, begun + told.text)
        yield _trouble(history, _joined(kept, told), begun + told.text, problem, server)
        return
    cached, prompt = None, None
    if told.usage is not None:
        cached, prompt = told.usage.cached, told.usage.prompt
        server.tells_hits = cached is not None
    if cached is None and before:
        hits = cache_hits(before, await server.metrics(), model)
        cached, prompt = hits.hit, hits.asked
    line = meter_line(speed(start, arrivals), cached, prompt)
    line += " · cut at the longest answer" if told.reason == "length" else ""
    yield replace(_turn(history, kept, begun, told, line), done=True)


def _turn(history: list[Message], kept: Reply, begun: str, told: Reply, meter: str) -> Turn:
    return Turn(answer(history, begun + told.text), _joined(kept, told), meter)


def _joined(kept: Reply, told: Reply) -> Reply:
    """The reply with what was kept of the one before in front of it."""
    return replace(
        told,
        tokens=kept.tokens + told.tokens,
        ids=kept.ids + told.ids,
        prompt_ids=kept.prompt_ids or told.prompt_ids,
    )


def _trouble(history: list[Message], reply: Reply, text: str, problem: Exception, server: ServerLink) -> Turn:
    """What is shown when something went wrong; the log has the whole of it, but for what was said."""
    if not isinstance(problem, ValueError | openai.OpenAIError):
        log.warning("no answer from %s", server.name, exc_info=problem)
    return Turn(history, replace(reply, text=text), "", explain_error(problem, server.url), True)


def as_alert(trouble: str) -> str:
    """A sentence as the page shows it; "" is nothing."""
    return f'<div class="say" role="alert">{html.escape(trouble)}</div>' if trouble else ""
