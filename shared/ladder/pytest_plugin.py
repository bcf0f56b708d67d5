"""The pytest plugin behind `ladder check`: picks the tasks' tests, records calls, writes down what happened.

Each line of the events file is one JSON object: `collected`, `broken` (a file that does not import), `start`,
`test` and `end`. The parent reads them while the tests run.
"""

import inspect
import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from shared.ladder.calls import Call, recording
from shared.ladder.failure import NUMBERS, explain
from shared.ladder.limits import limit_files, limit_time
from shared.ladder.project import Project, load
from shared.ladder.runner import TEST_SECONDS, test_seconds

CALLS = 50
senders: list[Callable[..., None]] = []
"""where the events of the next run go, instead of a file: a graded run puts its own here, and the run takes it out"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare where the project is, which tasks are asked for, and where the events go."""
    group = parser.getgroup("ladder")
    group.addoption("--ladder-project", help="the project's folder")
    group.addoption("--ladder-tasks", default="", help="task numbers, 0 for tests of no task; all without it")
    group.addoption("--ladder-only", default="", help="the id of the one test that is asked for")
    group.addoption(
        "--ladder-no-calls", action="store_true", help="do not record calls, which takes its time"
    )
    group.addoption("--ladder-events", help="the file that receives one JSON object a line")
    group.addoption("--ladder-keep-going", action="store_true", help="run later tasks after one has failed")


def pytest_configure(config: pytest.Config) -> None:
    """Start recording when a project was named."""
    # A project's tests use this mark wherever they run; an exported folder may have settings of its own.
    config.addinivalue_line("markers", "task(number): the task of the project that this test belongs to")
    if folder := config.getoption("--ladder-project"):
        config.pluginmanager.register(Ladder(config, Path(str(folder))), "ladder-events")


class Ladder:
    """One run of a project's tests."""

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        self.project: Project = load(folder)
        tasks = config.getoption("--ladder-tasks")
        self.tasks = {int(number) for number in tasks.split(",")} if tasks else None
        self.records = not config.getoption("--ladder-no-calls")
        self.only = config.getoption("--ladder-only")
        self.keep_going = config.getoption("--ladder-keep-going")
        self.events = Path(str(config.getoption("--ladder-events")))
        self.send = senders.pop() if senders else self.append
        overlay = os.environ.get("LADDER_OVERLAY")
        learners = Path(overlay).resolve() if overlay else None
        self.folders = [learners] if learners else [self.project.folder]
        self.own = learners / self.project.path if learners else self.project.folder
        self.calls: deque[Call] = deque()
        self.failed = False
        self.limits = {task.number: test_seconds(task) for task in self.project.tasks}
        limit_files()

    def write(self, event: str, **values: Any) -> None:
        """Report one event."""
        self.send(event, **values)

    def append(self, event: str, **values: Any) -> None:
        """Append one event to the file."""
        with self.events.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **values}) + "\n")

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the tests asked for, in the order of the tasks; tests of no task come last."""
        asked = [item for item in items if self.tasks is None or task_of(item) in self.tasks]
        if self.only:
            asked = [item for item in items if item.nodeid == self.only]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(asked)])
        items[:] = sorted(asked, key=lambda item: task_of(item) or len(self.project.tasks) + 1)
        if self.records:
            for (
                item
            ) in items:  # their time is limited here: pytest-timeout raises once, and hypothesis catches it
                item.add_marker(pytest.mark.timeout(0), append=False)
        tests = [{"id": item.nodeid, "task": task_of(item)} for item in items]
        self.write("collected", tests=tests)

    def pytest_exception_interact(self, node: pytest.Item | pytest.Collector, call: pytest.CallInfo) -> None:
        """Write down a test file that could not be imported."""
        if isinstance(node, pytest.Collector) and call.excinfo is not None:
            error = call.excinfo.value
            if isinstance(error, node.CollectError) and error.__cause__ is not None:
                error = error.__cause__
            failure = explain(error, self.folders, test_file=str(node.path))
            self.write("broken", file=node.path.name, failure=failure.as_dict())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        """Stop after the first task that fails: what comes later builds on it."""
        self.write("start", id=item.nodeid, task=task_of(item))
        result = yield
        task_ended = nextitem is not None and task_of(nextitem) != task_of(item)
        if not self.keep_going and self.failed and task_ended:
            item.session.shouldstop = f"task {task_of(item)} failed"
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        """Limit the time of what the test needs: a fixture may call the functions of its task."""
        with self.limited(item):
            return (yield)

    def limited(self, item: pytest.Item) -> AbstractContextManager[None]:
        """The time that the test may take, when it runs as a learner's."""
        return limit_time(self.limits.get(task_of(item), TEST_SECONDS)) if self.records else nullcontext()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Record the calls that the test makes to the functions of its task."""
        if not self.records:
            return (yield)
        number = task_of(item)
        tasks = [self.project.task(number)] if number else self.project.tasks
        wanted = {(str(self.own / target.file), target.name) for task in tasks for target in task.write}

        def is_wanted(code: CodeType) -> bool:
            return (code.co_filename, code.co_qualname) in wanted

        with recording(is_wanted, last=CALLS, numbers=NUMBERS) as self.calls, self.limited(item):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
        """Write down how the test ended, once: at its call, or where its set-up or clean-up failed."""
        report = yield
        if report.when == "call" or report.outcome != "passed":
            values: dict[str, Any] = {"outcome": report.outcome, "seconds": round(call.duration, 3)}
            if report.failed and call.excinfo is not None:
                failure = explain(call.excinfo.value, self.folders, list(self.calls), str(item.path))
                values |= {"failure": failure.as_dict(), "printed": report.capstdout[-4000:]}
                self.failed = True
                if failure.kind == "timeout":  # an endless loop would hang in each test of the task
                    item.session.shouldstop = f"{item.name} took too long"
            if report.skipped:
                values["reason"] = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            test = getattr(item, "function", None)
            about = (inspect.getdoc(test) or "").partition("\n")[0]
            self.write("test", id=item.nodeid, name=item.name, about=about, task=task_of(item), **values)
        return report

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write down that the run came to its end: without this line it was cut off."""
        self.write("end", status=int(exitstatus))


def task_of(item: pytest.Item) -> int:
    """The number in the test's `task` mark, 0 without one."""
    mark = item.get_closest_marker("task")
    return int(mark.args[0]) if mark and mark.args else 0
