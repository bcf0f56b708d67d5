"""`ladder trace`: the call tree of a project's small example, with the shapes that went in and came out."""

import importlib
import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType

from rich.markup import escape

from shared.ladder.calls import Call, recording
from shared.ladder.failure import explain
from shared.ladder.house import LadderError, is_started, say, short, work_folder, yours
from shared.ladder.project import GIVEN, PROJECT_FOLDERS, Project, root_folder
from shared.ladder.show import show_failure

SHARED = Path(__file__).resolve().parents[1]


def trace(project: Project, depth: int | None = None) -> bool:
    """Run the project's example and print the calls of projects' and shared functions. True when it ran well.

    The learner's files are used when the project is started. `depth` is how many levels are shown.
    Raises LadderError when the project names no example.
    """
    if project.trace is None:
        raise LadderError(
            f"project {project.number} has no example to trace: its project.toml has no `trace`"
        )
    started = is_started(project)
    if started:
        os.environ["LADDER_OVERLAY"] = str(work_folder())
    whose = f"yours: {short(yours(project))}" if started else f"the reference's: {short(project.folder)}"
    say(f"Tracing [bold]{escape(str(project.trace))}[/], {whose}\n")
    sys.path.insert(0, str(root_folder()))
    error = None
    with recording(is_ours) as calls:
        try:
            module = importlib.import_module(f"{project.module}.{module_name(project.trace.file)}")
            calls.clear()  # what ran while importing is not the example
            getattr(module, project.trace.name)()
        except Exception as raised:
            error = raised
    for line in tree(calls, depth):
        say(line)
    if error:
        failure = explain(error, [work_folder() if started else project.folder])
        if failure.stub:
            say(
                f"\n[yellow]· It stops at a stub:[/] task {failure.stub[1]}, [bold]{escape(failure.stub[2])}[/]"
            )
        else:
            say("\n[red]✗ It stopped with an error.[/]\n")
            show_failure(failure.as_dict())
    return error is None


def module_name(file: str) -> str:
    """`given/example.py` as Python imports it from the project: `given.example`."""
    return ".".join(Path(file).with_suffix("").parts)


def is_ours(code: CodeType) -> bool:
    """Whether a function belongs to a project, the learner's or the reference's, or to `shared`."""
    file = Path(code.co_filename)
    if "<" in code.co_name or file.name == "__init__.py":  # lambdas, comprehensions; packages being imported
        return False
    if not code.co_flags & inspect.CO_OPTIMIZED:  # the body of a class, of a module imported on the way
        return False
    if file.is_relative_to(SHARED):
        return file.parent == SHARED and file.name not in ("overlay.py", "project.py", "source.py")
    project = file.parent.parent if file.parent.name == GIVEN else file.parent
    return any(project.match(f"{folder}/{PROJECT_FOLDERS}") for folder in (root_folder(), work_folder()))


def tree(calls: Iterable[Call], depth: int | None = None, indent: str = "") -> Iterator[str]:
    """The lines of a call tree, in rich's markup. Equal neighbours are one line with how often they came."""
    groups = _grouped(calls)
    for i, (call, times) in enumerate(groups):
        is_last = i == len(groups) - 1
        branch, below = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        often = f"  [bold]× {times}[/]" if times > 1 else ""
        yield f"[dim]{indent}{branch}[/]{_line(call)}{often}"
        if depth is None or depth > 1:
            yield from tree(call.inner, depth and depth - 1, indent + below)


def _line(call: Call) -> str:
    arguments = ", ".join(f"{escape(name)}: {escape(value)}" for name, value in call.arguments.items())
    if call.raised:
        result = "[red]raised an error[/]"
    elif call.yields:
        result = f"[green]yields {escape(call.result)}[/]" + (
            f" {call.yields} times" if call.yields > 1 else ""
        )
    else:
        result = f"[green]{escape(call.result)}[/]"
    return f"[dim]{escape(call.module)}.[/][cyan]{escape(call.function)}[/]({arguments}) → {result}"


def _grouped(calls: Iterable[Call]) -> list[tuple[Call, int]]:
    groups: list[tuple[Call, int]] = []
    for call in calls:
        if groups and _look(groups[-1][0]) == _look(call):
            groups[-1] = (groups[-1][0], groups[-1][1] + 1)
        else:
            groups.append((call, 1))
    return groups


def _look(call: Call) -> tuple:
    inner = tuple(_look(inner) for inner in call.inner)
    return (call.module, _line(call), inner)
