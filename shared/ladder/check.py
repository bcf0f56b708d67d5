"""`ladder check`: the project's tests on the learner's files, task by task, once or at each save."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from rich.markup import escape

from shared.ladder import progress, show
from shared.ladder.committed import MANIFEST, changed_tests
from shared.ladder.house import (
    LadderError,
    commands,
    console,
    counted,
    has_reference,
    is_started,
    require_started,
    say,
    short,
    yours,
)
from shared.ladder.project import Project, Task, projects, root_folder
from shared.ladder.runner import Results, run_tests
from shared.ladder.source import definitions, read_source
from shared.overlay import find_fault

POLL_SECONDS = 0.3
LOG_SECONDS = 20  # between two signs of life, where no terminal shows them all the time


def check(project: Project, number: int | None = None) -> bool:
    """Run the tests of one task, or of all in order until one fails. True when all of them pass.

    Raises LadderError when the project is not started, or a file of the learner's is missing or broken.
    """
    require_started(project)
    tasks = [project.task(number)] if number else list(project.tasks)
    if number is None:
        tasks = _upto_first_stub(project)
    is_whole = number is None and not progress.stubs(project, tasks[-1])
    show_header(project, tasks)
    refuse_broken_files(project)
    edited = changed_tests(project)
    if edited:
        say(f"[yellow]Tests that are not as they were handed out:[/] {', '.join(map(short, edited))}")
        say(f"They run as they are now, but what they pass gives no points. {_put_back()}\n")

    asked = [task.number for task in tasks] + ([0] if is_whole else [])
    results = _run(project, asked)
    if results.broken:
        show.show_broken(results.broken[0])
        progress.record(project, passed=[], failed=tasks)
        return False
    if not results.ended:
        show.show_cut_off(results)
        return False
    again = f"ladder check {project.number}" + (f" --task {number}" if number else "")
    return _report(project, tasks, results, is_whole, again, bool(edited))


def watch(project: Project, number: int | None = None) -> bool:
    """Check at each save, moving on to the next task when one passes, until all pass or ctrl-C."""
    task = project.task(number) if number else progress.next_task(project)
    passed = False
    try:
        while True:
            stamp = _stamp(project)
            try:
                passed = check(project, task.number if task else None)
            except LadderError as error:  # a half-typed line: say so, and wait for the next save
                passed = False
                say(f"[red]{escape(str(error))}[/]")
            if passed and task is None:
                return True
            if passed:
                task = progress.next_task(project)
                say()
                continue
            say("\n[dim]Watching your files; ctrl-C ends.[/]")
            while _stamp(project) == stamp:
                time.sleep(POLL_SECONDS)
            say(f"\n[dim]{'─' * 30} saved {time.strftime('%H:%M:%S')}[/]")
    except KeyboardInterrupt:
        say("\nStopped watching.")
        return passed and task is None


def show_header(project: Project, tasks: list[Task]) -> None:
    """First which files are checked; then, for this project and all below, whose code is in use."""
    folder = yours(project)
    files = list(dict.fromkeys(target.file for task in tasks for target in task.write))
    where = short(folder / files[0]) if len(files) == 1 else f"{short(folder)}/[/]: [bold]{', '.join(files)}"
    say(f"Checking [bold]{where}[/]")
    rungs = [rung for rung in projects() if rung.number <= project.number]
    whose = {rung.number: "yours" if is_started(rung) else "the reference's" for rung in rungs}
    whose |= {rung.number: "stubs" for rung in rungs if not (is_started(rung) or has_reference(rung))}
    for label in ("yours", "the reference's", "stubs"):
        named = [f"{rung.number} {escape(rung.title)}" for rung in rungs if whose[rung.number] == label]
        if named:
            say(f"[dim]Using {label}: {', '.join(named)}[/]")
    say()


def refuse_broken_files(project: Project) -> None:
    """Raises LadderError for a file of the learner's that is missing, empty or broken, here or below.

    And for one that no longer defines a function which this project's tasks write.
    """
    for rung in projects():
        if rung.number <= project.number and is_started(rung):
            fault = find_fault(yours(rung), rung.folder)
            if fault:
                raise LadderError(fault)
    for task in project.tasks:
        for target in task.write:
            file = yours(project) / target.file
            if not definitions(read_source(file))[target.name]:
                raise LadderError(
                    f"{file} no longer defines {target.name}, which task {task.number} writes. "
                    f"Its first lines are in {project.folder / target.file}."
                )


def _run(project: Project, asked: list[int]) -> Results:
    titles = {task.number: f"task {task.number}, {escape(task.title)}" for task in project.tasks}
    with console.status("starting the tests …") as status:
        running = _Running(titles, status.update)
        return run_tests(project, yours(project).parents[1], asked, running.watch)


class _Running:
    """Says which test runs, and how long it has: on a terminal all the time, in a log now and then."""

    def __init__(self, titles: dict[int, str], update: Callable[[str], None]) -> None:
        self.titles, self.update = titles, update
        self.test = "starting the tests"
        self.began = self.told = time.monotonic()

    def watch(self, event: dict[str, Any]) -> None:
        now = time.monotonic()
        if event["event"] == "start":
            name = escape(event["id"].rpartition("::")[2])
            self.test = f"{self.titles.get(event['task'], 'the whole project')}: {name}"
            self.began = now
            self.update(self.test)
        elif now - self.told > (1 if console.is_terminal else LOG_SECONDS):
            self.told = now
            line = f"running for {now - self.began:.0f} s: {self.test}"
            self.update(line)
            if not console.is_terminal:
                say(f"[dim]{line}[/]")


def _report(
    project: Project, tasks: list[Task], results: Results, is_whole: bool, again: str, edited: bool
) -> bool:
    passed: list[Task] = []
    failed: list[Task] = []
    for task in tasks:
        tests = results.of(task.number)
        unwritten = progress.stubs(project, task)
        if results.passes(task.number) and not unwritten:
            passed.append(task)
            show.show_passed(task, results)
            continue
        failed.append(task)
        hint_for: int | None = task.number
        if unwritten and not results.failures(task.number):
            names = ", ".join(target.name for target in unwritten)
            say(f"[red]✗ task {task.number}[/]  its tests say nothing of {escape(names)}, still a stub")
        elif results.failures(task.number):
            hint_for = show.show_failed(project, task.number, tests, again)
        elif tests:
            reasons = sorted({test.get("reason") or "no reason given" for test in tests})
            say(f"[yellow]· task {task.number}[/]  every test was skipped: {escape('; '.join(reasons))}")
        else:
            say(f"[red]✗ task {task.number}[/]  no test belongs to it: its project.toml and tests disagree")
        if hint_for:
            say(f"A hint: [cyan]ladder hint {project.number} {hint_for}[/]")
        break
    whole_failed = not failed and bool(results.failures(0))
    if whole_failed:
        show.show_failed(project, 0, results.of(0), again)
    whole = not failed and not whole_failed if is_whole else None
    if not edited:
        progress.record(project, passed, failed, whole)
    elif passed:
        say("\n[yellow]No points:[/] the tests are not as they were handed out (see above).")
    if not failed and not whole_failed and not edited:
        _praise(project, is_whole)
    return not failed and not whole_failed


def _put_back() -> str:
    zipped = (root_folder() / MANIFEST).is_file()
    return "The zip that you were given has them." if zipped else "`git checkout` puts them back."


def _praise(project: Project, is_whole: bool) -> None:
    number = project.number
    if is_whole:
        say(f"\n[bold green]Project {number} is yours: {counted(project.points, 'point')}.[/]")
        if names := commands(project):
            listed = ", ".join(f"[cyan]ladder run {number} {name}[/]" for name in names)
            say(f"Use it: {listed}")
        if has_reference(project):
            say(f"Beside the reference: [cyan]ladder solution {number} 1[/]")
            say(f"Measured beside the reference: [cyan]ladder bench {number}[/]")
        else:
            say(f"Measured: [cyan]ladder bench {number}[/]")
    elif task := progress.next_task(project):
        say(f"\nNext is task {task.number}, {escape(task.title)}.")
        say(f"[cyan]ladder check {number} --task {task.number}[/]")
    else:
        say(f"\nEvery task passes. The tests of the whole project: [cyan]ladder check {number}[/]")


def _upto_first_stub(project: Project) -> list[Task]:
    """The tasks in order, up to the first that is still to write: later tests need not even be imported."""
    tasks = list(project.tasks)
    unwritten = [i for i, task in enumerate(tasks) if progress.stubs(project, task)]
    return tasks[: unwritten[0] + 1] if unwritten else tasks


def _stamp(project: Project) -> dict[str, tuple[int, int]]:
    stamps = {}
    for file in yours(project).glob("*.py"):
        with contextlib.suppress(FileNotFoundError):  # an editor that saves by renaming
            status = file.stat()
            stamps[file.name] = (status.st_mtime_ns, status.st_size)
    return stamps
