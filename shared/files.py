"""Where the project's files live, and how one is written: whole or not at all."""

import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]


def data_folder() -> Path:
    """Corpora, released models and compiled kernels: `data/`, or the folder named by LADDER_DATA."""
    return Path(os.environ.get("LADDER_DATA") or ROOT / "data")


def work_folder() -> Path:
    """The learner's own files: `work/`, or the folder named by LADDER_WORK."""
    return Path(os.environ.get("LADDER_WORK") or ROOT / "work")


def shown(path: Path) -> str:
    """The path as messages and result files show it: from the repository's root where it is inside."""
    path = Path(path).absolute()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; when the block ends well, it replaces `path` in one step.

    Whoever opens `path`, at any moment and after any crash, finds the old file or the new one, whole. A
    missing folder is made. When the block raises, `path` is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    # A folder, because some writers put temporary files of their own beside the file they write.
    folder = path.with_name(f".{path.name}.{_host()}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    folder.mkdir()
    temporary = folder / path.name
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # some writers make private files; others are to read this one
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # the bytes must be on the disk before the name points at them
        os.replace(temporary, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8, line ends as given), whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())


def _sweep(path: Path) -> None:
    """Remove what killed processes of this machine left half written beside `path`."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.{_host()}\.(\d+)\.[0-9a-f]+\.tmp")
    for other in path.parent.iterdir():
        match = pattern.fullmatch(other.name)
        if match and not psutil.pid_exists(int(match[1])):
            shutil.rmtree(other, ignore_errors=True)


def _host() -> str:
    # A process number means something on its own machine only, and folders are shared between machines.
    return re.sub(r"[^A-Za-z0-9-]", "-", platform.node()) or "localhost"


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows cannot open a folder to sync it
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
