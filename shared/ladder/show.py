"""Prints how a check went: a line for each task, and the first failure as a good colleague would put it."""

import re
from typing import Any

from rich.markup import escape

from shared.ladder.house import counted, say, short, yours
from shared.ladder.runner import Results
from shared.project import Project, Task

DID_NOT_RAISE = re.compile(r"DID NOT RAISE <class '([\w.]+)'>")
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


def show_failed(project: Project, label: str, tests: list[dict[str, Any]], command: str) -> None:
    """The first failure among `tests` in full; how many others there are in a word."""
    failures = [test for test in tests if test["outcome"] == "failed"]
    first = failures[0]
    failure = first["failure"]
    if failure["kind"] == "stub":
        show_stub(project, label, failure)
        return
    say(f"[red]✗ {label}[/]  [dim]{len(failures)} of {counted(len(tests), 'test')} failed[/]\n")
    about = f" — {escape(first['about'])}" if first["about"] else ""
    say(f"[bold]{escape(first['name'])}[/]{about}")
    show_failure(failure)
    if first["printed"].strip():
        _printed(first["printed"])
    say(f"\nMend it and run [cyan]{command}[/] again.")


def show_stub(project: Project, label: str, failure: dict[str, Any]) -> None:
    """A stub was reached: nothing is wrong, something is still to write."""
    number, task, name = failure["stub"]
    place = failure["yours"][-1] if failure["yours"] else None
    where = f"  {_place(place)}" if place else ""
    if number != project.number:
        say(f"[yellow]· {label}[/]  needs {escape(name)} of your project {number}, still a stub.{where}")
        say(f"  Write it ([cyan]ladder check {number}[/]). Or move your project {number} out of")
        say(f"  {short(yours(project).parents[1])}: then the reference's is used.")
    elif label != f"task {task}":
        say(f"[yellow]· {label}[/]  needs task {task} first: {escape(name)} is still to write.{where}")
    else:
        say(f"[yellow]· {label} is still to write:[/] [bold]{escape(name)}[/]{where}")
        about = failure["message"].partition(" — ")[2]
        if about:
            say(f"  {escape(about)}")


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
        _fact("your line", f"{frame['source']}")
        _fact("", _place(frame), is_markup=True)
    if failure["test"]:
        _fact("the test", failure["test"]["source"])
        _fact("", _place(failure["test"]), is_markup=True)


def show_cut_off(results: Results) -> None:
    """The run ended before its tests did: a crash, or a call of sys.exit."""
    say("[red]✗ The run ended before the tests did.[/] The last it printed:\n")
    for line in results.output.strip().splitlines()[-LONGEST_PRINT:]:
        say(f"  {escape(line)}")


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
