"""The process that runs the tests of one submission, task by task, each in a child that finds torch loaded already.

    python -m shared.ladder.grading.graded NUMBER

It runs inside the sandbox where there is one, on a copy of the house in which the solution of the graded project is
replaced by stubs. Requests come as JSON lines on its standard input; what it answers leaves on its standard output,
each line with the code of the request's key (see channel.py). Being a process of its own, it is not seen by coverage.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.ladder import forked, pytest_plugin
from shared.ladder.forked import Job
from shared.ladder.grading.channel import sender
from shared.ladder.grading.guard import Seal, watch
from shared.ladder.project import Project, find, root_folder

POLL_SECONDS = 0.02
DUMPABLE, SUBREAPER = 4, 36  # of Linux' prctl
STOP = "stop"


def main() -> None:  # pragma: no cover
    """Serve requests until there are no more."""
    answers, requests = os.dup(1), os.dup(0)
    with open(os.devnull, "r+b") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    _prctl(SUBREAPER, 1)
    _prctl(DUMPABLE, 0)  # no child reads or changes this process' memory
    project = find(int(sys.argv[1]))
    forked.warm(project)
    seal = Seal()
    with os.fdopen(requests, "rb", buffering=0) as lines:
        while line := lines.readline():
            if line.strip() == STOP.encode():
                continue  # the task had ended by itself already
            request = json.loads(line)
            send = sender(answers, bytes.fromhex(request["key"]))
            if "task" in request:
                _run(project, request, seal, answers, lines)
            else:
                send("ready")


def _run(
    project: Project, request: dict[str, Any], seal: Seal, answers: int, requests: Any
) -> None:  # pragma: no cover
    """Run one task's tests in a child, within their time, and leave no process behind."""
    place = Path(tempfile.mkdtemp())
    (place / "output.txt").touch()
    job = Job("graded", project, Path(request["overlay"]), (request["task"],), seconds=request["seconds"])
    pid = os.fork()
    if pid == 0:  # pragma: no cover (the child ends without writing its coverage)
        requests.close()
        _child(job, place, request, seal, answers)
    began, code, timed_out = time.monotonic(), None, False
    while code is None:
        # What comes in the meantime is STOP, or the end of the line: nobody listens any more.
        is_stopped = bool(select.select([requests], [], [], POLL_SECONDS)[0])
        if is_stopped:
            requests.readline()
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
        elif is_stopped or time.monotonic() - began > job.seconds:
            timed_out = not is_stopped
            forked.kill_group(pid)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    forked.kill_group(pid)
    _kill_orphans()
    shutil.rmtree(place, ignore_errors=True)
    # The child's events come first in the pipe, and have a key of their own.
    sender(answers, bytes.fromhex(request["end_key"]))("over", code=code, timed_out=timed_out)


def _child(
    job: Job, place: Path, request: dict[str, Any], seal: Seal, answers: int
) -> None:  # pragma: no cover
    code = 70
    send = sender(answers, bytes.fromhex(request["key"]))
    try:
        _prctl(DUMPABLE, 1)
        forked.prepare(place, request["memory_gb"])
        root = root_folder()
        watch(
            theirs=str(job.overlay),
            outside=request["outside"],
            inside=[str(root), sys.prefix, sys.base_prefix, str(place), *request["inside"]],
            private=_private(job.project),
            report=send,
        )
        pytest_plugin.senders.append(send)
        code = forked.run_tests(job, place)
        send("sealed", broken=seal.broken(str(job.overlay)))
    except BaseException as error:
        with contextlib.suppress(BaseException):
            send("broke", error=f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)


def _private(project: Project) -> list[str]:  # pragma: no cover
    """What a solution does not read: the tests, and the stubs that stand where the reference was."""
    return [
        str(file) for file in project.sources if file.name in project.files or file.name.startswith("test_")
    ]


def _kill_orphans() -> None:  # pragma: no cover
    """End what a submission has started outside of its process group: it became a child of this process."""
    children = Path("/proc/self/task", str(os.getpid()), "children")
    while True:
        try:
            left = [int(pid) for pid in children.read_text(encoding="ascii").split()]
        except OSError:
            return
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _prctl(option: int, value: int) -> None:  # pragma: no cover
    """Linux' prctl; elsewhere nothing."""
    with contextlib.suppress(AttributeError, OSError):
        call: Callable[..., int] = ctypes.CDLL(None).prctl
        call(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
