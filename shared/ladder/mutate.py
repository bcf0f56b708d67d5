"""`ladder mutate`: systematic mistakes in every function that a task writes, each to be noticed by the task's tests.

What survives needs a test, or an entry in mutants.toml that says why no test can notice it:

    [[equivalent]]
    function = "training.py:evaluate"
    why = "An empty window adds nothing."
    changes = ["if whole < len(tokens): => if whole <= len(tokens):"]
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.markup import escape

from shared.ladder import forked, jobs
from shared.ladder.house import LadderError, console, counted, say
from shared.ladder.jobs import WHOLE_SECONDS, Job
from shared.ladder.mutants import read_mistakes
from shared.ladder.mutating import HANGS, KILLED, SURVIVES, UNPATCHED, Change, try_changes
from shared.ladder.mutations import kernels, mutations
from shared.ladder.project import Project, load, root_folder
from shared.ladder.verdicts import head, is_drawn
from shared.options import run_command

KERNELS_ONE_IN = 20


@dataclass
class Found:
    """How the changes of a project ended."""

    counts: Counter[str] = field(default_factory=Counter)
    survivors: list[tuple[Change, str]] = field(default_factory=list)
    """and what notices each, if not a test of its task"""
    faults: list[str] = field(default_factory=list)


def main(folder: Path, one_in: int = 1, at_once: int = 2) -> None:
    """Systematic mistakes in one project, as `ladder mutate` makes them, without looking at any other."""
    try:
        sys.exit(0 if mutate(load(folder.resolve()), one_in=one_in, at_once=at_once) else 1)
    except LadderError as error:
        sys.exit(f"error: {error}")


def mutate(
    project: Project,
    tasks: Sequence[int] = (),
    function: str = "",
    one_in: int = 1,
    at_once: int = 2,
    others: bool = False,
) -> bool:
    """Try every change, or a sample drawn by the commit, and say what survives. True: nothing without a reason.

    Of Triton's kernels, whose every change takes a process and the tests' imports, it is one in KERNELS_ONE_IN, always
    the same, unless a task, a function or a sample is asked for. `function` is a part of the name. With `others`, what
    survives its task is tried on all other tests of the project: one that notices it asks of a learner what the task's
    own tests do not. Raises ProjectError for a task that the project does not have.
    """
    for number in tasks:
        project.task(number)
    changes = [
        change
        for change in all_changes(project)
        if (not tasks or change.task in tasks) and function in change.function
    ]
    everything = one_in == 1 and not tasks and not function
    if everything:
        changes = [change for change in changes if not change.kernel or _is_sample(change)]
    if one_in > 1:
        commit = head(root_folder())
        changes = [
            change
            for change in changes
            if is_drawn(commit, change.function, change.mutation.text, one_in=one_in)
        ]
    with tempfile.TemporaryDirectory(prefix="ladder-") as folder, forked.quiet_environment():
        found = run(project, changes, Path(folder), at_once, others)
    if everything:
        found.faults += _stale(project)
    _show(project, len(changes), found)
    return not found.survivors and not found.faults


def all_changes(project: Project) -> list[Change]:
    """The changes of all functions that tasks write."""
    found = []
    for file in project.files:
        text = (project.folder / file).read_text(encoding="utf-8")
        tasks = {
            target.name: task.number for task in project.tasks for target in task.write if target.file == file
        }
        compiled = kernels(text)
        found += [
            Change(tasks[one.function], file, one, one.function in compiled) for one in mutations(text, tasks)
        ]
    return sorted(found, key=lambda change: change.task)


def _is_sample(change: Change) -> bool:
    return is_drawn("", change.function, change.mutation.change, one_in=KERNELS_ONE_IN)


def run(
    project: Project, changes: Sequence[Change], folder: Path, at_once: int = 2, others: bool = False
) -> Found:
    """Try the changes: all in one process first, then those that survive as a learner's file would be run."""
    found = Found()
    reasons = {(one.function, change) for one in read_mistakes(project).equivalents for change in one.changes}
    again: list[Change] = []
    work: list[Job] = []
    place = folder / "quick"
    place.mkdir()
    with console.status("collecting the tests …") as status:
        for done, (index, outcome, _) in enumerate(try_changes(project, changes, place, at_once), 1):
            change = changes[index]
            status.update(f"{done} of {len(changes)}: task {change.task}, {escape(change.function)}")
            explained = (change.function, change.mutation.change) in reasons
            noticed = outcome not in (SURVIVES, UNPATCHED)
            # In memory, a test may set the changed function beside a process that has the old one: a file decides.
            if explained == noticed:
                work.append(_job(project, change, folder / str(len(again)), str(len(again)), (change.task,)))
                again.append(change)
            else:
                found.counts["equivalent" if explained else outcome] += 1

        def then(outcome: jobs.Outcome) -> list[Job]:
            change = again[int(outcome.job.name)]
            results = outcome.results
            noticed = outcome.why_cut_off or results.broken or results.failures()
            first = outcome.job.tasks == (change.task,)
            by = results.failures()[0]["name"] if results.failures() else ""
            if noticed and first:
                found.counts[HANGS if outcome.timed_out else KILLED] += 1
                if (change.function, change.mutation.change) in reasons:
                    said = f"{change.function}: {change.mutation.change} is said to be equivalent"
                    found.faults.append(f"{said}, but {by or 'the import'} notices it")
            elif (change.function, change.mutation.change) in reasons:
                found.counts["equivalent"] += 1
            elif first and others:
                rest = (0, *(task.number for task in project.tasks if task.number != change.task))
                return [_job(project, change, folder / outcome.job.name, outcome.job.name, rest)]
            else:
                found.counts[SURVIVES] += 1
                found.survivors.append((change, by or ("an import" if noticed else "")))
            return []

        for done, outcome in enumerate(jobs.run(work, at_once, then), 1):
            change = again[int(outcome.job.name)]
            status.update(f"survivors, run {done}: task {change.task}, {escape(change.function)}")
    return found


def _job(project: Project, change: Change, overlay: Path, name: str, tasks: tuple[int, ...]) -> Job:
    if not overlay.is_dir():
        jobs.write_overlay(project, overlay, {change.file: change.mutation.text})
    return Job(name, project, overlay, tasks, stop_at_first=True, seconds=WHOLE_SECONDS)


def _stale(project: Project) -> list[str]:
    made = {(change.function, change.mutation.change) for change in all_changes(project)}
    return [
        f"{one.function}: mutants.toml has a reason for a change that is not made: {change}"
        for one in read_mistakes(project).equivalents
        for change in one.changes
        if (one.function, change) not in made
    ]


def _show(project: Project, tried: int, found: Found) -> None:
    survivors = sorted(found.survivors, key=lambda pair: (pair[0].task, pair[0].function))
    before = ""
    for change, by in survivors:
        where = f"task {change.task}, {change.function}"
        if where != before:
            say(f"\n[bold]{escape(where)}[/]")
        before = where
        say(f"  {escape(json.dumps(change.mutation.change, ensure_ascii=False))}")
        say(
            f"    [dim]{change.mutation.operator}; {escape(f'only {by} notices it' if by else 'no test notices it')}[/]"
        )
    for fault in found.faults:
        say(f"[red]✗[/] {escape(fault)}")
    parts = [
        f"{found.counts[name]} {name}"
        for name in (KILLED, HANGS, "equivalent", SURVIVES)
        if found.counts[name]
    ]
    say(f"\nProject {project.number}: {counted(tried, 'change')}: {', '.join(parts) or 'none tried'}.")


if __name__ == "__main__":
    run_command(main)
