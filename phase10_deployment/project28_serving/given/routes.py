"""The routes that are not texts: models, embeddings, tokens, health, metrics, and what a debugger wants."""

import asyncio
from typing import Any

from fastapi import Request as HttpRequest
from fastapi.responses import JSONResponse, Response, StreamingResponse

from phase10_deployment.project28_serving.async_engine import EngineDeadError, RefusedError
from phase10_deployment.project28_serving.embeddings import encode_base64, unit_length
from phase10_deployment.project28_serving.given.errors import ApiError
from phase10_deployment.project28_serving.given.fields import Fields
from phase10_deployment.project28_serving.given.reading import read_body, unless_gone
from phase10_deployment.project28_serving.given.served import Served
from phase10_deployment.project28_serving.given.state import State
from phase10_deployment.project28_serving.given.texts import LARGE, Running, collect
from phase10_deployment.project28_serving.metrics import CONTENT_TYPE
from phase10_deployment.project28_serving.protocol import (
    chat_tokens,
    messages_of,
    model_of,
    parse_completion,
    prompts_of,
)
from phase10_deployment.project28_serving.strict_json import read_json

MOST_LOOKED_AT = 256


def health(state: State) -> Response:
    """200 while it is alive, whatever it does; 503 where its engine is dead."""
    status = 200 if state.lifecycle.alive else 503
    said = {"status": "ok" if status == 200 else "dead", "reason": state.lifecycle.failed}
    return JSONResponse(said, status)


def ready(state: State) -> Response:
    """200 while requests should be sent here."""
    return JSONResponse({"status": state.lifecycle.state}, 200 if state.lifecycle.ready else 503)


def metrics(state: State) -> Response:
    """For Prometheus."""
    return Response(state.metrics.text(), headers={"content-type": CONTENT_TYPE})


def models(state: State) -> Response:
    """The base and its adapters."""
    served = state.served
    found = [
        {
            "id": name,
            "object": "model",
            "created": served.created,
            "owned_by": "llm-ladder",
            "root": served.name,
            "parent": None if name == served.name else served.name,
            "max_model_len": served.longest,
        }
        for name in served.names
    ]
    return JSONResponse({"object": "list", "data": found})


async def ask(state: State, command: dict[str, Any]) -> Any:
    """What the engine answers to a command that is no text."""
    try:
        return await state.engine.call(command)
    except EngineDeadError as dead:
        raise ApiError(str(dead), None, 503, "engine_dead") from None
    except RefusedError as refused:
        raise ApiError(str(refused)[:500], None, 400, "refused") from None


async def embeddings(http: HttpRequest, state: State) -> Response:
    """Vectors of texts: floats, or in base64, as OpenAI's client asks for them."""
    body = await read_body(http, state)
    read = await asyncio.to_thread(read_json, body) if len(body) > LARGE else read_json(body)
    fields = Fields(read)
    model, adapter = model_of(fields, state.served)
    form = fields.text("encoding_format", "float")
    if form not in ("float", "base64"):
        raise ApiError(f"encoding_format must be float or base64, not {form[:40]!r}", "encoding_format")
    if fields.has("dimensions"):
        raise ApiError("dimensions: this model's vectors have one length only", "dimensions")
    normalize = fields.flag("normalize")
    try:
        prompts = await asyncio.to_thread(prompts_of, fields.content.get("input"), state.served)
    except ApiError as error:
        raise ApiError(error.message.replace("prompt", "input"), "input", error.status, error.code) from None
    count = sum(len(tokens) for tokens in prompts)
    state.limits.admit(http.state.key, count)
    vectors = await unless_gone(http, ask(state, {"do": "embed", "texts": prompts, "adapter": adapter}))
    if normalize:
        vectors = [unit_length(vector) for vector in vectors]
    data = [
        {"object": "embedding", "index": i, "embedding": vector if form == "float" else encode_base64(vector)}
        for i, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": count, "total_tokens": count}
    return JSONResponse({"object": "list", "data": data, "model": model, "usage": usage})


async def generate(http: HttpRequest, state: State) -> Response:
    """The plain one: a prompt in, its text out."""
    request = parse_completion(await read_body(http, state), state.served)
    if request.stream or request.texts > 1 or request.echo:
        raise ApiError(
            "/generate writes one text, whole, after one prompt; /v1/completions can do more", "stream"
        )
    running = Running(state, request, http)
    (piece,) = await unless_gone(http, collect(await unless_gone(http, running.next()), running))
    return JSONResponse(
        {"generated_text": piece.text, "finish_reason": piece.reason, "usage": running.usage()}
    )


async def tokenize(http: HttpRequest, state: State) -> Response:
    """A text's or a conversation's tokens."""
    body, served = await read_body(http, state), state.served
    tokens = (
        await asyncio.to_thread(_tokenize, body, served) if len(body) > LARGE else _tokenize(body, served)
    )
    strings = [served.text_of(token) for token in tokens]
    return JSONResponse(
        {"tokens": tokens, "token_strs": strings, "count": len(tokens), "max_model_len": served.longest}
    )


def _tokenize(body: bytes, served: Served) -> list[int]:
    fields = Fields(read_json(body))
    if fields.has("messages"):
        messages = messages_of(fields.content["messages"])
        return chat_tokens(messages, served, fields.flag("add_generation_prompt", True))
    text = fields.text("prompt")
    if fields.flag("add_special_tokens", True):
        return served.prompts.encode(text)
    return served.tokenizer.encode(text, disallowed_special=())


async def detokenize(http: HttpRequest, state: State) -> Response:
    """The text of tokens."""
    tokens = _tokens(Fields(read_json(await read_body(http, state))), state, state.served.longest)
    return JSONResponse({"prompt": state.served.tokenizer.decode(tokens)})


def _tokens(fields: Fields, state: State, most: int) -> list[int]:
    value = fields.content.get("tokens")
    known = state.served.tokenizer.vocab_size
    tokens: list[Any] = value if isinstance(value, list) else [None]
    if len(tokens) > most or not all(type(one) is int and 0 <= one < known for one in tokens):
        raise fields.wrong("tokens", f"an array of at most {most} tokens from 0 to {known - 1}")
    return tokens


async def attention(http: HttpRequest, state: State) -> Response:
    """How much each token of a text looks at each other."""
    tokens = _tokens(Fields(read_json(await read_body(http, state))), state, MOST_LOOKED_AT)
    if not tokens:
        raise ApiError("tokens must have one or more", "tokens")
    weights = await unless_gone(http, ask(state, {"do": "attention", "tokens": tokens}))
    strings = [state.served.text_of(token) for token in tokens]
    return JSONResponse({"token_strs": strings, "attention": weights})


async def steps(state: State) -> Response:
    """The engine's steps, as they are made."""
    return StreamingResponse(
        state.views.events(), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )
