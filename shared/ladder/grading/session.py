"""The instructor's end of a graded run: starts the process that runs a submission's tests, and judges what it says."""

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from shared.ladder.forked import quiet_values
from shared.ladder.grading.channel import LONGEST, ForgeryError, Receiver
from shared.ladder.grading.graded import STOP
from shared.ladder.grading.sandbox import Sandbox, environment, python
from shared.ladder.project import Project

WARM_SECONDS = 300  # to import torch and the like, on a slow machine
GRACE_SECONDS = 20  # for the process to end a child whose time is over
MOST_BYTES = 2**27  # of all that a task reports


@dataclass
class TaskRun:
    """What the tests of one task reported. `why` is empty when they came to their end."""

    task: int
    tests: list[dict[str, Any]] = field(default_factory=list)
    broken: list[dict[str, Any]] = field(default_factory=list)
    cheats: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    """functions of libraries that are others after the run"""
    seconds: float = 0.0
    why: str = ""
    was_stopped: bool = False
    """by `enough`"""


class Session:
    """A process for one submission. As a context manager, it ends with all that it has started."""

    def __init__(
        self,
        project: Project,
        house: Path,
        folder: Path,
        sandbox: Sandbox,
        memory_gb: float,
        outside: Sequence[Path] = (),
        is_trusted: bool = False,
    ) -> None:
        """`house` is the copy without the solution; `folder` holds the overlays of one submission.

        Nothing in the folders `outside` is to be opened. One that is trusted, the reference, may write into the house:
        what it compiles serves those after it.
        """
        self.project, self.house, self.folder = project, house, folder
        self.sandbox, self.memory_gb, self.outside, self.is_trusted = sandbox, memory_gb, outside, is_trusted
        self.process: subprocess.Popen[bytes] | None = None
        self.is_ready = False
        self.name, self.buffer, self.last_words = "", b"", ""

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def run(
        self,
        task: int,
        overlay: Path,
        seconds: float,
        enough: Callable[[dict[str, Any]], bool] = lambda test: False,
    ) -> TaskRun:
        """Run the tests of one task on an overlay; the run is stopped after a test of which `enough` says so."""
        began = time.monotonic()
        run = TaskRun(task)
        try:
            if self.process is None:
                self._start()
                began = time.monotonic()
            self._run(run, overlay, seconds, enough)
        except (BrokenPipeError, EOFError):
            was_ready = self.is_ready
            self.end()
            run.why = (
                "ended the process that runs its tests" if was_ready else f"cannot start: {self.last_words}"
            )
        run.seconds = time.monotonic() - began
        return run

    def _start(self) -> None:
        """Start the process, and wait until it is ready. Raises EOFError with its last words when it is not."""
        self.is_ready = False
        self.name = f"ladder-{secrets.token_hex(8)}"
        arguments = [python(), "-P", "-m", "shared.ladder.grading.graded", str(self.project.number)]
        if not self.sandbox.engine:
            # Nothing else keeps what it prints, where it stands and what it leaves behind away from the machine's.
            self.scratch = tempfile.TemporaryDirectory(prefix="ladder-", ignore_cleanup_errors=True)
        values = environment() | quiet_values() | {"PYTHONPATH": str(self.house)}
        if not self.sandbox.engine:
            values |= {"HOME": self.scratch.name, "TMPDIR": self.scratch.name}
        writes, reads = ([self.house], [self.folder]) if self.is_trusted else ([], [self.house, self.folder])
        set_values = [f"{key}={value}" for key, value in values.items()]
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the session ends)
        self.process = subprocess.Popen(
            self.sandbox.command(["/usr/bin/env", *set_values, *arguments], reads, writes, self.name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=dict(os.environ) if self.sandbox.is_container else values,
            cwd=None if self.sandbox.engine else self.scratch.name,
            start_new_session=True,
            bufsize=0,
        )
        key = secrets.token_bytes(32)
        self._ask({"key": key.hex()})
        line = self._line(time.monotonic() + WARM_SECONDS)
        if line is None or Receiver(key).event(line)["event"] != "ready":
            raise EOFError
        self.is_ready = True

    def _run(
        self, run: TaskRun, overlay: Path, seconds: float, enough: Callable[[dict[str, Any]], bool]
    ) -> None:
        key, end_key = secrets.token_bytes(32), secrets.token_bytes(32)
        events, end = Receiver(key), Receiver(end_key)
        outside = [str(path) for path in self.outside]
        self._ask(
            {
                "task": run.task,
                "overlay": str(overlay),
                "seconds": seconds,
                "memory_gb": self.memory_gb,
                "key": key.hex(),
                "end_key": end_key.hex(),
                "outside": outside,
                "inside": [str(self.house), str(self.folder)],
            }
        )
        deadline = time.monotonic() + seconds + GRACE_SECONDS
        size, is_whole, is_stopped, has_ended = 0, False, False, False
        while True:
            line = self._line(deadline)
            if line is None:  # it does not end its child by itself: somebody holds it up
                run.why = f"stopped after {seconds:.0f} s"
                self.end()
                return
            size += len(line)
            try:
                event = events.event(line)
            except (ForgeryError, json.JSONDecodeError):
                try:
                    over = end.event(line)
                    break
                except (ForgeryError, json.JSONDecodeError):
                    run.cheats.append("it writes results of its own into those of the tests")
                    continue
            match event.pop("event"):
                case "broken":
                    run.broken.append(event)
                case "test":
                    run.tests.append(event)
                    if not is_stopped and enough(event):
                        is_stopped = True
                        self._write(STOP)
                case "refused":
                    run.cheats.append(event["what"])
                case "noted":
                    run.notes.append(event["what"])
                case "sealed":
                    run.replaced, is_whole = event["broken"], True
                case "end":
                    has_ended = event["status"] not in (3, 4)  # pytest's own breakdowns
            if size > MOST_BYTES:
                run.why = "its tests report more than can be read"
                self.end()
                return
        if over["timed_out"]:
            run.why = f"stopped after {seconds:.0f} s"
        elif is_stopped:
            run.was_stopped = True
        elif over["code"] < 0:
            run.why = f"killed by signal {-over['code']}"
        elif not (is_whole and has_ended):
            run.why = f"ended itself with exit code {over['code']}"

    def _ask(self, request: dict[str, Any]) -> None:
        self._write(json.dumps(request))

    def _write(self, line: str) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")

    def _line(self, deadline: float) -> bytes | None:
        """The next line, None when it does not come in time. Raises EOFError when none will come."""
        assert self.process is not None
        assert self.process.stdout is not None
        while b"\n" not in self.buffer:
            if len(self.buffer) > 2 * LONGEST:
                self.buffer = b"\n"  # nothing that the tests have written
                break
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return None
            data = os.read(self.process.stdout.fileno(), 2**16)
            if not data:
                raise EOFError
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def end(self) -> None:
        """End the process and all that it has started."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.sandbox.end(self.name)
        self.process.kill()
        self.process.wait()
        if not self.sandbox.engine:
            _kill_those_in(self.scratch.name)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.log.seek(0)
        lines = self.log.read()[-4000:].decode("utf-8", "replace").strip().splitlines()
        self.last_words = lines[-1] if lines else "no word why"
        self.log.close()
        self.process, self.buffer = None, b""
        if not self.sandbox.engine:
            self.scratch.cleanup()


def _kill_those_in(folder: str) -> None:
    """End the processes that stand in a folder: without a sandbox, a submission's may outlive the one that ran them."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if f"{process.cwd()}{os.sep}".startswith(os.path.realpath(folder) + os.sep):
                process.kill()
