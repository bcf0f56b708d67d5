"""selfcheck finds what makes a project dishonest to its learners, and jobs end whatever the code in them does."""

import os
import subprocess

import pytest

from shared.ladder import jobs, selfcheck
from shared.ladder.export import export_passes
from shared.ladder.jobs import Job, Outcome
from shared.ladder.project import find
from shared.ladder.runner import Results

FOLDER = "phase01_demo/project01_sum"


def change(house, file, *changes):
    path = house / FOLDER / file
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)


def test_a_sound_project_has_no_fault(house, ladder, monkeypatch):
    monkeypatch.setattr(selfcheck, "export_passes", lambda project: [])
    said = ladder("selfcheck", 1)
    assert said.code == 0
    assert "1 Sums 2 5 2/2 none" in said.out
    assert "No faults" in said.out


def test_faults_of_the_tests_are_found(house, ladder):
    change(
        house,
        "test_sums.py",
        ("    assert list(running([1, 2, 3])) == [1, 3, 6]", "    assert True"),
        ("counter = Counter(2)", "counter = Counter(0)"),
        ("assert counter.add(1) == 6", ""),
        ("    assert counter.add(3) == 5", "    assert counter.add(3) == 3"),
        ("def test_together():\n", "@pytest.mark.task(9)\ndef test_together():\n"),
    )
    said = ladder("selfcheck", 1)
    assert said.code == 1
    for fault in (
        "project 1: stub of task 2: test_running_ends_at_the_total passes, so it does not need the task",
        "project 1: mutant forgets_the_count survives",
        "project 1: test_together is marked with task 9, which does not exist",
    ):
        assert fault in said.out
    assert "1 Sums 2 5 1/2 4" in said.out


def run(project, overlay=None, tasks=None, **options):
    (outcome,) = jobs.run([Job("job", project, overlay, tasks, **options)])
    return outcome


@pytest.fixture
def overlaid(house):
    """An overlay with a sums.py that begins with a text of the test's choice."""

    def write(start):
        folder = house / "overlay" / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sums.py").write_text(start + (house / FOLDER / "sums.py").read_text())
        return house / "overlay"

    return write


@pytest.mark.parametrize(
    ("start", "why"),
    [
        ("import os\nos._exit(0)\n", "ended itself with exit code 0"),
        ("import sys\nsys.exit(0)\n", "ended itself with exit code 3"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "killed by signal 9"),
        ("import time\ntime.sleep(60)\n", "stopped after 2 s"),
    ],
)
def test_a_job_that_breaks_out_says_how(house, overlaid, start, why):
    limit = 2 if "sleep" in start else 60  # on a busy machine, starting alone may take two seconds
    assert run(find(1), overlaid(start), seconds=limit).why_cut_off == why


def test_a_job_has_no_gpu_no_network_and_a_folder_of_its_own(house, overlaid, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    start = "import os\nkeys = ('CUDA_VISIBLE_DEVICES', 'https_proxy')\n"
    start += "raise ValueError([os.environ[key] for key in keys], os.path.basename(os.getcwd()))\n"
    outcome = run(find(1), overlaid(start))
    assert outcome.why_cut_off == ""
    assert outcome.results.broken[0]["failure"]["message"] == "(['', 'http://127.0.0.1:9'], '0')"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"


def test_a_job_has_a_memory_limit(house, overlaid):
    outcome = run(find(1), overlaid("x = bytearray(3 * 2**30)\n"), memory_gb=2)
    assert outcome.results.broken[0]["failure"]["error"] == "MemoryError"


def test_jobs_left_over_are_killed(house, overlaid):
    slow = Job("slow", find(1), overlaid("import time\ntime.sleep(60)\n"))
    quick = Job("quick", find(2), None)
    running = jobs.run([slow, quick])
    assert next(running).job.name == "quick"
    running.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_without_fork_it_says_so(house, ladder, monkeypatch):
    monkeypatch.delattr(os, "fork")
    assert "this command forks processes, which this system cannot" in ladder("selfcheck", 1).error


def test_a_mutant_may_hang_but_not_break_the_import(house, overlaid):
    project = find(1)
    job = Job(f"{selfcheck.MUTANT} m", project, None)

    def faults(results, why=""):
        return list(selfcheck.run_faults(Outcome(job, results, 1.0, why)))

    broken = Results(broken=[{"file": "t.py", "failure": {}}])
    assert faults(Results(), "stopped after 120 s") == []
    assert "breaks the import" in faults(Results(), "killed by signal 11")[0]
    assert "breaks the import" in faults(broken)[0]
    assert "its task has no test" in faults(Results())[0]


def test_faults_of_a_reference_run(house):
    project = find(1)

    def faults(results, why="", name=selfcheck.REFERENCE):
        return list(selfcheck.run_faults(Outcome(Job(name, project, None), results, 1.0, why)))

    def ran(task, outcome, **values):
        return {"id": "t", "name": "t", "task": task, "outcome": outcome, **values}

    failure = {"message": "no\nmore", "kind": "error", "error": "ValueError"}
    assert faults(Results(output="a\nb\n"), "killed by signal 11") == [
        "the reference: killed by signal 11: b"
    ]
    assert faults(Results(), "stopped")[0].endswith("no output")
    assert faults(Results(tests=[ran(1, "failed", failure=failure), ran(2, "skipped", reason="no GPU")])) == [
        "the reference fails t: no",
        "every test of task 2 is skipped on a CPU: no GPU",
    ]
    assert faults(Results(tests=[ran(1, "passed")])) == ["no test is marked with task 2"]
    broken = Results(broken=[{"file": "t.py", "failure": failure}])
    assert faults(broken) == ["the reference: t.py cannot be imported: no"]
    wrong = Results(tests=[ran(1, "failed", failure=failure), ran(1, "skipped")])
    assert faults(wrong, name="stub of task 1") == [
        "stub of task 1: t fails for a wrong reason: ValueError: no"
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("project.toml", '"Start from nothing.", ', "", "task 1 has fewer than two hints"),
        ("mutants.toml", "task = 2", "task = 1", "task 2 has no mutant"),
        ("project.toml", "hours = 0.5", "hours = 0", "hours is 0"),
        ("sums.py", '    """Adds up whole numbers."""\n', "", "sums.py:total has no docstring"),
        ("README.md", "## Budget", "## Money", "README.md has no section on: budget"),
        ("README.md", "## Papers\n\nText.\n", "", "README.md has no section on: papers"),
    ],
)
def test_fixed_faults(house, file, old, new, fault):
    assert selfcheck.fixed_faults(find(1)) == []
    change(house, file, (old, new))
    (found,) = selfcheck.fixed_faults(find(1))
    assert fault in found


def test_sections_in_the_wrong_order(house):
    change(house, "README.md", ("## Budget", "## Papers"), ("## Papers", "## Papers"))
    change(house, "README.md", ("## Common errors", "## Budget"))
    faults = selfcheck.fixed_faults(find(1))
    assert "README.md has its section on needs too early" in faults


def test_configs_need_a_smoke_preset(house):
    (house / FOLDER / "configs").mkdir()
    assert selfcheck.fixed_faults(find(1)) == ["there is no configs/smoke.yaml"]
    (house / FOLDER / "configs/smoke.yaml").write_text("steps: 1\n")
    assert selfcheck.fixed_faults(find(1)) == []


def test_a_project_without_tasks(house):
    file = house / "phase02_demo/project02_mean/project.toml"
    file.write_text(file.read_text().partition("[[task]]")[0])
    assert selfcheck.fixed_faults(find(2)) == [
        "it has no task",
        "there is no benchmark.py",
        "there is no explore.ipynb",
        "means.py is written by no task and is no command: it belongs in given/",
        "there is no README.md",
    ]


def test_the_exported_folder_passes_alone(house):
    assert export_passes(find(1)) == []


def test_an_exported_folder_that_lacks_something_says_what(house, monkeypatch):
    done = subprocess.CompletedProcess([], 1, stdout="✗ nothing works\n", stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: done)
    assert export_passes(find(1)) == ["the exported folder does not pass alone; it says:\n✗ nothing works"]
