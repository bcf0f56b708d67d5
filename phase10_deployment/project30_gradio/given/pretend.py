"""A server that pretends: project 28's interface without any model, for trying the page on, and for its tests.

    python -m phase10_deployment.project30_gradio.given.pretend --port 0 --pause 0.05

It answers in words that a question chooses: "html" gives markup, "long" goes on for long, "hold" stops in the middle
and waits until the client hangs up, "break" breaks off in the middle, "fail" reports an error in the middle, "busy" is
refused with 429, "say X" says X, and all else is repeated.
What it tells of its engine is made up, but consistent: blocks are taken and given back, and the gauges follow.
"""

import asyncio
import json
import math
import re
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from shared.options import run_command

MARKUP = "<b>bold</b> <img src=x onerror=\"document.title='run'\"> <script>document.title='run'</script> {{7*7}} ${7*7}"
SHAPE = re.compile(r"\s?\w+|\s?[^\w\s]+|\s")
BLOCK = 16


@dataclass
class Pretend:
    """What the server holds while it runs."""

    pause: float = 0.02
    key: str = ""
    model: str = "pretend"
    blocks: int = 64
    limit: int = 512
    vocabulary: list[str] = field(default_factory=list)
    running: dict[int, dict[str, Any]] = field(default_factory=dict)
    seen: set[tuple[int, ...]] = field(default_factory=set)
    steps: int = 0
    hits: int = 0
    asked: int = 0
    requests: int = 0
    watchers: list[deque[dict[str, Any]]] = field(default_factory=list)

    def encode(self, text: str) -> list[int]:
        found = []
        for piece in SHAPE.findall(text):
            if piece not in self.vocabulary:
                self.vocabulary.append(piece)
            found.append(self.vocabulary.index(piece))
        return found

    def decode(self, ids: list[int]) -> str:
        return "".join(self.vocabulary[token] for token in ids)

    def prompt(self, messages: list[dict[str, Any]]) -> list[int]:
        return self.encode("".join(f"[{one['role']}] {one['content']}\n" for one in messages) + "[assistant]")

    def begin(self, name: str, ids: list[int]) -> tuple[int, int]:
        """A new sequence: its id, and how many tokens of its prompt are known."""
        self.requests += 1
        whole = [tuple(ids[:end]) for end in range(BLOCK, len(ids) + 1, BLOCK)]
        cached = BLOCK * sum(prefix in self.seen for prefix in whole)
        self.seen.update(whole)
        self.asked, self.hits = self.asked + len(ids), self.hits + cached
        one = {"id": self.requests, "request": name, "tokens": len(ids), "blocks": [], "computed": cached}
        self.running[self.requests] = one
        self.step(self.requests, len(ids) - cached)
        return self.requests, cached

    def step(self, key: int, scheduled: int) -> None:
        """A step that computes so many tokens of one sequence, and one of each other."""
        self.steps += 1
        one = self.running[key]
        taken = {block for other in self.running.values() for block in other["blocks"]}
        free = [block for block in range(self.blocks) if block not in taken]
        while len(one["blocks"]) * BLOCK < one["tokens"] and free:
            one["blocks"].append(free.pop(0))
        event = self.snapshot()
        for other in event["running"]:
            other["scheduled"] = scheduled if other["id"] == key else 0
        for queue in self.watchers:
            queue.append(event)
        one["computed"] = one["tokens"]
        one["tokens"] += 1

    def snapshot(self) -> dict[str, Any]:
        rows = [
            {
                **one,
                "blocks": list(one["blocks"]),
                "computed": min(one["computed"], one["tokens"]),
                "scheduled": 0,
            }
            for one in self.running.values()
        ]
        taken = len({block for one in rows for block in one["blocks"]})
        return {"step": self.steps, "running": rows, "waiting": [], "free": self.blocks - taken,
                "blocks": self.blocks, "block_size": BLOCK, "hits": self.hits, "preempted": []}  # fmt: skip


def answer_to(question: str) -> str:
    """What is said to a question."""
    if question.startswith("say "):
        return question.removeprefix("say ")
    if "html" in question:
        return MARKUP
    if "long" in question or "hold" in question:
        return " ".join(f"word{number}" for number in range(2000))
    return f"You said: {question}"


def refusal(status: int, message: str, code: str | None = None, **headers: str) -> JSONResponse:
    """An error in OpenAI's shape."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return JSONResponse(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


def make_app(state: Pretend) -> FastAPI:
    """The server's routes."""

    @asynccontextmanager
    async def ready(app: FastAPI) -> AsyncIterator[None]:
        yield

    app = FastAPI(lifespan=ready)

    def locked(request: Request) -> JSONResponse | None:
        if state.key and request.headers.get("authorization") != f"Bearer {state.key}":
            return refusal(401, "this key is not known")
        return None

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/models", response_model=None)
    async def models(request: Request) -> Any:
        return locked(request) or {"object": "list", "data": [{"id": state.model, "object": "model"}]}

    @app.get("/metrics", response_model=None)
    async def metrics(request: Request) -> Any:
        label = f'{{model_name="{state.model}"}}'
        values = {"num_requests_running": len(state.running), "num_requests_waiting": 0}
        lines = [f"# TYPE vllm:{name} gauge\nvllm:{name}{label} {value}" for name, value in values.items()]
        for name, value in (("prefix_cache_hits", state.hits), ("prefix_cache_queries", state.asked)):
            lines.append(f"# TYPE vllm:{name}_total counter\nvllm:{name}_total{label} {value}")
        return locked(request) or PlainTextResponse("\n".join(lines) + "\n")

    @app.post("/tokenize", response_model=None)
    async def tokenize(request: Request) -> Any:
        body = await request.json()
        ids = state.prompt(body["messages"]) if "messages" in body else state.encode(body["prompt"])
        names = [state.vocabulary[token] for token in ids]
        return {"tokens": ids, "token_strs": names, "count": len(ids), "max_model_len": state.limit}

    @app.post("/detokenize", response_model=None)
    async def detokenize(request: Request) -> Any:
        return {"prompt": state.decode((await request.json())["tokens"])}

    @app.post("/debug/attention", response_model=None)
    async def attention(request: Request) -> Any:
        ids = (await request.json())["tokens"]
        rows = [
            [math.exp(-abs(query - key - layer)) for key in range(len(ids))]
            for layer in range(2)
            for query in range(len(ids))
        ]
        masked = [
            [value if key <= i % len(ids) else 0.0 for key, value in enumerate(row)]
            for i, row in enumerate(rows)
        ]
        whole = [[value / sum(row) for value in row] for row in masked]
        layers = [whole[: len(ids)], whole[len(ids) :]]
        return {"token_strs": [state.vocabulary[i] for i in ids], "attention": [[one, one] for one in layers]}

    @app.get("/debug/steps", response_model=None)
    async def steps() -> Any:
        queue: deque[dict[str, Any]] = deque([state.snapshot()], maxlen=100)
        state.watchers.append(queue)

        async def events() -> AsyncIterator[str]:
            try:
                name = "event: snapshot\n"
                while True:
                    while queue:
                        yield f"{name}data: {json.dumps(queue.popleft())}\n\n"
                        name = ""
                    await asyncio.sleep(0.02)
            finally:
                state.watchers.remove(queue)

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.post("/v1/chat/completions", response_model=None)
    async def chat(request: Request) -> Any:
        body = await request.json()
        ids = state.prompt(body["messages"])
        question = body["messages"][-1]["content"]
        if refused := locked(request):
            return refused
        if body["model"] != state.model:
            return refusal(404, f"there is no model {body['model']!r}", "model_not_found")
        if "busy" in question:
            return refusal(429, "too many requests", retry_after="7")
        if len(ids) >= state.limit:
            return refusal(400, "this is longer than the model can read", "context_length_exceeded")
        return StreamingResponse(write(request, body, ids, answer_to(question), question, True))

    @app.post("/v1/completions", response_model=None)
    async def complete(request: Request) -> Any:
        body = await request.json()
        return locked(request) or StreamingResponse(
            write(request, body, body["prompt"], " and so it went on.", "", False)
        )

    async def write(
        request: Request, body: dict[str, Any], ids: list[int], text: str, question: str, chat: bool
    ) -> AsyncIterator[str]:
        key, cached = state.begin(request.headers.get("x-request-id", f"req-{state.requests + 1}"), ids)
        base = {"id": f"cmpl-{key}", "created": int(time.time()), "model": state.model}
        base["object"] = "chat.completion.chunk" if chat else "text_completion"
        words = state.encode(text)
        while len(words) < body.get("min_tokens", 0):
            words += state.encode(" and so on")
        words = words[: body.get("max_tokens") or 10_000]
        try:
            for index, token in enumerate(words):
                await asyncio.sleep(state.pause)
                if "break" in question and index == 3:
                    return
                while "hold" in question and index == 10:
                    if await request.is_disconnected():
                        return
                    await asyncio.sleep(0.05)
                if "fail" in question and index == 3:
                    error = {"message": "the engine stumbled", "type": "server_error", "code": None}
                    yield f"data: {json.dumps({'error': error})}\n\n"
                    return
                state.step(key, 1)
                choice = {"index": 0, "finish_reason": None, "token_ids": [token]}
                first = {"prompt_token_ids": ids} if not index else {}
                choice |= piece(state.vocabulary[token], chat)
                yield f"data: {json.dumps({**base, **first, 'choices': [choice]})}\n\n"
            last = {"index": 0, "finish_reason": "stop", **({"delta": {}} if chat else {"text": ""})}
            yield f"data: {json.dumps({**base, 'choices': [last]})}\n\n"
            usage = {"prompt_tokens": len(ids), "completion_tokens": len(words)}
            usage["total_tokens"] = sum(usage.values())
            told = {**usage, "prompt_tokens_details": {"cached_tokens": cached}}
            yield f"data: {json.dumps({**base, 'choices': [], 'usage': told})}\n\ndata: [DONE]\n\n"
        finally:
            state.running.pop(key, None)
            for queue in state.watchers:
                queue.append(state.snapshot())

    return app


def piece(name: str, chat: bool) -> dict[str, Any]:
    """A token, as a choice of one of the two routes has it."""
    chances = {name: math.log(0.6), " perhaps": math.log(0.3), " never": math.log(0.06)}
    if not chat:
        logprobs = {"tokens": [name], "token_logprobs": [chances[name]], "top_logprobs": [chances]}
        return {"text": name, "logprobs": {**logprobs, "text_offset": [0]}}
    top = [{"token": one, "logprob": chance, "bytes": list(one.encode())} for one, chance in chances.items()]
    return {"delta": {"content": name}, "logprobs": {"content": [{**top[0], "top_logprobs": top}]}}


def main(
    port: Annotated[int, typer.Option(help="0 lets the system choose.")] = 0,
    pause: Annotated[float, typer.Option(help="Seconds between two tokens.")] = 0.05,
    key: Annotated[str, typer.Option(help="The key that is asked for; none if empty.")] = "",
    model: Annotated[str, typer.Option(help="What the model is called.")] = "pretend",
) -> None:
    """Serve answers without any model."""
    config = uvicorn.Config(
        make_app(Pretend(pause, key, model)), port=port, log_level="critical", timeout_graceful_shutdown=1
    )
    socket = config.bind_socket()
    print(f"serving {model} on http://127.0.0.1:{socket.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[socket])


if __name__ == "__main__":
    run_command(main)
