"""Prints how a check went: a line for each task, and the first failure as a good colleague would put it."""

import re
from pathlib import Path
from typing import Any

from rich.markup import escape

from shared.ladder.house import counted, say, short
from shared.ladder.progress import stubs
from shared.ladder.project import Project, Task, root_folder
from shared.ladder.runner import Results

DID_NOT_RAISE = re.compile(r"DID NOT RAISE (?:<class ')?([\w.]+)")
FATAL = (
    "Fatal Python error: "  # so begins what Python's faulthandler prints, with a line for each call after it
)
FRAME = re.compile(r'\s*File "(.+)", line (\d+) in (.+)')
LONGEST_MESSAGE = 14  # lines
LONGEST_PRINT = 20


def show_passed(task: Task, results: Results) -> None:
    """One line for a task whose tests pass."""
    tests = results.of(task.number)
    skipped = sum(test["outcome"] == "skipped" for test in tests)
    note = f", {skipped} skipped" if skipped else ""
    say(
        f"[green]✓ task {task.number}[/]  {escape(task.title)}  "
        f"[dim]{counted(len(tests) - skipped, 'test')}{note} · {counted(task.points, 'point')}[/]"
    )


def show_failed(project: Project, task: int, tests: list[dict[str, Any]], command: str) -> int | None:
    """The first failure among a task's tests in full (task 0: the whole project's), the others as a number.

    Returns the task to give a hint for, None where a hint of this project cannot help.
    """
    label = f"task {task}" if task else "the whole project"
    failures = [test for test in tests if test["outcome"] == "failed"]
    # Of a task half written, what is wrong comes before what is missing.
    first = next((test for test in failures if test["failure"]["kind"] != "stub"), failures[0])
    failure = first["failure"]
    if failure["kind"] == "stub":
        passing = sum(test["outcome"] == "passed" for test in tests)
        return show_stub(project, task, label, failure, f"{passing} of {counted(len(tests), 'test')} pass")
    say(f"[red]✗ {label}[/]  [dim]{len(failures)} of {counted(len(tests), 'test')} failed[/]\n")
    about = f" — {escape(first['about'])}" if first["about"] else ""
    say(f"[bold]{escape(first['name'])}[/]{about}")
    show_failure(failure)
    if first["printed"].strip():
        _printed(first["printed"])
    if failure["kind"] == "timeout":
        say("\nThe other tests of the task were not tried: each would wait as long.")
    say(f"\nMend it and run [cyan]{command}[/] again.")
    if task and (missing := stubs(project, project.task(task))):
        say(f"Then write {escape(', '.join(target.name for target in missing))}.")
    return task or None


def show_stub(project: Project, task: int, label: str, failure: dict[str, Any], passing: str) -> int | None:
    """A stub was reached: nothing is wrong, something is to write. Returns its task, if of this project.

    `passing` says how many of the tests pass already.
    """
    number, missing, name = failure["stub"]
    file = failure["yours"][-1]["file"] if failure["yours"] else ""
    where = f"  [cyan]{short(file)}:{failure['yours'][-1]['line']}[/]" if file else ""
    if number != project.number:
        say(f"[yellow]· {label}[/]  needs {escape(name)} of your project {number}, still a stub.{where}")
        say(f"Write it first: [cyan]ladder check {number}[/]")
        say(f"Or move {short(Path(file).parent)} away: then the reference's is used.")
        return None
    if missing != task:
        say(f"[yellow]· {label}[/]  needs task {missing} first: {escape(name)} is still to write.{where}")
        return missing
    names = ", ".join(target.name for target in stubs(project, project.task(task)))
    so_far = "" if passing.startswith("0 ") else f"  [dim]{passing} already[/]"
    say(f"[yellow]· {label} is still to write:[/] [bold]{escape(names)}[/]{so_far}")
    say(f"Reached first: {escape(name)}{where}")
    if about := failure["message"].partition(" — ")[2]:
        say(f"  {escape(about)}")
    return missing


def show_broken(broken: dict[str, Any]) -> None:
    """A test file could not be imported, as a rule because the learner's module fails while it is read."""
    failure = broken["failure"]
    if failure["yours"]:
        say("[red]✗ Your code fails while it is imported, before any test runs.[/]\n")
    else:
        say(f"[red]✗ {escape(broken['file'])} could not be imported.[/]\n")
    show_failure(failure)


def show_failure(failure: dict[str, Any]) -> None:
    """The facts of a failure, one a line: called, came back, expected, and where."""
    for call, result in failure["calls"]:
        _fact("called", call)
        _fact("", result)
    if failure["expected"]:
        _fact("came back", failure["came_back"])
        _fact("expected", failure["expected"])
    kind, message = failure["kind"], _plain(failure["message"])
    labels = {"shape": "shapes", "mismatch": "test says", "timeout": "stopped"}
    _fact(labels.get(kind, str(failure["error"])), message or "no message")
    for frame in failure["yours"][-5:]:
        # The head of a function may be its decorator.
        whole = frame.get("is_whole")
        _fact("called" if whole else "your line", frame["function"] if whole else frame["source"])
        _fact("", _place(frame), is_markup=True)
    if failure["test"]:
        _fact("the test", failure["test"]["source"])
        _fact("", _place(failure["test"]), is_markup=True)


def show_cut_off(results: Results) -> None:
    """The run ended before its tests did: a crash, or a call of sys.exit."""
    lines = results.output.strip().splitlines()
    crash = next((i for i, line in enumerate(lines) if line.startswith(FATAL)), None)
    if crash is None:
        say("[red]✗ The run ended before the tests did.[/] The last it printed:\n")
        for line in lines[-LONGEST_PRINT:]:
            say(f"  {escape(line)}")
        return
    say(f"[red]✗ The run crashed: {escape(lines[crash].removeprefix(FATAL))}.[/]\n")
    say("Code that reads or writes beyond its arrays does that. It was called here, innermost first:")
    frames = [found for line in lines[crash:] if (found := FRAME.match(line))]
    for file, number, function in (frame.groups() for frame in frames):
        if Path(file).is_relative_to(root_folder()) and ".venv" not in Path(file).parts:
            say(f"  [cyan]{short(file)}:{number}[/] [dim]in {escape(function)}[/]")


def _printed(text: str) -> None:
    lines = text.rstrip().splitlines()
    say("\n[dim]your code printed:[/]")
    if len(lines) > LONGEST_PRINT:
        say(f"  [dim]… {len(lines) - LONGEST_PRINT} lines before[/]")
    for line in lines[-LONGEST_PRINT:]:
        say(f"  {escape(line)}")


def _fact(label: str, text: str, is_markup: bool = False) -> None:
    for i, line in enumerate(text.splitlines()):
        say(f"  [dim]{'' if i else escape(label):<10}[/] {line if is_markup else escape(line)}")


def _place(frame: dict[str, Any]) -> str:
    return f"[cyan]{short(frame['file'])}:{frame['line']}[/] [dim]in {escape(frame['function'])}[/]"


def _plain(message: str) -> str:
    """The message without what a learner cannot use: a long one is cut, pytest's own phrases become plain."""
    if found := DID_NOT_RAISE.search(message):
        return f"{found[1].rpartition('.')[2]} should have been raised, and was not"
    lines = [line for line in message.splitlines() if line.strip()]
    if len(lines) > LONGEST_MESSAGE:
        lines = [*lines[:LONGEST_MESSAGE], f"… {len(lines) - LONGEST_MESSAGE} more lines"]
    return "\n".join(line if len(line) <= 300 else f"{line[:299]}…" for line in lines)
