"""Checks projects, as `ladder selfcheck` and CI do: what has no valid verdict, and a tenth of the rest.

Where a verdict was found on a processor with other abilities, all tests run on the reference; so do notebook and
benchmark.

Five checks a project: `selfcheck` (the reference passes, stubs fail, mutants are killed), `mutate` (so are systematic
ones), `export` (the exported folder stands alone), `notebook` (it runs) and `benchmark` (its smoke preset runs).
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared.ladder import jobs
from shared.ladder.export import export_job, missing
from shared.ladder.fixed import fixed_faults
from shared.ladder.house import console, counted, say
from shared.ladder.jobs import WHOLE_SECONDS, Job, Outcome
from shared.ladder.project import Project, root_folder
from shared.ladder.selfcheck import REFERENCE, Selfcheck
from shared.ladder.verdicts import KINDS, Verdicts, depends_on, head, is_drawn, key, outside

SAMPLE = 20  # of the systematic mutants, one in so many, where the check has a valid verdict and is drawn
MUTATE_SECONDS = 4500  # on a slow machine, project 3 takes most of it
LOG_SECONDS = 60  # between two signs of life in a log
LOG_WIDTH = 120  # of the table, where no terminal says how wide it is


@dataclass
class Check:
    """One check of a project in this run, and what comes of it."""

    project: Project
    kind: str
    files: set[Path]
    """those that it may open"""
    key: str
    whole: bool
    """all of it is run; else only what is drawn of it, as it has a valid verdict"""
    elsewhere: bool = False
    """its verdict was found on a processor with other abilities"""
    runs: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def verify(projects: Sequence[Project], kinds: Sequence[str] = KINDS, everything: bool = False) -> bool:
    """Run the checks, say what was found, and note the verdicts. True: no fault.

    Where one with a valid verdict is found to have a fault, everything of its project is run.
    """
    began = told = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ladder-") as folder, console.status("checking …") as status:
        run = Verification(projects, kinds, everything, Path(folder))
        for done, outcome in enumerate(jobs.run(run.jobs(), min(os.cpu_count() or 1, 8), run.then), 1):
            line = f"{counted(done, 'run')}: project {outcome.job.project.number}, {outcome.job.name}"
            status.update(escape(line))
            if not console.is_terminal and time.monotonic() - told > LOG_SECONDS:
                told = time.monotonic()
                say(f"{told - began:.0f} s, {escape(line)}")
    run.end()
    _show(run, time.monotonic() - began)
    refuted = sorted(
        {check.project.number for check in run.checks.values() if check.faults and not check.whole}
    )
    for number in refuted:
        say(f"\nThe verdict on project {number} does not hold. All of its checks:")
        # In a process of its own, where no project is imported yet.
        subprocess.run([sys.executable, "-m", "shared.ladder", "verify", str(number), "--all"], check=False)
    return not run.faults()


class Verification:
    """The checks of some projects, with the runs that they need."""

    def __init__(
        self, projects: Sequence[Project], kinds: Sequence[str], everything: bool, folder: Path
    ) -> None:
        self.projects, self.kinds, self.folder = projects, kinds, folder
        self.root = root_folder()
        self.verdicts, self.commit = Verdicts(self.root), head(self.root)
        self.fixed = {project.number: fixed_faults(project) for project in projects}
        self.checks: dict[tuple[int, str], Check] = {}
        self.selfchecks: dict[int, Selfcheck] = {}
        for project, kind in product(projects, kinds):
            now = key(project, kind)
            whole = everything or not self.verdicts.is_valid(project, kind, now)
            elsewhere = not whole and not self.verdicts.is_of_here(project, kind)
            check = Check(project, kind, depends_on(project, kind), now, whole, elsewhere)
            self.checks[project.number, kind] = check
            if kind == "selfcheck":
                killers = self.verdicts.killers(project)
                wanted = partial(self._is_wanted, check)
                self.selfchecks[project.number] = Selfcheck(project, folder, killers, wanted)

    def _is_wanted(self, check: Check, *run: str) -> bool:
        if check.whole or is_drawn(self.commit, check.project.path.as_posix(), check.kind, *run):
            return True
        rounds = check.kind in ("notebook", "benchmark") or any(name.startswith(REFERENCE) for name in run)
        return check.elsewhere and rounds

    def jobs(self) -> list[Job]:
        """The runs to begin with."""
        commands = [
            check for check in self.checks.values() if check.kind != "selfcheck" and self._is_wanted(check)
        ]
        work = [job for selfcheck in self.selfchecks.values() for job in selfcheck.jobs()]
        return [*work, *(job for check in commands for job in _command(check, self.folder))]

    def then(self, outcome: Outcome) -> list[Job]:
        """Take note of how a run ended; returns the runs that follow from it."""
        job, number = outcome.job, outcome.job.project.number
        check = self.checks[number, job.name if job.command else "selfcheck"]
        check.runs += 1
        check.seconds += outcome.seconds
        # What an exported folder opens is its own.
        found = [] if job.folder else outside(outcome.opened, check.files, self.root)
        if found:
            check.faults.append(
                f"{job.name} opens {', '.join(found)}, on which the verdict of its {check.kind} does not depend: "
                "import it, keep it in the project's folder, or name the released model in `needs`"
            )
        if job.command:
            check.faults += _command_faults(outcome)
            return []
        return self.selfchecks[number].then(outcome)

    def end(self) -> None:
        """Gather the faults, and note the verdicts."""
        for check in self.checks.values():
            if check.kind == "selfcheck":
                selfcheck = self.selfchecks[check.project.number]
                check.faults += selfcheck.faults
                if check.whole:
                    self.verdicts.set_killers(check.project, selfcheck.killers)
            if check.faults:
                self.verdicts.remove(check.project, check.kind)
            elif check.whole and check.runs:
                self.verdicts.add(check.project, check.kind, check.key)
        self.verdicts.write()

    def faults(self, number: int | None = None) -> list[str]:
        """What is wrong with a project, or with any."""
        found = [
            fault
            for check in self.checks.values()
            if number in (None, check.project.number)
            for fault in check.faults
        ]
        return found + [
            fault for one, faults in self.fixed.items() if number in (None, one) for fault in faults
        ]


def _command(check: Check, folder: Path) -> list[Job]:
    project, python = check.project, sys.executable
    if check.kind == "export":
        job = export_job(project, folder)
        assert job.folder is not None
        needed = (file.relative_to(root_folder()).as_posix() for file in depends_on(project, "selfcheck"))
        for lacking in missing(job.folder, (name for name in needed if not name.endswith("mutants.toml"))):
            check.faults.append(f"the exported folder lacks {lacking}, which its tests may open")
        return [job]
    if check.kind == "notebook":
        notebook = project.folder / "explore.ipynb"
        plugins = (
            "--disable-plugin-autoload",
            "-p",
            "pytest_timeout",
            "-p",
            "nbmake.pytest_plugin",
            "-p",
            "no:cacheprovider",
            "-o",
            "addopts=",
        )
        command = (python, "-m", "pytest", "-q", *plugins, "--timeout=900", "--nbmake", str(notebook))
        return (
            [Job(check.kind, project, command=command, seconds=WHOLE_SECONDS)] if notebook.is_file() else []
        )
    if check.kind == "mutate":
        sample = () if check.whole else ("--one-in", str(SAMPLE))
        command = (python, "-m", "shared.ladder.mutate", str(project.folder), "--at-once", "1", *sample)
        return [Job(check.kind, project, command=command, seconds=MUTATE_SECONDS)]
    command = (python, "-m", f"{project.module}.benchmark", "--preset", "smoke")
    found = (project.folder / "benchmark.py").is_file()
    return [Job(check.kind, project, command=command, seconds=WHOLE_SECONDS)] if found else []


def _command_faults(outcome: Outcome) -> list[str]:
    said = outcome.results.output.strip()[-3000:]
    what = {
        "mutate": "ladder mutate finds what no test notices",
        "export": "the exported folder does not pass alone",
        "notebook": "explore.ipynb does not run",
        "benchmark": "benchmark.py --preset smoke does not run",
    }[outcome.job.name]
    if outcome.why_cut_off or outcome.code:
        why = outcome.why_cut_off or f"exit code {outcome.code}"
        return [f"{what} ({why}); it says:\n{said}"]
    return []


def _show(run: Verification, seconds: float) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "project", "tasks", "points", "mutants killed", "hangs", *run.kinds, "faults"):
        table.add_column(heading, justify="left" if heading == "project" else "right")
    for project in run.projects:
        selfcheck = run.selfchecks.get(project.number)
        faults = run.faults(project.number)
        table.add_row(
            str(project.number),
            escape(project.title),
            str(len(project.tasks)),
            str(project.points),
            f"{len(selfcheck.killers)}/{selfcheck.tried}" if selfcheck else "",
            str(len(selfcheck.hangs)) if selfcheck else "",
            *(_cell(run.checks[project.number, kind]) for kind in run.kinds),
            f"[red]{len(faults)}[/]" if faults else "[green]none[/]",
        )
    wide = console if console.is_terminal else Console(width=LOG_WIDTH, highlight=False, emoji=False)
    wide.print(table)
    for project in run.projects:
        for name in run.selfchecks[project.number].hangs if run.selfchecks else ():
            say(f"[yellow]·[/] project {project.number}: mutant {escape(name)} hangs")
        for fault in run.faults(project.number):
            say(f"[red]✗[/] project {project.number}: {escape(fault)}")
    total = len(run.faults())
    say(f"{counted(total, 'fault') if total else 'No faults'}, after {seconds:.0f} s.")


def _cell(check: Check) -> str:
    if check.whole:
        return f"{check.seconds:.0f} s" if check.runs else "-"
    return f"verdict, {counted(check.runs, 'run')} of it" if check.runs else "verdict"
