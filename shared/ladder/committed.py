"""Whether a project's tests are still those that were handed out: an edited test gives no points."""

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from shared.ladder.project import Project, root_folder

MANIFEST = "tests.sha256"  # in an exported folder, which has no git
COMMON = ("conftest.py", "shared/testing.py", "shared/ladder/pytest_plugin.py")


def changed_tests(project: Project) -> list[Path]:
    """The project's test files that differ from what is committed, or from what the exported folder came with.

    Empty where neither can be told: a folder without git and without a list of its tests.
    """
    root = root_folder()
    manifest = root / MANIFEST
    if manifest.is_file():
        lines = (line.split("  ", 1) for line in manifest.read_text(encoding="utf-8").splitlines())
        handed_out = {root / name: digest for digest, name in lines}
        wanted = [file for file in handed_out if file in _tests(project) or file.parent == project.folder]
        return sorted(file for file in wanted if not file.is_file() or _digest(file) != handed_out[file])
    names = [file.relative_to(root).as_posix() for file in _tests(project)]
    command = ["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no", "-z", "--", *names]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return []
    if done.returncode:
        return []
    top = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--show-toplevel"], capture_output=True, text=True, check=False
    )
    return sorted(Path(top.stdout.strip()) / line[3:] for line in done.stdout.split("\0") if line)


def manifest(house: Path) -> str:
    """What an exported folder says of its tests: a hash and a name a line, as sha256sum has it."""
    files = [*house.glob("phase*/*/test_*.py"), *house.glob("phase*/*/given/test_*.py")]
    files += [house / name for name in COMMON if (house / name).is_file()]
    return "".join(f"{_digest(file)}  {file.relative_to(house).as_posix()}\n" for file in sorted(files))


def _tests(project: Project) -> set[Path]:
    root = root_folder()
    return {*_test_files(project), *(root / name for name in COMMON if (root / name).is_file())}


def _test_files(project: Project) -> Iterator[Path]:
    yield from project.folder.glob("test_*.py")
    yield from project.folder.glob("given/test_*.py")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
