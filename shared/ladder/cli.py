"""The commands of `ladder` and their options. Each command's work is in the module it imports."""

import errno
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from shared.ladder.house import LadderError
from shared.ladder.project import ProjectError, find, projects
from shared.options import OptionError, invoke

# Modules are imported by the command that needs them: `ladder status` shall answer at once.

CANNOT_WRITE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

ProjectNumber = Annotated[int, typer.Argument(help="The project's number.", metavar="PROJECT")]


class Below(StrEnum):
    """What a course's projects stand on."""

    learner = "learner"
    reference = "reference"


TaskNumber = Annotated[int, typer.Argument(help="The task's number.", metavar="TASK")]


@app.callback()
def ladder() -> None:
    """Build a language model stack, one project at a time, with your own hands. Alone, it says what is next."""


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


@app.command()
def trace(
    project: ProjectNumber,
    depth: Annotated[int | None, typer.Option(min=1, help="Show this many levels of calls.")] = None,
) -> None:
    """The call tree of a project's small example, with shapes."""
    from shared.ladder.trace import trace

    raise typer.Exit(0 if trace(find(project), depth) else 1)


@app.command(context_settings={"ignore_unknown_options": True})
def run(
    project: ProjectNumber,
    command: Annotated[str, typer.Argument(help="One of the project's commands, such as train.")],
    options: Annotated[list[str] | None, typer.Argument(help="The command's own options.")] = None,
) -> None:
    """One of a project's own commands, with its options, on your code: ladder run 1 train --preset cpu."""
    from shared.ladder.run import run

    raise typer.Exit(run(find(project), command, options or []))


@app.command()
def bench(
    project: ProjectNumber,
    preset: Annotated[str, typer.Option(help="The preset that benchmark.py runs.")] = "cpu",
    rounds: Annotated[int, typer.Option(min=1, help="So many runs of each, by turns.")] = 2,
) -> None:
    """The project's benchmark on your code beside the reference's, by turns."""
    from shared.ladder.bench import bench

    bench(find(project), preset, rounds)


@app.command()
def new(
    number: Annotated[int, typer.Argument(help="The project's number, 1 to 30.", metavar="NUMBER")],
    phase: Annotated[
        str, typer.Argument(help="Its phase's folder, such as phase03_core_inference.", metavar="PHASE")
    ],
    name: Annotated[str, typer.Argument(help="A Python name, such as kv_cache.", metavar="NAME")],
    title: Annotated[str | None, typer.Option(help="Its title; the name in words without it.")] = None,
) -> None:
    """For maintainers: the folder of a project to come, with one task and one failing test."""
    from shared.ladder.new import new

    new(number, phase, name, title)


@app.command()
def selfcheck(
    numbers: Annotated[list[int] | None, typer.Argument(help="Projects; all without it.")] = None,
) -> None:
    """For maintainers: tests fail on stubs, mutants are killed, the exported folder passes."""
    from shared.ladder.verify import verify

    chosen = [find(number) for number in numbers] if numbers else projects()
    raise typer.Exit(0 if verify(chosen, ("selfcheck", "export"), everything=True) else 1)


@app.command()
def mutate(
    project: ProjectNumber,
    task: Annotated[list[int] | None, typer.Option(help="Only this task; may be given again.")] = None,
    function: Annotated[str, typer.Option(help="Only functions whose name holds this.")] = "",
    one_in: Annotated[int, typer.Option(min=1, help="A sample: one change in so many.")] = 1,
    at_once: Annotated[int, typer.Option(min=1, help="So many processes at once.")] = 2,
    others: Annotated[bool, typer.Option("--others", help="Which other tests notice what survives.")] = False,
) -> None:
    """For maintainers: systematic mistakes in what tasks write. A survivor gets a test or a reason in mutants.toml."""
    from shared.ladder.mutate import mutate

    raise typer.Exit(0 if mutate(find(project), task or (), function, one_in, at_once, others) else 1)


@app.command()
def verify(
    numbers: Annotated[list[int] | None, typer.Argument(help="Projects; all without it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what has a valid verdict.")] = False,
) -> None:
    """For maintainers, as CI does it: all checks that have no valid verdict, and a tenth of the others."""
    from shared.ladder.verify import verify

    chosen = [find(number) for number in numbers] if numbers else projects()
    raise typer.Exit(0 if verify(chosen, everything=everything) else 1)


@app.command()
def export(
    numbers: Annotated[list[int], typer.Argument(help="The projects' numbers.", metavar="PROJECT...")],
    out: Annotated[Path, typer.Option(help="The folder that receives the zips.")] = Path("dist"),
    below: Annotated[
        Below, typer.Option(help="Whose code of the listed projects those above stand on.")
    ] = Below.learner,
) -> None:
    """For instructors: a zip for each project, with stubs and everything that it needs.

    Several projects are a course: each stands on the learner's own lower ones, and no zip holds a solution that
    another one asks for. With `--below reference`, and for lower projects that are not listed, the solutions of those
    come along, and it says so.
    """
    from shared.ladder.export import export

    chosen = [find(number) for number in sorted(set(numbers))]
    export(chosen, out, with_reference=below is Below.reference)


@app.command()
def grade(
    folder: Annotated[
        Path, typer.Argument(help="A folder or zip for each student is in here.", metavar="DIR")
    ],
    project: Annotated[int, typer.Option(help="The project's number.")],
    out: Annotated[Path, typer.Option(help="The folder for grades.csv and grades.xml.")] = Path("grades"),
    seconds: Annotated[
        float,
        typer.Option(min=1, help="Time limit of each task; three times the reference's, where that is more."),
    ] = 120,
    memory: Annotated[float, typer.Option(min=0.5, help="Memory limit of each task, in GiB.")] = 8,
    independent: Annotated[
        bool,
        typer.Option("--independent", help="Points also for what fails only because an earlier task does."),
    ] = False,
) -> None:
    """For instructors: run your tests on each submission, and write CSV and JUnit XML.

    Each runs inside bubblewrap, docker or podman, the first that is installed and works here: no network, no file of
    yours, no process left over. Without one, a line says so; then a submission can reach the network, read and change
    files by a process of its own or by C, and leave processes behind.

    In either case, the solution is not in the folder where the tests run, and canaries are among the tests: copies
    with a wrong expected value, under names drawn anew for each run. Who makes one pass, replaces functions of the
    libraries, or opens the tests or the solution gets no points, and the reason is in the table, CSV and XML. Tests and
    submission share a process, so none of this is proof: read the code of those who matter.
    """
    from shared.ladder.grading.grade import grade

    grade(find(project), folder, out, seconds, memory, independent)


def main() -> None:
    """Run the command line. What the user can mend is one line and exit code 2, without a traceback."""
    try:
        sys.exit(_run(sys.argv[1:]))
    except (LadderError, ProjectError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in CANNOT_WRITE:
            raise
        said = _cannot_write(error) if isinstance(error, OSError) else str(error)
        from rich.console import Console

        Console(stderr=True, highlight=False, emoji=False).print(
            f"[red]ladder:[/] {escape(said)}", soft_wrap=True
        )
        sys.exit(2)


def _cannot_write(error: OSError) -> str:
    return f"{error.filename or 'a file'}: {error.strerror}, so nothing can be written there"


def _run(arguments: list[str]) -> int:
    """One command, or without any where to go on; returns the exit code. Raises LadderError for a mistyped one."""
    if not arguments:
        from shared.ladder.status import show_where

        show_where()
        return 0
    try:
        return invoke(app, arguments)
    except OptionError as mistake:
        cause: Any = mistake.__cause__
        command = cause.ctx.command_path if getattr(cause, "ctx", None) else "ladder"
        raise LadderError(f"{mistake}{_choices(cause)} (`{command} --help` has more)") from None


def _choices(mistake: Any) -> str:
    """For an argument that is missing or of no use: what there is to choose from."""
    if not isinstance(mistake, typer.BadParameter) or not mistake.param or not mistake.ctx:
        return ""
    given = mistake.ctx.params.get("project")
    match mistake.param.name:
        case "project" | "numbers":
            return _listed("projects here", {rung.number: rung.title for rung in projects()})
        case "task" if given:
            return _listed(
                f"tasks of project {given}", {task.number: task.title for task in find(given).tasks}
            )
        case "command" if given:
            from shared.ladder.house import commands

            return _listed(f"commands of project {given}", dict.fromkeys(commands(find(given)), ""))
        case "phase":
            from shared.ladder.new import PHASES

            return _listed(
                "phases", {name: f"projects {span[0]} to {span[-1]}" for name, span in PHASES.items()}
            )
    return ""


def _listed(what: str, there: dict[Any, str]) -> str:
    names = ", ".join(f"{name} ({about})" if about else str(name) for name, about in there.items())
    return f"; {what}: {names or 'none yet'}"
