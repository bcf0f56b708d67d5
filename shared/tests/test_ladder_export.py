"""Exports hold no solution, and stand alone: a learner unpacks, starts, checks and hands in."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from shared.ladder.export import needed, write_house
from shared.ladder.project import ROOT, find, projects
from shared.ladder.stubs import stub_file

FOLDER, MEAN = "phase01_demo/project01_sum", "phase02_demo/project02_mean"
NO_REFERENCE = "there is no reference here: this folder was handed out without the solution of project 1"


def reference(house):
    return (house / FOLDER / "sums.py").read_text()


def test_the_zip_holds_stubs_tests_and_no_solution(house, ladder):
    said = ladder("export", 1, "--out", "dist")
    assert said.code == 0
    assert "✓ dist/project01_sum.zip" in said.out
    with zipfile.ZipFile(house / "dist/project01_sum.zip") as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
        texts = [archive.read(name).decode(errors="replace") for name in archive.namelist()]
    wanted = {
        "README.md",
        "pyproject.toml",
        f"{FOLDER}/sums.py",
        f"{FOLDER}/test_sums.py",
        f"{FOLDER}/project.toml",
    }
    assert wanted | {"phase01_demo/__init__.py", "shared/ladder/cli.py"} <= names
    assert not any(name.startswith(("phase02", "shared/tests", "work")) for name in names)
    assert not any("result += value" in text for text in texts)


def test_the_export_of_a_higher_project_brings_the_lower_whole(house, tmp_path):
    write_house(find(2), tmp_path / "out")
    assert (tmp_path / "out" / FOLDER / "sums.py").read_text() == reference(house)
    assert (tmp_path / "out" / MEAN / "means.py").read_text() == stub_file(find(2), "means.py")
    assert not (tmp_path / "out/phase02_demo/project02_mean/mutants.toml").exists()


def test_the_released_models_that_a_project_needs_come_along(house, tmp_path, monkeypatch):
    monkeypatch.setenv("LADDER_DATA", str(tmp_path / "data"))
    for name in ("sum-model", "other-model"):
        (tmp_path / "data/models" / name).mkdir(parents=True)
        (tmp_path / "data/models" / name / "card.json").write_text("{}")
    toml = house / "phase02_demo/project02_mean/project.toml"
    toml.write_text(toml.read_text().replace("needs = []", 'needs = ["sum-model", "a patient mind"]'))
    write_house(find(2), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out/data/models").iterdir()] == ["sum-model"]


def test_what_a_project_needs_is_found_through_shelves_and_siblings(house):
    shared = house / "shared"
    shared.mkdir()
    (shared / "phase01.py").write_text("from phase01_demo.project01_sum.sums import total\n")
    means = house / "phase02_demo/project02_mean/means.py"
    means.write_text(
        means.read_text().replace("from phase01_demo.project01_sum.sums import", "from shared.phase01 import")
    )
    sibling = house / "phase02_demo/project03_sibling"
    sibling.mkdir()
    (sibling / "a.py").write_text("import shared.phase01\n")
    means.write_text(
        "from ..project03_sibling import a\nfrom .. import project03_sibling\n" + means.read_text()
    )
    deeper = house / "phase02_demo/project04_deeper"
    deeper.mkdir()
    (deeper / "b.py").write_text("")
    (means.parent / "given").mkdir()
    (means.parent / "given/example.py").write_text("from ...project04_deeper import b\n")
    paths = {path.as_posix() for path in needed(find(2))}
    assert paths == {
        FOLDER,
        "phase02_demo/project02_mean",
        "phase02_demo/project03_sibling",
        "phase02_demo/project04_deeper",
        "shared/phase01.py",
    }
    write_house(find(2), house / "out")
    assert (house / "out/shared/phase01.py").is_file()
    write_house(find(1), house / "one")
    assert not (house / "one/shared/phase01.py").exists()


def unzipped(file, folder):
    """Unpack a zip, without what lay in it before; returns the folder that it holds."""
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
        (top,) = {name.partition("/")[0] for name in archive.namelist()}
    return folder / top


def texts(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def learner(house, *arguments):
    """A learner's command in an unpacked folder, in a process of its own."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LADDER_")}
    environment |= {"PYTHONPATH": str(house), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "shared.ladder", *map(str, arguments)],
        cwd=house, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_a_course_stands_on_the_learners_own_lower_projects(house, ladder, tmp_path):
    said = ladder("export", 2, 1, "--out", "dist")
    assert "✓ dist/project02_mean.zip" in said.out
    assert "stands on the learner's own project 1" in said.out
    assert "solution" not in said.out
    for name in ("project01_sum", "project02_mean"):
        top = unzipped(house / f"dist/{name}.zip", tmp_path / name)
        assert top.name == "llm-ladder"
        assert not any(
            b"result += value" in text or b"return total(values) / len" in text
            for text in texts(top).values()
        )
    second = tmp_path / "project02_mean/llm-ladder"
    assert "This project stands on your own project 1: unpack it where" in (second / "README.md").read_text()
    # Unpacked into one folder, the second leaves the learner's work as it is.
    top = unzipped(house / "dist/project01_sum.zip", tmp_path / "both")
    assert learner(top, "start", 1)[0] == 0
    (top / "work" / FOLDER / "sums.py").write_text(reference(house))
    unzipped(house / "dist/project02_mean.zip", tmp_path / "both")
    assert learner(top, "start", 2)[0] == 0
    (top / "work" / MEAN / "means.py").write_text((house / MEAN / "means.py").read_text())
    code, said = learner(top, "check", 2)
    assert code == 0, said
    assert "Using yours: 1 Sums, 2 Means" in said


def test_what_the_learner_has_not_written_below_fails_and_is_named(house, ladder, tmp_path):
    ladder("export", 1, 2, "--out", "dist")
    top = unzipped(house / "dist/project02_mean.zip", tmp_path)
    learner(top, "start", 2)
    (top / "work" / MEAN / "means.py").write_text((house / MEAN / "means.py").read_text())
    code, said = learner(top, "check", 2)
    assert code == 1
    assert "Using stubs: 1 Sums" in said
    assert "needs total of your project 1, still a stub" in said


@pytest.mark.parametrize("arguments", [(2,), (1, 2, "--below", "reference")])
def test_an_export_that_holds_a_solution_says_so(house, ladder, tmp_path, arguments):
    said = ladder("export", *arguments, "--out", "dist")
    assert "holds the solution of project 1, on which it stands" in said.out
    assert ("gives away what this export asks for in project 1" in said.out) == (len(arguments) > 1)
    top = unzipped(house / "dist/project02_mean.zip", tmp_path)
    assert (top / FOLDER / "sums.py").read_text() == reference(house)
    assert "It comes with project 1 solved" in (top / "README.md").read_text()


def test_a_zip_from_the_learners_first_step_to_the_teachers_last(house, ladder, tmp_path):
    ladder("export", 1, "--out", "dist")
    top = unzipped(house / "dist/project01_sum.zip", tmp_path)
    assert learner(top, "start", 1)[0] == 0
    mine = top / "work" / FOLDER / "sums.py"
    code, said = learner(top, "check", 1)
    assert (code, "task 1 is still to write" in said) == (1, True)
    mine.write_text(reference(house))
    code, said = learner(top, "check", 1)
    assert (code, "Project 1 is yours: 5 points" in said) == (0, True)
    assert "Beside the reference" not in said
    code, said = learner(top, "solution", 1, 1)
    assert (code, said) == (2, f"ladder: {NO_REFERENCE}")
    code, said = learner(top, "bench", 1)
    assert code == 0
    assert "There is no reference here to compare with: yours alone." in said
    assert "total 6" in said
    shutil.make_archive(str(tmp_path / "handed/ann"), "zip", top, "work")
    said = ladder("grade", tmp_path / "handed", "--project", 1)
    assert "ann 2 3 5" in said.out


def test_the_folder_to_hand_in_is_not_ignored_by_git(house, tmp_path):
    (house / ".gitignore").write_text("__pycache__/\n/work\nwork/\n/dist/\n")
    write_house(find(1), tmp_path / "out")
    assert (tmp_path / "out/.gitignore").read_text() == "__pycache__/\n/dist/\n"


def test_the_start_names_python_a_virtual_environment_and_the_extras(house, tmp_path):
    text = (
        (house / "pyproject.toml")
        .read_text()
        .replace('version = "0.1.0"', 'version = "0.1.0"\nrequires-python = ">=3.12"')
    )
    text += "\n[project.optional-dependencies]\nphase01 = []\nphase02 = []\nphase03 = []\ndev = []\n"
    (house / "pyproject.toml").write_text(text)
    write_house(find(2), tmp_path / "out")
    start = (tmp_path / "out/README.md").read_text()
    for words in (
        "Python 3.12 or newer",
        "python3 -m venv .venv",
        "pip install -e '.[phase01,phase02]'",
        "ladder start 2",
    ):
        assert words in start


@pytest.mark.parametrize("number", [project.number for project in projects(ROOT)])
def test_what_this_repository_exports_shows_its_pictures_and_has_its_models(number, tmp_path):
    project = find(number, ROOT)
    write_house(project, tmp_path / "out")
    pictures = 0
    for readme in (tmp_path / "out").rglob("*.md"):
        for link in re.findall(r"!\[[^]]*\]\(([^)]+)\)", readme.read_text()):
            assert (readme.parent / link).is_file()
            pictures += 1
    assert pictures > 0
    assert (tmp_path / "out/Makefile").is_file()
    for name in project.produces:
        assert (tmp_path / "out/data/models" / name).is_dir() == (ROOT / "data/models" / name).is_dir()
