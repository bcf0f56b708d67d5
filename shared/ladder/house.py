"""Where a learner's files are, and how the commands speak: plain lines, and errors without a traceback."""

import os
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from shared import files
from shared.ladder.project import Project
from shared.ladder.source import function, is_stub, read_source

console = Console(highlight=False, emoji=False)  # `:running:` is a name here


class LadderError(Exception):
    """Something the user can mend. Shown as one line; the command ends with exit code 2."""


def say(text: str = "") -> None:
    """Print a line with rich's markup. Long lines are left to the terminal, so that paths can be copied."""
    console.print(text, soft_wrap=True)


def work_folder() -> Path:
    """The learner's work folder as an absolute path."""
    return files.work_folder().resolve()


def yours(project: Project) -> Path:
    """The learner's folder of a project, whether it exists or not."""
    return work_folder() / project.path


def is_started(project: Project) -> bool:
    """Whether the learner has a folder for this project, so that it replaces the reference."""
    return yours(project).is_dir()


def require_started(project: Project) -> Path:
    """The learner's folder. Raises LadderError when the project is not started."""
    if not project.tasks or not is_started(project):
        number = project.number
        raise LadderError(f"project {number} is not started; `ladder start {number}` begins it")
    return yours(project)


def has_reference(project: Project) -> bool:
    """Whether the reference is here: in an exported folder, stubs stand in its place."""
    for file in project.files:
        text = read_source(project.folder / file)
        if "NotImplementedError" not in text:  # as a rule: parsing each file would make every check wait
            continue
        names = [target.name for task in project.tasks for target in task.write if target.file == file]
        if any((node := function(text, name)) and is_stub(node) for name in names):
            return False
    return True


def short(path: Path | str) -> str:
    """The path as the user would type it from here, escaped for markup."""
    path = Path(path).absolute()
    here = Path.cwd()
    return escape(str(path.relative_to(here)) if path.is_relative_to(here) else str(path))


def environment(root: Path, overlay: Path | None) -> dict[str, str]:
    """The environment of a process that runs a project's code, with the learner's files in front or not."""
    values = {key: value for key, value in os.environ.items() if key != "LADDER_OVERLAY"}
    if overlay:
        values["LADDER_OVERLAY"] = str(overlay)
    values["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), values.get("PYTHONPATH")]))
    # Two saves within a second leave the same time and often the same size: a cached file would be stale.
    values["PYTHONDONTWRITEBYTECODE"] = "1"
    return values


def commands(project: Project) -> list[str]:
    """The project's modules that can be run, by name."""
    return sorted(
        file.stem
        for file in project.folder.glob("*.py")
        if '__name__ == "__main__"' in file.read_text("utf-8")
    )


def counted(number: int, noun: str) -> str:
    """`1 test`, `2 tests`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
