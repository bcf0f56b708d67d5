"""The Python files in what a student handed in: a folder, an archive or a single file, however it was packed.

Nothing is unpacked onto the disk, so a name such as ../../x has nowhere to go. What cannot be read is said in the
notes: a damaged archive is one student's bad luck, and never ends the grading of the others.
"""

import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

LARGEST = 2**20  # bytes of one source file
LARGEST_SUM = 2**24  # of all of a student's source files: a zip of 400 KB may hold hundreds of MB
LARGEST_ARCHIVE = 2**26  # of an archive inside another one or in a folder
MOST_NAMES = 20_000

ZIPS, TARS = (".zip",), (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar")
UNREADABLE = (".7z", ".rar", ".gz", ".bz2", ".xz", ".zst", ".ipynb")
"""what students hand in, too, and what is not read: it gets a row that says so"""

DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,  # a way of compression that zipfile does not know
    RuntimeError,  # a password
    ValueError,
    MemoryError,
)


def kind(name: str) -> str:
    """The ending that says how a file is to be read, in small letters: .zip, .tar.gz, .py, .rar; else empty."""
    name = name.lower()
    endings = (*ZIPS, *TARS, ".py", *UNREADABLE)
    return next((ending for ending in endings if name.endswith(ending)), "")


class TooLargeError(ValueError):
    """What was handed in is larger than any solution. What was found so far is kept."""


@dataclass
class Found:
    """The .py files by path, and what could not be read."""

    files: dict[PurePosixPath, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    size: int = 0
    packed: int = 0
    """bytes of the archives inside"""

    def add(self, path: PurePosixPath, file: io.BufferedIOBase) -> None:
        """Keep a file, unless it is too large: its own size counts, not what the archive says of it."""
        data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            self.note(f"{shown(path.name)} is larger than {LARGEST:,} bytes, and is left out")
        else:
            self.files[path] = data
            self.size += len(data)
        if self.size > LARGEST_SUM:
            raise TooLargeError(
                f"its files are larger than {LARGEST_SUM:,} bytes in all; the rest is left out"
            )

    def note(self, text: str) -> None:
        """Say a thing once."""
        if text not in self.notes:
            self.notes.append(text)


def read(entry: Path) -> Found:
    """All .py files of what was handed in. Archives in a folder or in an archive are read as well, one level deep."""
    found = Found()
    try:
        if entry.is_dir():
            _read_folder(entry, found)
        elif kind(entry.name) == ".py":
            with entry.open("rb") as file:
                found.add(PurePosixPath(entry.name), file)
        else:
            with entry.open("rb") as file:
                _read_archive(file, entry.name, PurePosixPath(), found, depth=0)
    except TooLargeError as error:
        found.note(str(error))
    except DAMAGE as error:
        found.note(f"cannot be read: {_why(error)}")
    return found


def shown(name: str) -> str:
    """A name as it can be printed and written anywhere: other bytes and control characters are escaped."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )


def _read_folder(folder: Path, found: Found) -> None:
    for count, path in enumerate(sorted(folder.rglob("*"), key=os.fsencode)):
        if count > MOST_NAMES:
            raise TooLargeError(f"it holds more than {MOST_NAMES:,} names; the rest is left out")
        if path.is_file() and not path.is_symlink() and kind(path.name):
            with path.open("rb") as file:
                _read_member(file, PurePosixPath(path.relative_to(folder).as_posix()), found, depth=0)


def _read_member(file: io.BufferedIOBase, path: PurePosixPath, found: Found, depth: int) -> None:
    ending = kind(path.name)
    if ending == ".py":
        found.add(path, file)
    elif ending in ZIPS + TARS:
        if depth > 0:
            found.note(f"{shown(path.name)} is an archive in an archive in an archive, and is not read")
            return
        data = file.read(LARGEST_ARCHIVE + 1)
        found.packed += len(data)
        if found.packed > LARGEST_ARCHIVE:
            raise TooLargeError(
                f"its archives are larger than {LARGEST_ARCHIVE:,} bytes; the rest is left out"
            )
        try:
            _read_archive(
                io.BytesIO(data), path.name, path.parent / path.name[: -len(ending)], found, depth + 1
            )
        except TooLargeError:
            raise
        except DAMAGE as error:
            found.note(f"{shown(path.name)} cannot be read: {_why(error)}")
    elif ending != ".ipynb":  # a notebook beside the files is nobody's solution
        found.note(f"{shown(path.name)} is not read: hand in a folder or a .zip")


def _read_archive(file: io.BufferedIOBase, name: str, start: PurePosixPath, found: Found, depth: int) -> None:
    ending = kind(name)
    if ending in ZIPS:
        members = _zip_members(file, found)
    elif ending in TARS:
        members = _tar_members(file)
    else:
        raise ValueError(f"{ending or 'it'} is not read here; hand in a folder or a .zip")
    for count, (path, member) in enumerate(members):
        if count > MOST_NAMES:
            raise TooLargeError(f"it holds more than {MOST_NAMES:,} names; the rest is left out")
        with member:
            _read_member(member, start / path, found, depth)


def _zip_members(file: io.BufferedIOBase, found: Found) -> Iterator[tuple[PurePosixPath, io.BufferedIOBase]]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            path = _path(info.filename)
            if info.is_dir() or not kind(path.name):
                continue
            try:
                # Read here, so that one bad member leaves the others.
                with archive.open(info) as member:
                    data = member.read(_most(path))
            except DAMAGE as error:
                found.note(f"{shown(path.name)} cannot be read: {_why(error)}")
                continue
            yield path, io.BytesIO(data)


def _tar_members(file: io.BufferedIOBase) -> Iterator[tuple[PurePosixPath, io.BufferedIOBase]]:
    with tarfile.open(fileobj=file, mode="r:*") as archive:
        for info in archive:
            path = _path(info.name)
            if info.isfile() and kind(path.name) and (member := archive.extractfile(info)):
                yield path, io.BytesIO(member.read(_most(path)))


def _most(path: PurePosixPath) -> int:
    """So many bytes show that a file is too large."""
    return 1 + (LARGEST if kind(path.name) == ".py" else LARGEST_ARCHIVE)


def _path(name: str) -> PurePosixPath:
    """The path in an archive, also where Windows wrote it with backslashes."""
    return PurePosixPath(name.replace("\\", "/"))


def _why(error: BaseException) -> str:
    return shown(str(error) or type(error).__name__)
