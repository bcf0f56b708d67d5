"""`ladder start`, `hint`, `solution` and `reset`: what a learner does with tasks besides checking them."""

import time
from pathlib import Path

import libcst as cst
from rich.columns import Columns
from rich.console import Group
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax

from shared.files import write_text
from shared.ladder import progress
from shared.ladder.house import (
    LadderError,
    console,
    counted,
    has_reference,
    is_started,
    require_started,
    say,
    short,
    work_folder,
    yours,
)
from shared.ladder.project import Project, Target, Task
from shared.ladder.runner import run_tests
from shared.ladder.source import function, lines_of, read_source
from shared.ladder.stubs import put_functions, stub_file

SIDE_BY_SIDE = 150  # columns of the terminal


def start(project: Project) -> None:
    """Write a stub of every file that the tasks name into the work folder. Existing files are kept."""
    if not project.tasks:
        raise LadderError(f"project {project.number} has no tasks to start")
    folder = yours(project)
    made = [file for file in project.files if not (folder / file).exists()]
    kept = [file for file in project.files if file not in made]
    for file in made:
        write_text(folder / file, stub_file(project, file))
    say(f"[bold]Project {project.number}: {escape(project.title)}[/]")
    say(escape(project.build))
    say()
    for file in made:
        say(f"[green]new [/]  {short(folder / file)}")
    for file in kept:
        say(f"[dim]kept[/]  {short(folder / file)}  [dim]it is there already, and stays as it is[/]")
    say(f"[dim]read[/]  {short(project.folder / 'README.md')}")
    say()
    first, number = project.tasks[0], project.number
    size = f"{counted(len(project.tasks), 'task')}, {counted(project.points, 'point')}"
    say(f"{size}, about {project.hours:g} hours.")
    say(f"Task 1, {escape(first.title)}: write [bold]{_names(first)}[/].")
    say(f"Then: [cyan]ladder check {number}[/]   or, at each save: [cyan]ladder check {number} --watch[/]")


def hint(project: Project, number: int, every: bool = False) -> None:
    """Show the next hint of a task, or every one; how many were shown is remembered."""
    task = project.task(number)
    if not task.hints:
        raise LadderError(f"task {number} of project {project.number} has no hints")
    known = progress.read()
    shown: dict[str, int] = known.project(project)["hints"]
    before = min(shown.get(str(number), 0), len(task.hints))
    upto = len(task.hints) if every else min(before + 1, len(task.hints))
    first = 0 if every or before == upto else before
    for i in range(first, upto):
        say(f"[bold]Hint {i + 1} of {len(task.hints)}[/]  {escape(task.hints[i])}")
    shown[str(number)] = upto
    known.save()
    if upto < len(task.hints):
        say(f"[dim]One more: ladder hint {project.number} {number}[/]")
    else:
        say(f"[dim]That was the last. The reference: ladder solution {project.number} {number} --give-up[/]")


def reset(project: Project, number: int) -> None:
    """Turn a task's functions back into stubs; the learner's files are copied aside first."""
    folder, task = require_started(project), project.task(number)
    aside = work_folder() / ".kept" / time.strftime("%Y-%m-%d-%H%M%S") / project.path
    for file in dict.fromkeys(target.file for target in task.write):
        if not (folder / file).is_file():
            raise LadderError(
                f"{folder / file} is missing; `ladder start {project.number}` puts a stub there"
            )
        names = {target.name for target in task.write if target.file == file}
        try:
            text = read_source(folder / file)
            new = put_functions(text, stub_file(project, file), names)
        except (SyntaxError, cst.ParserSyntaxError, KeyError) as error:
            if isinstance(error, cst.ParserSyntaxError):
                reason = f"line {error.raw_line} does not parse"
            else:
                reason = (
                    f"it no longer defines {error.args[0]}" if isinstance(error, KeyError) else str(error)
                )
            raise LadderError(
                f"{folder / file} cannot be reset in part: {reason}. "
                f"Move it away, and `ladder start {project.number}` makes a fresh one."
            ) from None
        write_text(aside / file, text)
        write_text(folder / file, new)
        say(f"[green]stub[/]  {', '.join(sorted(names))} in {short(folder / file)}")
        say(f"[dim]kept[/]  your text: {short(aside / file)}")
    say(f"Again: [cyan]ladder check {project.number} --task {number}[/]")


def solution(project: Project, number: int, give_up: bool = False) -> None:
    """Show the learner's functions beside the reference's, once the task passes or with `give_up`."""
    task = project.task(number)
    if not has_reference(project):
        raise LadderError(
            f"there is no reference here: this folder was handed out without the solution of project {project.number}"
        )
    if not give_up and not _passes(project, task):
        raise LadderError(
            f"task {number} does not pass yet: `ladder check {project.number} --task {number}`. "
            f"To see the reference all the same: `ladder solution {project.number} {number} --give-up`"
        )
    for target in task.write:
        panels = [_panel("the reference's", project.folder, target)]
        if is_started(project):
            panels.insert(0, _panel("yours", yours(project), target))
        wide = console.width >= SIDE_BY_SIDE
        console.print(Columns(panels, equal=True, expand=True) if wide else Group(*panels))


def _passes(project: Project, task: Task) -> bool:
    if not is_started(project):
        return False
    if progress.state(project, task, progress.read()) == progress.PASSED:
        return True
    if progress.stubs(project, task):
        return False
    results = run_tests(project, work_folder(), [task.number])
    passes = results.ended and not results.broken and results.passes(task.number)
    progress.record(project, [task] if passes else [], [])
    return passes


def _panel(whose: str, folder: Path, target: Target) -> Panel:
    file = folder / target.file
    title = f"{whose}: {short(file)}"
    try:
        text = read_source(file)
        node = function(text, target.name)
    except (OSError, SyntaxError) as error:
        return Panel(escape(f"cannot be read: {error}"), title=title)
    if node is None:
        return Panel(f"does not define {target.name}", title=title)
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    code = "\n".join(lines_of(text)[first - 1 : node.end_lineno])
    syntax = Syntax(code, "python", theme="ansi_dark", line_numbers=True, start_line=first, word_wrap=True)
    return Panel(syntax, title=f"{title}:{first}")


def _names(task: Task) -> str:
    files = dict.fromkeys(target.file for target in task.write)
    parts = [
        f"{', '.join(target.name for target in task.write if target.file == file)} in {file}"
        for file in files
    ]
    return " and ".join(parts)
