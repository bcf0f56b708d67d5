"""A server beside what asks it: in a thread of this process, or as the command in a process of its own."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phase10_deployment.project28_serving.given.links import CODE, environment
from phase10_deployment.project28_serving.given.server import Server, ServerSettings, serving


class Background:
    """A server in a thread, with its engine where the settings say."""

    def __init__(self, settings: ServerSettings):
        """Start it, and wait until it is ready. Raises what its start raises."""
        self.settings = settings
        self.server: Server | None = None
        self.error: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.ready, self.over = threading.Event(), asyncio.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.ready.wait()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self.error = error
        finally:
            self.ready.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        async with serving(self.settings) as server:
            self.server = server
            self.ready.set()
            await self.over.wait()

    @property
    def url(self) -> str:
        """Where it is."""
        assert self.server is not None
        return f"http://{self.settings.host}:{self.server.port}"

    def stop(self) -> None:
        """Drain it, and wait until it has gone."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(60)


class Command:
    """`serve`, or another command that says where it is once it is ready, in a process of its own."""

    def __init__(self, *words: str, command: str = "serve", log: Path | None = None):
        """Start it, and wait for its line. Raises RuntimeError where it ends without one."""
        folder, _, name = command.rpartition(".")
        module = f"phase10_deployment.project28_serving.{name}"
        what = ["-c", CODE.format(name)] if folder else ["-m", module]
        self.log = log
        stream = subprocess.DEVNULL if log is None else log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-P", *what, *words],
            stdout=subprocess.PIPE, stderr=stream, text=True, env=environment(),
        )  # fmt: skip
        if log is not None:
            stream.close()  # pyright: ignore[reportAttributeAccessIssue]
        assert self.process.stdout is not None
        self.lines = []
        while line := self.process.stdout.readline():
            self.lines.append(line.strip())
            if " on http://" in line:
                self.url = line.split()[-1]
                return
        code = self.process.wait()
        self.close()
        raise RuntimeError(f"{command} ended with {code} and said {self.lines}")

    def end(self, patience: float = 60.0, number: int = signal.SIGTERM) -> int:
        """Send it a signal, and wait; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(patience)
        finally:
            self.close()

    def close(self) -> None:
        """Whatever happened, it is gone."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def running(*words: str, command: str = "serve", log: Path | None = None) -> Iterator[Command]:
    """The command inside the block."""
    made = Command(*words, command=command, log=log)
    try:
        yield made
    finally:
        made.close()
