"""What has been checked already: verdicts by content, in one committed file.

A verdict says that a check of a project found no fault, and bears a key: a hash of all that the check depends on.
Where the key is the same, so is the verdict, and the check need not run again. It also says on which processor it was
found: on one with other abilities, which may round differently and run other kernels, part of the check runs.
"""

import ast
import hashlib
import json
import platform
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from shared.files import write_text
from shared.ladder.imports import closure, imported, lower
from shared.ladder.pins import pins
from shared.ladder.project import Project, root_folder
from shared.machine import abilities

FILE = ".ci/verdicts.json"
KINDS = ("selfcheck", "mutate", "export", "notebook", "benchmark")
ONE_IN = 10  # of the checks with a valid verdict, so many run all the same

# What runs a check is part of it. A notebook and a benchmark run themselves.
MACHINERY = {
    "selfcheck": ("conftest.py", "shared/ladder/selfcheck.py", "shared/ladder/pytest_plugin.py"),
    "mutate": ("conftest.py", "shared/ladder/mutate.py"),
    "export": ("conftest.py", "shared/ladder/export.py", "shared/ladder/__main__.py", "shared/ladder/cli.py"),
    "notebook": (),
    "benchmark": (),
}
SHELF = re.compile(r"shared\.phase\d\d")
INERT = ("'", '"', "__all__ = ")  # beside its imports a shelf has a docstring, and the list of what it offers
NOT_READ = ("README.md", "mutants.toml", "explore.ipynb")  # by what imports a project


def depends_on(project: Project, kind: str) -> set[Path]:
    """The files that a check may open: another one is a fault.

    The project's folder and all that it imports; of each folder that this reaches, what is not Python (settings, C++)
    as well; the released models that it needs or makes; and what runs the check.
    """
    root = root_folder()
    own = [file for file in _files(project.folder) if "results" not in file.relative_to(project.folder).parts]
    tested = kind in ("selfcheck", "mutate", "export")
    start = [file for file in own if file.suffix == ".py" and (tested or not _is_test(file))]
    start += [root / name for name in MACHINERY[kind] if (root / name).is_file()]
    start += [file for file in own if file.suffix == ".ipynb" and kind in ("notebook", "export")]
    reached = closure(start, root)
    others = {file for folder in {file.parent for file in reached} for file in _beside(folder, root)}
    also = {"selfcheck": "mutants.toml", "mutate": "mutants.toml", "export": "README.md"}.get(kind)
    others |= {file for file in own if file.name == also}
    if kind == "selfcheck":  # which tries the variants of what is below as well
        for rung in lower(project):
            names = (*rung.files, "project.toml", "mutants.toml", *([rung.trace.file] if rung.trace else []))
            others |= {rung.folder / name for name in names}
    # A notebook and a benchmark look at what the project makes; its tests do without.
    names = project.needs if tested else (*project.needs, *project.produces)
    models = {file for name in names for file in _files(root / "data" / "models" / name)}
    return reached | others | models


def key(project: Project, kind: str) -> str:
    """A hash of the files' contents, the pinned versions of what they import, and Python's minor version.

    Of a shelf as shared/phase01.py only the names that are taken from it count, with where they come from.
    """
    root = root_folder()
    files = sorted(depends_on(project, kind))
    total = hashlib.sha256()
    parts = [f"{sys.version_info.major}.{sys.version_info.minor}", *pins(files, root), _pytest_settings(root)]
    for file in files:
        parts += [file.relative_to(root).as_posix(), _content(file, root, files)]
    for part in parts:
        total.update(part.encode() + b"\0")
    return total.hexdigest()


class Verdicts:
    """The committed file, and what is added to it."""

    def __init__(self, root: Path) -> None:
        self.path = root / FILE
        self.known: dict[str, Any] = json.loads(self.path.read_text("utf-8")) if self.path.is_file() else {}

    def is_valid(self, project: Project, kind: str, now: str) -> bool:
        """Whether this check has found no fault in what is there now, which has this key."""
        verdict = self.known.get(project.path.as_posix(), {}).get(kind)
        return bool(verdict) and verdict.get("key") == now

    def is_of_here(self, project: Project, kind: str) -> bool:
        """Whether the verdict was found on a processor with the abilities of this one."""
        return self.known.get(project.path.as_posix(), {}).get(kind, {}).get("processor") == processor()

    def killers(self, project: Project) -> dict[str, str]:
        """The test that killed each mutant the last time, whether or not anything has changed since."""
        return self.known.get(project.path.as_posix(), {}).get("killers", {})

    def add(self, project: Project, kind: str, valid_for: str) -> None:
        """Note that a check found no fault in what has this key."""
        self.known.setdefault(project.path.as_posix(), {})[kind] = {
            "key": valid_for,
            "processor": processor(),
            "verdict": "no fault",
        }

    def remove(self, project: Project, kind: str) -> None:
        """Forget a verdict that did not hold."""
        self.known.get(project.path.as_posix(), {}).pop(kind, None)

    def set_killers(self, project: Project, killers: dict[str, str]) -> None:
        """Note which test killed each mutant."""
        if killers != self.killers(project):  # a project with nothing to tell, as a new one, leaves no trace
            self.known.setdefault(project.path.as_posix(), {})["killers"] = killers

    def write(self) -> None:
        """Put it all back, whole or not at all."""
        write_text(self.path, json.dumps(self.known, indent=1, sort_keys=True) + "\n")


def processor() -> str:
    """The machine and its processor's abilities, as a verdict notes them."""
    return " ".join([platform.machine(), *abilities()])


def is_drawn(commit: str, *names: str, one_in: int = ONE_IN) -> bool:
    """Whether this check is one of the tenth, or other part, that run all the same at this commit."""
    digest = hashlib.sha256("\0".join([commit, *names]).encode()).digest()
    return int.from_bytes(digest[:8]) % one_in == 0


def head(root: Path) -> str:
    """The commit that is checked out, empty outside a git checkout."""
    done = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def outside(opened: Iterable[str], files: set[Path], root: Path) -> list[str]:
    """What was opened and is none of the files: of the house's own, not what the learner or a run has put there."""
    allowed = {file.relative_to(root).as_posix() for file in files}
    own = [
        name for name in opened if name not in allowed and _is_of_the_house(name) and (root / name).is_file()
    ]
    return sorted(own)


def _is_of_the_house(name: str) -> bool:
    first, *rest = name.split("/")
    if first == "data":
        return rest[:1] == ["models"]
    if name.startswith("shared/ladder/"):  # what runs the check is in its key, as far as it matters
        return False
    return (
        first not in ("work", "dist", "runs", "grades")
        and not first.endswith(".egg-info")
        and name not in ALWAYS
    )


ALWAYS = (
    "conftest.py",
    "pyproject.toml",
    "constraints.txt",
)  # read by pytest; what counts of them is in each key


def _beside(folder: Path, root: Path) -> Iterator[Path]:
    """What code in this folder may read: settings, C++ and such, in a project's folder also of its subfolders."""
    parts = folder.relative_to(root).parts
    if not parts:
        return
    in_project = parts[0].startswith("phase") and len(parts) > 1
    found = _files(root.joinpath(*parts[:2])) if in_project else folder.glob("*")
    for file in found:
        if (
            file.is_file()
            and file.suffix != ".py"
            and "results" not in file.parts
            and file.name not in NOT_READ
        ):
            yield file


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(folder).parts)
        if file.is_file() and not hidden:
            yield file


def _is_test(file: Path) -> bool:
    return file.name.startswith(("test_", "conftest"))


def _content(file: Path, root: Path, files: Iterable[Path]) -> str:
    """What counts of one of these files."""
    changed, module = file.stat().st_mtime_ns, ".".join(file.relative_to(root).with_suffix("").parts)
    offered = _offered(file, changed) if SHELF.fullmatch(module) else None
    if offered is None:
        return _hash(file, changed)
    code = [one for one in files if one.suffix in (".py", ".ipynb")]
    taken = {name for one in code for name in imported(one, root, one.stat().st_mtime_ns)}
    if taken & {module, f"{module}.*"}:  # the whole of it
        return _hash(file, changed)
    return json.dumps(
        {name: source for name, source in offered.items() if f"{module}.{name}" in taken}, sort_keys=True
    )


@cache
def _offered(shelf: Path, _changed: int) -> dict[str, str] | None:
    """Each name of a shelf and where it comes from. None: this file does more than to hand names up."""
    names: dict[str, str] = {}
    for node in ast.parse(shelf.read_bytes(), filename=str(shelf)).body:
        if isinstance(node, ast.ImportFrom) and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif not ast.unparse(node).startswith(INERT):
            return None
    return names


@cache
def _hash(file: Path, _changed: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _pytest_settings(root: Path) -> str:
    file = root / "pyproject.toml"
    settings = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return json.dumps(settings.get("tool", {}).get("pytest", {}), sort_keys=True)
