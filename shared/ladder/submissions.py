"""Finds a student's files in whatever was handed in: a folder or a zip, the whole house or the bare files."""

import ast
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from shared.ladder.house import LadderError
from shared.ladder.project import Project
from shared.ladder.source import definitions
from shared.ladder.stubs import stub_file

LARGEST = 2**20  # bytes of one source file; a zip that claims more is not unpacked


@dataclass
class Submission:
    """One student's source files by name, and what was wrong with what was handed in."""

    student: str
    files: dict[str, str]
    notes: list[str] = field(default_factory=list)


def read_submissions(folder: Path, project: Project) -> list[Submission]:
    """Every folder and zip in `folder`, as a submission. Raises LadderError when there is none."""
    if not folder.is_dir():
        raise LadderError(f"{folder} is not a folder")
    entries = [
        entry
        for entry in sorted(folder.iterdir())
        if not entry.name.startswith((".", "__")) and (entry.is_dir() or entry.suffix == ".zip")
    ]
    if not entries:
        raise LadderError(f"{folder} holds no submission: a folder or a .zip for each student")
    return [read_submission(entry, project) for entry in entries]


def read_submission(entry: Path, project: Project) -> Submission:
    """The project's files from one folder or zip. A file that is missing or broken is replaced by its stub.

    Files of the student's own come along; the reference's other files and all tests stay the instructor's.
    """
    submission = Submission(entry.stem if entry.suffix == ".zip" else entry.name, {})
    try:
        found = _from_zip(entry) if entry.is_file() else _from_folder(entry)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        submission.notes.append(f"cannot be read: {error}")
        found = {}
    handed_in = _chosen_folder(found, project)
    reference = {file.name for file in project.folder.glob("*.py")}
    for name, data in handed_in.items():
        if name in project.files or (name not in reference and not name.startswith(("test_", "conftest"))):
            submission.files[name] = data.decode("utf-8", errors="replace")
    for name in project.files:
        if note := _fault(submission.files.get(name)):
            submission.notes.append(f"{name} {note}")
            submission.files[name] = stub_file(project, name)
    for task in project.tasks:
        for target in task.write:
            if not definitions(submission.files[target.file])[target.name]:
                submission.notes.append(f"{target.file} does not define {target.name}")
    return submission


def _fault(text: str | None) -> str | None:
    if text is None:
        return "is missing"
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        return (
            f"does not parse: {error.msg}, line {line}"
            if isinstance(error, SyntaxError)
            else "does not parse"
        )
    return None


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


def _from_folder(folder: Path) -> dict[PurePosixPath, bytes]:
    files = [file for file in sorted(folder.rglob("*.py")) if file.is_file() and not file.is_symlink()]
    return {
        PurePosixPath(file.relative_to(folder).as_posix()): file.read_bytes()
        for file in files
        if file.stat().st_size <= LARGEST
    }


def _from_zip(file: Path) -> dict[PurePosixPath, bytes]:
    # Read, never extracted: a name such as ../../x has nowhere to go.
    with zipfile.ZipFile(file) as archive:
        return {
            PurePosixPath(info.filename): archive.read(info)
            for info in archive.infolist()
            if info.filename.endswith(".py") and info.file_size <= LARGEST
        }
