"""`ladder new` makes one folder, and all that names projects finds it there."""

import os
import subprocess
import sys
import tomllib

import pytest

from shared.files import ROOT
from shared.ladder.fixed import _readme_faults
from shared.ladder.project import find, projects

PHASE = "phase03_core_inference"
FOLDER = f"{PHASE}/project08_kv_cache"
FILES = {"README.md", "project.toml", "mutants.toml", "__init__.py", "kv_cache.py", "test_kv_cache.py"}
FILES |= {"benchmark.py", "configs/smoke.yaml", "configs/cpu.yaml"}


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def run(house, *command):
    """A command in the house, which has this repository's settings; what it printed, and its exit code."""
    values = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("LADDER_", "GIT_", "MAKE", "PYTEST_"))
    }
    values |= {"PYTHONPATH": str(ROOT), "LADDER_ROOT": str(house), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=house, env=values, capture_output=True, text=True, encoding="utf-8")
    return done.stdout + done.stderr, done.returncode


@pytest.fixture
def repository(house):
    """The house as a git repository, with the settings and the Makefile of this one."""
    for name in ("pyproject.toml", "Makefile"):
        (house / name).write_bytes((ROOT / name).read_bytes())
    git(house, "init", "--quiet")
    commit(house)
    return house


def git(house, *arguments):
    said, code = run(house, "git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments)
    assert code == 0, said
    return said


def commit(house):
    git(house, "add", "--all")
    git(house, "commit", "--quiet", "--message", "so far")


def test_a_new_phase_and_then_a_project_in_it_touch_one_folder_each(repository, ladder):
    said = ladder("new", 8, PHASE, "kv_cache", "--title", "KV cache")
    assert said.code == 0
    assert git(repository, "status", "--short") == f"?? {PHASE}/\n"
    assert files_below(repository / FOLDER) == FILES
    assert files_below(repository / PHASE) == {f"project08_kv_cache/{name}" for name in FILES} | {
        "__init__.py",
        "README.md",
    }
    for line in (f"new {FOLDER}/project.toml", "ladder selfcheck 8", "make project08", "make report"):
        assert line in said.out

    commit(repository)
    assert ladder("new", 9, PHASE, "flash_attention").code == 0
    assert git(repository, "status", "--short") == f"?? {PHASE}/project09_flash_attention/\n"
    assert find(9).title == "Flash attention"
    commit(repository)
    changed = git(repository, "diff", "--stat=200", "HEAD~").splitlines()[:-1]
    assert changed
    assert all(line.strip().startswith(f"{PHASE}/project09_flash_attention/") for line in changed)


def test_what_was_made_can_be_read_and_has_every_heading(house, ladder):
    ladder("new", 8, PHASE, "kv_cache", "--title", "KV cache")
    project = find(8)
    assert [project.number for project in projects()] == [1, 2, 8]
    assert (project.title, len(project.tasks), project.files) == ("KV cache", 1, ("kv_cache.py",))
    assert list(_readme_faults(project.folder / "README.md")) == []
    assert (house / FOLDER / "README.md").read_text().startswith("# Project 8: KV cache\n")
    assert (house / PHASE / "README.md").read_text().startswith("# Phase 3: Core inference\n")
    for file in (house / PHASE).rglob("*.*"):
        assert not file.is_file() or "$" not in file.read_text(), f"{file} has a name that was not filled in"
    for line in ("<!-- results:start -->\n<!-- results:end -->", "\n## The idea\n"):
        assert line in (house / FOLDER / "README.md").read_text()
    assert "<!-- projects:start -->\n<!-- projects:end -->" in (house / PHASE / "README.md").read_text()


def test_it_is_found_by_pytest_make_pyright_and_the_wheel(repository, ladder):
    ladder("new", 8, PHASE, "kv_cache")
    said, code = run(repository, "make", "help")
    assert (code, "and project01 project02 project08." in said) == (0, True), said
    assert "There is phase01 phase02 phase03," in said

    tools = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]
    for globs in (
        tools["pyright"]["include"],
        tools["hatch"]["build"]["targets"]["wheel"]["include"],
    ):
        found = {path.name for glob in globs for path in repository.glob(glob.removeprefix("/"))}
        assert found == {"phase01_demo", "phase02_demo", PHASE}

    # No path is named, so that it is `testpaths` that leads there. A small test, for torch takes long to import.
    (repository / FOLDER / "test_kv_cache.py").write_text("def test_it(): pass\n")
    said, code = run(repository, sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider")
    assert f"{FOLDER}/test_kv_cache.py::test_it\n" in said
    assert code == 0


def test_its_benchmark_runs_with_a_preset(repository, ladder):
    ladder("new", 8, PHASE, "kv_cache")
    module = f"{FOLDER.replace('/', '.')}.benchmark"
    said, code = run(repository, sys.executable, "-m", module, "--preset", "smoke")
    assert code == 0, said
    assert '"running sums": {"value": ' in said.splitlines()[-1]
    assert '"note": "1,000 values"' in said.splitlines()[-1]
    said, code = run(repository, sys.executable, "-m", module, "--preset", "huge")
    assert code == 2
    assert "there is no preset 'huge'; there is cpu, smoke" in said


def test_what_was_made_is_formatted(repository, ladder):
    ladder("new", 12, "phase04_advanced_inference", "dynamic_batching")
    (repository / "shared").symlink_to(ROOT / "shared")  # ruff sorts imports by which packages are here
    ruff = (sys.executable, "-m", "ruff")
    folder = "phase04_advanced_inference"
    for command in (["check", "--no-cache", folder], ["format", "--no-cache", "--check", folder]):
        said, code = run(repository, *ruff, *command)
        assert code == 0, said


def test_selfcheck_lists_what_is_missing(house, ladder):
    ladder("new", 8, PHASE, "kv_cache")
    said = ladder("selfcheck", 8)
    assert said.code == 1
    assert said.error == ""
    for fault in (
        "task 1 has fewer than two hints",
        "task 1 has no mutant",
        "minutes_cpu is 0",
        "there is no explore.ipynb",
        "kv_cache.py:kv_cache is a stub in the reference itself",
        "README.md has 18 TODOs",
        "__init__.py has 1 TODO",
        "the reference fails test_it_equals_the_slow_way: project 8, task 1: kv_cache — still to write",
    ):
        assert f"✗ project 8: {fault}\n" in said.out
    assert "survives" not in said.out
    assert "stub of task 1" not in said.out, "its test fails on the stub, as it must"
    assert not any("project08" in file.read_text() for file in house.rglob("verdicts.json")), (
        "nothing to keep yet"
    )


def test_a_learner_could_start_it(house, ladder):
    ladder("new", 8, PHASE, "kv_cache")
    assert ladder("start", 8).code == 0
    assert (house / "work" / FOLDER / "kv_cache.py").is_file()
    assert "8 Kv cache 3 core inference started" in ladder("status").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((8, "phase03_fast", "kv_cache"), "there is no phase 'phase03_fast'; allowed: phase01_foundation (projects"),
        ((8, "phase03", "kv_cache"), "phase03_core_inference (projects 7 to 9), phase04"),
        ((6, PHASE, "kv_cache"), "phase03_core_inference has projects 7 to 9, and 6 is none of them"),
        ((10, PHASE, "kv_cache"), "phase03_core_inference has projects 7 to 9, and 10 is none of them"),
        ((31, "phase10_deployment", "more"), "phase10_deployment has projects 28 to 30, and 31 is none of them"),
        ((8, PHASE, "kv-cache"), "the name is 'kv-cache'; it must be a Python identifier in small letters"),
        ((8, PHASE, "KVCache"), "the name is 'KVCache'; it must be a Python identifier in small letters"),
        ((8, PHASE, "8bit"), "the name is '8bit'; it must be"),
        ((8, PHASE, ".."), "the name is '..'; it must be"),
        ((8, PHASE, "lambda"), "the name is 'lambda'; it must be"),
        ((8, PHASE, "benchmark"), "benchmark.py would be taken for something else"),
        ((8, PHASE, "test_time"), "test_time.py would be taken for something else"),
        ((8, PHASE, "kv_cache", "--title", 'The "K"'), "it must be a line without quotes and backslashes"),
        ((8, PHASE, "kv_cache", "--title", " "), "the title is ' '; it must be a line"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_says_what_is_allowed(house, ladder, arguments, words):
    before = files_below(house)
    said = ladder("new", *arguments)
    assert said.code == 2
    assert said.error.startswith("ladder: ")
    assert "\n" not in said.error
    assert words in said.error
    assert files_below(house) == before, "nothing is written"


def test_what_is_there_is_never_touched(house, ladder):
    ladder("new", 8, PHASE, "kv_cache")
    (house / PHASE / "README.md").write_text("mine")
    before = files_below(house)
    for name in ("kv_cache", "other"):
        said = ladder("new", 8, PHASE, name)
        assert said.error == f"ladder: project 8 is there already: {FOLDER}"
    (house / FOLDER).rename(house / PHASE / "project08_attic")
    toml = house / "phase02_demo/project02_mean/project.toml"
    toml.write_text(toml.read_text().replace("number = 2", "number = 7"))
    said = ladder("new", 7, PHASE, "mixed_precision")
    assert said.error == "ladder: number 7 is in use already: phase02_demo/project02_mean/project.toml"
    (house / PHASE / "project08_attic").rename(house / FOLDER)
    assert files_below(house) == before
    ladder("new", 9, PHASE, "flash_attention")
    assert (house / PHASE / "README.md").read_text() == "mine"
