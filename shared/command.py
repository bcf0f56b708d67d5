"""How commands deal with a person: how far training is, ctrl-C, and one line why they cannot do what they were told."""

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def how_to_run(module: str) -> str:
    """What to type for this command of a project: `ladder run 1 train` where a learner's own code runs in it.

    `module` is its full name, `phase01_foundation.project01_minimal_gpt.train`; where the reference runs, it is
    `python -m` with that name.
    """
    phase, project, command = module.split(".")
    overlay = os.environ.get("LADDER_OVERLAY")
    if not overlay or not Path(overlay, phase, project).is_dir():
        return f"python -m {module}"
    return f"ladder run {int(project.removeprefix('project')[:2])} {command}"


def printable(text: str) -> str:
    """`text` with control characters, all but line ends and tabs, as \\x1b and the like: a terminal would obey them."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text)


class Interrupted(KeyboardInterrupt):
    """The run was stopped by ctrl-C or SIGTERM, and its checkpoint is written; the message says where."""


@contextmanager
def exits_with_message(console: Console, *kinds: type[Exception]) -> Iterator[None]:
    """End the program where the block raises an OSError, a MemoryError or one of these kinds: it says why, exit code 2.

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
    except (MemoryError, *kinds) as problem:
        _say(console, f"error: {str(problem) or 'out of memory'}", style="red")
        sys.exit(2)


def _reason(problem: OSError) -> str:
    if problem.filename is None:
        return str(problem)
    return f"{problem.filename}: {problem.strerror}"


def _say(console: Console, message: str, style: str | None = None) -> None:
    console.print(printable(message), style=style, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def catch_interrupts() -> Iterator[list[int]]:
    """Inside the block, the first ctrl-C (or SIGTERM) only adds its number to the list; the second one interrupts.

    A step cut in half would leave weights and optimizer at different steps, and the checkpoint worthless.
    """
    caught: list[int] = []

    def catch(number: int, frame: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    if threading.current_thread() is not threading.main_thread():  # only it may set handlers
        yield caught
        return
    before = {number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def steps_bar(console: Console) -> Progress:
    """A bar of training steps with the time left; tasks have a field `loss`. It shows nothing on a quiet console."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"), TimeElapsedColumn())
    left = (TextColumn("left"), TimeRemainingColumn())
    return Progress(*columns, *left, console=console, disable=console.quiet)
