"""Puts the learner's files before the reference's, so that every import gets the learner's code."""

import ast
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from shared.ladder.project import load
from shared.ladder.source import STUB


def overlay(path: Iterable[str]) -> list[str]:
    """The search path of a project's package. Its `__init__.py` says `__path__ = overlay(__path__)`.

    With LADDER_OVERLAY naming a work folder that holds `<phase>/<project>`, that folder comes first: a file
    in it replaces the reference's file of the same name, here and for every project above. Without, the
    reference is used.

    Raises ImportError when the work folder does not exist, when a file that the project's tasks write is
    missing, or when a file that replaces the reference's is empty or has broken syntax. Nothing falls back to
    the reference in silence.
    """
    folders = list(path)
    work = os.environ.get("LADDER_OVERLAY")
    if not work:
        return folders
    if not Path(work).is_dir():
        raise ImportError(f"LADDER_OVERLAY names {work}, which is no folder. Unset it to use the reference.")
    reference = Path(folders[-1])
    yours = Path(work).resolve() / reference.parent.name / reference.name
    if not yours.is_dir():
        return folders
    if fault := find_fault(yours, reference):
        raise ImportError(fault)
    sys.excepthook = _tell_stub
    return [str(yours), *folders]


def _tell_stub(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """A command that meets a function which is still to write ends with one line: nothing is wrong."""
    found = STUB.match(str(error)) if issubclass(kind, NotImplementedError) else None
    if not found:
        sys.__excepthook__(kind, error, traceback)
        return
    project, task, name = found.groups()
    print(f"{name} is still to write: ladder check {project} --task {task}", file=sys.stderr)


def find_fault(yours: Path, reference: Path) -> str | None:
    """What keeps the learner's folder from replacing the reference's, and what to do; None if nothing."""
    project = load(reference)
    for task in project.tasks:
        for target in task.write:
            if not (yours / target.file).is_file():
                return (
                    f"{yours / target.file} is missing, and task {task.number} writes it. "
                    f"`ladder start {project.number}` puts a stub there and leaves your other files alone."
                )
    # Scratch files beside them replace nothing, so they may be broken.
    replaced = {file.name for file in reference.glob("*.py") if (yours / file.name).is_file()}
    for file in sorted(replaced - {"__init__.py"}):
        if fault := _syntax_fault(yours / file):
            return fault
    return None


def _syntax_fault(file: Path) -> str | None:
    text = file.read_bytes()
    if not text.strip():
        return f"{file} is empty. Delete it and run `ladder start` again for a fresh stub."
    try:
        ast.parse(text)
    except (SyntaxError, ValueError) as error:  # some Pythons call a null byte a ValueError
        if not isinstance(error, SyntaxError) or not error.lineno:
            return f"{file} is not Python source: {error}"
        line = error.text.rstrip("\n") if error.text else ""
        caret = " " * ((error.offset or 1) - 1) + "^"
        return f"{file}, line {error.lineno}: {error.msg}\n    {line}\n    {caret}"
    return None
