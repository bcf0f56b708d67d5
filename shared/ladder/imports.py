"""What Python files and notebooks import, read from their text: nothing is run."""

import ast
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from shared.ladder.project import Project, projects, root_folder


def imports(file: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of all that a file below `root` imports, anywhere in it.

    `from a import b` counts as `a.b`, for b may be a module. Raises SyntaxError for a file that does not parse.
    """
    package = file.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(_code(file), filename=str(file))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*start, *filter(None, [node.module])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


@cache
def imported(file: Path, root: Path, _changed: int) -> tuple[str, ...]:
    """The names that `imports` finds, each once; `_changed` is when the file was, for it is read once until then."""
    return tuple(dict.fromkeys(name for _, name in imports(file, root)))


def _code(file: Path) -> str | bytes:
    """The file's Python; of a notebook, that of its cells, without the lines that are for Jupyter."""
    if file.suffix != ".ipynb":
        return file.read_bytes()
    cells = json.loads(file.read_text(encoding="utf-8")).get("cells", [])
    lines = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code").splitlines()
    return "\n".join("pass" if line.lstrip().startswith(("%", "!")) else line for line in lines)


def libraries(file: Path) -> set[str]:
    """The packages that are imported when the file is: what its functions import later does not count."""
    found: set[str] = set()
    for node in ast.parse(file.read_bytes(), filename=str(file)).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def closure(files: Iterable[Path], root: Path) -> set[Path]:
    """The files, and all files below `root` that they import, also through others."""
    found: set[Path] = set()
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _imported_files(file, root, file.stat().st_mtime_ns)
    return found


@cache
def _imported_files(file: Path, root: Path, changed: int) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(path for name in imported(file, root, changed) for path in _files(name, root)))


def _files(name: str, root: Path) -> Iterator[Path]:
    """The files that are run when `name` is imported: a package's __init__.py comes before what is inside it."""
    folder = root
    for part in name.split("."):
        if (file := folder / f"{part}.py").is_file():
            yield file
            return
        folder = folder / part
        if not folder.is_dir():
            return
        if (file := folder / "__init__.py").is_file():
            yield file


def lower(project: Project) -> list[Project]:
    """The lower projects that a project imports, also through others, by number."""
    reached = closure(project.folder.rglob("*.py"), root_folder())
    return [
        rung
        for rung in projects()
        if rung.number < project.number and any(file.is_relative_to(rung.folder) for file in reached)
    ]
