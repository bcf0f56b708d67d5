"""How commands take options, and what they show a person: how far training is, or in one line why they cannot go on."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:  # a shelf imports no command-line library: typer is imported where a command begins
    import typer


class Interrupted(KeyboardInterrupt):
    """The run was stopped by ctrl-C or SIGTERM, and its checkpoint is written; the message says where."""


@contextmanager
def exits_with_message(console: Console, *kinds: type[Exception]) -> Iterator[None]:
    """End the program where the block raises an OSError or one of these kinds: "error: " and why, exit code 2.

    After Interrupted the exit code is 130, as a shell has it after ctrl-C. Anything else is a fault of the program,
    and keeps its traceback.
    """
    try:
        yield
    except Interrupted as stop:
        _say(console, f"\n{stop}\nGive the same command again to go on from there.")
        sys.exit(130)
    except BrokenPipeError:  # who reads our output has gone, as `head` does: nobody is there to be told
        raise
    except OSError as problem:
        _say(console, f"error: {_reason(problem)}", style="red")
        sys.exit(2)
    except kinds as problem:
        _say(console, f"error: {problem}", style="red")
        sys.exit(2)


def _reason(problem: OSError) -> str:
    if problem.filename is None:
        return str(problem)
    return f"{problem.filename}: {problem.strerror}"


def _say(console: Console, message: str, style: str | None = None) -> None:
    console.print(message, style=style, highlight=False, markup=False, soft_wrap=True)


class OptionError(Exception):
    """What was typed is no use of the command. The message is one line, for people."""


def spelled(arguments: Iterable[str], options: Iterable[str]) -> list[str]:
    """The arguments, with each of the options as it is declared: `--batch-size` and `--batch_size` are one.

    Nobody should have to remember which it is. What is none of the options stays as it was typed.
    """
    declared = {_plain(option): option for option in options}
    found = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        known = declared.get(_plain(name), name) if name.startswith("--") else name
        found.append(f"{known}{equals}{value}")
    return found


def _plain(option: str) -> str:
    return option.replace("_", "-")


def no_such_option(name: str, options: Iterable[str]) -> str:
    """What to say of an option that there is not: which one may have been meant."""
    name = name.partition("=")[0]
    close = get_close_matches(name, [option for option in options if option.startswith("--")], n=1)
    return f"there is no option {name}" + (f"; did you mean {close[0]}?" if close else "")


def run_command(main: Callable[..., Any]) -> NoReturn:
    """Run a function as a command whose arguments are its options (typer), and end the program.

    A mistake in what was typed is one line and exit code 2.
    """
    import typer

    app = typer.Typer(add_completion=False)
    app.command()(main)
    try:
        sys.exit(invoke(app, sys.argv[1:]))
    except OptionError as mistake:
        _say(Console(stderr=True), f"error: {mistake} (--help lists every option)", style="red")
        sys.exit(2)


def invoke(app: "typer.Typer", arguments: Sequence[str]) -> int:
    """Run a typer app, or the one of its commands that the first argument names; returns its exit code.

    Raises OptionError, before the command begins, for an option that is unknown, missing or of a wrong value.
    """
    from typer.exceptions import TyperException
    from typer.main import get_command

    command = get_command(app)
    commands: dict[str, Any] = getattr(command, "commands", {})
    chosen = commands.get(arguments[0], command) if arguments else command
    options = [name for part in chosen.params for name in (*part.opts, *part.secondary_opts)]
    try:
        code = command.main(spelled(arguments, options), standalone_mode=False)
    except TyperException as mistake:
        raise OptionError(_mistake(mistake, options)) from mistake
    return code if isinstance(code, int) else 0


def _mistake(mistake: Any, options: Iterable[str]) -> str:
    if hasattr(mistake, "possibilities") and hasattr(mistake, "option_name"):
        return no_such_option(mistake.option_name, options)
    line = " ".join(mistake.format_message().replace("Value error, ", "").split()).removesuffix(".")
    return line[:1].lower() + line[1:]


def steps_bar(console: Console) -> Progress:
    """A bar of training steps with the time left; tasks have a field `loss`. It shows nothing on a quiet console."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"), TimeElapsedColumn())
    left = (TextColumn("left"), TimeRemainingColumn())
    return Progress(*columns, *left, console=console, disable=console.quiet)
