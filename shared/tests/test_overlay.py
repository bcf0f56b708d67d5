"""With an overlay the learner's files come first; what is missing or broken fails, and never in silence."""

import importlib
import importlib.util

import pytest

from shared.ladder.project import find
from shared.ladder.stubs import stub_file
from shared.overlay import overlay


@pytest.fixture
def yours(house, monkeypatch):
    """The learner's folder of project 1 with a sums.py that adds one to each total, in use."""
    folder = house / "work/phase01_demo/project01_sum"
    folder.mkdir(parents=True)
    text = (house / "phase01_demo/project01_sum/sums.py").read_text()
    (folder / "sums.py").write_text(text.replace("result = 0", "result = 1", 1))
    monkeypatch.setenv("LADDER_OVERLAY", str(house / "work"))
    return folder


def total():
    return importlib.import_module("phase01_demo.project01_sum.sums").total([1, 2])


def test_without_overlay_the_reference_is_used(house):
    assert total() == 3
    assert overlay(["/a/phase01_x/project01_y"]) == ["/a/phase01_x/project01_y"]


def test_the_learners_file_replaces_the_references(yours):
    assert total() == 4


def test_projects_above_get_the_learners_code(yours):
    means = importlib.import_module("phase02_demo.project02_mean.means")
    assert means.mean([1, 2]) == 2


def test_files_of_no_task_stay_the_references(yours):
    benchmark = importlib.util.find_spec("phase01_demo.project01_sum.benchmark")
    assert benchmark is not None
    assert benchmark.origin == str(yours.parents[2] / "phase01_demo/project01_sum/benchmark.py")


def test_a_project_that_was_not_started_stays_the_references(house, monkeypatch):
    (house / "work").mkdir()
    monkeypatch.setenv("LADDER_OVERLAY", str(house / "work"))
    assert total() == 3


def test_a_missing_work_folder_fails(house, monkeypatch):
    monkeypatch.setenv("LADDER_OVERLAY", str(house / "nowhere"))
    with pytest.raises(ImportError, match="nowhere, which is no folder"):
        total()


def test_a_missing_file_fails(yours):
    (yours / "sums.py").unlink()
    with pytest.raises(ImportError, match=r"sums\.py is missing, and task 1 writes it\. `ladder start 1`"):
        total()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("def total(:\n    pass\n", r"line 1: invalid syntax\n    def total\(:\n +\^"),
        ("x = '\0'\n", r"sums\.py is not Python source: .*null byte"),
    ],
)
def test_a_broken_file_fails(yours, text, message):
    (yours / "sums.py").write_text(text)
    with pytest.raises(ImportError, match=message):
        total()


def test_a_broken_file_that_replaces_a_file_of_no_task_fails_too(yours):
    (yours / "benchmark.py").write_text("x = (\n")
    with pytest.raises(ImportError, match=r"benchmark\.py, line 1"):
        total()


def test_scratch_files_and_an_empty_init_do_no_harm(yours):
    (yours / "scratch.py").write_text("x = (\n")
    (yours / "__init__.py").write_text("")
    assert total() == 4


def test_a_stub_raises_with_its_task(yours):
    (yours / "sums.py").write_text(stub_file(find(1), "sums.py"))
    with pytest.raises(NotImplementedError, match="project 1, task 1: total — Adds up whole numbers"):
        total()
