"""Which file lies in which room of a project: what a learner writes and runs at the top, all else in `given/`."""

import re
from collections.abc import Iterator
from pathlib import Path

from shared.ladder.house import commands
from shared.ladder.imports import imports
from shared.ladder.project import GIVEN, Project

MARK = re.compile(r"\btask\(\d+\)")


def room_faults(project: Project) -> Iterator[str]:
    """Files that are in the wrong room.

    A `.py` at the top, besides `__init__.py`, is written by a task, is a command, or is a test of one: it has a
    test of a task, or imports a command. What is in `given/` is none of these; its tests are beside it.
    """
    written, runnable = set(project.files), {f"{command}.py" for command in commands(project)}
    given = {file.name for file in project.folder.glob(f"{GIVEN}/*.py")}
    for file in sorted(project.folder.glob("*.py")):
        name = file.name
        if name == "__init__.py" or name in written | runnable:
            continue
        if not name.startswith("test_"):
            yield f"{name} is written by no task and is no command: it belongs in {GIVEN}/"
        elif not has_task(file) and not runnable & {f"{module}.py" for module in imported(file, project)}:
            yield f"{name} has no test of a task and imports no command: it belongs in {GIVEN}/"
    if given and "__init__.py" not in given:
        yield f"{GIVEN}/ has no __init__.py"
    for name in sorted(given - {"__init__.py"}):
        file = project.folder / GIVEN / name
        if name in written:
            yield f"{GIVEN}/{name} has the name of a file that a task writes"
        if name.startswith("test_") and has_task(file):
            yield f"{GIVEN}/{name} has a test of a task: it belongs at the top"
        if '__name__ == "__main__"' in file.read_text(encoding="utf-8"):
            yield f"{GIVEN}/{name} is a command: it belongs at the top"
    for folder in sorted(path for path in project.folder.iterdir() if path.is_dir() and path.name != GIVEN):
        if next(folder.rglob("*.py"), None):
            yield f"{folder.name}/ has Python files: they belong at the top or in {GIVEN}/"


def has_task(file: Path) -> bool:
    """Whether a test file marks a test with its task."""
    return bool(MARK.search(file.read_text(encoding="utf-8")))


def imported(file: Path, project: Project) -> set[str]:
    """The modules at the project's top that a file imports by their full name."""
    start = f"{project.module}."
    names = (name for _, name in imports(file, project.folder.parents[1]))
    return {name.removeprefix(start).partition(".")[0] for name in names if name.startswith(start)}
