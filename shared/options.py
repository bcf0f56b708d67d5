"""How commands take options: with dashes or underscores, and a mistake is one line that says what was meant."""

import sys
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console

if TYPE_CHECKING:  # a shelf imports no command-line library: typer is imported where a command begins
    import typer


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
        said = f"error: {mistake} (--help lists every option)"
        Console(stderr=True, highlight=False, emoji=False).print(
            said, style="red", markup=False, soft_wrap=True
        )
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
