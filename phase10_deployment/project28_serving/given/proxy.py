"""The router as a proxy: requests in, to the replica that PrefixRouter chooses, answers through as they come."""

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from phase10_deployment.project28_serving.given.errors import ApiError
from phase10_deployment.project28_serving.given.gate import log
from phase10_deployment.project28_serving.router import NoReplicaError, PrefixRouter

HOP = {
    b"connection",
    b"keep-alive",
    b"transfer-encoding",
    b"host",
    b"content-length",
    b"te",
    b"upgrade",
    b"trailer",
}
"""headers that are of one connection"""
LARGEST = 4_000_000


def prompt_of(body: bytes) -> bytes:
    """What a body's prompt begins with, as bytes; none where it is of another kind, which the replica will say."""
    try:
        content = json.loads(body)
        if not isinstance(content, dict):
            return b""
        messages = content.get("messages")
        if isinstance(messages, list):
            return "".join(f"{one.get('role')}\0{one.get('content')}\0" for one in messages).encode()
        return json.dumps(content.get("prompt", ""), ensure_ascii=False).encode()
    except (ValueError, AttributeError, RecursionError):
        return b""


class Proxy:
    """A plain ASGI app."""

    def __init__(self, router: PrefixRouter, every: float = 1.0):
        """Each replica is asked whether it is ready `every` so many seconds."""
        self.router, self.every = router, every
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        self.client = httpx.AsyncClient(timeout=httpx.Timeout(700, connect=2, pool=None), limits=limits)
        self.sent = dict.fromkeys(router.replicas, 0)
        self.again = 0
        """how many requests went to a second replica"""

    async def look(self) -> None:
        """Ask all replicas whether they are ready."""
        await asyncio.gather(*(self._look(url) for url in self.router.replicas))

    async def _look(self, url: str) -> None:
        try:
            answer = await self.client.get(f"{url}/ready", timeout=2)
            healthy = answer.status_code == 200
        except httpx.HTTPError:
            healthy = False
        if healthy != self.router.replicas[url].healthy:
            log("replica", url=url, healthy=healthy)
            self.router.mark(url, healthy)

    async def keep_looking(self) -> None:
        """`look` for ever."""
        while True:
            await self.look()
            await asyncio.sleep(self.every)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ApiError as error:
            response = Response(error.body, error.status, error.headers)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if path == "/health":
            return JSONResponse({"status": "ok"})
        if path == "/ready":
            able = any(one.healthy for one in self.router.replicas.values())
            return JSONResponse({"ready": able}, 200 if able else 503)
        if path == "/router":
            replicas = [
                {
                    "url": one.url,
                    "healthy": one.healthy,
                    "in_flight": one.in_flight,
                    "sent": self.sent[one.url],
                }
                for one in self.router.replicas.values()
            ]
            return JSONResponse({"replicas": replicas, "again": self.again})
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST:
                raise ApiError(f"the body may have {LARGEST:,} bytes", status=413)
        return await self._forward(request, bytes(body))

    async def _forward(self, request: Request, body: bytes) -> Response:
        """Send it to one replica after the other, until one answers; what has been answered is never asked again."""
        salt = sha256(request.headers.get("authorization", "").encode()).hexdigest()
        hashes, failed = self.router.hashes(prompt_of(body), salt), []
        headers = [(name, value) for name, value in request.headers.raw if name not in HOP]
        while True:
            try:
                url = self.router.choose(hashes, failed)
            except NoReplicaError as none:
                raise ApiError(str(none), None, 503, "no_replica", 1.0) from None
            self.router.begin(url, hashes)
            self.sent[url] += 1
            target = url + request.url.path + (f"?{request.url.query}" if request.url.query else "")
            try:
                sent = self.client.build_request(request.method, target, headers=headers, content=body)
                answer = await self.client.send(sent, stream=True)
                if answer.status_code == 503:  # it drains, or has no engine: nothing was done there
                    await answer.aclose()
                    raise httpx.ConnectError("not ready")
            except httpx.HTTPError as problem:
                self.router.end(url)
                self.router.mark(url, False)
                failed.append(url)
                self.again += 1
                log("again", url=url, kind=type(problem).__name__)
                continue
            except BaseException:
                self.router.end(url)
                raise
            passed = {
                name.decode(): value.decode() for name, value in answer.headers.raw if name.lower() not in HOP
            }
            return StreamingResponse(self._body(answer, url), answer.status_code, passed)

    async def _body(self, answer: httpx.Response, url: str) -> AsyncIterator[bytes]:
        try:
            async for chunk in answer.aiter_raw():
                yield chunk
        except httpx.HTTPError:
            self.router.mark(url, False)
            log("lost", url=url)
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                error = ApiError("the replica that answered has gone", None, 503, "replica_lost")
                yield b"data: " + error.body + b"\n\ndata: [DONE]\n\n"
            else:
                raise
        finally:
            self.router.end(url)
            await answer.aclose()
