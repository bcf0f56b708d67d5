"""Runs the tests of a project on many small changes of its functions, in a process that has collected them once.

A child is forked for each change, puts the changed code into the function that is imported already, and runs the
tests of the function's task until one fails. So a change costs as much as the test that notices it, and no import.
What another process imports anew (a command that a test starts) is not changed: what survives here is only likely to.
"""

import importlib
import inspect
import json
import os
import selectors
import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from shared.ladder import forked
from shared.ladder.forked import ALWAYS
from shared.ladder.house import LadderError
from shared.ladder.mutations import Mutation
from shared.ladder.project import Project
from shared.ladder.pytest_plugin import task_of
from shared.ladder.runner import pytest_arguments

TIMES, AT_LEAST = 20.0, 5.0  # one test's limit: so many times what the reference took, and so many seconds
KILLED, HANGS, SURVIVES, UNPATCHED = "killed", "hangs", "survives", "cannot be put in"


@dataclass(frozen=True)
class Change:
    """A mutation of a function in `file`, which task `task` writes."""

    task: int
    file: str
    mutation: Mutation
    kernel: bool = False
    """whether Triton compiles the function"""

    @property
    def function(self) -> str:
        """`file.py:name`, as in project.toml."""
        return f"{self.file}:{self.mutation.function}"


@dataclass
class _Child:
    change: Change
    tests: list[pytest.Item]
    began: float
    running: int = -1
    heard: bytes = b""


def try_changes(
    project: Project, changes: Sequence[Change], place: Path, at_once: int
) -> Iterator[tuple[int, str, str]]:
    """Yields the index of each change, how it ended, and the test that decided it. `place` is an empty folder.

    Raises LadderError, with what the child said, when the tests cannot be collected or fail on the reference.
    """
    forked.warm(project)
    for name in ("output.txt", "opened.txt"):
        (place / name).touch()
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:  # pragma: no cover (the child ends without writing its coverage)
        try:
            os.close(reading)
            forked.prepare(place, 2 * forked.MEMORY_GB)
            forked.settle(place)
            runner = _Runner(project, changes, writing, at_once)
            tasks = sorted({change.task for change in changes})
            arguments = pytest_arguments(project, place / "events.jsonl", tasks, seconds=0)
            arguments = [text for text in arguments if not text.startswith("--ladder-")]
            pytest.main([*arguments, *ALWAYS], plugins=[runner])
        finally:
            os._exit(0)
    os.close(writing)
    left = set(range(len(changes)))
    try:
        with os.fdopen(reading, encoding="utf-8") as lines:
            for line in lines:
                index, outcome, test = json.loads(line)
                if outcome == "error":
                    raise LadderError(test)
                left.discard(index)
                yield index, outcome, test
    finally:
        forked.kill(pid)
    if left:
        said = (place / "output.txt").read_text(encoding="utf-8", errors="replace").strip()
        raise LadderError(f"{len(left)} changes were not tried; the tests said:\n{said[-2000:]}")


class _Runner:  # pragma: no cover (it runs in a child)
    """The pytest plugin of the process that has collected the tests."""

    def __init__(self, project: Project, changes: Sequence[Change], out: int, at_once: int) -> None:
        self.project, self.changes, self.out, self.at_once = project, changes, out, at_once
        self.seconds: dict[str, float] = {}
        self.killers: dict[str, deque[str]] = defaultdict(deque)
        """by function: the tests that have killed its changes, the last one first"""
        self.to: int | None = None  # in a child of this process: where it tells how its tests go
        self.index = -1

    def say(self, index: int, outcome: str, test: str = "") -> None:
        os.write(self.out, (json.dumps([index, outcome, test]) + "\n").encode())

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            self.say(-1, "error", "the tests cannot be collected")
            return True
        tests: dict[int, list[pytest.Item]] = defaultdict(list)
        for item in session.items:
            tests[task_of(item)].append(item)
        tasks = sorted({change.task for change in self.changes})
        if not self._reference([item for task in tasks for item in tests[task]]):
            return True
        waiting = deque(range(len(self.changes)))
        with selectors.DefaultSelector() as selector:
            children: dict[int, tuple[int, int, _Child]] = {}  # by pid: index, pipe, child
            while waiting or children:
                while waiting and len(children) < self.at_once:
                    index = waiting.popleft()
                    change = self.changes[index]
                    child = _Child(change, self._in_order(change, tests[change.task]), time.monotonic())
                    pid, pipe = self._fork(child)
                    selector.register(pipe, selectors.EVENT_READ, child)
                    children[pid] = index, pipe, child
                for key, _ in selector.select(timeout=0.2):
                    self._hear(key.fd, key.data)
                for pid, (index, pipe, child) in list(children.items()):
                    if ended := self._ended(pid, pipe, child):
                        selector.unregister(pipe)
                        os.close(pipe)
                        del children[pid]
                        self.say(index, *ended)
        return True

    def _reference(self, items: list[pytest.Item]) -> bool:
        """Run the tests on the unchanged functions, for the time that each takes."""
        child = _Child(Change(0, "", Mutation("", "", "", "")), items, time.monotonic())
        pid, pipe = self._fork(child)
        while chunk := os.read(pipe, 65536):
            child.heard += chunk
        os.close(pipe)
        forked.kill(pid)
        began = {}
        for line in child.heard.decode().splitlines():
            kind, number, clock = line.split()
            began[kind, int(number)] = float(clock)
        if failed := [items[number].nodeid for kind, number in began if kind == "k"]:
            self.say(-1, "error", f"the reference fails {failed[0]}")
            return False
        for number, item in enumerate(items):
            self.seconds[item.nodeid] = began.get(("e", number), 0.0) - began.get(("s", number), 0.0)
        return True

    def _in_order(self, change: Change, items: list[pytest.Item]) -> list[pytest.Item]:
        killers = {test: -i for i, test in enumerate(reversed(self.killers[change.function]))}
        return sorted(items, key=lambda item: (killers.get(item.nodeid, 1), self.seconds[item.nodeid]))

    # ---- in a child

    def _fork(self, child: _Child) -> tuple[int, int]:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writing)
            os.set_blocking(reading, bool(not child.change.task))
            return pid, reading
        code = 3
        try:
            os.setsid()
            self.to = writing
            if child.change.task and not put_in(self.project, child.change):
                os._exit(4)
            for self.index, item in enumerate(child.tests):
                self._tell("s")
                following = child.tests[self.index + 1] if self.index + 1 < len(child.tests) else None
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                self._tell("e")
            code = 0
        finally:
            os._exit(code)

    def _tell(self, kind: str) -> None:
        assert self.to is not None
        os.write(self.to, f"{kind} {self.index} {time.monotonic()}\n".encode())

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        if self.to is None or call.excinfo is None or item.get_closest_marker("xfail"):
            return
        if not isinstance(call.excinfo.value, pytest.skip.Exception):
            self._tell("k")
            os._exit(1)

    # ---- in the process that waits for them

    def _hear(self, pipe: int, child: _Child) -> None:
        try:
            child.heard += os.read(pipe, 65536)
        except BlockingIOError:
            return
        *lines, child.heard = child.heard.split(b"\n")
        for line in lines:
            _, number, clock = line.decode().split()
            child.running, child.began = int(number), float(clock)

    def _ended(self, pid: int, pipe: int, child: _Child) -> tuple[str, str] | None:
        done, status = os.waitpid(pid, os.WNOHANG)
        if not done:
            test = child.tests[child.running].nodeid if child.running >= 0 else ""
            if time.monotonic() - child.began < max(AT_LEAST, TIMES * self.seconds.get(test, 0.0)):
                return None
            forked.kill(pid)
            return HANGS, test
        forked.kill_group(pid)  # what the tests may have started
        self._hear(pipe, child)
        code = os.waitstatus_to_exitcode(status)
        if code == 4:
            return UNPATCHED, ""
        if code == 0:
            return SURVIVES, ""
        # By a failed test, or by a crash in it, for want of memory for example.
        test = child.tests[child.running].nodeid if child.running >= 0 else ""
        known = self.killers[child.change.function]
        if test in known:
            known.remove(test)
        known.appendleft(test)
        return KILLED, test


def put_in(project: Project, change: Change) -> bool:
    """Give the imported function the changed code; False where that cannot be done.

    It must be a function whose code the file defines under this name, with the same variables from outside.
    """
    module: Any = importlib.import_module(f"{project.module}.{Path(change.file).stem}")
    found: Any = module
    for part in change.mutation.function.split("."):
        found = inspect.getattr_static(found, part, None)
    found = getattr(found, "fget", None) or getattr(found, "__func__", None) or found
    code = _code(compile(change.mutation.text, module.__file__, "exec", dont_inherit=True), change)
    function = next((one for one in _wrapped(found) if one.__code__.co_qualname == code.co_qualname), None)
    if function is None or function.__code__.co_freevars != code.co_freevars:
        return False
    function.__code__ = code
    return True


def _wrapped(found: Any) -> Iterator[FunctionType]:
    """The function, and what it wraps, and what that wraps."""
    while found is not None:
        if isinstance(found, FunctionType):
            yield found
        found = getattr(found, "__wrapped__", None)


def _code(module: CodeType, change: Change) -> CodeType:
    name = change.mutation.function
    codes = [module]
    while codes:
        code = codes.pop()
        if code.co_qualname == name:
            return code
        codes += [part for part in code.co_consts if isinstance(part, CodeType)]
    raise KeyError(name)
