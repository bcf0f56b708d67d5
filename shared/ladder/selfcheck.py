"""`ladder selfcheck`: a project keeps its word to learners, which tests of the reference alone cannot show.

The reference passes. Every test of a task fails on that task's stub, for the right reason. Every mutant is
killed. What belongs around it is there: hints, points, README sections, benchmark, smoke preset.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.ladder.jobs import SECONDS, WHOLE_SECONDS, Job, Outcome, first_line, write_overlay
from shared.ladder.mutants import Mutant, read_mistakes
from shared.ladder.project import Project
from shared.ladder.runner import test_files, test_seconds
from shared.ladder.stubs import stub_file
from shared.ladder.variants import Ways

REFERENCE, STUB, MUTANT = "the reference, ", "stub of task ", "mutant "
TIMES, AT_LEAST = 10.0, 20.0  # a job's limit: so many times what the reference took, and so many seconds


class Selfcheck:
    """The runs of one project: the reference, a test file at a time, and stubs and mutants once their limits are known.

    A mutant's first run is of the test that killed it the last time (`killers`, by name); only if that passes, all
    tests of its task run. What runs out of time is tried once more alone, after the reference. `wanted` picks runs
    by their names; `folder` is for the overlays.
    """

    def __init__(
        self,
        project: Project,
        folder: Path,
        killers: Mapping[str, str] | None = None,
        wanted: Callable[[str], bool] = lambda name: True,
    ) -> None:
        self.project, self.folder, self.wanted = project, folder, wanted
        self.mutants = {f"{MUTANT}{_label(mutant)}": mutant for mutant in read_mistakes(project).mutants}
        self.tried = sum(map(wanted, self.mutants))
        self.last_killers = dict(killers or {})
        self.killers: dict[str, str] = {}
        """the test that killed each mutant, by the mutant's label"""
        self.hangs: list[str] = []
        self.faults: list[str] = []
        self.too_busy = False
        self._seconds: dict[Path, float] = {}  # the reference's, by test file
        self._tests: list[dict[str, Any]] = []
        self._to_come: set[Path] = set()  # test files whose reference run has not ended
        self._waiting: list[Job] = []  # stubs and mutants whose limits are not known yet
        self._alone: dict[str, Job] = {}  # tried again, once the reference has run alone
        self._ways = Ways(project, folder)

    def jobs(self) -> list[Job]:
        """The runs to begin with."""
        files = [file for file in test_files(self.project, None) if self.wanted(self._name(file))]
        self._to_come = set(files)
        self._waiting = [
            *self._stubs_and_mutants(),
            *(job for job in self._ways.jobs() if self.wanted(job.name)),
        ]
        return [*(self._reference(file) for file in files), *self._ready()]

    def then(self, outcome: Outcome) -> list[Job]:
        """Take note of how a run ended; returns the runs that follow from it."""
        name = outcome.job.name
        if outcome.timed_out:
            return self._out_of_time(outcome)
        if name in self._alone:
            return (
                [self._again(name, outcome.seconds)] if outcome.job.overlay is None else self._done(outcome)
            )
        return self._done(outcome)

    def _done(self, outcome: Outcome) -> list[Job]:
        name = outcome.job.name
        if name.startswith(REFERENCE):
            return self._reference_done(outcome)
        if name.startswith(STUB):
            self.faults += outcome.cut_off_or_broken() or _stub_faults(outcome)
            return []
        if self._ways.is_one(outcome.job):
            more = [self._limited(job) for job in self._ways.then(outcome)]
            self.faults += self._ways.faults
            self._ways.faults.clear()
            return more
        mutant = self.mutants[name]
        failures = outcome.results.failures()
        if failures and not outcome.results.broken:
            self.killers[_label(mutant)] = str(failures[0]["id"]).removeprefix(
                f"{self.project.path.as_posix()}/"
            )
        elif outcome.job.only:
            return [self._limited(self._mutant(mutant))]
        else:
            self.faults += _mutant_faults(outcome)
        return []

    # ---- the reference

    def _name(self, file: Path) -> str:
        return f"{REFERENCE}{file.relative_to(self.project.folder).as_posix()}"

    def _reference(self, file: Path) -> Job:
        return Job(self._name(file), self.project, files=(file,), seconds=WHOLE_SECONDS)

    def _reference_done(self, outcome: Outcome) -> list[Job]:
        (file,) = outcome.job.files
        self._seconds[file] = outcome.seconds
        self._tests += outcome.results.tests
        self.faults += outcome.cut_off_or_broken() or _reference_faults(outcome)
        self._to_come.discard(file)
        if not self._to_come and all(self.wanted(self._name(one)) for one in test_files(self.project, None)):
            self.faults += _task_faults(self.project, self._tests)
        return self._ready()

    # ---- stubs and mutants

    def _stubs_and_mutants(self) -> Iterator[Job]:
        for task in self.project.tasks:
            name = f"{STUB}{task.number}"
            if self.wanted(name):
                stubbed = {target.file: stub_file(self.project, target.file, [task]) for target in task.write}
                yield Job(name, self.project, self._overlay(name, stubbed), (task.number,))
        for name, mutant in self.mutants.items():
            if self.wanted(name):
                yield self._mutant(mutant, self.last_killers.get(_label(mutant), ""))

    def _mutant(self, mutant: Mutant, killer: str = "") -> Job:
        """The run of a mutant: of one test where `killer` names one that is still there, else of its whole task."""
        name = f"{MUTANT}{_label(mutant)}"
        overlay = self._overlay(name, {mutant.file: mutated(self.project, mutant)})
        path = self.project.folder / killer.partition("::")[0]
        if killer and path.is_file():
            only = f"{self.project.path.as_posix()}/{killer}"
            return Job(name, self.project, overlay, (mutant.task,), (path,), only, stop_at_first=True)
        return Job(name, self.project, overlay, (mutant.task,), stop_at_first=True)

    def _ready(self) -> list[Job]:
        """The stubs and mutants whose tests the reference has run, or is not going to."""
        if self.too_busy:
            return []
        ready = [job for job in self._waiting if not self._to_come & set(self._files(job))]
        self._waiting = [job for job in self._waiting if job not in ready]
        return [self._limited(job) for job in ready]

    def _files(self, job: Job) -> list[Path]:
        return list(job.files) or test_files(self.project, job.tasks)

    def _limited(self, job: Job) -> Job:
        known = [self._seconds[file] for file in self._files(job) if file in self._seconds]
        seconds = max(AT_LEAST, TIMES * sum(known)) if len(known) == len(self._files(job)) else SECONDS
        return _with(job, seconds=seconds)

    def _overlay(self, name: str, changed: dict[str, str]) -> Path:
        """A work folder that holds the reference's files, but for the changed ones."""
        work = self.folder / f"{self.project.number}-{name.replace(' ', '-')}"
        if not work.is_dir():
            write_overlay(self.project, work, changed)
        return work

    # ---- what runs out of time

    def _out_of_time(self, outcome: Outcome) -> list[Job]:
        job, name = outcome.job, outcome.job.name
        if job.overlay is None:
            self.too_busy = True
            what = name if name.startswith(REFERENCE) else f"the reference, on the tests for {name},"
            self.faults.append(
                f"machine too busy: {what} took more than {job.seconds:.0f} s, so nothing can be judged by time"
            )
            return []
        if not job.alone:
            self._alone[name] = job
            return [_with(job, overlay=None, alone=True, stop_at_first=False, seconds=WHOLE_SECONDS)]
        if name.startswith(MUTANT):
            self.hangs.append(_label(self.mutants[name]))
        else:
            self.faults.append(f"{name} hangs: {outcome.why_cut_off}")
        return []

    def _again(self, name: str, reference_seconds: float) -> Job:
        return _with(self._alone[name], alone=True, seconds=max(AT_LEAST, TIMES * reference_seconds))


def mutated(project: Project, mutant: Mutant) -> str:
    """The text of the mutant's file with the mistake in it."""
    text = (project.folder / mutant.file).read_text(encoding="utf-8")
    return text.replace(mutant.find, mutant.replace)


def _label(mutant: Mutant) -> str:
    return f"{mutant.name} (task {mutant.task})"  # two tasks may have mutants of one name


def _with(job: Job, **changes: Any) -> Job:
    return dataclasses.replace(job, **changes)


def _reference_faults(outcome: Outcome) -> Iterator[str]:
    results, project = outcome.results, outcome.job.project
    for test in results.failures():
        yield f"the reference fails {test['name']}: {first_line(test['failure']['message'])}"
    known = {0, *(task.number for task in project.tasks)}
    for test in results.collected:
        path, _, name = test["id"].partition("::")
        if test["task"] not in known:
            yield f"{name} is marked with task {test['task']}, which does not exist"
        elif Path(path).name not in {file.name for file in test_files(project, [test["task"]])}:
            yield f"{name}: its file does not say task({test['task']}), so `ladder check --task` would miss it"


def _task_faults(project: Project, ran: list[dict[str, Any]]) -> Iterator[str]:
    for task in project.tasks:
        tests = [test for test in ran if test["task"] == task.number]
        if not tests:
            yield f"no test is marked with task {task.number}"
        slowest = max((test.get("seconds", 0.0) for test in tests), default=0.0)
        if slowest > test_seconds(task):
            yield (
                f"a test of task {task.number} takes {slowest:.0f} s, and a learner's is stopped after "
                f"{test_seconds(task):.0f} s: give the task `seconds` in project.toml"
            )
        if tests and all(test["outcome"] == "skipped" for test in tests):
            yield f"every test of task {task.number} is skipped on a CPU: {tests[0].get('reason', '')}"


def _stub_faults(outcome: Outcome) -> Iterator[str]:
    for test in outcome.results.tests:
        where = f"{outcome.job.name}: {test['name']}"
        if test["outcome"] == "passed":
            yield f"{where} passes, so it does not need the task"
        elif test["outcome"] == "failed" and test["failure"]["kind"] not in ("stub", "mismatch"):
            failure = test["failure"]
            yield f"{where} fails for a wrong reason: {failure['error']}: {first_line(failure['message'])}"


def _mutant_faults(outcome: Outcome) -> Iterator[str]:
    if outcome.why_cut_off or outcome.results.broken:
        yield f"{outcome.job.name} breaks the import, so any test would notice: no plausible mistake"
    elif not outcome.results.tests:
        yield f"{outcome.job.name}: its task has no test"
    else:
        yield f"{outcome.job.name} survives"
