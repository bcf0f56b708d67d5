"""What the learner has passed, kept in work/progress.json with a fingerprint of the code that passed."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.files import write_text
from shared.ladder.house import LadderError, is_started, work_folder, yours
from shared.ladder.project import Project, Target, Task
from shared.ladder.source import fingerprint, function, is_stub, read_source

TO_WRITE, WRITTEN, PASSED, CHANGED = "to write", "written", "passed", "changed since it passed"


@dataclass
class Progress:
    """The contents of progress.json: for each project the passed tasks and the hints shown."""

    values: dict[str, dict[str, Any]]

    def project(self, project: Project) -> dict[str, Any]:
        """The record of one project, made when there is none."""
        empty: dict[str, Any] = {"passed": {}, "hints": {}}
        return self.values.setdefault(str(project.number), empty)

    def save(self) -> None:
        """Write the file, whole or not at all."""
        write_text(_file(), json.dumps(self.values, indent=1, sort_keys=True) + "\n")


def read() -> Progress:
    """The learner's progress. Raises LadderError when the file was damaged."""
    try:
        values = json.loads(_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        values = {}
    except ValueError:
        values = None
    if not isinstance(values, dict) or not all(_is_record(part) for part in values.values()):
        raise LadderError(f"{_file()} is damaged; delete it, and `ladder check` fills it again")
    return Progress(values)


def _is_record(part: Any) -> bool:
    return isinstance(part, dict) and all(isinstance(part.get(key), dict) for key in ("passed", "hints"))


def record(project: Project, passed: list[Task], failed: list[Task], whole: bool | None = None) -> None:
    """Remember how tasks ended. `whole`: whether the whole project passed, None where it was not asked."""
    progress = read()
    known = progress.project(project)["passed"]
    for task in passed:
        known[str(task.number)] = task_fingerprint(project, task)
    for task in failed:
        known.pop(str(task.number), None)
    if whole:
        known["all"] = project_fingerprint(project)
    elif whole is False or failed:
        known.pop("all", None)
    progress.save()


def state(project: Project, task: Task, progress: Progress) -> str:
    """Where a task stands: TO_WRITE, WRITTEN, PASSED or CHANGED."""
    if not is_started(project):
        return TO_WRITE
    passed = progress.project(project)["passed"].get(str(task.number))
    if passed is not None:
        return PASSED if passed == task_fingerprint(project, task) else CHANGED
    return TO_WRITE if stubs(project, task) else WRITTEN


def is_done(project: Project, progress: Progress) -> bool:
    """Whether every test of the project passed on the code as it is now."""
    passed = progress.project(project)["passed"].get("all")
    return passed is not None and is_started(project) and passed == project_fingerprint(project)


def next_task(project: Project) -> Task | None:
    """The first task that has not passed on the code as it is now; None when all have."""
    known = read()
    return next((task for task in project.tasks if state(project, task, known) != PASSED), None)


def stubs(project: Project, task: Task) -> list[Target]:
    """The task's functions that are still stubs in the learner's files."""
    nodes = [(target, _function(project, target)) for target in task.write]
    return [target for target, node in nodes if node is not None and is_stub(node)]


def task_fingerprint(project: Project, task: Task) -> str:
    """A hash of the learner's functions of one task; layout, comments and docstrings do not count."""
    nodes = [_function(project, target) for target in task.write]
    return _joined(["" if node is None else fingerprint(node) for node in nodes])


def project_fingerprint(project: Project) -> str:
    """A hash of the learner's functions of all tasks."""
    return _joined([task_fingerprint(project, task) for task in project.tasks])


def _function(project: Project, target: Target) -> Any:
    try:
        return function(read_source(yours(project) / target.file), target.name)
    except (OSError, SyntaxError, ValueError):  # missing or broken: `check` says so, `status` goes on
        return None


def _joined(hashes: list[str]) -> str:
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:16]


def _file() -> Path:
    return work_folder() / "progress.json"
