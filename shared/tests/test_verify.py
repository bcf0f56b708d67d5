"""A verdict holds as long as nothing has changed that it depends on; and one that is forged or blind is found out."""

import json
import subprocess

import pytest

from shared.ladder import verify as verifying
from shared.ladder.export import missing, write_house
from shared.ladder.project import find
from shared.ladder.verdicts import FILE, KINDS, Verdicts, depends_on, is_drawn, key

SUM, MEAN = "phase01_demo/project01_sum", "phase02_demo/project02_mean"


@pytest.fixture
def quick(monkeypatch):
    """Neither mutate, notebook nor benchmark, which take seconds."""
    real = verifying._command
    monkeypatch.setattr(
        verifying, "_command", lambda check, folder: real(check, folder) if check.kind == "export" else []
    )


@pytest.fixture
def draw(monkeypatch):
    """Draw these runs, by name, of the checks that have a verdict."""

    def drawn(*names):
        monkeypatch.setattr(verifying, "is_drawn", lambda commit, *what: what[-1] in names)

    drawn()
    return drawn


@pytest.fixture
def reruns(monkeypatch):
    """The commands that are started to run everything of a project, instead of starting them."""
    started = []
    real = subprocess.run

    def run(command, **options):
        if "verify" not in command:
            return real(command, **options)
        started.append(command[-2:])
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(verifying.subprocess, "run", run)
    return started


def edit(house, file, text="\n# changed\n"):
    path = house / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((path.read_text() if path.is_file() else "") + text)


def test_what_has_a_verdict_is_not_run_again(house, ladder, quick, draw):
    said = ladder("verify", 1)
    assert (said.code, said.out.count(" s ")) == (0, 2)
    again = ladder("verify", 1)
    assert again.code == 0
    assert "1 Sums 2 5 0/0 0 verdict - verdict" in again.out
    assert ladder("verify", 1, "--all").out.count(" s ") == 2


def test_a_forged_verdict_is_found(house, ladder, quick, draw, reruns):
    assert ladder("verify", 1).code == 0
    edit(house, f"{SUM}/test_sums.py", "\n")
    tests = house / SUM / "test_sums.py"
    tests.write_text(
        tests.read_text().replace("assert counter.add(1) == 6", "").replace("add(3) == 5", "add(3) > 0")
    )
    forged = Verdicts(house)
    for kind in KINDS:
        forged.add(find(1), kind, key(find(1), kind))
    forged.write()
    assert ladder("verify", 1).code == 0, "believed, as nothing of it is drawn"
    draw("mutant forgets_the_count (task 2)")
    said = ladder("verify", 1)
    assert said.code == 1
    assert "project 1: mutant forgets_the_count (task 2) survives" in said.out
    assert "The verdict on project 1 does not hold. All of its checks:" in said.out
    assert reruns == [["1", "--all"]]
    assert "selfcheck" not in json.loads((house / FILE).read_text())[SUM]


def test_a_tenth_is_drawn_by_the_commit():
    names = [f"mutant {i}" for i in range(2000)]
    one, other = (
        {name for name in names if is_drawn(commit, SUM, "selfcheck", name)} for commit in ("a1", "b2")
    )
    assert 140 < len(one) < 260
    assert one != other
    assert one == {name for name in names if is_drawn("a1", SUM, "selfcheck", name)}


NOTES = "str(Path(__file__).parents[2] / 'notes.txt')"


@pytest.mark.parametrize(
    "lines",
    [
        [f"open({NOTES}).close()"],
        ["importlib.import_module('phase01_' + 'demo.notes')"],
        [f"code = 'open(' + repr({NOTES}) + ')'", "subprocess.run([sys.executable, '-c', code], check=True)"],
    ],
)
def test_a_dependency_that_is_missing_from_a_key_is_found(house, ladder, quick, draw, lines):
    edit(house, "notes.txt", "three\n")
    edit(house, "phase01_demo/notes.py", "THREE = 3\n")
    body = ["import importlib, subprocess, sys", "from pathlib import Path", *lines]
    edit(house, f"{SUM}/test_sums.py", "\n\ndef test_notes():\n    " + "\n    ".join(body) + "\n")
    said = ladder("verify", 1)
    assert said.code == 1
    what = said.out.partition("the reference, test_sums.py opens ")[2]
    assert what.partition(", on which the verdict of its selfcheck does not depend")[0] in (
        "notes.txt",
        "phase01_demo/notes.py",
    )
    assert "selfcheck" not in json.loads((house / FILE).read_text()).get(SUM, {})


@pytest.mark.parametrize(
    ("file", "stale"),
    [
        (f"{SUM}/sums.py", {1: KINDS, 2: KINDS}),
        (f"{SUM}/project.toml", {1: KINDS, 2: KINDS}),
        (f"{SUM}/configs/smoke.yaml", {1: KINDS, 2: KINDS}),
        (f"{SUM}/test_sums.py", {1: ("selfcheck", "mutate", "export")}),
        (f"{SUM}/mutants.toml", {1: ("selfcheck", "mutate"), 2: ("selfcheck",)}),  # its variants
        (f"{SUM}/README.md", {1: ("export",)}),
        (f"{SUM}/explore.ipynb", {1: ("export", "notebook")}),
        (f"{SUM}/results/laptop.json", {}),
        (f"{MEAN}/means.py", {2: KINDS}),
        ("data/models/sum-model/card.json", {2: KINDS}),
        ("data/models/mean-model/card.json", {2: ("notebook", "benchmark")}),
        ("constraints.txt", {}),  # a library that nobody imports
        ("README.md", {}),
        ("work/phase01_demo/project01_sum/sums.py", {}),
    ],
)
def test_a_key_changes_with_what_it_depends_on_and_only_then(house, file, stale):
    toml = house / MEAN / "project.toml"
    toml.write_text(
        toml.read_text()
        .replace("needs = []", 'needs = ["sum-model"]')
        .replace("produces = []", 'produces = ["mean-model"]')
    )
    before = {(number, kind): key(find(number), kind) for number in (1, 2) for kind in KINDS}
    edit(
        house,
        file,
        "\n"
        if file.endswith("ipynb")
        else "# changed = 1\n"
        if file.endswith("txt") is False
        else "torch==1\n",
    )
    changed = {which for which, value in before.items() if key(find(which[0]), which[1]) != value}
    assert changed == {(number, kind) for number, kinds in stale.items() for kind in kinds}


def test_of_a_shelf_the_names_that_are_taken_count(house):
    """Project 1 puts two names on it, project 2 takes one."""
    shelf = house / "shared/phase01.py"
    shelf.parent.mkdir(exist_ok=True)
    taken = "from phase01_demo.project01_sum.sums import total"
    shelf.write_text(f'"""The shelf."""\n\n{taken}\n\n__all__ = ["total"]\n')
    edit(house, f"{MEAN}/means.py", "from shared.phase01 import total as sum_of\n")
    before = key(find(2), "selfcheck")

    def changes(text):
        shelf.write_text(text)
        return key(find(2), "selfcheck") != before

    another = taken.replace("import total", "import total, running_total")
    assert not changes(f'"""Another."""\n\n{another}\n\n__all__ = ["running_total", "total"]\n')
    assert changes(another.replace("import total", "import running_total as total"))
    assert changes(f"{another}\nrunning_total(())\n")  # it does something
    shelf.write_text(another)
    edit(house, f"{MEAN}/means.py", "from shared import phase01\n")
    with_all = key(find(2), "selfcheck")
    shelf.write_text(taken)
    assert key(find(2), "selfcheck") != with_all


def test_a_key_changes_with_what_is_imported_and_what_that_requires(house):
    """Of the pinned versions: hypothesis requires sortedcontainers, on which project 2 does not depend."""
    edit(house, f"{SUM}/test_sums.py", "\nimport hypothesis\n")
    (house / "pyproject.toml").write_text('[project]\ndependencies = ["rich"]\n')

    def stale(pin):
        before = {number: key(find(number), "selfcheck") for number in (1, 2)}
        edit(house, "constraints.txt", f"{pin}\n")
        return [number for number, value in before.items() if key(find(number), "selfcheck") != value]

    assert stale("hypothesis==1") == [1]
    assert stale("sortedcontainers==1") == [1]
    assert stale("Pygments==1") == [1, 2], "which rich requires, and every project rich"
    assert stale("networkx==1") == []


def test_on_another_processor_the_reference_runs_and_the_rest_is_believed(
    house, ladder, quick, draw, monkeypatch
):
    assert ladder("verify", 1).code == 0
    ran = []
    real = verifying.Verification.then
    monkeypatch.setattr(
        verifying.Verification,
        "then",
        lambda self, outcome: ran.append(outcome.job.name) or real(self, outcome),
    )
    before = (house / FILE).read_text()
    assert ladder("verify", 1).code == 0
    assert ran == []
    monkeypatch.setattr("shared.ladder.verdicts.abilities", lambda: ["avx1024"])
    said = ladder("verify", 1)
    assert (said.code, ran) == (0, ["the reference, test_sums.py"])
    assert "verdict, 1" in said.out
    assert (house / FILE).read_text() == before


def test_a_fault_on_another_processor_ends_the_verdict(house, ladder, quick, draw, reruns, monkeypatch):
    edit(
        house,
        f"{SUM}/test_sums.py",
        "\nimport os\n\n\ndef test_here():\n    assert 'ELSEWHERE' not in os.environ\n",
    )
    assert ladder("verify", 1).code == 0
    monkeypatch.setattr("shared.ladder.verdicts.abilities", lambda: ["avx1024"])
    monkeypatch.setenv("ELSEWHERE", "1")
    assert ladder("verify", 1).code == 1
    assert reruns == [["1", "--all"]]


def test_a_notebook_depends_on_what_its_cells_import(house):
    edit(house, "shared/extra.py", "X = 1\n")
    cell = {"cell_type": "code", "source": ["%matplotlib inline\n", "from shared.extra import X\n"]}
    (house / SUM / "explore.ipynb").write_text(json.dumps({"cells": [cell]}))
    assert house / "shared/extra.py" in depends_on(find(1), "notebook")
    assert house / "shared/extra.py" not in depends_on(find(1), "benchmark")


def test_the_exported_folder_passes_alone(house, ladder, quick, draw):
    said = ladder("verify", 2)
    assert said.code == 1, "project 2 has neither notebook nor benchmark nor README"
    assert "the exported folder" not in said.out


def test_an_exported_folder_that_lacks_something_says_what(house, tmp_path, ladder, quick, draw, monkeypatch):
    write_house(find(2), tmp_path / "out")
    needed = sorted(file.relative_to(house).as_posix() for file in depends_on(find(2), "selfcheck"))
    needed = [file for file in needed if not file.endswith("mutants.toml")]
    assert missing(tmp_path / "out", needed) == []
    (tmp_path / "out" / SUM / "sums.py").unlink()
    assert missing(tmp_path / "out", needed) == [f"{SUM}/sums.py"]


def test_an_exported_folder_that_does_not_pass_shows_what_it_said(house, ladder, quick, draw):
    tests = house / SUM / "test_sums.py"
    tests.write_text(
        tests.read_text().replace(
            "def test_total_equals_sum", "def test_total(values):\n    assert False\n\n\ndef test_"
        )
    )
    said = ladder("verify", 1)
    assert said.code == 1
    assert "the exported folder does not pass alone (exit code 1); it says:" in said.out
