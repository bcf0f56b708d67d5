"""What a graded run is measured against: the tests that the reference passes, and the canaries that it fails.

The house of an exam is a copy without the solution: its tests have canaries among them (see canaries.py), and all
have names drawn anew for each run of `ladder grade`.
"""

import random
import secrets
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.ladder.export import write_house
from shared.ladder.grading.canaries import Disguise, disguise
from shared.ladder.grading.sandbox import Sandbox
from shared.ladder.grading.session import Session, TaskRun
from shared.ladder.house import LadderError
from shared.ladder.jobs import first_line
from shared.ladder.project import Project, root_folder
from shared.ladder.stubs import stub_file

REFERENCE_SECONDS = 1800
AT_LEAST_TIMES = 3  # what the reference took, whatever the limit


@dataclass
class Exam:
    """A house for submissions, and what is known of its tests from the reference's run."""

    project: Project
    house: Path
    sandbox: Sandbox
    memory_gb: float
    at_once: int
    outside: list[Path]
    """folders that no submission has business with"""
    names: Disguise = field(default_factory=Disguise)
    wanted: dict[int, set[str]] = field(default_factory=dict)
    """by task, the tests that the reference passes"""
    canaries: dict[int, set[str]] = field(default_factory=dict)
    """by task, the canaries that it fails"""
    seconds: dict[int, float] = field(default_factory=dict)
    """by task, what the reference took"""
    replaced: set[str] = field(default_factory=set)
    """functions that libraries replace by themselves"""
    usual: set[str] = field(default_factory=set)
    """what the guard refuses in the reference's run as well: it is the libraries' doing"""
    sessions: list[Session] = field(default_factory=list)
    is_over: bool = False

    def prepare(self, folder: Path) -> None:
        """Write the house, and run the reference, laid out in `folder`. Raises LadderError when it fails."""
        write_house(self.project, self.house)
        draw = random.Random(secrets.token_bytes(16))
        for file in self.project.sources:
            if file.name.startswith("test_"):
                text = disguise(file.read_text(encoding="utf-8"), draw, self.names)
                (self.house / file.relative_to(root_folder())).write_text(text, encoding="utf-8")
        files = {name: (self.project.folder / name).read_bytes() for name in self.project.files}
        overlay = lay_out(self.project, files, folder / "reference")
        runs = self.run(folder, [(task.number, overlay) for task in self.project.tasks], REFERENCE_SECONDS)
        for run in runs:
            self._learn(run)

    def _learn(self, run: TaskRun) -> None:
        """Take note of what the reference passes and fails."""
        failures = [test for test in run.tests if test["outcome"] == "failed" and self.is_real(test)]
        if run.why or run.broken or failures:
            why = ", ".join(map(self.name, failures)) or run.why or run.broken[0]["file"]
            raise LadderError(f"the reference fails here, so nothing can be graded: {why}")
        self.replaced |= set(run.replaced)
        self.seconds[run.task] = run.seconds
        self.usual |= set(run.cheats)
        passed = {test["id"] for test in run.tests if test["outcome"] == "passed"}
        failed = {test["id"] for test in run.tests if test["outcome"] == "failed"}
        self.wanted[run.task] = {
            test["id"] for test in run.tests if test["id"] in passed and self.is_real(test)
        }
        self.canaries[run.task] = failed
        if not self.wanted[run.task]:
            raise LadderError(f"no test of task {run.task} runs here, so it cannot be graded")

    def run(
        self, folder: Path, wanted: Sequence[tuple[int, Path]], seconds: float, at_once: int = 0
    ) -> list[TaskRun]:
        """Run tasks, each on its overlay in `folder`, some at once; the reference's only where nothing is known yet."""
        is_reference = not self.wanted
        count = max(1, min(at_once or self.at_once, len(wanted)))
        enough: Callable[[dict[str, Any]], bool] = (
            (lambda test: False)
            if is_reference
            else lambda test: test["outcome"] == "failed" and self.is_real(test)
        )

        def some(part: Sequence[tuple[int, Path]]) -> list[TaskRun]:
            with ExitStack() as stack:
                house = self.house
                if not (
                    self.sandbox.engine or is_reference
                ):  # nothing else keeps it as it is for the next one
                    house = Path(stack.enter_context(_copied(self.house)))
                session = Session(
                    self.project,
                    house,
                    folder,
                    self.sandbox,
                    self.memory_gb,
                    self.outside,
                    is_trusted=is_reference,
                )
                stack.enter_context(session)
                self.sessions.append(session)
                return [
                    session.run(task, overlay, self._limit(task, seconds), enough)
                    for task, overlay in part
                    if not self.is_over
                ]

        with ThreadPoolExecutor(count) as pool:
            parts = pool.map(some, [wanted[start::count] for start in range(count)])
            return sorted((run for part in parts for run in part), key=lambda run: run.task)

    def _limit(self, task: int, seconds: float) -> float:
        """What a right solution is never cut off by, on a machine however slow."""
        return max(seconds, AT_LEAST_TIMES * self.seconds.get(task, 0.0))

    def end(self) -> None:
        """End all that runs."""
        self.is_over = True
        for session in self.sessions:
            session.end()

    # ---- what a run is worth

    def is_real(self, test: dict[str, Any]) -> bool:
        """Whether a test is one of the instructor's own, and no canary."""
        return _function(test["id"]) in self.names.real

    def name(self, test: dict[str, Any]) -> str:
        """The test's own name, with its parameters."""
        drawn, bracket, parameters = test["id"].rpartition("::")[2].partition("[")
        own = self.names.real.get(drawn) or self.names.canaries.get(drawn) or drawn
        return own + bracket + parameters

    def cheats(self, run: TaskRun) -> list[str]:
        """What shows that a submission fools the tests instead of passing them."""
        found = [cheat for cheat in run.cheats if cheat not in self.usual]
        found += [f"it replaces {name}" for name in sorted(set(run.replaced) - self.replaced)[:3]]
        if self.fault(run) and not found:
            return []  # there are no points to be had by it
        outcomes = {test["id"]: test["outcome"] for test in run.tests}
        canaries = sorted(self.canaries[run.task], key=self._twin, reverse=True)
        if passing := [canary for canary in canaries if outcomes.get(canary) == "passed"]:
            found.append(f"a canary that must fail passes: {self._twin(passing[0])}")
        unseen = [canary for canary in canaries if outcomes.get(canary) not in ("failed", "passed")]
        if unseen and not (found or run.was_stopped or run.why):
            found.append(f"a canary that must fail is kept from being seen: {self._twin(unseen[0])}")
        return list(dict.fromkeys(found))

    def _twin(self, canary: str) -> str:
        twin = self.names.canaries[_function(canary)]
        return f"{twin} with a wrong expected value" if twin else "a wrong sum"

    def fault(self, run: TaskRun) -> str:
        """Why a task is not passed, in one line; empty when it is."""
        failures = [test for test in run.tests if test["outcome"] == "failed" and self.is_real(test)]
        if failures:
            return self._failure(run.task, failures[0])
        if run.why:
            return run.why
        if run.broken:
            failure = run.broken[0].get("failure") or {"error": "an error", "message": ""}
            return f"fails while imported: {failure['error']}: {first_line(failure['message'])}"
        passed = {test["id"] for test in run.tests if test["outcome"] == "passed"}
        if missing := self.wanted[run.task] - passed:
            return f"{len(missing)} test{'s' * (len(missing) > 1)} did not pass"
        return ""

    def _failure(self, task: int, test: dict[str, Any]) -> str:
        failure = test.get("failure")
        if failure is None:
            return f"{self.name(test)}: its message is too long to be read"
        if failure["kind"] == "stub":
            number, of_task, function = failure["stub"]
            if number == self.project.number and of_task == task:
                return "not written"
            return f"needs {function} of task {of_task}, which is not written"
        return f"{self.name(test)}: {failure['error']}: {first_line(failure['message'])}"


def lay_out(project: Project, files: dict[str, bytes], work: Path) -> Path:
    """Write a project's files into the work folder `work`, with stubs for those that are not there; returns it."""
    folder = work / project.path
    folder.mkdir(parents=True)
    for name in {*files, *project.files}:
        data = files[name] if name in files else stub_file(project, name).encode()
        (folder / name).write_bytes(data)
    return work


def _function(test_id: str) -> str:
    return test_id.rpartition("::")[2].partition("[")[0]


def _copied(house: Path) -> "tempfile.TemporaryDirectory[str]":
    folder = tempfile.TemporaryDirectory(prefix="ladder-", ignore_cleanup_errors=True)
    shutil.copytree(house, folder.name, dirs_exist_ok=True)
    return folder
