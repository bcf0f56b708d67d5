"""Runs many jobs, some at once, each in a child process: tests of a project on some overlay, or a command.

Tests are forked from this process, which has imported what they need. So those of one project run before those of
the next: what a project needs from below is imported when its turn comes, and its own files never are.
"""

import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.ladder import forked, opened
from shared.ladder.forked import SECONDS, WHOLE_SECONDS, Job
from shared.ladder.house import LadderError
from shared.ladder.limits import tail
from shared.ladder.project import Project
from shared.ladder.runner import Results, read_events

__all__ = ["SECONDS", "WHOLE_SECONDS", "Job", "Outcome", "first_line", "run", "write_overlay"]

POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `why_cut_off` is empty when it ran to its end, whatever the tests or the command said."""

    job: Job
    results: Results
    seconds: float
    why_cut_off: str = ""
    timed_out: bool = False
    code: int = 0
    """the exit code of a command"""
    opened: frozenset[str] = field(default=frozenset())
    """the files below the root that it opened"""

    def cut_off_or_broken(self) -> list[str]:
        """Why its tests could not all run; empty where they did, whatever came of it."""
        name = self.job.name
        if self.why_cut_off:
            lines = self.results.output.strip().splitlines()
            return [f"{name}: {self.why_cut_off}: {lines[-1] if lines else 'no output'}"]
        return [
            f"{name}: {broken['file']} cannot be imported: {first_line(broken['failure']['message'])}"
            for broken in self.results.broken
        ]


def write_overlay(project: Project, work: Path, changed: Mapping[str, str]) -> None:
    """Write a project's files into a work folder, as a learner has them: the reference's, but for the changed ones."""
    folder = work / project.path
    folder.mkdir(parents=True, exist_ok=True)
    for file in dict.fromkeys([*project.files, *changed]):
        text = changed[file] if file in changed else (project.folder / file).read_text(encoding="utf-8")
        (folder / file).write_text(text, encoding="utf-8")


def first_line(text: str) -> str:
    """The start of a message, short enough for a line of a list."""
    return text.partition("\n")[0][:200]


Then = Callable[[Outcome], Iterable[Job]]


def run(
    jobs: Iterable[Job], at_once: int = 2, then: Then = lambda outcome: ()
) -> Generator[Outcome, None, None]:
    """Run the jobs and yield each outcome as it comes; `then` may add jobs of the same project to it.

    Raises LadderError where processes cannot be forked.
    """
    if not hasattr(os, "fork"):
        raise LadderError("this command forks processes, which this system cannot: use Linux, macOS or WSL")
    queue = _Queue(jobs)
    running: dict[int, tuple[Job, Path, float]] = {}
    with forked.quiet_environment(), tempfile.TemporaryDirectory(prefix="ladder-") as folder:
        count = 0
        try:
            while queue or running:
                while len(running) < at_once and (job := queue.next([job for job, _, _ in running.values()])):
                    place = Path(folder, str(count))
                    place.mkdir()
                    running[forked.start(job, place)] = (job, place, time.monotonic())
                    count += 1
                for pid, (job, place, began) in list(running.items()):
                    if outcome := _ended(pid, job, place, time.monotonic() - began):
                        del running[pid]
                        queue.add(then(outcome))
                        yield outcome
                time.sleep(POLL_SECONDS)
        finally:
            for pid in running:
                forked.kill(pid)


class _Queue:
    """Jobs that wait. Tests come by project, in the order of their numbers; commands fill the gaps."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.tests: dict[int, deque[Job]] = {}
        self.alone: deque[Job] = deque()
        self.commands: deque[Job] = deque()
        self.warmed: set[int] = set()
        self.add(jobs)

    def __bool__(self) -> bool:
        return bool(self.commands or self.alone or any(self.tests.values()))

    def add(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            if job.command:
                self.commands.append(job)
            elif job.alone:
                self.alone.append(job)
            else:
                self.tests.setdefault(job.project.number, deque()).append(job)

    def next(self, running: list[Job]) -> Job | None:
        """The job to start beside those that are running, None where it is better to wait."""
        if any(job.alone for job in running):
            return None
        busy = {job.project.number for job in running if not job.command}
        numbers = [number for number in self.tests if self.tests[number]]
        turn = min([*busy, *numbers, *(job.project.number for job in self.alone)], default=0)
        if self.tests.get(turn):
            return self._warmed(self.tests[turn].popleft())
        if self.alone and self.alone[0].project.number == turn and not busy:
            return None if running else self._warmed(self.alone.popleft())
        return self.commands.popleft() if self.commands else None

    def _warmed(self, job: Job) -> Job:
        if job.project.number not in self.warmed:
            forked.warm(job.project)
            self.warmed.add(job.project.number)
        return job


def _ended(pid: int, job: Job, place: Path, seconds: float) -> Outcome | None:
    done, status = os.waitpid(pid, os.WNOHANG)
    why = ""
    if not done:
        if seconds < job.seconds:
            return None
        forked.kill(pid)
        why = f"stopped after {job.seconds:.0f} s"
    forked.kill_group(pid)  # what the child may have started
    output = tail(place / "output.txt")
    results = read_events(place / "events.jsonl", output)
    files = frozenset(opened.read(place / "opened.txt"))
    if not done:
        return Outcome(job, results, seconds, why, timed_out=True, opened=files)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        why = f"killed by signal {-code}"
    elif not job.command and not results.ended:
        why = f"ended itself with exit code {code}"
    return Outcome(job, results, seconds, why, code=code, opened=files)
