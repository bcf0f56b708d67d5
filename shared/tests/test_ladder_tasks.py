"""start, hint, reset, solution and status: what they write, keep, and say."""

import json

import pytest

from shared.ladder import progress
from shared.ladder.house import console
from shared.ladder.project import find
from shared.ladder.source import function, is_stub, signature
from shared.ladder.stubs import make_stubs, put_functions, stub_file

SUMS = "work/phase01_demo/project01_sum/sums.py"


def is_stub_in(text, name):
    """Whether the function, which must be there, is a stub."""
    node = function(text, name)
    assert node is not None
    return is_stub(node)


def signature_in(text, name):
    """The signature of the function, which must be there."""
    node = function(text, name)
    assert node is not None
    return signature(node)


def write(house, old, new):
    """Change the learner's sums.py."""
    file = house / SUMS
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def reference(house):
    return (house / "phase01_demo/project01_sum/sums.py").read_text()


def test_stubs_keep_signature_docstring_and_everything_else(house):
    project = find(1)
    stub = stub_file(project, "sums.py")
    for task in project.tasks:
        for target in task.write:
            assert is_stub_in(stub, target.name)
            assert signature_in(stub, target.name) == signature_in(reference(house), target.name)
    assert not is_stub_in(stub, "Counter.__init__")
    assert stub.partition("def total")[0] == reference(house).partition("def total")[0]
    assert stub.partition("def trace_example")[2] == reference(house).partition("def trace_example")[2]


@pytest.mark.parametrize(
    ("source", "name", "raises"),
    [
        ("def f(x): return x\n", "f", '"project 1, task 1: f"'),
        ('def f(x): "Says."; return x\n', "f", '"project 1, task 1: f — Says."'),
        ('def f(x):\n    """Says "so"."""\n    return x\n', "f", "'project 1, task 1: f — Says \"so\".'"),
        (
            "class A:\n    async def g(self):\n        '''\n        It's \"so\".\n        '''\n",
            "A.g",
            r'"project 1, task 1: A.g — It',
        ),
        ("def f():\n    def f():\n        return 1\n    return f\n", "f", "project 1, task 1"),
        (
            f'def f(x):\n    """{"long " * 30}"""\n',
            "f",
            'raise NotImplementedError(\n        "project 1, task 1: f — "\n',
        ),
    ],
)
def test_stubs_of_many_forms(source, name, raises):
    stub = make_stubs(source, {name: "project 1, task 1"})
    assert raises in stub
    assert is_stub_in(stub, name)
    assert make_stubs(stub, {name: "project 1, task 1"}) == stub


def test_an_unknown_function_is_named():
    with pytest.raises(KeyError, match="gone"):
        make_stubs("x = 1\n", {"gone": "project 1, task 1"})


def test_put_functions_changes_those_functions_and_nothing_else(house):
    stub = stub_file(find(1), "sums.py")
    mixed = put_functions(stub, reference(house), {"total", "Counter.add"})
    assert not is_stub_in(mixed, "total")
    assert is_stub_in(mixed, "running")
    assert put_functions(mixed, reference(house), {"running"}) == reference(house)


def test_start_writes_stubs_and_says_what_to_do(house, ladder):
    said = ladder("start", 1)
    assert said.code == 0
    assert (house / SUMS).read_text() == stub_file(find(1), "sums.py")
    assert "new work/phase01_demo/project01_sum/sums.py" in said.out
    assert "Task 1, Add up: write total in sums.py." in said.out
    assert "ladder check 1 --watch" in said.out
    assert [file.name for file in (house / SUMS).parent.iterdir()] == ["sums.py"]


def test_start_never_overwrites(house, ladder):
    ladder("start", 1)
    (house / SUMS).write_text("mine = 1\n")
    said = ladder("start", 1)
    assert "kept work/phase01_demo/project01_sum/sums.py" in said.out
    assert (house / SUMS).read_text() == "mine = 1\n"


def test_a_project_without_tasks_cannot_be_started(house, ladder):
    file = house / "phase02_demo/project02_mean/project.toml"
    file.write_text(file.read_text().partition("[[task]]")[0])
    assert ladder("start", 2).error == "ladder: project 2 has no tasks to start"
    assert "not started" in ladder("status").out
    (house / "work/phase02_demo/project02_mean").mkdir(parents=True)
    assert "project 2 is not started" in ladder("check", 2).error


def test_hints_come_one_by_one_and_are_remembered(house, ladder):
    assert "Hint 1 of 2 A generator remembers" in ladder("hint", 1, 2).out
    second = ladder("hint", 1, 2).out
    assert "Hint 2 of 2 yield result" in second
    assert "Hint 1" not in second
    assert "ladder solution 1 2 --give-up" in second
    again = ladder("hint", 1, 2).out
    assert "Hint 1 of 2" in again
    assert "Hint 2 of 2" in again
    assert "Hint 2 of 2" in ladder("hint", 1, 1, "--all").out


def test_a_task_without_hints(house, ladder):
    file = house / "phase02_demo/project02_mean/project.toml"
    file.write_text(
        file.read_text().replace(
            'hints = ["A sum, and a count.", "total(values) / len(values)"]', "hints = []"
        )
    )
    assert ladder("hint", 2, 1).error == "ladder: task 1 of project 2 has no hints"


def test_reset_makes_a_stub_of_that_task_only_and_keeps_the_text(house, ladder):
    ladder("start", 1)
    (house / SUMS).write_text(reference(house).replace("result = 0", "result = 0  # mine", 1))
    before = (house / SUMS).read_text()
    said = ladder("reset", 1, 2)
    text = (house / SUMS).read_text()
    assert is_stub_in(text, "running")
    assert is_stub_in(text, "Counter.add")
    assert "# mine" in text
    (kept,) = (house / "work/.kept").rglob("*.py")
    assert kept.read_text() == before
    assert f"your text: {kept.relative_to(house)}" in said.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is missing; `ladder start 1` puts a stub there"),
        ("def total(:\n", "cannot be reset in part: line 1 does not parse. Move it away"),
        ("x = 1\n", "it no longer defines total"),
    ],
)
def test_reset_of_a_file_that_cannot_be_changed_in_part(house, ladder, text, message):
    ladder("start", 1)
    if text is None:
        (house / SUMS).unlink()
    else:
        (house / SUMS).write_text(text)
    said = ladder("reset", 1, 1)
    assert said.code == 2
    assert message in said.error
    assert not (house / "work/.kept").exists()


def test_solution_is_shown_after_the_task_passes(house, ladder, run_inside):
    ladder("start", 1)
    refused = ladder("solution", 1, 1)
    assert refused.code == 2
    assert "task 1 does not pass yet: `ladder check 1 --task 1`" in refused.error
    write(
        house,
        'raise NotImplementedError("project 1, task 1: total — Adds up whole numbers.")',
        "return len(values)",
    )
    assert ladder("solution", 1, 1).code == 2
    write(house, "len(values)", "sum(values)")
    shown = ladder("solution", 1, 1)
    assert "return sum(values)" in shown.out
    assert "result += value" in shown.out
    assert progress.state(find(1), find(1).task(1), progress.read()) == progress.PASSED
    assert ladder("solution", 1, 1).out == shown.out


def test_solution_with_give_up(house, ladder, monkeypatch):
    assert "not start" not in ladder("solution", 1, 1, "--give-up").out
    assert ladder("solution", 1, 2).code == 2
    ladder("start", 1)
    monkeypatch.setattr(console, "width", 100)
    both = ladder("solution", 1, 2, "--give-up").out
    assert both.index("yours: ") < both.index("the reference's: ")
    (house / SUMS).write_text("x = 1\n")
    assert "does not define running" in ladder("solution", 1, 2, "--give-up").out
    (house / SUMS).write_text("x = (\n")
    assert "cannot be read" in ladder("solution", 1, 2, "--give-up").out


def test_status_from_nothing_to_everything(house, ladder):
    fresh = ladder("status").out
    assert "1 Sums 1 demo not started ·· 0/2 0/5" in fresh
    assert "Next: ladder start 1" in fresh
    ladder("start", 1)
    assert "started ·· 0/2 0/5" in ladder("status").out
    (house / SUMS).write_text(reference(house))
    project = find(1)
    assert "started ○○ 0/2 0/5" in ladder("status").out
    progress.record(project, [project.task(1)], [])
    assert "started ●○ 1/2 2/5" in ladder("status").out
    progress.record(project, list(project.tasks), [], whole=True)
    done = ladder("status").out
    assert "yours ●● 2/2 5/5" in done
    assert "5 of 6 points. Next: ladder start 2" in done


def test_status_shows_what_changed_since_it_passed(house, ladder):
    ladder("start", 1)
    (house / SUMS).write_text(reference(house))
    project = find(1)
    progress.record(project, list(project.tasks), [], whole=True)
    (house / SUMS).write_text("# a comment\n" + reference(house))
    assert "yours ●●" in ladder("status").out
    write(house, "self.count += number", "self.count = self.count + number")
    said = ladder("status").out
    assert "started, changed ●◐ 1/2 2/5" in said
    assert "Next: ladder check 1" in said


def test_status_when_all_is_done(house, ladder):
    for number, name in ((1, "sums.py"), (2, "means.py")):
        project = find(number)
        ladder("start", number)
        (house / "work" / project.path / name).write_text((project.folder / name).read_text())
        progress.record(project, list(project.tasks), [], whole=True)
    assert "6 of 6 points. Every project here is yours." in ladder("status").out


def test_a_failure_takes_the_pass_away(house, ladder):
    ladder("start", 1)
    project = find(1)
    progress.record(project, list(project.tasks), [], whole=True)
    assert progress.is_done(project, progress.read())
    progress.record(project, [], [project.task(2)])
    assert not progress.is_done(project, progress.read())
    assert list(progress.read().project(project)["passed"]) == ["1"]


@pytest.mark.parametrize("text", ["{", "[]", '{"1": 3}', '{"1": {"passed": []}}'])
def test_a_damaged_progress_file_says_so(house, ladder, text):
    (house / "work").mkdir()
    (house / "work/progress.json").write_text(text)
    said = ladder("status")
    assert said.code == 2
    assert "progress.json is damaged; delete it" in said.error


def test_progress_is_readable_json(house, ladder):
    ladder("hint", 1, 2)
    assert json.loads((house / "work/progress.json").read_text())["1"]["hints"] == {"2": 1}


def test_errors_are_one_line_with_exit_code_2(house, ladder, monkeypatch, tmp_path):
    assert ladder("start", 9).error == "ladder: there is no project 9; projects here: 1 (Sums), 2 (Means)"
    assert ladder("hint", 1, 9).error == "ladder: project 1 has no task 9; its tasks: 1, 2"
    said = ladder("reset", 1, 1)
    assert (said.code, said.error) == (2, "ladder: project 1 is not started; `ladder start 1` begins it")
    monkeypatch.setenv("LADDER_ROOT", str(tmp_path / "empty"))
    assert "there is no project below" in ladder("status").error


def test_ladder_alone_says_where_to_go_on(house, ladder):
    fresh = ladder()
    assert fresh.code == 0
    assert (
        "Nothing is started yet. Begin with project 1, Sums:\nSums of whole numbers, three ways." in fresh.out
    )
    assert "\nladder start 1\n" in fresh.out
    assert fresh.out.endswith("All projects: ladder status All commands: ladder --help")
    assert len(fresh.out.splitlines()) < 10

    ladder("start", 1)
    project = find(1)
    (house / SUMS).write_text(reference(house))
    progress.record(project, [project.task(1)], [])
    going = ladder().out
    assert "◐ 1 Sums 1 of 2 tasks passed\n" in going
    assert "Next is task 2 of project 1, Sums so far. Write:\nsums.py:running\nsums.py:Counter.add\n" in going
    assert "Then: ladder check 1 --task 2\nA hint: ladder hint 1 2\n" in going
    assert "Means" not in going, "what is not started yet is left out"

    progress.record(project, list(project.tasks), [])
    assert (
        "Every task of project 1 has passed. Now the tests of the whole project:\nladder check 1\n"
        in ladder().out
    )
    progress.record(project, list(project.tasks), [], whole=True)
    done = ladder().out
    assert "● 1 Sums yours\n" in done
    assert "Next is project 2, Means:" in done
    assert "\nladder start 2\n" in done


def test_ladder_alone_goes_on_with_what_is_started_first(house, ladder):
    ladder("start", 2)
    said = ladder().out
    assert "◐ 2 Means 0 of 1 task passed" in said
    assert "ladder check 2 --task 1" in said
    assert "ladder start 1" not in said
    for number, name in ((1, "sums.py"), (2, "means.py")):
        project = find(number)
        ladder("start", number)
        (house / "work" / project.path / name).write_text((project.folder / name).read_text())
        progress.record(project, list(project.tasks), [], whole=True)
    assert "Every project here is yours." in ladder().out


def test_ladder_alone_without_projects(ladder, monkeypatch, tmp_path):
    monkeypatch.setenv("LADDER_ROOT", str(tmp_path / "empty"))
    assert "there is no project below" in ladder().error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check"], "missing argument 'PROJECT'; projects here: 1 (Sums), 2 (Means) (`ladder check --help` has more)"),
        (["check", "one"], "; projects here: 1 (Sums), 2 (Means) (`ladder check --help` has more)"),
        (["export"], "missing argument 'PROJECT...'; projects here: 1 (Sums), 2 (Means)"),
        (["grade", "x"], "missing option '--project'; projects here: 1 (Sums), 2 (Means)"),
        (["hint", "1"], "missing argument 'TASK'; tasks of project 1: 1 (Add up), 2 (Sums so far)"),
        (["hint", "1", "two"], "; tasks of project 1: 1 (Add up), 2 (Sums so far)"),
        (["hint", "7"], "there is no project 7; projects here: 1 (Sums), 2 (Means)"),
        (["run", "1"], "commands of project 1: benchmark"),
        (["new", "8"], "missing argument 'PHASE'; phases: phase01_foundation (projects 1 to 3), phase02_finetuning"),
        (["grade"], "missing argument 'DIR' (`ladder grade --help` has more)"),
        (["chek", "1"], "no such command 'chek'. Did you mean 'check'"),
        (["check", "1", "--tusk", "2"], "there is no option --tusk; did you mean --task? (`ladder check --help`"),
    ],
)  # fmt: skip
def test_what_is_missing_or_mistyped_is_one_line_with_the_choices(house, ladder, arguments, words):
    said = ladder(*arguments)
    assert said.code == 2
    assert said.error.startswith("ladder: ")
    assert words in said.error
    assert "\n" not in said.error


def test_options_of_ladder_are_spelled_both_ways(house, ladder):
    assert "result += value" in ladder("solution", 1, 1, "--give_up").out


def test_solution_shows_the_lines_that_python_counts(house, ladder):
    ladder("start", 1)
    mine = house / "work/phase01_demo/project01_sum/sums.py"
    text = (house / "phase01_demo/project01_sum/sums.py").read_text()
    start = b'\xef\xbb\xbf# \xe2\x80\xa8 \x0c\nx = "\xe2\x80\xa8"\n'
    mine.write_bytes(start + text.replace("def total", "\x0cdef total").encode())
    said = ladder("solution", 1, 1, "--give-up")
    assert said.code == 0
    assert "8 def total(values: list[int]) -> int:" in said.out.replace("\x0c", "")
    assert said.out.count("return result") == 2


def test_a_file_in_another_encoding_is_read_by_every_command(house, ladder):
    ladder("start", 1)
    mine = house / "work/phase01_demo/project01_sum/sums.py"
    mine.write_bytes(b'# coding: latin-1\nx = "\xe9"\n' + mine.read_bytes())
    assert ladder("status").code == 0
    assert ladder("solution", 1, 1, "--give-up").code == 0
    assert ladder("reset", 1, 1).code == 0
    assert mine.read_text(encoding="utf-8").startswith('# coding: utf-8\nx = "é"\n')
    mine.write_bytes(b"# coding: nonsense\n" + mine.read_bytes())
    said = ladder("reset", 1, 1)
    assert (said.code, "cannot be reset in part: unknown encoding: nonsense" in said.error) == (2, True)
