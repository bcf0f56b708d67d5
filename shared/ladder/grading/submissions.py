"""Finds a student's files in whatever was handed in: a folder, an archive or a file, the whole house or bare files."""

import ast
import warnings
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from shared.ladder.grading import archives
from shared.ladder.house import LadderError
from shared.ladder.project import Project
from shared.ladder.source import decode_source, definitions
from shared.ladder.stubs import stub_file


@dataclass
class Submission:
    """One student's source files by name, as bytes, and what was wrong with what was handed in."""

    student: str
    files: dict[str, bytes]
    notes: list[str] = field(default_factory=list)


def read_submissions(folder: Path, project: Project) -> tuple[list[Submission], list[str]]:
    """Every folder, archive and .py file in `folder`, as a submission, and the names of the files that are none.

    Raises LadderError when there is no submission, or when two have one name.
    """
    if not folder.is_dir():
        raise LadderError(f"{folder} is not a folder")
    entries = [
        entry
        for entry in sorted(folder.iterdir(), key=lambda entry: archives.shown(entry.name))
        if not entry.name.startswith((".", "__"))
    ]
    chosen = [entry for entry in entries if entry.is_dir() or archives.kind(entry.name)]
    if not chosen:
        raise LadderError(f"{folder} holds no submission: a folder or a .zip for each student")
    names: dict[str, str] = {}
    for entry in chosen:
        other = names.setdefault(_student(entry), entry.name)
        if other != entry.name:
            both = f"{archives.shown(other)} and {archives.shown(entry.name)}"
            raise LadderError(f"{folder} has {both} of the same student; keep one of them")
    others = [archives.shown(entry.name) for entry in entries if entry not in chosen]
    return [read_submission(entry, project) for entry in chosen], others


def read_submission(entry: Path, project: Project) -> Submission:
    """The project's files from what was handed in. A file that is missing or broken is replaced by its stub.

    Files of the student's own come along; the reference's other files and all tests stay the instructor's.
    """
    found = archives.read(entry)
    submission = Submission(_student(entry), {}, found.notes)
    if entry.is_file() and archives.kind(entry.name) == ".py":
        handed_in = _bare_file(found.files, project)
    else:
        handed_in = _chosen_folder(found.files, project)
    reference = {file.name for file in project.folder.glob("*.py")}
    for name, data in handed_in.items():
        is_their_own = name not in reference and name.removesuffix(".py").isidentifier()
        if name in project.files or (is_their_own and not name.startswith(("test_", "conftest"))):
            submission.files[name] = data
        elif name.startswith("conftest"):
            submission.notes.append(f"its {name} is left out")
    texts: dict[str, str] = {}
    for name in project.files:
        try:
            texts[name] = _checked(submission.files.get(name))
        except ValueError as error:
            submission.notes.append(f"{name} {error}")
            texts[name] = stub_file(project, name)
            submission.files[name] = texts[name].encode()
    for task in project.tasks:
        for target in task.write:
            if not definitions(texts[target.file])[target.name]:
                submission.notes.append(f"{target.file} does not define {target.name}")
    return submission


def _student(entry: Path) -> str:
    ending = "" if entry.is_dir() else archives.kind(entry.name)
    return archives.shown(entry.name[: len(entry.name) - len(ending)] or entry.name)


def _checked(data: bytes | None) -> str:
    """The text of a file that Python can read. Raises ValueError saying what is wrong with it."""
    if data is None:
        raise ValueError("is missing")
    if not data.strip():
        raise ValueError("is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a bad escape is theirs to hear of, from their own Python
            ast.parse(data)
        return decode_source(data)
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise ValueError(f"does not parse: {error.msg}{where}") from None
    except (ValueError, RecursionError, MemoryError):
        raise ValueError("does not parse") from None


def _bare_file(found: dict[PurePosixPath, bytes], project: Project) -> dict[str, bytes]:
    """A single .py as the file of the project whose functions it defines, whatever it is called."""
    for data in found.values():
        try:
            defined = definitions(decode_source(data))
        except SyntaxError:
            defined = definitions("")
        count = {
            file: sum(
                defined[target.name] for task in project.tasks for target in task.write if target.file == file
            )
            for file in project.files
        }
        best = max(project.files, key=count.__getitem__)
        if count[best] or len(project.files) == 1:
            return {best: data}
    return {}


def _chosen_folder(found: dict[PurePosixPath, bytes], project: Project) -> dict[str, bytes]:
    """The files of the one folder that is the student's.

    A whole house has them twice, as stubs and in `work/`, and other projects may have files of the same names.
    """
    wanted = set(project.files)
    folders = {path.parent for path in found if path.name in wanted}
    if not folders:
        return {}

    def rank(folder: PurePosixPath) -> tuple[bool, bool, bool, int, int, str]:
        aside, named = ".kept" in folder.parts, folder.name == project.folder.name
        count = sum(folder / name in found for name in wanted)
        return (aside, not named, "work" not in folder.parts, -count, len(folder.parts), str(folder))

    best = min(folders, key=rank)
    return {path.name: data for path, data in found.items() if path.parent == best}
