"""Exports hold no solution, and stand alone: a learner unpacks, starts, checks and hands in."""

import zipfile

import pytest

from shared.ladder.export import needed, write_house
from shared.ladder.project import find
from shared.ladder.stubs import stub_file

FOLDER = "phase01_demo/project01_sum"


def reference(house):
    return (house / FOLDER / "sums.py").read_text()


def test_the_zip_holds_stubs_tests_and_no_solution(house, ladder):
    said = ladder("export", 1, 2, "--out", "dist")
    assert said.code == 0
    assert "✓ dist/project01_sum.zip" in said.out
    assert "with project 1 whole" in said.out
    with zipfile.ZipFile(house / "dist/project01_sum.zip") as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
        texts = [archive.read(name).decode(errors="replace") for name in archive.namelist()]
    wanted = {
        "README.md",
        "pyproject.toml",
        f"{FOLDER}/sums.py",
        f"work/{FOLDER}/sums.py",
        f"{FOLDER}/test_sums.py",
    }
    assert wanted | {f"{FOLDER}/project.toml", "phase01_demo/__init__.py", "shared/ladder/cli.py"} <= names
    assert not any(name.startswith(("phase02", "shared/tests")) for name in names)
    assert not any("result += value" in text for text in texts)


def test_the_export_of_a_higher_project_brings_the_lower_whole(house, tmp_path):
    write_house(find(2), tmp_path / "out")
    assert (tmp_path / "out" / FOLDER / "sums.py").read_text() == reference(house)
    assert (tmp_path / "out/work/phase02_demo/project02_mean/means.py").read_text() == stub_file(
        find(2), "means.py"
    )
    assert not (tmp_path / "out/work" / FOLDER).exists()
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
