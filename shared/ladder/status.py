"""`ladder status`: the rungs that exist, whose they are, what was passed, what is next. `ladder`: the last alone."""

from collections.abc import Iterator

from rich import box
from rich.markup import escape
from rich.table import Table

from shared.ladder import progress
from shared.ladder.house import LadderError, console, counted, is_started, say
from shared.ladder.progress import CHANGED, PASSED, Progress
from shared.ladder.project import Project, projects, root_folder

MARKS = {
    PASSED: "[green]●[/]",
    CHANGED: "[yellow]◐[/]",
    progress.WRITTEN: "[cyan]○[/]",
    progress.TO_WRITE: "[dim]·[/]",
}


def show_where() -> None:
    """Print in a few lines where the learner is, and the command to type next."""
    known = progress.read()
    rungs = _rungs()
    say(
        "[bold]LLM Ladder[/]  [dim]You build a language model stack with your own hands, one project at a time.[/]\n"
    )
    for project in rungs:
        if is_started(project):
            passed = sum(progress.state(project, task, known) == PASSED for task in project.tasks)
            so_far = f"{passed} of {counted(len(project.tasks), 'task')} passed"
            mark, whose = ("●", "yours") if progress.is_done(project, known) else ("◐", so_far)
            say(f"[green]{mark}[/] {project.number} {escape(project.title)}  [dim]{whose}[/]")
    if any(map(is_started, rungs)):
        say()
    for line in _next_steps(rungs, known):
        say(line)
    say("\n[dim]All projects: ladder status   All commands: ladder --help[/]")


def _next_steps(rungs: list[Project], known: Progress) -> Iterator[str]:
    """What to do now: go on with what is started, or else start the next."""
    started = [project for project in rungs if is_started(project)]
    going = next((project for project in started if not progress.is_done(project, known)), None)
    left = next((project for project in rungs if project not in started), None)
    if going and (task := progress.next_task(going)):
        yield f"Next is task {task.number} of project {going.number}, {escape(task.title)}. Write:"
        yield from (f"  {escape(str(target))}" for target in task.write)
        yield f"Then:    [cyan]ladder check {going.number} --task {task.number}[/]"
        yield f"A hint:  [cyan]ladder hint {going.number} {task.number}[/]"
    elif going:
        yield f"Every task of project {going.number} has passed. Now the tests of the whole project:"
        yield f"  [cyan]ladder check {going.number}[/]"
    elif left:
        begin = "Next is" if started else "Nothing is started yet. Begin with"
        yield f"{begin} project {left.number}, {escape(left.title)}:"
        yield f"  {escape(left.build)}\n"
        yield f"  [cyan]ladder start {left.number}[/]"
    else:
        yield "Every project here is yours."


def _rungs() -> list[Project]:
    rungs = projects()
    if not rungs:
        raise LadderError(f"there is no project below {root_folder()}")
    return rungs


def show_status() -> None:
    """Print the table and the next command. Raises LadderError when there is no project at all."""
    known = progress.read()
    rungs = _rungs()
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
