"""Runs a project's tests in a process of their own and gathers what they report."""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.ladder.house import LadderError, environment
from shared.ladder.limits import tail
from shared.ladder.project import Project, Task, root_folder

PLUGINS = ("pytest_timeout", "_hypothesis_pytestplugin")
"""what the tests need of pytest's plugins; whatever else is installed on a machine is not loaded"""
TEST_SECONDS = 180  # one test of no task
TIMES, AT_LEAST = 10.0, 30.0  # a learner's limit: so many times what the reference takes, and so many seconds


@dataclass
class Results:
    """What one run of a project's tests reported."""

    tests: list[dict[str, Any]] = field(default_factory=list)
    collected: list[dict[str, Any]] = field(default_factory=list)
    broken: list[dict[str, Any]] = field(default_factory=list)
    ended: bool = False
    output: str = ""

    def of(self, task: int) -> list[dict[str, Any]]:
        """The tests of one task that were run; task 0 has those of the whole project."""
        return [test for test in self.tests if test["task"] == task]

    def failures(self, task: int | None = None) -> list[dict[str, Any]]:
        """The failed tests, of one task or of all."""
        tests = self.tests if task is None else self.of(task)
        return [test for test in tests if test["outcome"] == "failed"]

    def passes(self, task: int) -> bool:
        """Whether every collected test of the task was run, none failed, and at least one passed."""
        tests = self.of(task)
        wanted = {test["id"] for test in self.collected if test["task"] == task}
        outcomes = {test["outcome"] for test in tests}
        return wanted == {test["id"] for test in tests} and "passed" in outcomes and "failed" not in outcomes


def test_files(project: Project, tasks: Sequence[int] | None) -> list[Path]:
    """The test files that hold tests of some tasks, or all files when tests of no task are asked for.

    Found by their text, `task(2)`, so that no other file need be imported. `ladder selfcheck` sees to it that
    every mark is written so.
    """
    files = [file for file in project.sources if file.name.startswith("test_")]
    if tasks is None or 0 in tasks:
        return files
    marks = [f"task({number})" for number in tasks]
    return [file for file in files if any(mark in file.read_text(encoding="utf-8") for mark in marks)]


def test_seconds(task: Task) -> float:
    """How long one test of a task may compute with a learner's code."""
    return max(AT_LEAST, TIMES * task.seconds)


def pytest_arguments(
    project: Project,
    events: Path,
    tasks: Sequence[int] | None = None,
    seconds: int = TEST_SECONDS,
    files: Sequence[Path] = (),
    only: str = "",
) -> list[str]:
    """What pytest is told. `tasks` are task numbers, 0 for tests of no task; None asks for all.

    `files` are the test files, by default those that hold tests of the tasks; `only` is the id of a single test.
    """
    files = files or test_files(project, tasks) or [project.folder]
    # pytest reads a bracket in a path as a test's parameters: such a path is given as seen from the root.
    named = [os.path.relpath(file, root_folder()) if "[" in str(file) else str(file) for file in files]
    arguments = [*named, "-p", "shared.ladder.pytest_plugin", "-o", "addopts="]
    arguments += ["--import-mode=importlib", "-p", "no:cacheprovider", "--tb=short", "-q"]
    arguments += ["--disable-plugin-autoload", *(f"-p{plugin}" for plugin in PLUGINS)]
    arguments += [
        f"--ladder-project={project.folder}",
        f"--ladder-events={events}",
        "-o",
        f"timeout={seconds}",
    ]
    if tasks is not None:
        arguments.append(f"--ladder-tasks={','.join(map(str, tasks))}")
    if only:
        arguments.append(f"--ladder-only={only}")
    return arguments


def run_tests(
    project: Project,
    overlay: Path | None,
    tasks: Sequence[int] | None = None,
    watching: Callable[[dict[str, Any]], None] = lambda event: None,
) -> Results:
    """Run the tests of some tasks, or all, with the files in `overlay` in front; `watching` sees each event.

    Raises LadderError when pytest is not installed.
    """
    for module in ("pytest", "pytest_timeout"):
        if importlib.util.find_spec(module) is None:
            name = module.replace("_", "-")
            raise LadderError(f"{name} is not installed for {sys.executable}; `pip install -e .` installs it")
    root = root_folder()
    with tempfile.TemporaryDirectory(prefix="ladder-") as folder:
        events, log = Path(folder) / "events.jsonl", Path(folder) / "output.txt"
        events.touch()
        command = [sys.executable, "-m", "pytest", *pytest_arguments(project, events, tasks)]
        with log.open("wb") as output, events.open(encoding="utf-8") as lines:
            process = subprocess.Popen(
                command,
                cwd=root,
                env=environment(root, overlay),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
            try:
                while process.poll() is None:
                    time.sleep(0.05)
                    watching({"event": "wait"})
                    for line in lines:
                        with contextlib.suppress(ValueError):  # half a line: the last read gets all of it
                            watching(json.loads(line))
            finally:
                process.kill()
                process.wait()
        return read_events(events, tail(log))


def read_events(events: Path, output: str = "") -> Results:
    """What a run wrote into its events file. A run that was cut off has `ended` false."""
    results = Results(output=output)
    for line in events.read_text(encoding="utf-8").splitlines():
        try:
            values = json.loads(line)
        except ValueError:  # cut off while writing
            continue
        match values.pop("event"):
            case "collected":
                results.collected = values["tests"]
            case "broken":
                results.broken.append(values)
            case "test":
                results.tests.append(values)
            case "end":
                # pytest's 3 and 4: it broke down itself, as when the code under test calls sys.exit.
                results.ended = values["status"] not in (3, 4)
    return results
