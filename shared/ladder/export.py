"""`ladder export`: one project as a zip that stands alone, with stubs where the solution was.

Inside are the project with its tests and README, the `shared` package, the projects that it imports and the
released models that it needs. The files that its tasks write are stubs, both in the project's folder and, ready
to be written, in `work/`. Mutants are left out: each shows a line of the solution.
"""

import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from rich.markup import escape

from shared.files import data_folder, replacing
from shared.ladder.house import counted, say, short
from shared.ladder.imports import closure
from shared.ladder.jobs import WHOLE_SECONDS, Job
from shared.ladder.project import Project, projects, root_folder
from shared.ladder.stubs import stub_file

SHARED = Path(__file__).resolve().parents[1]
ROOT_FILES = ("pyproject.toml", "constraints.txt", "conftest.py", "LICENSE", ".gitignore")
LEFT_OUT = {"__pycache__", "results", ".ipynb_checkpoints", "tests", "mutants.toml"}
BEGIN = """# Project {number}: {title}

{build}

    pip install -e . -c constraints.txt
    ladder check {number} --watch

Your files are in `{work}`: {files}. Write one function at a time; the tests say which is next.
`{folder}/README.md` has the idea, the tasks and what the output should look like. Hand in your `work` folder.
"""


def export(chosen: list[Project], out: Path) -> None:
    """Write `<number>-<name>.zip` into `out` for each project, whole or not at all."""
    for project in chosen:
        target = out / f"{project.folder.name}.zip"
        with tempfile.TemporaryDirectory(prefix="ladder-") as folder:
            house = Path(folder, project.folder.name)
            write_house(project, house)
            count = _zip(house, target)
        below = [rung.number for rung in projects() if rung.path in needed(project) and rung != project]
        stands = f", with project {', '.join(map(str, below))} whole" if below else ""
        size = target.stat().st_size / 1024
        say(f"[green]✓[/] {short(target)}  [dim]{counted(count, 'file')}, {size:,.0f} KiB{escape(stands)}[/]")


def write_house(project: Project, house: Path) -> None:
    """Write what the zip holds into the folder `house`."""
    root = root_folder()
    paths = needed(project)
    for name in ROOT_FILES:
        if (root / name).is_file():
            _put(house / name, (root / name).read_text(encoding="utf-8"))
    _copy(SHARED, house / "shared", shelves={path.name for path in paths if path.parts[0] == "shared"})
    for phase in {path.parts[0] for path in paths} - {"shared"}:
        for file in (root / phase).glob("*.*"):
            shutil.copy2(file, _made(house / phase) / file.name)
    for path in paths:
        if path.parts[0] != "shared":
            _copy(root / path, house / path)
    for file in project.files:
        stub = stub_file(project, file)
        _put(house / project.path / file, stub)
        _put(house / "work" / project.path / file, stub)
    for name in project.needs:
        if (data_folder() / "models" / name).is_dir():
            _copy(data_folder() / "models" / name, house / "data" / "models" / name)
    begin = BEGIN.format(
        number=project.number,
        title=project.title,
        build=project.build,
        work=f"work/{project.path.as_posix()}",
        files=", ".join(f"`{file}`" for file in project.files),
        folder=project.path.as_posix(),
    )
    _put(house / "README.md", begin)


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
        shutil.copy2(project.folder / file, house / "work" / project.path / file)
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
