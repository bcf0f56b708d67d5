"""A server from its start to its end: the engine is started, requests come, a signal drains it."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from phase10_deployment.project28_serving.async_engine import AsyncEngine
from phase10_deployment.project28_serving.given.app import make_app
from phase10_deployment.project28_serving.given.engine_process import EngineSettings
from phase10_deployment.project28_serving.given.gate import log
from phase10_deployment.project28_serving.given.http_protocol import LONGEST_HEADERS, Protocol
from phase10_deployment.project28_serving.given.links import Link, ProcessLink, ThreadLink
from phase10_deployment.project28_serving.given.served import Served, words_of
from phase10_deployment.project28_serving.given.state import Options, State
from phase10_deployment.project28_serving.given.telemetry import make_tracer
from phase10_deployment.project28_serving.given.views import Views
from phase10_deployment.project28_serving.lifecycle import Lifecycle
from phase10_deployment.project28_serving.limits import ApiKeys, RateLimits
from phase10_deployment.project28_serving.metrics import Metrics


@dataclass
class ServerSettings:
    """How a server is set up."""

    engine: EngineSettings
    name: str = ""
    """what clients call the model; "" is its own name"""
    host: str = "127.0.0.1"
    port: int = 8000
    keys: dict[str, str] = field(default_factory=dict)
    """hashes of API keys, by the names of their owners"""
    requests_per_minute: float = 0
    tokens_per_minute: float = 0
    max_queue: int = 256
    """texts that may wait beside those that run"""
    drain_seconds: float = 30.0
    linger_seconds: float = 1.0
    """how long it answers that it is dead, before it goes"""
    thread: bool = False
    """the engine in a thread of the server, to compare"""
    options: Options = field(default_factory=Options)


class _Uvicorn(uvicorn.Server):
    """uvicorn's server, whose signals mean what ours does with them."""

    act: Callable[[], None] = staticmethod(lambda: None)

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.act()


class Server:
    """A server. `run` is its life."""

    def __init__(self, settings: ServerSettings):
        self.settings = settings
        self.lifecycle = Lifecycle()
        self.port = 0
        self.state: State | None = None
        self.exit_code = 0
        self.link: Link | None = None

    async def start_engine(self) -> State:
        """The engine and all that routes need. Raises RuntimeError with the engine's words where it cannot start."""
        settings = self.settings
        words = await asyncio.to_thread(words_of, settings.engine.model, settings.engine.template)
        link: Link = (
            ThreadLink(settings.engine) if settings.thread else await ProcessLink.start(settings.engine)
        )
        self.link = link
        name = settings.name or settings.engine.model.rstrip("/").rpartition("/")[2]
        metrics, begun = Metrics(name), asyncio.get_running_loop().create_future()
        most = settings.engine.max_sequences * (1 + len(settings.engine.adapters)) + settings.max_queue

        def heard(message: dict[str, Any]) -> None:
            if "ready" in message:
                begun.set_result(message)
                return
            metrics.engine(message["stats"])
            for view in message.get("views", ()):
                views.put(view)

        engine = AsyncEngine(link, most, heard)
        views = Views(lambda on: link.send({"do": "watch", "on": on}))
        self.running = asyncio.create_task(engine.run())
        await asyncio.wait({self.running, begun}, return_when=asyncio.FIRST_COMPLETED)
        if engine.dead is not None:
            raise RuntimeError(engine.dead)
        served = self._served(name, *words, begun.result())
        self.state = State(
            self.lifecycle, ApiKeys(settings.keys),
            RateLimits(settings.requests_per_minute, settings.tokens_per_minute), settings.options, metrics, engine,
            served, views, tracer=make_tracer(),
        )  # fmt: skip
        return self.state

    def _served(self, name: str, tokenizer: Any, template: str, info: dict[str, Any]) -> Served:
        engine = self.settings.engine
        blocks = min(engine.blocks, engine.adapter_blocks) if engine.adapters else engine.blocks
        return Served(
            name, tokenizer, template, info["context_length"], info["vocab_size"], blocks * engine.block_size,
            tuple(engine.adapters), created=int(time.time()),
        )  # fmt: skip

    async def run(self, ready: Callable[["Server"], None] = lambda server: None) -> int:
        """Start, say that it is ready, serve until a signal or the engine's end, drain, stop; returns the exit code."""
        try:
            state = await self.start_engine()
        except BaseException:
            if self.link is not None:
                await self.link.close(0)
            raise
        config = uvicorn.Config(
            make_app(state), self.settings.host, self.settings.port, log_config=None, access_log=False,
            lifespan="off", interface="asgi3", timeout_graceful_shutdown=2, server_header=False, http=Protocol,
            h11_max_incomplete_event_size=LONGEST_HEADERS,
        )  # fmt: skip
        server = _Uvicorn(config)
        loop = asyncio.get_running_loop()
        draining: list[asyncio.Task[None]] = []

        def act() -> None:
            loop.call_soon_threadsafe(lambda: draining.append(asyncio.create_task(self.drain(server))))

        server.act = act
        socket = config.bind_socket()
        self.port = socket.getsockname()[1]
        serving = asyncio.create_task(server.serve(sockets=[socket]))
        self.stop = act
        watching = asyncio.create_task(self._watch(server))
        try:
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            self.lifecycle.warm()
            ready(self)
            await serving
        finally:
            watching.cancel()
            for task in draining:
                task.cancel()
            assert self.link is not None
            code = await self.link.close()
            log("stopped", engine_exit=code)
        return self.exit_code

    async def drain(self, server: uvicorn.Server) -> None:
        """A signal came: refuse what is new, let what is there end, go."""
        if self.lifecycle.state in ("draining", "stopped"):
            return
        log("draining", in_flight=self.lifecycle.in_flight)
        if not await self.lifecycle.drain(self.settings.drain_seconds):
            assert self.state is not None
            log("given up", in_flight=self.lifecycle.in_flight)
            self.state.engine.die("the server was stopped before this was done")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await self.lifecycle.empty.wait()
        server.should_exit = True

    async def _watch(self, server: uvicorn.Server) -> None:
        """The engine has ended by itself: say so for a moment, and go."""
        await asyncio.wait({self.running})
        if self.lifecycle.state == "stopped":
            return
        assert self.state is not None
        self.lifecycle.fail(f"the engine has ended: {self.state.engine.dead}")
        log("dead", reason=self.state.engine.dead)
        self.exit_code = 1
        await asyncio.sleep(self.settings.linger_seconds)
        server.should_exit = True


@contextlib.asynccontextmanager
async def serving(settings: ServerSettings) -> AsyncIterator[Server]:
    """A server inside the block, on this loop; after it, it has drained and stopped."""
    server, ready = Server(settings), asyncio.Event()
    task = asyncio.create_task(server.run(lambda server: ready.set()))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield server
    finally:
        waiting.cancel()
        if not task.done():
            server.stop()
        await asyncio.gather(task, return_exceptions=True)


def ignore_interrupts() -> None:
    """What ctrl-C sends to a terminal's whole group is for the server alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
