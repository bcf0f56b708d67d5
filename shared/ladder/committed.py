"""Whether a project's tests are still those that were handed out: an edited test gives no points."""

import hashlib
import subprocess
from pathlib import Path

from shared.ladder.project import Project, root_folder

MANIFEST = "tests.sha256"  # in an exported folder, which has no git
PLACES = ("", "given/")  # of tests, in a project
COMMON = ("conftest.py", "shared/testing.py", "shared/ladder/pytest_plugin.py")


def changed_tests(project: Project) -> list[Path]:
    """The project's test files that differ from what is committed, or from what the exported folder came with.

    One that is gone differs. Empty where neither can be told: a folder without git and without a list of its tests.
    """
    root = root_folder()
    listed = root / MANIFEST
    if listed.is_file():
        lines = (line.split("  ", 1) for line in listed.read_text(encoding="utf-8").splitlines())
        wanted = {
            name: digest for digest, name in lines if name in COMMON or project.path in Path(name).parents
        }
        return [
            root / name
            for name, digest in sorted(wanted.items())
            if not (root / name).is_file() or _digest(root / name) != digest
        ]
    patterns = [f"{project.path.as_posix()}/{place}test_*.py" for place in PLACES]
    command = [
        "git",
        "-C",
        str(root),
        "diff",
        "HEAD",
        "--name-only",
        "--relative",
        "-z",
        "--",
        *patterns,
        *COMMON,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return []
    return sorted(root / name for name in done.stdout.split("\0") if name) if not done.returncode else []


def manifest(house: Path) -> str:
    """What an exported folder says of its tests: a hash and a name a line, as sha256sum has it."""
    files = [file for place in PLACES for file in house.glob(f"phase*/*/{place}test_*.py")]
    files += [house / name for name in COMMON if (house / name).is_file()]
    return "".join(f"{_digest(file)}  {file.relative_to(house).as_posix()}\n" for file in sorted(files))


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
