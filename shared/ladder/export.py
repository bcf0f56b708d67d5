"""`ladder export`: one project as a zip that stands alone, with stubs where the solution was.

Inside are the project with its tests and README, the `shared` package, the projects that it imports and the
released models that it needs. The files that its tasks write are stubs, both in the project's folder and, ready
to be written, in `work/`. Mutants are left out: each shows a line of the solution.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from rich.markup import escape

from shared.files import data_folder, replacing
from shared.ladder.house import counted, say, short
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
    phases = {path.parts[0] for path in paths}
    pyproject = house / "pyproject.toml"
    if pyproject.is_file():
        pyproject.write_text(_without_phases(pyproject.read_text(encoding="utf-8"), phases), encoding="utf-8")
    _copy(SHARED, house / "shared", shelves={path.name for path in paths if path.parts[0] == "shared"})
    for phase in phases - {"shared"}:
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
    found: set[Path] = set()
    waiting = [project.path]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        base = root if path.parts[0] != "shared" else SHARED.parent
        files = (base / path).rglob("*.py") if (base / path).is_dir() else [base / path]
        for file in files:
            waiting += _imports(file, root)
    return found


def export_passes(project: Project) -> list[str]:
    """Faults of the exported folder: its tests must pass there once the reference is filled in."""
    with tempfile.TemporaryDirectory(prefix="ladder-") as folder:
        house = Path(folder).resolve() / project.folder.name
        write_house(project, house)
        for file in project.files:
            shutil.copy2(project.folder / file, house / "work" / project.path / file)
        values = {key: value for key, value in os.environ.items() if not key.startswith("LADDER_")}
        values |= {"PYTHONPATH": str(house), "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "shared.ladder", "check", str(project.number)]
        done = subprocess.run(
            command, cwd=house, env=values, capture_output=True, text=True, encoding="utf-8"
        )
    if done.returncode == 0:
        return []
    said = (done.stdout + done.stderr).strip()
    return [f"the exported folder does not pass alone; it says:\n{said}"]


def _imports(file: Path, root: Path) -> Iterator[Path]:
    """Project folders and shelves that a file imports, anywhere in it."""
    package = file.relative_to(root).parent.parts if file.is_relative_to(root) else ()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base_name = ".".join([*start, *filter(None, [node.module])])
            names = [f"{base_name}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if (
                len(parts) > 1
                and re.fullmatch(r"phase\d\d_\w+", parts[0])
                and (root / parts[0] / parts[1]).is_dir()
            ):
                yield Path(parts[0], parts[1])
            if len(parts) > 1 and parts[0] == "shared" and re.fullmatch(r"phase\d\d", parts[1]):
                yield Path("shared", f"{parts[1]}.py")


def _copy(source: Path, target: Path, shelves: set[str] | None = None) -> None:
    for file in sorted(source.rglob("*")):
        inner = file.relative_to(source)
        if not file.is_file() or LEFT_OUT & set(inner.parts):
            continue
        if shelves is not None and re.fullmatch(r"phase\d\d\.py", inner.name) and inner.name not in shelves:
            continue
        shutil.copy2(file, _made((target / inner).parent) / file.name)


def _without_phases(text: str, kept: set[str]) -> str:
    """pyproject.toml without the entries of phases that are not in the zip."""
    for phase in set(re.findall(r'"(phase\d\d_\w+)"', text)) - kept:
        for entry in (f'"{phase}", ', f', "{phase}"', f'"{phase}"'):  # first, last, or alone in its list
            text = text.replace(entry, "")
    return text


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
