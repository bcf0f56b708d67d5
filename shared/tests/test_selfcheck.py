"""selfcheck finds what makes a project dishonest to its learners, and takes no slow machine for an answer."""

import json

import pytest

from shared.ladder import jobs, selfcheck
from shared.ladder.jobs import Job, Outcome
from shared.ladder.project import find
from shared.ladder.runner import Results
from shared.ladder.selfcheck import Selfcheck
from shared.ladder.verdicts import FILE

FOLDER = "phase01_demo/project01_sum"
KEEPS, FORGETS = "keeps_the_last (task 1)", "forgets_the_count (task 2)"


def run(check):
    return list(jobs.run(check.jobs(), then=check.then))


def failed(test="test_a"):
    failure = {"message": "no\nmore", "kind": "error", "error": "ValueError"}
    return {
        "id": f"{FOLDER}/test_sums.py::{test}",
        "name": test,
        "task": 1,
        "outcome": "failed",
        "failure": failure,
    }


def test_a_sound_project_has_no_fault(house, ladder):
    said = ladder("selfcheck", 1)
    assert said.code == 0
    assert "1 Sums 2 5 2/2 0" in said.out
    assert "No faults" in said.out
    noted = json.loads((house / FILE).read_text())[FOLDER]
    assert noted["killers"][KEEPS].startswith("test_sums.py::test_total_equals_sum[")
    assert noted["selfcheck"].keys() == noted["export"].keys() == {"key", "processor", "verdict"}


def test_faults_of_the_tests_are_found(house, ladder, change):
    change(
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
        "project 1: mutant forgets_the_count (task 2) survives",
        "project 1: test_together is marked with task 9, which does not exist",
    ):
        assert fault in said.out
    assert "1 Sums 2 5 1/2 0" in said.out
    assert "selfcheck" not in json.loads((house / FILE).read_text())[FOLDER], "no verdict with a fault"


def test_the_reference_runs_by_file_and_first(house, tmp_path):
    (house / FOLDER / "test_more.py").write_text("def test_more():\n    pass\n")
    check = Selfcheck(find(1), tmp_path)
    assert [job.name for job in check.jobs()] == [
        "the reference, test_more.py",
        "the reference, test_sums.py",
    ]
    names = [outcome.job.name for outcome in run(check)]
    assert set(names[:2]) == {"the reference, test_more.py", "the reference, test_sums.py"}
    assert not any(name.startswith("the reference") for name in names[2:])
    assert check.faults == []


def test_the_test_that_killed_a_mutant_runs_first_and_alone(house, tmp_path):
    killer = "test_sums.py::test_total_equals_sum[values1]"
    check = Selfcheck(find(1), tmp_path, {KEEPS: killer})
    outcomes = [outcome for outcome in run(check) if KEEPS in outcome.job.name]
    assert [[test["id"] for test in outcome.results.tests] for outcome in outcomes] == [
        [f"{FOLDER}/{killer}"]
    ]
    assert check.killers[KEEPS] == killer


@pytest.mark.parametrize(
    ("killer", "runs"),
    [
        ("test_sums.py::test_total_equals_sum[values0]", 2),  # it no longer fails
        ("test_sums.py::test_that_was_renamed", 2),
        ("test_that_is_gone.py::test_total", 1),
    ],
)
def test_where_that_test_does_not_kill_the_others_run(house, tmp_path, killer, runs):
    check = Selfcheck(find(1), tmp_path, {KEEPS: killer})
    outcomes = [outcome for outcome in run(check) if KEEPS in outcome.job.name]
    assert len(outcomes) == runs
    assert check.killers[KEEPS] == "test_sums.py::test_total_equals_sum[values1]"
    assert check.faults == []


@pytest.mark.parametrize(("seconds", "limit"), [(5.0, 50.0), (0.3, 20.0)])
def test_a_limit_is_relative_to_the_reference(house, tmp_path, seconds, limit):
    check = Selfcheck(find(1), tmp_path)
    (reference,) = check.jobs()
    started = check.then(Outcome(reference, Results(ended=True), seconds))
    assert {job.seconds for job in started} == {limit}
    assert [job.name for job in started] == [
        "stub of task 1",
        "stub of task 2",
        f"mutant {KEEPS}",
        f"mutant {FORGETS}",
        "other right way, checked as a learner does, test_sums.py",
        "other right ways, round 1, test_sums.py",
    ]


def begun(tmp_path):
    check = Selfcheck(find(1), tmp_path)
    (reference,) = check.jobs()
    started = check.then(Outcome(reference, Results(ended=True), 1.0))
    check.faults.clear()
    return check, {job.name: job for job in started}


def stopped(job):
    return Outcome(job, Results(), job.seconds, f"stopped after {job.seconds:g} s", timed_out=True)


def test_what_runs_out_of_time_is_tried_again_alone_after_the_reference(house, tmp_path):
    check, started = begun(tmp_path)
    mutant = started[f"mutant {KEEPS}"]
    (reference,) = check.then(stopped(mutant))
    assert (reference.overlay, reference.alone, reference.tasks) == (None, True, mutant.tasks)
    (again,) = check.then(Outcome(reference, Results(ended=True), 7.0))
    assert (again.overlay, again.alone, again.seconds) == (mutant.overlay, True, 70.0)
    assert check.then(Outcome(again, Results(tests=[failed()], ended=True), 1.0)) == []
    assert (check.killers, check.hangs, check.faults) == ({KEEPS: "test_sums.py::test_a"}, [], [])


def test_what_runs_out_of_time_alone_hangs_and_is_not_killed(house, tmp_path):
    check, started = begun(tmp_path)
    for name in (f"mutant {KEEPS}", "stub of task 2"):
        (reference,) = check.then(stopped(started[name]))
        (again,) = check.then(Outcome(reference, Results(ended=True), 1.0))
        assert check.then(stopped(again)) == []
    assert (check.killers, check.hangs) == ({}, [KEEPS])
    assert check.faults == ["stub of task 2 hangs: stopped after 20 s"]


def test_a_reference_that_is_too_slow_judges_nobody(house, tmp_path):
    check = Selfcheck(find(1), tmp_path)
    (reference,) = check.jobs()
    assert check.then(stopped(reference)) == []
    assert check.faults[0].startswith("machine too busy: the reference, test_sums.py took more than 600 s")
    assert (check.killers, check.hangs) == ({}, [])

    check, started = begun(tmp_path)
    (reference,) = check.then(stopped(started[f"mutant {KEEPS}"]))
    assert check.then(stopped(reference)) == []
    assert check.faults[0].startswith("machine too busy")
    assert (check.killers, check.hangs) == ({}, [])


def test_a_mutant_that_never_ends_is_shown_as_hanging(house, ladder, monkeypatch, change):
    monkeypatch.setattr(selfcheck, "AT_LEAST", 3.0)
    monkeypatch.setattr(selfcheck, "TIMES", 2.0)
    change(
        "mutants.toml",
        ("result = value\\n    return", "result = value\\n        while True: pass\\n    return"),
    )
    said = ladder("selfcheck", 1)
    assert said.code == 0
    assert "1 Sums 2 5 1/2 1" in said.out
    assert f"project 1: mutant {KEEPS} hangs" in said.out


def test_only_what_is_wanted_runs(house, tmp_path):
    check = Selfcheck(find(1), tmp_path, wanted=lambda name: name == f"mutant {FORGETS}")
    assert [outcome.job.name for outcome in run(check)] == [f"mutant {FORGETS}"]
    assert (check.tried, list(check.killers), check.faults) == (1, [FORGETS], [])


def test_a_mutant_is_killed_by_a_test_and_not_by_a_broken_import(house, tmp_path):
    check, started = begun(tmp_path)
    mutant = started[f"mutant {KEEPS}"]

    def faults(results, why=""):
        check.faults.clear()
        check.then(Outcome(mutant, results, 1.0, why))
        return check.faults[0]

    broken = Results(broken=[{"file": "t.py", "failure": {}}], tests=[failed()])
    assert "breaks the import" in faults(Results(), "killed by signal 11")
    assert "breaks the import" in faults(broken)
    assert "its task has no test" in faults(Results())
    assert "survives" in faults(Results(tests=[failed() | {"outcome": "passed"}]))
    assert check.killers == {}


def test_faults_of_a_reference_run(house, tmp_path):
    def faults(results, why="", name="the reference, test_sums.py"):
        check = Selfcheck(find(1), tmp_path)
        (reference,) = check.jobs()
        check.then(Outcome(Job(name, reference.project, files=reference.files), results, 1.0, why))
        return check.faults

    def ran(task, outcome, **values):
        return {"id": "t", "name": "t", "task": task, "outcome": outcome, **values}

    failure = {"message": "no\nmore", "kind": "error", "error": "ValueError"}
    assert faults(Results(output="a\nb\n"), "killed by signal 11")[0] == (
        "the reference, test_sums.py: killed by signal 11: b"
    )
    assert faults(Results(), "killed by signal 11")[0].endswith("no output")
    assert faults(Results(tests=[ran(1, "failed", failure=failure), ran(2, "skipped", reason="no GPU")])) == [
        "the reference fails t: no",
        "every test of task 2 is skipped on a CPU: no GPU",
    ]
    assert faults(Results(tests=[ran(1, "passed")])) == ["no test is marked with task 2"]
    slow = [ran(1, "passed", seconds=31.0), ran(2, "passed", seconds=19.0)]
    assert faults(Results(tests=slow)) == [
        "a test of task 1 takes 31 s, and a learner's is stopped after 30 s: give the task `seconds` in project.toml"
    ]
    broken = Results(broken=[{"file": "t.py", "failure": failure}])
    assert faults(broken)[0] == "the reference, test_sums.py: t.py cannot be imported: no"
    wrong = Results(tests=[ran(1, "failed", failure=failure), ran(1, "skipped")])
    assert faults(wrong, name="stub of task 1") == [
        "stub of task 1: t fails for a wrong reason: ValueError: no"
    ]
