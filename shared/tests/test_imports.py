"""Who may import whom, in every file and in any phase to come: the one place where the rule is checked.

No chain of imports need be followed. A file may import only what is below it, or beside it: the core, a shelf of a
lower phase, its own phase. So where each single import obeys, no chain can climb to a higher phase, lead into another
phase's folder but by its shelf, or take the core into a phase.
"""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

from shared.files import ROOT
from shared.ladder.imports import imports

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PHASES = sorted(path.parent.name for path in ROOT.glob("phase??_*/__init__.py"))


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


@pytest.mark.parametrize("name", ["shared", *PHASES, "phase02_finetuning", "phase10_deployment"])
def test_the_globs_of_pyproject_take_in_every_phase_there_is_and_any_to_come(name):
    tools = PYPROJECT["tool"]
    for globs in (
        tools["pytest"]["ini_options"]["testpaths"],
        tools["pyright"]["include"],
        [path.removeprefix("/") for path in tools["hatch"]["build"]["targets"]["wheel"]["include"]],
    ):
        assert [glob for glob in globs if fnmatch(name, glob)], f"{globs} do not take in {name}"
        assert not any(fnmatch(other, glob) for glob in globs for other in ("data", "work", "phases"))


def test_what_ladder_new_makes_obeys(house, ladder):
    for number, phase in (
        (8, "phase03_core_inference"),
        (9, "phase03_core_inference"),
        (30, "phase10_deployment"),
    ):
        assert ladder("new", number, phase, "thing").code == 0
    assert (
        len([file for file in house.glob("phase??_*/project??_thing/*.py") if list(imports(file, house))])
        == 12
    )
    house_faults = faults(house)
    assert [fault for fault in house_faults if "_thing" in fault] == []
    assert house_faults, "the house's second project breaks the rule, and is seen beside them"
