"""The pinned versions that files depend on: of the libraries that they import, and of all that these require.

So a library which is new, for a new phase, leaves the verdicts on other projects alone.
"""

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from shared.ladder.imports import imported

EVERYWHERE = "dev"  # the extra with what runs notebooks and tests, which count for every project


def pins(files: Iterable[Path], root: Path) -> list[str]:
    """The lines of constraints.txt that matter to these files, sorted.

    What a library takes along where it happens to be installed, and does not require, does not count.
    """
    packages = {top for file in files for top in _packages(file, root, file.stat().st_mtime_ns)}
    known = _distributions()
    start = {(canonicalize_name(found), "") for name in packages for found in known.get(name, [name])}
    needed, pinned = _required(start | _everywhere(root)), _pinned(root)
    return sorted(pinned[name] for name in needed if name in pinned)


@cache
def _packages(file: Path, root: Path, changed: int) -> tuple[str, ...]:
    if file.suffix not in (".py", ".ipynb"):
        return ()
    return tuple({name.partition(".")[0] for name in imported(file, root, changed)})


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def _required(start: Iterable[tuple[str, str]]) -> set[str]:
    """From distributions, each with an extra of it or none: those and all that they require on this machine."""
    found: set[tuple[str, str]] = set()
    waiting = list(start)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += _requires(*one)
    return {name for name, _ in found}


@cache
def _requires(name: str, extra: str) -> list[tuple[str, str]]:
    try:
        needed = map(Requirement, requires(name) or [])
    except PackageNotFoundError:
        return []
    return [
        one
        for other in needed
        if other.marker is None or other.marker.evaluate({"extra": extra})
        for one in _with_extras(other)
    ]


def _with_extras(requirement: Requirement) -> list[tuple[str, str]]:
    return [(canonicalize_name(requirement.name), extra) for extra in ("", *requirement.extras)]


def _pinned(root: Path) -> dict[str, str]:
    """The lines of constraints.txt, by the name of what they pin."""
    file = root / "constraints.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return {
        canonicalize_name(Requirement(line).name): line for line in lines if line and not line.startswith("#")
    }


def _everywhere(root: Path) -> set[tuple[str, str]]:
    file = root / "pyproject.toml"
    project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {}) if file.is_file() else {}
    lines = [*project.get("dependencies", []), *project.get("optional-dependencies", {}).get(EVERYWHERE, [])]
    return {one for line in lines for one in _with_extras(Requirement(line))}
