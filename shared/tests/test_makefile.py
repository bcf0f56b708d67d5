"""Targets of the Makefile that choose among projects; `make -n` says what would be done."""

import os
import subprocess

import pytest

from shared.files import ROOT

NOTEBOOK = "phase01_foundation/project03_pretrain/explore.ipynb"


@pytest.fixture
def make(tmp_path):
    """`make -n` in a house with notebooks in projects 1, 3 and 13."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for name in (NOTEBOOK, NOTEBOOK.replace("03_pretrain", "01_gpt"), "phase04_x/project13_y/explore.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    values = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "N")}

    def run(*arguments):
        command = ["make", "-n", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=values, capture_output=True, text=True)

    return run


@pytest.mark.parametrize(("number", "notebook"), [
    ("3", NOTEBOOK), ("03", NOTEBOOK), ("13", "phase04_x/project13_y/explore.ipynb"),
])  # fmt: skip
def test_the_notebook_of_a_project_is_opened(make, number, notebook):
    done = make("notebook", f"N={number}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2].split() == [".venv/bin/python", "-m", "jupyter", "lab", notebook]


@pytest.mark.parametrize("arguments", [[], ["N="], ["N=2"], ["N=x"], ["N=%"], ["N=1 3"]])
def test_a_project_without_a_notebook_names_those_that_have_one(make, arguments):
    done = make("notebook", *arguments)
    assert done.returncode == 2
    value = arguments[0].partition("=")[2] if arguments else ""
    assert f"N is '{value}'; projects with a notebook: 1 3 13. " in " ".join(done.stderr.split())
    assert done.stdout == "", "nothing is begun"
