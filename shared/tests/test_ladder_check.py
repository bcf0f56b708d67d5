"""`ladder check` runs the learner's code, task by task, and says what went wrong as a colleague would."""

import errno
import importlib.util
import signal

import pytest

from shared.ladder import check, progress, runner, tasks
from shared.ladder.project import find
from shared.ladder.runner import Results, read_events, run_tests
from shared.ladder.show import show_cut_off

SUMS = "work/phase01_demo/project01_sum/sums.py"
STUB_1 = 'raise NotImplementedError("project 1, task 1: total — Adds up whole numbers.")'
STUB_2 = 'raise NotImplementedError("project 1, task 2: running — Yields the sum so far after each value.")'


@pytest.fixture
def yours(house, ladder, run_inside):
    """Writes the learner's sums.py: the stub with some texts replaced."""
    ladder("start", 1)
    stub = (house / SUMS).read_text()

    def write(*changes, start=""):
        text = stub
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (house / SUMS).write_text(start + text)

    return write


def reference(house):
    return (house / "phase01_demo/project01_sum/sums.py").read_text()


def test_a_stub_is_shown_calmly(yours, ladder):
    said = ladder("check", 1)
    assert said.code == 1
    lines = said.out.splitlines()
    assert lines[0] == "Checking work/phase01_demo/project01_sum/sums.py"
    assert lines[1] == "Using yours: 1 Sums"
    assert (
        "· task 1 is still to write: total\nReached first: total work/phase01_demo/project01_sum/sums.py:8"
        in said.out
    )
    assert "Adds up whole numbers." in said.out
    assert lines[-1] == "A hint: ladder hint 1 1"
    assert "Traceback" not in said.out


def test_a_wrong_answer_shows_call_result_and_expectation(yours, ladder):
    yours((STUB_1, 'print("seen", values)\n    return len(values)'))
    said = ladder("check", 1)
    assert said.code == 1
    assert "✗ task 1 2 of 3 tests failed" in said.out
    assert "test_total_equals_sum[values1] — Equals Python's own sum." in said.out
    assert "called total(values=[1, 2, 3])\nreturned 3" in said.out
    assert "assert 3 == 6" in said.out
    assert "phase01_demo/project01_sum/test_sums.py:9 in test_total_equals_sum" in said.out
    assert "your code printed:\nseen [1, 2, 3]" in said.out
    assert "Mend it and run ladder check 1 again." in said.out


def test_an_exception_shows_the_learners_lines_only(yours, ladder):
    yours((STUB_1, "return helper(values)"), start="def helper(values):\n    return missing\n")
    said = ladder("check", 1, "--task", 1)
    assert "NameError name 'missing' is not defined" in said.out
    assert "your line return helper(values)\nwork/phase01_demo/project01_sum/sums.py:10 in total" in said.out
    assert "your line return missing\nwork/phase01_demo/project01_sum/sums.py:2 in helper" in said.out
    assert "site-packages" not in said.out
    assert "run ladder check 1 --task 1 again" in said.out


def test_tasks_go_in_order_and_passes_are_kept(yours, ladder):
    yours((STUB_1, "return sum(values)"))
    said = ladder("check", 1)
    assert said.code == 1
    assert "✓ task 1 Add up 3 tests · 2 points" in said.out
    assert "· task 2 is still to write: running" in said.out
    project, known = find(1), progress.read()
    assert [progress.state(project, task, known) for task in project.tasks] == ["passed", "to write"]


def test_one_task_then_the_next_is_named(yours, ladder, house):
    (house / SUMS).write_text(reference(house))
    said = ladder("check", 1, "--task", 1)
    assert said.code == 0
    assert "Next is task 2, Sums so far." in said.out
    said = ladder("check", 1, "--task", 2)
    assert "Every task passes. The tests of the whole project: ladder check 1" in said.out
    assert not progress.is_done(find(1), progress.read())


def test_everything_passes(house, ladder, yours):
    (house / SUMS).write_text(reference(house))
    said = ladder("check", 1)
    assert said.code == 0
    assert "Project 1 is yours: 5 points." in said.out
    assert progress.is_done(find(1), progress.read())


def test_a_task_that_needs_another_first(yours, ladder, house):
    test = house / "phase01_demo/project01_sum/test_sums.py"
    test.write_text(test.read_text().replace("counter = Counter(2)", "counter = Counter(total([2]))"))
    yours((STUB_2, "yield from (1, 3, 6)"))
    said = ladder("check", 1, "--task", 2)
    assert "· task 2 needs task 1 first: total is still to write." in said.out
    assert "A hint: ladder hint 1 1" in said.out


def test_a_stub_of_a_lower_project(yours, ladder, house):
    ladder("start", 2)
    means = house / "work/phase02_demo/project02_mean/means.py"
    means.write_text((house / "phase02_demo/project02_mean/means.py").read_text())
    said = ladder("check", 2)
    assert "Using yours: 1 Sums, 2 Means" in said.out
    assert "· task 1 needs total of your project 1, still a stub." in said.out
    assert "Write it first: ladder check 1" in said.out
    assert "Or move work/phase01_demo/project01_sum away" in said.out
    assert "ladder hint" not in said.out


def test_the_header_names_the_references_in_use(house, ladder, run_inside):
    ladder("start", 2)
    assert "Using yours: 2 Means\nUsing the reference's: 1 Sums" in ladder("check", 2).out


def test_the_tests_of_the_whole_project_count(house, ladder, yours):
    test = house / "phase01_demo/project01_sum/test_sums.py"
    test.write_text(test.read_text().replace("== total([4, 5])", "== total([4, 6])"))
    (house / SUMS).write_text(reference(house))
    said = ladder("check", 1)
    assert said.code == 1
    assert "✓ task 2" in said.out
    assert "✗ the whole project 1 of 1 test failed" in said.out
    assert not progress.is_done(find(1), progress.read())


def test_code_that_fails_while_imported(yours, ladder):
    yours(start="print(missing)\n")
    said = ladder("check", 1)
    assert "✗ Your code fails while it is imported, before any test runs." in said.out
    assert "your line print(missing)\nwork/phase01_demo/project01_sum/sums.py:1 in <module>" in said.out


def test_a_test_file_that_cannot_be_imported(house, ladder, yours):
    test = house / "phase01_demo/project01_sum/test_sums.py"
    test.write_text("import no_such_module\n")
    assert "✗ test_sums.py could not be imported." in ladder("check", 1).out


def test_code_that_ends_the_run(yours, ladder):
    yours(start="import sys\nsys.exit(3)\n")
    said = ladder("check", 1)
    assert said.code == 1
    assert "✗ The run ended before the tests did." in said.out


def test_a_crash_is_named_with_the_calls_of_this_house(house, capsys):
    printed = f"""free(): invalid size
Fatal Python error: Aborted

Current thread 0x1 (most recent call first):
  File "{house / SUMS}", line 5 in total
  File "/usr/lib/python3/site-packages/pluggy/_execution.py", line 147 in _multicall
  File "{house}/.venv/lib/pluggy/_manager.py", line 183 in _hookexec
"""
    show_cut_off(Results(output=printed))
    said = capsys.readouterr().out
    assert "✗ The run crashed: Aborted." in said
    assert "beyond its arrays" in said
    assert f"{SUMS}:5 in total" in " ".join(said.split())
    assert "pluggy" not in said


def test_skipped_and_missing_tests_do_not_pass_a_task(house, ladder, yours):
    (house / SUMS).write_text(reference(house))
    test = house / "phase01_demo/project01_sum/test_sums.py"
    text = test.read_text()
    test.write_text(
        text.replace("@pytest.mark.task(2)", '@pytest.mark.skip(reason="no GPU")\n@pytest.mark.task(2)')
    )
    said = ladder("check", 1)
    assert said.code == 1
    assert "· task 2 every test was skipped: Skipped: no GPU" in said.out
    test.write_text(text.replace("@pytest.mark.task(2)", "@pytest.mark.task(3)"))
    assert "✗ task 2 no test belongs to it" in ladder("check", 1).out


def test_a_partly_skipped_task_passes_and_says_so(house, ladder, yours):
    (house / SUMS).write_text(reference(house))
    test = house / "phase01_demo/project01_sum/test_sums.py"
    test.write_text(test.read_text().replace("[[], [1", "[pytest.param([], marks=pytest.mark.skip), [1"))
    assert "✓ task 1 Add up 2 tests, 1 skipped · 2 points" in ladder("check", 1).out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "sums.py is empty"),
        ("def total(values):\n    return (\n", "sums.py, line 2: '(' was never closed"),
        ("def total(values):\n    return 1\n", "sums.py no longer defines running, which task 2 writes"),
    ],
)
def test_broken_files_are_one_line_and_exit_code_2(house, ladder, yours, text, message):
    (house / SUMS).write_text(text)
    said = ladder("check", 1)
    assert said.code == 2
    assert message in said.error


def test_a_broken_file_of_a_lower_project_is_named(house, ladder, yours):
    ladder("start", 2)
    (house / SUMS).unlink()
    assert "project01_sum/sums.py is missing" in ladder("check", 2).error


def test_not_started_and_no_pytest(house, ladder, monkeypatch):
    assert ladder("check", 1).error == "ladder: project 1 is not started; `ladder start 1` begins it"
    ladder("start", 1)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "ladder: pytest is not installed for" in ladder("check", 1).error


def test_a_process_of_its_own_reports_the_same(house, ladder, run_inside):
    project = find(1)
    seen = []
    results = run_tests(project, None, [1, 0], seen.append)
    inside = run_inside(project, None, [1, 0])
    assert results.ended
    assert [test["id"] for test in results.tests] == [test["id"] for test in inside.tests]
    assert results.passes(1)
    assert not results.passes(2)
    assert "passed" in results.output
    assert {event["event"] for event in seen} <= {"collected", "start", "wait", "test", "end"}


def test_long_messages_and_prints_are_cut(yours, ladder):
    yours((STUB_1, 'print("x\\n" * 50)\n    raise ValueError("\\n".join(["y" * 400] * 30))'))
    said = ladder("check", 1).out
    assert "… 30 lines before" in said
    assert "… 16 more lines" in said
    assert "y" * 299 + "…" in said


def test_a_missing_exception_reads_plainly(house, ladder, yours):
    test = house / "phase01_demo/project01_sum/test_sums.py"
    test.write_text(
        test.read_text().replace(
            "    assert total(values) == sum(values)",
            "    with pytest.raises(ValueError):\n        total(values)",
        )
    )
    yours((STUB_1, "return 1"))
    assert "test says ValueError should have been raised, and was not" in ladder("check", 1).out


def test_a_line_cut_off_while_writing_is_left_out(tmp_path):
    events = tmp_path / "events.jsonl"
    events.write_text('{"event": "collected", "tests": [{"id": "a", "task": 1}]}\n{"event": "te')
    results = read_events(events)
    assert not results.ended
    assert not results.passes(1)


class Saves:
    """Stands for the learner: each time the watch waits, the next version of the file is saved."""

    def __init__(self, *saves):
        self.saves = list(saves)

    def __call__(self, seconds):
        if not self.saves:
            signal.raise_signal(signal.SIGINT)
        self.saves.pop(0)()


def test_watch_moves_on_until_everything_passes(house, ladder, yours, monkeypatch):
    steps = Saves(
        lambda: yours((STUB_1, "return (")),
        lambda: yours((STUB_1, "return sum(values)")),
        lambda: (house / SUMS).write_text(reference(house)),
    )
    monkeypatch.setattr(check.time, "sleep", steps)
    said = ladder("check", 1, "--watch")
    assert said.code == 0
    order = [
        "task 1 is still to write",
        "never closed",
        "✓ task 1",
        "task 2 is still to write",
        "✓ task 2",
        "Project 1 is yours",
    ]
    places = [said.out.index(text) for text in order]
    assert places == sorted(places)
    assert not steps.saves


def test_watch_ends_cleanly_at_ctrl_c(yours, ladder, monkeypatch):
    monkeypatch.setattr(check.time, "sleep", Saves())
    said = ladder("check", 1, "--task", 2, "--watch")
    assert said.code == 1
    assert said.out.endswith("Stopped watching.")
    assert said.error == ""


def test_results_of_an_unfinished_task_do_not_pass():
    ran = {"id": "a", "task": 1, "outcome": "passed"}
    assert not Results(tests=[ran], collected=[{"id": "a", "task": 1}, {"id": "b", "task": 1}]).passes(1)
    assert Results(tests=[ran], collected=[{"id": "a", "task": 1}]).passes(1)


def test_a_time_limit_is_given_to_each_test(house, tmp_path):
    assert f"timeout={runner.TEST_SECONDS}" in runner.pytest_arguments(find(1), tmp_path / "events")


def test_an_endless_loop_stops_its_task_after_one_test(house, ladder, yours, monkeypatch):
    """The next test of the task would wait as long."""
    monkeypatch.setattr("shared.ladder.runner.AT_LEAST", 0.3)
    monkeypatch.setattr("shared.ladder.runner.TIMES", 0.0)
    yours((STUB_1, "while True:\n        pass"))
    said = ladder("check", 1)
    assert said.code == 1
    assert "✗ task 1 1 of 1 test failed" in said.out
    assert "stopped after 0 s of computing: a loop may have no end" in said.out
    assert "The other tests of the task were not tried: each would wait as long." in said.out


def test_a_tests_limit_follows_from_what_the_reference_takes(change, house):
    first, second = find(1).tasks
    assert runner.test_seconds(first) == runner.test_seconds(second) == 30
    change("project.toml", ("points = 2\n", "points = 2\nseconds = 4.5\n"))
    assert [runner.test_seconds(task) for task in find(1).tasks] == [45, 30]


def test_what_runs_is_said_now_and_then(monkeypatch, capsys):
    clock = iter(range(0, 1000, 15))
    monkeypatch.setattr(check.time, "monotonic", lambda: next(clock))
    told = []
    running = check._Running({1: "task 1, Sums"}, told.append)
    running.watch({"event": "start", "id": "test_a.py::test_long", "task": 1})
    running.watch({"event": "wait"})
    running.watch({"event": "wait"})
    assert told[0] == "task 1, Sums: test_long"
    assert capsys.readouterr().out == "running for 15 s: task 1, Sums: test_long\n"


def test_a_stub_gets_no_points_whatever_its_tests_say(house, ladder, yours):
    tests = house / "phase01_demo/project01_sum/test_sums.py"
    tests.write_text(
        tests.read_text().replace("assert total(values) == sum(values)", "assert values or total")
    )
    said = ladder("check", 1)
    assert said.code == 1
    assert "✗ task 1 its tests say nothing of total, still a stub" in said.out
    assert progress.read().project(find(1))["passed"] == {}


@pytest.mark.parametrize("arguments", [("check", 1), ("hint", 1, 1), ("reset", 1, 1)])
def test_where_nothing_can_be_written_it_is_one_line(house, ladder, yours, monkeypatch, arguments):
    def refuse(path, text):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    for module in (progress, tasks):
        monkeypatch.setattr(module, "write_text", refuse)
    said = ladder(*arguments)
    assert said.code == 2
    (line,) = said.error.strip().splitlines()
    assert line.startswith("ladder: ")
    assert line.endswith(": Permission denied, so nothing can be written there")
