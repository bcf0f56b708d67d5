"""`ladder status`: the rungs that exist, whose they are, what was passed, and what is next."""

from rich import box
from rich.markup import escape
from rich.table import Table

from shared.ladder import progress
from shared.ladder.house import LadderError, console, is_started, say
from shared.ladder.progress import CHANGED, PASSED, Progress
from shared.ladder.project import Project, projects, root_folder

MARKS = {
    PASSED: "[green]●[/]",
    CHANGED: "[yellow]◐[/]",
    progress.WRITTEN: "[cyan]○[/]",
    progress.TO_WRITE: "[dim]·[/]",
}


def show_status() -> None:
    """Print the table and the next command. Raises LadderError when there is no project at all."""
    known = progress.read()
    rungs = projects()
    if not rungs:
        raise LadderError(f"there is no project below {root_folder()}")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, justify in (("", "right"), ("project", "left"), ("phase", "left"), ("yours", "left")):
        table.add_column(heading, justify=justify, no_wrap=heading == "yours")  # type: ignore[arg-type]
    table.add_column("tasks", no_wrap=True)
    table.add_column("points", justify="right", no_wrap=True)
    for project in rungs:
        states = [progress.state(project, task, known) for task in project.tasks]
        points = _points(project, known)
        table.add_row(
            str(project.number),
            escape(project.title),
            _phase(project),
            _whose(project, known, states),
            f"{''.join(MARKS[state] for state in states)} {states.count(PASSED)}/{len(states)}",
            f"{points}/{project.points}",
        )
    console.print(table)
    say("[dim]● passed   ◐ changed since it passed   ○ written, not passed   · still to write[/]")
    total = sum(_points(project, known) for project in rungs)
    say(f"\n{total} of {sum(project.points for project in rungs)} points.  {_next(rungs, known)}")


def _points(project: Project, known: Progress) -> int:
    return sum(task.points for task in project.tasks if progress.state(project, task, known) == PASSED)


def _whose(project: Project, known: Progress, states: list[str]) -> str:
    if not is_started(project):
        return "[dim]not started[/]"
    if progress.is_done(project, known):
        return "[green]yours[/]"
    return "[yellow]started, changed[/]" if CHANGED in states else "[cyan]started[/]"


def _phase(project: Project) -> str:
    name = project.folder.parent.name.partition("_")[2].replace("_", " ")
    return f"[dim]{project.phase} {escape(name)}[/]"


def _next(rungs: list[Project], known: Progress) -> str:
    for project in rungs:
        if not is_started(project):
            return f"Next: [cyan]ladder start {project.number}[/]"
        if not progress.is_done(project, known):
            return f"Next: [cyan]ladder check {project.number}[/]"
    return "Every project here is yours."
