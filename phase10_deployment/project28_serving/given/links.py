"""How the server reaches its engine: a process of its own, or, to compare, a thread of the server."""

import asyncio
import json
import os
import queue
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

from phase10_deployment.project28_serving.given.engine_process import (
    EngineSettings,
    build,
    run,
    take_from_queue,
)
from phase10_deployment.project28_serving.given.wire import decode, encode
from shared.files import ROOT

CODE = "from phase10_deployment.project28_serving.given.{0} import main; main()"
"""what Python is told to run in a process of its own, for a name in given/"""
LONGEST_LINE = 2**28


@runtime_checkable
class Link(Protocol):
    """Messages both ways. `messages` ends where the engine does, in whatever way."""

    def send(self, command: Mapping[str, Any], /) -> None: ...
    def messages(self) -> AsyncIterator[dict[str, Any]]: ...
    async def close(self, patience: float = 5.0) -> int | None: ...


class ProcessLink:
    """An engine in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process):
        self.process = process

    @classmethod
    async def start(cls, settings: EngineSettings) -> "ProcessLink":
        """Start the process; its first message says that it is ready, or why it cannot be."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-c", CODE.format("engine_process"), json.dumps(asdict(settings)),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LONGEST_LINE, env=environment(),
        )  # fmt: skip
        return cls(process)

    def send(self, command: Mapping[str, Any], /) -> None:
        """Send a command; to an engine that has ended, nothing is sent."""
        assert self.process.stdin is not None
        if not self.process.stdin.is_closing():
            self.process.stdin.write(encode(command))

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """The engine's messages."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            yield decode(line)

    async def close(self, patience: float = 5.0) -> int | None:
        """End the engine: its input is closed, and after `patience` seconds it is killed. Returns its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            async with asyncio.timeout(patience):
                return await self.process.wait()
        except TimeoutError:
            self.process.kill()
            return await self.process.wait()


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


class ThreadLink:
    """An engine in a thread of the server: as simple as can be, and both wait for the one interpreter lock."""

    def __init__(self, settings: EngineSettings):
        self.loop = asyncio.get_running_loop()
        self.commands: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()
        self.thread = threading.Thread(target=self._work, args=(settings,), daemon=True)
        self.thread.start()

    def _work(self, settings: EngineSettings) -> None:
        try:
            core, info = build(settings)
            self._put(encode(info))
            run(core, take_from_queue(self.commands), self._put)
        except Exception as error:
            self._put(encode({"fatal": f"{type(error).__name__}: {error}"}))
        finally:
            self._put(b"")

    def _put(self, line: bytes) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.lines.put_nowait, line)

    def send(self, command: Mapping[str, Any], /) -> None:
        """Send a command."""
        self.commands.put(dict(command))

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """The engine's messages."""
        while line := await self.lines.get():
            yield decode(line)

    async def close(self, patience: float = 5.0) -> int | None:
        """End the thread."""
        self.commands.put(None)
        await asyncio.to_thread(self.thread.join, patience)
        return 0
