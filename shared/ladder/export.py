"""`ladder export`: a project as a zip that stands alone, with stubs where the solution was.

Inside are the project with its tests, README and pictures, the `shared` package, the projects that it imports and the
released models. The files that its tasks write are stubs, and so are those of the lower projects of a course, which
learners have written by then. Mutants are left out: each shows a line of the solution.
"""

import re
import shutil
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from rich.markup import escape

from shared.files import data_folder, replacing
from shared.ladder.committed import MANIFEST, manifest
from shared.ladder.house import counted, say, short
from shared.ladder.imports import closure, lower
from shared.ladder.jobs import WHOLE_SECONDS, Job
from shared.ladder.project import Project, root_folder
from shared.ladder.scaffold import COURSE, GIVEN_AWAY, START
from shared.ladder.stubs import stub_file

SHARED = Path(__file__).resolve().parents[1]
ROOT_FILES = ("pyproject.toml", "constraints.txt", "conftest.py", "LICENSE", "Makefile")
IGNORED = ".gitignore"
LEFT_OUT = {"__pycache__", ".ipynb_checkpoints", "tests", "mutants.toml"}
COURSE_FOLDER = "llm-ladder"  # all zips of a course unpack into this one


def export(chosen: list[Project], out: Path, with_reference: bool = False) -> None:
    """Write `<number>-<name>.zip` into `out` for each project, whole or not at all.

    Several projects are a course: each takes the learner's own lower ones of it, so no zip holds the solution of
    another. What is not in the course, and with `with_reference` all that is below, comes with its solution.
    """
    for project in chosen:
        below = lower(project)
        own = [] if with_reference else [rung for rung in below if rung in chosen]
        whole = [rung for rung in below if rung not in own]
        target = out / f"{project.folder.name}.zip"
        with tempfile.TemporaryDirectory(prefix="ladder-") as folder:
            house = Path(folder, COURSE_FOLDER if own or len(chosen) > 1 else project.folder.name)
            write_house(project, house, own)
            count = _zip(house, target)
        size = target.stat().st_size / 1024
        say(f"[green]✓[/] {short(target)}  [dim]{counted(count, 'file')}, {size:,.0f} KiB[/]")
        if own:
            say(f"  stands on the learner's own {_named(own)}")
        if whole:
            also = [rung for rung in whole if rung in chosen]
            gives_away = f", and so gives away what this export asks for in {_named(also)}" if also else ""
            say(f"  [yellow]holds the solution of {_named(whole)}[/], on which it stands{escape(gives_away)}")


def write_house(project: Project, house: Path, own: Collection[Project] = ()) -> None:
    """Write what the zip holds into the folder `house`. The lower projects `own` are stubs, others are whole."""
    root = root_folder()
    paths = needed(project)
    for name in ROOT_FILES:
        if (root / name).is_file():
            _put(house / name, (root / name).read_text(encoding="utf-8"))
    if (root / IGNORED).is_file():  # the learner's folder is to be handed in, by git as well
        lines = (root / IGNORED).read_text(encoding="utf-8").splitlines()
        _put(house / IGNORED, "".join(f"{line}\n" for line in lines if line.strip("/") != "work"))
    _copy(SHARED, house / "shared", shelves={path.name for path in paths if path.parts[0] == "shared"})
    for phase in {path.parts[0] for path in paths} - {"shared"}:
        for file in (root / phase).glob("*.*"):
            shutil.copy2(file, _made(house / phase) / file.name)
    for path in paths:
        if path.parts[0] != "shared":
            _copy(root / path, house / path)
    for rung in [project, *own]:
        for file in rung.files:
            _put(house / rung.path / file, stub_file(rung, file))
    for name in [*project.needs, *project.produces]:
        if (data_folder() / "models" / name).is_dir():
            _copy(data_folder() / "models" / name, house / "data" / "models" / name)
    _put(house / "README.md", _start(project, own))
    _put(house / MANIFEST, manifest(house))


def _start(project: Project, own: Collection[Project]) -> str:
    """The text that a learner reads first."""
    whole = [rung for rung in lower(project) if rung not in own]
    text = START.format(
        number=project.number,
        title=project.title,
        build=project.build,
        python=_python(),
        extras=_extras(project),
        work=f"work/{project.path.as_posix()}",
        files=", ".join(f"`{file}`" for file in project.files),
        folder=project.path.as_posix(),
    )
    if own:
        text += COURSE.format(projects=_named(own))
    if whole:
        text += GIVEN_AWAY.format(projects=_named(whole))
    return text


def _named(rungs: Iterable[Project]) -> str:
    numbers = [str(rung.number) for rung in rungs]
    listed = " and ".join(filter(None, [", ".join(numbers[:-1]), numbers[-1]]))
    return f"project{'s' * (len(numbers) > 1)} {listed}"


def _settings() -> dict[str, Any]:
    file = root_folder() / "pyproject.toml"
    return tomllib.loads(file.read_text(encoding="utf-8")).get("project", {}) if file.is_file() else {}


def _python() -> str:
    return str(_settings().get("requires-python", ">=3.11")).lstrip(">=")


def _extras(project: Project) -> str:
    """The extras of the phases up to the project's, as pip takes them: what its tests compare with."""
    known = _settings().get("optional-dependencies", {})
    names = [
        name for name in sorted(known) if re.fullmatch(r"phase\d\d", name) and int(name[5:]) <= project.phase
    ]
    return f"[{','.join(names)}]" if names else ""


def needed(project: Project) -> set[Path]:
    """The project folders and shelves that a project's files import, also through others; itself included."""
    root = root_folder()
    files = closure(project.folder.rglob("*.py"), root)
    return {place for file in files if (place := _place(file.relative_to(root)))}


def _place(file: Path) -> Path | None:
    """The project's folder or the shelf that a file belongs to."""
    first, second = (*file.parts, "")[:2]
    if re.fullmatch(r"phase\d\d_\w+", first) and len(file.parts) > 2:
        return Path(first, second)
    return file if first == "shared" and re.fullmatch(r"phase\d\d\.py", second) else None


def export_job(project: Project, folder: Path) -> Job:
    """A short run of the exported folder, with the reference filled in: the tests of its first task pass there."""
    house = folder.resolve() / project.folder.name
    write_house(project, house)
    for file in project.files:
        shutil.copy2(project.folder / file, _made(house / "work" / project.path) / file)
    check = (sys.executable, "-m", "shared.ladder", "check", str(project.number), "--task", "1")
    return Job("export", project, command=check, folder=house, seconds=WHOLE_SECONDS)


def missing(house: Path, files: Iterable[str]) -> list[str]:
    """Those of the files, which a run of the project's tests may open, that an exported folder lacks."""
    return sorted(file for file in files if not (house / file).is_file())


def _copy(source: Path, target: Path, shelves: set[str] | None = None) -> None:
    for file in sorted(source.rglob("*")):
        inner = file.relative_to(source)
        if not file.is_file() or LEFT_OUT & set(inner.parts):
            continue
        if shelves is not None and re.fullmatch(r"phase\d\d\.py", inner.name) and inner.name not in shelves:
            continue
        shutil.copy2(file, _made((target / inner).parent) / file.name)


def _zip(folder: Path, target: Path) -> int:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.relative_to(folder.parent))
    return len(files)


def _put(path: Path, text: str) -> None:
    (_made(path.parent) / path.name).write_text(text, encoding="utf-8")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
