"""A request for texts, from its body to its answer: admitted, submitted, waited for, streamed or whole."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import Request as HttpRequest
from fastapi.responses import JSONResponse, Response, StreamingResponse

from phase10_deployment.project28_serving.async_engine import (
    EngineDeadError,
    Generation,
    QueueFullError,
    RefusedError,
)
from phase10_deployment.project28_serving.given.errors import ApiError
from phase10_deployment.project28_serving.given.logprobs import CompletionLogprobs, chat_logprobs, joined
from phase10_deployment.project28_serving.given.reading import read_body, unless_gone
from phase10_deployment.project28_serving.given.requests import Request
from phase10_deployment.project28_serving.given.served import Served
from phase10_deployment.project28_serving.given.state import State
from phase10_deployment.project28_serving.given.wire import Piece
from phase10_deployment.project28_serving.metrics import Watch
from phase10_deployment.project28_serving.protocol import parse_chat, parse_completion
from phase10_deployment.project28_serving.stream import Head, Leads, sse_events

LARGE = 8_000
"""bytes of a body from which on it is read beside the loop, which has others to serve meanwhile"""


class Running:
    """A request's texts on their way, with all that is to be done when it is over."""

    def __init__(self, state: State, request: Request, http: HttpRequest):
        """Submit it. Raises ApiError where it is refused."""
        self.state, self.request = state, request
        self.key, loop = http.state.key, asyncio.get_running_loop()
        if request.texts > state.engine.most:
            raise ApiError(
                f"{request.texts} texts are more than {state.engine.most}, which may wait at once", "n"
            )
        state.limits.admit(self.key, request.tokens)
        lengths = [len(prompt) for prompt in request.prompts]
        self.watch = Watch(state.metrics, lengths, request.texts, http.state.came)
        try:
            self.generation: Generation = state.engine.submit(request.asks(state.salt(self.key)), self._heard)
        except QueueFullError as full:
            state.limits.settle(self.key, request.tokens, 0)
            raise ApiError(f"too many requests wait already: {full}", None, 429, "queue_full", 1.0) from None
        except EngineDeadError as dead:
            state.limits.settle(self.key, request.tokens, 0)
            raise ApiError(str(dead), None, 503, "engine_dead") from None
        self.expiry = loop.call_later(state.options.time_limit, self._expire)
        http.state.closers.append(self.close)
        http.state.log = {"model": request.model, "prompt_tokens": sum(lengths), "stream": request.stream}
        if state.options.log_prompts:
            http.state.log["prompts"] = [state.served.tokenizer.decode(one) for one in request.prompts]

    def _heard(self, piece: Piece) -> None:
        self.watch.pieces([piece], time.perf_counter())

    def _expire(self) -> None:
        seconds = self.state.options.time_limit
        self.state.engine.abort(self.generation)
        self.generation.fail(ApiError(f"the request took longer than {seconds:g} s", None, 504, "timeout"))

    def close(self) -> None:
        """It is over, done or given up: nothing of it stays anywhere."""
        self.expiry.cancel()
        self.state.engine.abort(self.generation)
        self.watch.finish(time.perf_counter())
        used = sum(self.watch.prompts) + sum(self.watch.written.values())
        self.state.limits.settle(self.key, self.request.tokens, used)

    async def next(self) -> list[Piece]:
        """Generation's `next`, with errors as clients read them."""
        try:
            return await self.generation.next()
        except EngineDeadError as dead:
            raise ApiError(str(dead), None, 503, "engine_dead") from None
        except RefusedError as refused:
            raise ApiError(str(refused)[:500], None, 400, "refused") from None

    def usage(self) -> dict[str, Any]:
        """The counts, as far as they are known."""
        prompt, written = sum(self.watch.prompts), sum(self.watch.written.values())
        return {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
            "prompt_tokens_details": {"cached_tokens": sum(self.generation.cached.values())},
        }


async def read_request(http: HttpRequest, state: State, chat: bool) -> Request:
    """The request of a body."""
    body = await read_body(http, state)
    parse = parse_chat if chat else parse_completion
    if len(body) > LARGE:
        return await asyncio.to_thread(parse, body, state.served)
    return parse(body, state.served)


async def answer_texts(http: HttpRequest, state: State, chat: bool) -> Response:
    """The answer to /v1/chat/completions or /v1/completions."""
    request = await read_request(http, state, chat)
    running = Running(state, request, http)
    # The first piece is waited for also where it is streamed: what the engine refuses still has its status then.
    first = await unless_gone(http, running.next())
    head = Head(
        f"{'chatcmpl' if chat else 'cmpl'}-{http.state.request}", int(time.time()), request.model, chat,
        request.include_usage, request.lead, request.token_ids, request.prompts,
        [echo for echo in request.echoes for _ in range(request.texts // len(request.prompts))],
    )  # fmt: skip
    if request.stream:
        events = sse_events(
            _all(first, running),
            head,
            request.texts,
            running.usage,
            _logprobs(request, state.served, running),
        )
        return StreamingResponse(
            events, media_type="text/event-stream", headers={"cache-control": "no-store"}
        )
    whole = await unless_gone(http, collect(first, running))
    return JSONResponse(whole_answer(whole, head, running, state.served))


async def _all(first: list[Piece], running: Running) -> AsyncIterator[list[Piece]]:
    pieces = first
    while pieces:
        yield pieces
        pieces = await running.next()


async def collect(first: list[Piece], running: Running) -> list[Piece]:
    """Each text as one piece."""
    found = {index: Piece(index) for index in range(running.request.texts)}
    async for pieces in _all(first, running):
        for piece in pieces:
            one = found[piece.index]
            if piece.reason == "error":
                raise ApiError(f"the text failed: {piece.error}", status=500)
            one.text, one.reason = one.text + piece.text, piece.reason
            one.tokens += piece.tokens
            one.logprobs += piece.logprobs
    return list(found.values())


def _logprobs(request: Request, served: Served, running: Running) -> Callable[[Piece], Any]:
    """What makes a piece's log-probabilities; None for each piece where nobody wants them."""
    if request.logprobs is None:
        return lambda piece: None
    if request.chat:
        return lambda piece: chat_logprobs(served, piece.logprobs) if piece.logprobs else None
    maker = CompletionLogprobs(served)
    begun: set[int] = set()
    each = request.texts // len(request.prompts)

    def make(piece: Piece) -> Any:
        found = None
        number = piece.index // each
        if request.echo and piece.index not in begun and number in running.generation.prompts:
            found = maker.of(piece.index, running.generation.prompts[number], request.prompts[number])
        begun.add(piece.index)
        if not piece.logprobs and found is None:
            return None
        own = maker.piece(piece)
        return own if found is None else joined(found, own)

    return make


def whole_answer(pieces: list[Piece], head: Head, running: Running, served: Served) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    request, leads = running.request, Leads(head.lead)
    make = _logprobs(request, served, running)
    choices = []
    for piece in pieces:
        text = (head.echo[piece.index] if head.echo else "") + leads.strip(piece.index, piece.text)
        choice: dict[str, Any] = {"index": piece.index}
        if request.chat:
            choice["message"] = {"role": "assistant", "content": text, "refusal": None}
        else:
            choice["text"] = text
        choice |= {"logprobs": make(piece), "finish_reason": piece.reason}
        if head.token_ids:
            choice["token_ids"] = piece.tokens
        choices.append(choice)
    kind = "chat.completion" if request.chat else "text_completion"
    content = {
        "id": head.id,
        "object": kind,
        "created": head.created,
        "model": head.model,
        "choices": choices,
    }
    if head.token_ids:
        content["prompt_token_ids"] = request.prompts[0]
    return {**content, "usage": running.usage()}
