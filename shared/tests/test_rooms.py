"""What a learner writes and runs lies at a project's top, all else in given/; and each part of this rule can fail."""

from pathlib import Path

import pytest

from shared.ladder.fixed import fixed_faults
from shared.ladder.project import find, load, projects
from shared.ladder.rooms import room_faults
from shared.ladder.runner import test_files as files_of

SUM = "phase01_demo/project01_sum"
MARKED = "import pytest\n\n\n@pytest.mark.task(1)\ndef test_a():\n    pass\n"
COMMAND = 'if __name__ == "__main__":\n    print(1)\n'
GIVEN = {
    "given/__init__.py": '"""Given."""\n',
    "given/trees.py": "HEIGHT = 3\n",
    "given/test_trees.py": "HEIGHT = 3\n",
}


def put(house: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = house / SUM / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def test_the_demo_project_has_no_fault(house):
    put(house, GIVEN)
    assert list(room_faults(find(1))) == []


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("stray.py", "X = 1\n", "stray.py is written by no task and is no command: it belongs in given/"),
        (
            "test_stray.py",
            "def test_a():\n    pass\n",
            "test_stray.py has no test of a task and imports no command",
        ),
        (
            "test_stray.py",
            "from phase01_demo.project01_sum import sums\n",
            "test_stray.py has no test of a task and imports no command",
        ),
        ("given/sums.py", "X = 1\n", "given/sums.py has the name of a file that a task writes"),
        ("given/test_more.py", MARKED, "given/test_more.py has a test of a task: it belongs at the top"),
        ("given/plot.py", COMMAND, "given/plot.py is a command: it belongs at the top"),
        ("helpers/x.py", "X = 1\n", "helpers/ has Python files: they belong at the top or in given/"),
    ],
)
def test_each_rule_can_fail(house, file, text, fault):
    put(house, GIVEN | {file: text})
    [found] = room_faults(find(1))
    assert found.startswith(fault)
    assert found in fixed_faults(find(1)), "selfcheck says so too"


def test_given_is_a_package(house):
    put(house, {"given/trees.py": "HEIGHT = 3\n"})
    assert list(room_faults(find(1))) == ["given/ has no __init__.py"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("plot.py", COMMAND),
        ("test_more.py", MARKED),
        ("test_benchmark.py", "from phase01_demo.project01_sum import benchmark\n"),
        ("test_benchmark.py", "from phase01_demo.project01_sum.benchmark import figures\n"),
        ("test_benchmark.py", "import phase01_demo.project01_sum.benchmark\n"),
    ],
)
def test_commands_and_tests_of_tasks_and_commands_are_at_the_top(house, file, text):
    put(house, {file: text})
    assert list(room_faults(find(1))) == []


def test_tests_in_given_are_run_with_the_whole_project(house):
    put(house, GIVEN)
    names = [file.relative_to(house / SUM).as_posix() for file in files_of(find(1), None)]
    assert names == ["test_sums.py", "given/test_trees.py"]
    assert [file.name for file in files_of(find(1), [1])] == ["test_sums.py"]


def test_a_learner_sees_few_files_in_each_project():
    """The repository's own projects: 83 entries at a project's top were too many."""
    for project in projects(Path(__file__).parents[2]):
        assert list(room_faults(load(project.folder))) == []
        entries = [path for path in project.folder.iterdir() if path.name != "__pycache__"]
        assert len(entries) <= 50
