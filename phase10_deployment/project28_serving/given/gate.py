"""What every request passes, as plain ASGI: a name, the key, the state of the server, errors in one form, a log line.

It is no `@app.middleware`: behind one of those a route never learns that its client has gone (starlette pull 1706).
"""

import asyncio
import contextlib
import json
import re
import secrets
import sys
import time
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phase10_deployment.project28_serving.given.errors import ApiError
from phase10_deployment.project28_serving.given.state import State
from phase10_deployment.project28_serving.given.telemetry import span

OPEN = ("/health", "/ready")
"""who may ask for these needs no key: an orchestrator has none"""
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def log(event: str, **fields: Any) -> None:
    """One line of JSON on stderr."""
    print(json.dumps({"time": round(time.time(), 3), "event": event, **fields}), file=sys.stderr, flush=True)


class Gate:
    """The outermost layer of the app, but for CORS."""

    def __init__(self, app: ASGIApp, state: State):
        self.app, self.state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        named = headers.get(b"x-request-id", b"").decode("latin-1")
        name = named if NAME.fullmatch(named) else secrets.token_hex(8)
        status, began, sent = 0, time.perf_counter(), 0
        closers: list[Callable[[], None]] = []
        scope.setdefault("state", {}).update(request=name, closers=closers, key="", came=began)

        async def answer(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = scope["state"]["status"] = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", name.encode())]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        limit = self._limit(scope)
        try:
            with span(self.state.tracer, scope, headers):
                refused = await self._pass(scope, receive, answer, headers)
                if refused is not None and not status:
                    await _send(answer, refused)
        finally:
            limit.cancel()
            for close in closers:
                close()
            if status >= 400:
                self.state.metrics.refuse(status)
            self._log(scope, name, status, began, sent)

    def _limit(self, scope: Scope) -> asyncio.TimerHandle:
        """Who holds a connection and reads nothing would keep it for ever; who looks at the steps may."""
        task, seconds = asyncio.current_task(), self.state.options.time_limit + 10
        assert task is not None
        return asyncio.get_running_loop().call_later(
            seconds if scope["method"] == "POST" else 10**8, task.cancel
        )

    async def _pass(
        self, scope: Scope, receive: Receive, answer: Send, headers: dict[bytes, bytes]
    ) -> ApiError | None:
        """Let it through, if it may come in; returns why it may not, or what went wrong."""
        try:
            with contextlib.ExitStack() as stack:
                if scope["path"] not in OPEN:
                    authorization = headers.get(b"authorization")
                    scope["state"]["key"] = self.state.keys.name_of(
                        None if authorization is None else authorization.decode("latin-1")
                    )
                if scope["method"] == "POST":
                    stack.enter_context(self.state.lifecycle.request())
                await self.app(scope, receive, answer)
        except ApiError as error:
            return error
        except Exception as error:
            kind = type(error).__name__
            log(
                "fault",
                request=scope["state"]["request"],
                path=scope["path"][:200],
                kind=kind,
                where=_where(error),
            )
            return ApiError("something went wrong here; the request's id is in x-request-id", status=500)
        return None

    def _log(self, scope: Scope, name: str, status: int, began: float, sent: int) -> None:
        if scope["path"] in (*OPEN, "/metrics") and status == 200:
            return
        log(
            "request", request=name, method=scope["method"], path=scope["path"][:200], status=status or 499,
            key=scope["state"]["key"], seconds=round(time.perf_counter() - began, 4), bytes=sent,
            **scope["state"].get("log", {}),
        )  # fmt: skip


def _where(error: BaseException) -> str:
    """The innermost place of an error: its message may have a prompt in it."""
    trace = error.__traceback__
    place = ""
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


async def _send(send: Send, error: ApiError) -> None:
    named = {**error.headers, "content-length": str(len(error.body))}
    headers = [(key.encode(), value.encode()) for key, value in named.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": error.body})
