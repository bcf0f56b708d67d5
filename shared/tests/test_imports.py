"""Who may import whom, in every file and in any phase to come. `make imports` also follows chains of imports."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from shared.files import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PHASES = sorted(path.parent.name for path in ROOT.glob("phase??_*/__init__.py"))
SHELVES = sorted(path.stem for path in ROOT.glob("shared/phase??.py"))


class Place(NamedTuple):
    """Where a module belongs. Numbers are 0 where they mean nothing."""

    kind: str  # core, shelf, phase, project, or other: a library
    phase: int = 0
    project: int = 0


def place(module: str) -> Place:
    first, second, *_ = [*module.split("."), ""]
    if shelf := re.fullmatch(r"shared\.phase(\d\d)", f"{first}.{second}"):
        return Place("shelf", int(shelf[1]))
    if first == "shared":
        return Place("core")
    if not (phase := re.fullmatch(r"phase(\d\d)_\w+", first)):
        return Place("other")
    if project := re.fullmatch(r"project(\d\d)_\w+", second):
        return Place("project", int(phase[1]), int(project[1]))
    return Place("phase", int(phase[1]))


def may_import(importer: Place, imported: Place) -> bool:
    if imported.kind in ("core", "other"):
        return True
    same_phase = importer.phase == imported.phase
    match importer.kind:
        case "shelf":
            return same_phase and imported.kind != "shelf"
        case "project" | "phase":
            if imported.kind == "shelf":
                return imported.phase < importer.phase
            return same_phase and imported.project <= importer.project
    return False


def imports(file: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of all that a file imports, anywhere in it."""
    package = file.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*start, *filter(None, [node.module])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def faults(root: Path) -> list[str]:
    return [
        f"{file.relative_to(root)}:{line} imports {name}"
        for folder in ("shared", "phase??_*")
        for file in sorted(root.glob(f"{folder}/**/*.py"))
        for line, name in imports(file, root)
        if not may_import(place(".".join(file.relative_to(root).with_suffix("").parts)), place(name))
    ]


def test_every_import_is_allowed():
    assert PHASES
    assert faults(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line", "allowed"),
    [
        ("shared/bench.py", "import shared.files", True),
        ("shared/bench.py", "import phase01_a.project01_a", False),
        ("shared/bench.py", "from phase01_a import project01_a", False),
        ("shared/bench.py", "from shared.phase01 import name", False),
        ("shared/bench.py", "from shared import phase01", False),
        ("shared/bench.py", "from . import phase01", False),
        ("shared/bench.py", "def f():\n    import phase01_a.project01_a", False),
        ("shared/ladder/cli.py", "from phase01_a.project01_a.model import GPT", False),
        ("shared/tests/test_bench.py", "import phase01_a", False),
        ("shared/phase02.py", "from phase02_b.project04_d import name", True),
        ("shared/phase02.py", "from phase01_a.project01_a import name", False),
        ("shared/phase02.py", "from phase03_c.project07_g import name", False),
        ("shared/phase02.py", "from shared.phase01 import name", False),
        ("shared/phase02.py", "import torch, shared.files", True),
        ("phase02_b/project05_e/lora.py", "from phase02_b.project05_e import linear", True),
        ("phase02_b/project05_e/lora.py", "from . import linear", True),
        ("phase02_b/project05_e/lora.py", "from phase02_b.project04_d.sft import loss", True),
        ("phase02_b/project05_e/lora.py", "from ..project04_d import sft", True),
        ("phase02_b/project05_e/lora.py", "from phase02_b.project06_f.dpo import loss", False),
        ("phase02_b/project05_e/lora.py", "from phase02_b import project06_f", False),
        ("phase02_b/project05_e/lora.py", "from ..project06_f import dpo", False),
        ("phase02_b/project05_e/lora.py", "from shared.phase01 import GPT", True),
        ("phase02_b/project05_e/lora.py", "from shared.phase02 import SFT", False),
        ("phase02_b/project05_e/lora.py", "from shared import phase03", False),
        ("phase02_b/project05_e/lora.py", "from phase01_a.project01_a.model import GPT", False),
        ("phase02_b/project05_e/lora.py", "from phase03_c.project07_g import name", False),
        ("phase02_b/project05_e/test_lora.py", "import torch\nimport phase01_a", False),
        ("phase02_b/__init__.py", "import shared.overlay", True),
        ("phase02_b/__init__.py", "import phase02_b.project04_d", False),
    ],
)
def test_each_rule_can_fail(tmp_path: Path, file: str, line: str, allowed: bool):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(line)
    assert (faults(tmp_path) == []) is allowed


def test_pyproject_names_every_phase():
    tools = PYPROJECT["tool"]
    contracts = tools["importlinter"]["contracts"]
    containers = [name for contract in contracts for name in contract.get("containers", [])]
    for named in (
        tools["pytest"]["ini_options"]["testpaths"],
        tools["pyright"]["include"],
        tools["hatch"]["build"]["targets"]["wheel"]["packages"],
        tools["importlinter"]["root_packages"],
        ["shared", *containers],
    ):
        assert sorted(named) == [*PHASES, "shared"]


def test_pyproject_protects_every_phase_and_shelf():
    protected = {
        tuple(contract["protected_modules"]): sorted(contract["allowed_importers"])
        for contract in PYPROJECT["tool"]["importlinter"]["contracts"]
        if contract["type"] == "protected"
    }
    wanted = {(phase,): [f"shared.{phase[:7]}"] for phase in PHASES if phase[:7] in SHELVES}
    wanted |= {(f"shared.{shelf}",): [phase for phase in PHASES if phase[:7] > shelf] for shelf in SHELVES}
    assert protected == wanted


def test_setup_installs_every_extra():
    extras = PYPROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    listed = re.fullmatch(r"llm-ladder\[(.*)\]", everything)
    assert listed
    assert sorted(listed[1].split(",")) == sorted(extras.keys() - {"all"})
