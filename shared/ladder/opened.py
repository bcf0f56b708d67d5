"""Notes which files below a folder this process opens. Only the standard library: it is there before all else."""

import contextlib
import os
import re
import sys
from pathlib import Path

VARIABLE = "LADDER_OPENED"
WATCHED = Path(__file__).resolve().parent / "watched"
"""a folder for PYTHONPATH: with it, every Python that is started notes what it opens, where VARIABLE says"""


def environment(root: Path, out: Path) -> dict[str, str]:
    """What makes a process, and all Pythons that it starts, append what they open below `root` to the file `out`."""
    return {
        VARIABLE: os.pathsep.join([str(root), str(out)]),
        "PYTHONPATH": os.pathsep.join([str(WATCHED), str(root)]),
    }


def note(root: Path, out: Path) -> None:
    """From now on, append each file below `root` that this process opens to `out`, once, as a path from `root`."""
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.set_inheritable(descriptor, False)
    below = f"{os.path.realpath(root)}{os.sep}"
    seen: set[str] = set()

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event != "open" or not isinstance(path := arguments[0], str | bytes | os.PathLike):
            return
        name = os.fsdecode(path)
        if not name.startswith(os.sep):
            with contextlib.suppress(OSError):  # the folder may be gone
                name = os.path.abspath(name)
        # Hidden folders, such as .venv, hold what is installed or kept for later.
        if name.startswith(below) and name[len(below)] != "." and name not in seen:
            seen.add(name)
            with contextlib.suppress(OSError):  # code under test may close what it finds open
                os.write(descriptor, os.fsencode(name[len(below) :] + "\n"))

    sys.addaudithook(hook)


def read(out: Path) -> set[str]:
    """The noted paths, with `/`. For compiled Python, it is the source that counts."""
    if not out.is_file():
        return set()
    lines = out.read_bytes().decode("utf-8", "surrogateescape").splitlines()
    return {_source(line.replace(os.sep, "/")) for line in lines}


def _source(path: str) -> str:
    return re.sub(r"__pycache__/([^/.]+)\.[^/]*\.pyc(\.\d+)?$", r"\1.py", path)
