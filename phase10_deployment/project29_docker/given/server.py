"""Project 28's server in a process of its own: started, ready, stopped."""

import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shared.files import ROOT

if TYPE_CHECKING:  # it is started, not imported; but exports bring it, and verdicts depend on it
    from phase10_deployment.project28_serving import serve as serve

SERVE = "phase10_deployment.project28_serving.serve"
STAND_IN = Path(__file__).parents[1] / "replica.py"
WARM = 180.0  # seconds: far more than it takes, for a machine may be busy


@dataclass
class Server:
    """A running server: its process, where it listens, and what it took to be ready, in seconds."""

    process: subprocess.Popen[str]
    url: str
    seconds: float

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])

    def stop(self, seconds: float = 60.0) -> int:
        """Send SIGTERM, and wait; returns the exit code. Raises TimeoutExpired where it does not end, and kills it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a machine that fails would."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def command(model: str = "tiny-chat", port: int = 0, *options: str) -> list[str]:
    """How project 28's server is started."""
    return [sys.executable, "-m", SERVE, "--model", model, "--port", str(port), *options]


def stand_in(*options: str) -> list[str]:
    """How the stand-in is started: a server without a model, which is up in a tenth of a second."""
    return [sys.executable, "-I", str(STAND_IN), *options]


@contextmanager
def running(line: Sequence[str], seconds: float = WARM) -> Iterator[Server]:
    """A server that is ready, and is killed at the end if it still runs.

    It is ready once it has said `serving MODEL on URL` on stdout. Raises OSError with the last it said where it
    ends before that, or does not say it in time.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        start = time.perf_counter()
        process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8", cwd=ROOT
        )
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            found = None
            for said in process.stdout:
                if found := re.match(r"serving \S+ on (http://\S+)", said):
                    break
            timer.cancel()
            if found is None:
                log.seek(0)
                raise OSError(f"the server did not start: {log.read()[-2000:].strip() or 'it said nothing'}")
            server = Server(process, found[1].rstrip("/"), time.perf_counter() - start)
            try:
                yield server
            except OSError as problem:  # what went wrong with it, it will have said
                log.seek(0)
                problem.add_note(f"the server's last words: {log.read()[-3000:]}")
                raise
        finally:
            timer.cancel()
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
