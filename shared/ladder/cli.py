"""The commands of `ladder` and their options. Each command's work is in the module it imports."""

import sys
from typing import Annotated

import typer
from rich.markup import escape

from shared.ladder.house import LadderError
from shared.project import ProjectError, find

# Modules are imported by the command that needs them: `ladder status` shall answer at once.

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

ProjectNumber = Annotated[int, typer.Argument(help="The project's number.", metavar="PROJECT")]
TaskNumber = Annotated[int, typer.Argument(help="The task's number.", metavar="TASK")]


@app.callback()
def ladder() -> None:
    """Build a language model stack, one project at a time, with your own hands."""


@app.command()
def status() -> None:
    """The projects that exist, which are yours, points, and what is next."""
    from shared.ladder.status import show_status

    show_status()


@app.command()
def start(project: ProjectNumber) -> None:
    """Put a project's stubs into your work folder. Files of yours are never overwritten."""
    from shared.ladder import tasks

    tasks.start(find(project))


@app.command()
def check(
    project: ProjectNumber,
    task: Annotated[int | None, typer.Option(help="Only this task.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Again at each save, on to the next task.")] = False,
) -> None:
    """Run a project's tests on your files."""
    from shared.ladder import check

    run = check.watch if watch else check.check
    raise typer.Exit(0 if run(find(project), task) else 1)


@app.command()
def hint(
    project: ProjectNumber,
    task: TaskNumber,
    every: Annotated[bool, typer.Option("--all", help="All hints at once.")] = False,
) -> None:
    """The next hint of a task."""
    from shared.ladder import tasks

    tasks.hint(find(project), task, every)


@app.command()
def solution(
    project: ProjectNumber,
    task: TaskNumber,
    give_up: Annotated[bool, typer.Option("--give-up", help="Show it before the task passes.")] = False,
) -> None:
    """Your code beside the reference's, once the task passes."""
    from shared.ladder import tasks

    tasks.solution(find(project), task, give_up)


@app.command()
def reset(project: ProjectNumber, task: TaskNumber) -> None:
    """Turn a task back into its stub. Your text is kept aside."""
    from shared.ladder import tasks

    tasks.reset(find(project), task)


def main() -> None:
    """Run the command line. What the user can mend is one line and exit code 2, without a traceback."""
    try:
        app()
    except (LadderError, ProjectError) as error:
        from rich.console import Console

        Console(stderr=True, highlight=False).print(f"[red]ladder:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)
