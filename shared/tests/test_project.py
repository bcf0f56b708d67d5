"""project.toml is read whole, or refused with a message that says what is allowed."""

from pathlib import Path

import pytest

from shared.ladder.project import ProjectError, Target, find, load, projects

SUM = "phase01_demo/project01_sum"


def change(house: Path, old: str, new: str) -> Path:
    """Replace a text of project 1's project.toml; returns its folder."""
    file = house / SUM / "project.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return file.parent


def test_everything_is_read(house):
    project = load(house / SUM)
    assert (project.number, project.title, project.phase, project.points) == (1, "Sums", 1, 5)
    assert project.module == "phase01_demo.project01_sum"
    assert project.path == Path(SUM)
    assert project.files == ("sums.py",)
    assert project.trace == Target("sums.py", "trace_example")
    assert project.task(2).write == (Target("sums.py", "running"), Target("sums.py", "Counter.add"))
    assert str(project.task(1).write[0]) == "sums.py:total"


def test_the_example_may_be_given(house):
    folder = change(house, 'trace = "sums.py', 'trace = "given/example.py')
    (folder / "given").mkdir()
    (folder / "given/example.py").write_text("def trace_example():\n    pass\n")
    project = load(folder)
    assert project.trace == Target("given/example.py", "trace_example")
    assert project.sources[-1] == folder / "given/example.py"


def test_projects_come_by_number(house):
    change(house, "number = 1", "number = 3")
    assert [project.number for project in projects()] == [2, 3]
    assert find(3).title == "Sums"


def test_a_house_without_projects(tmp_path):
    assert projects(tmp_path) == []
    with pytest.raises(ProjectError, match="no project 1; projects here: none yet"):
        find(1, tmp_path)


def test_unknown_numbers_list_what_exists(house):
    with pytest.raises(ProjectError, match=r"no project 9; projects here: 1 \(Sums\), 2 \(Means\)"):
        find(9)
    with pytest.raises(ProjectError, match="project 1 has no task 4; its tasks: 1, 2"):
        find(1).task(4)


def test_a_number_used_twice(house):
    change(house, "number = 1", "number = 2")
    with pytest.raises(ProjectError, match=r"number 2 is used twice: phase.*(sum|mean) and .*(sum|mean)"):
        projects()


def test_a_folder_without_project_toml(tmp_path):
    with pytest.raises(ProjectError, match=r"project\.toml does not exist"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("number = 1", "number = = 1", r"not valid TOML.*line 1"),
        ('title = "Sums"', 'titel = "Sums"', "unknown key titel; allowed: number, title"),
        ('title = "Sums"\n', "", "missing key title"),
        ('title = "Sums"', 'title = " "', "title is ' '; it must be a text"),
        ("number = 1", 'number = "1"', "number is '1'; it must be a number"),
        ("number = 1", "number = 1.5", "number is 1.5; it must be a whole number"),
        ("hours = 0.5", "hours = true", "hours is True; it must be a number, zero or more"),
        ("hours = 0.5", "hours = -1", "hours is -1; it must be"),
        (
            "headline = []",
            'headline = "seconds"',
            "headline is 'seconds'; it must be a list of texts",
        ),
        ("headline = []", 'headline = ["a", "b", "c", "d", "e"]', "headline names 5 figures; at most 4"),
        ('"easy"', '"tricky"', "difficulty is 'tricky'; allowed: easy, medium, hard"),
        ("[[task]]\nnumber = 1", "[[task]]\nnumber = 4", r"tasks are numbered \[4, 2\]; they must be 1, 2"),
        ("points = 2", "points = 0", "task 1: points is 0; it must be at least 1"),
        ('write = ["sums.py:total"]', "write = []", "task 1: write is empty"),
        ('"sums.py:total"', '"sums.py"', "'sums.py' should be 'file.py:function'"),
        ('"sums.py:total"', '"other.py:total"', "there is no file other.py in project01_sum"),
        (
            '"sums.py:total"',
            '"a/sums.py:total"',
            "'a/sums.py' is not a .py file directly in the project's folder$",
        ),
        (
            '"sums.py:total"',
            '"given/sums.py:total"',
            "'given/sums.py' is not a .py file directly in the project's",
        ),
        (
            'trace = "sums.py',
            'trace = "a/sums.py',
            "'a/sums.py' is not a .py .* the project's folder or its given/",
        ),
        ('trace = "sums.py', 'trace = "given/a/sums.py', "'given/a/sums.py' is not a .py file directly in"),
        (
            'trace = "sums.py',
            'trace = "given/sums.py',
            "trace: there is no file given/sums.py in project01_sum",
        ),
        (
            '"sums.py:total"',
            '"sums.py:totals"',
            "function totals is not defined in sums.py; its functions: total",
        ),
        ('"sums.py:total"', '"sums.py:Counter"', "function Counter is not defined"),
        ('"sums.py:total"', '"sums.py:running"', "sums.py:running is written 2 times"),
        ('trace = "sums.py:trace_example"', 'trace = "sums.py:gone"', "trace: function gone is not defined"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(house, old, new, message):
    folder = change(house, old, new)
    with pytest.raises(ProjectError, match=message) as raised:
        load(folder)
    assert str(raised.value).startswith(f"{SUM}/project.toml")


def test_a_table_in_the_wrong_place(house):
    file = house / SUM / "project.toml"
    file.write_text(file.read_text().partition("[[task]]")[0] + "task = 3\n")
    with pytest.raises(ProjectError, match=r"task is 3; it must be tables, each begun by \[\[task\]\]"):
        load(file.parent)


def test_a_method_defined_twice_is_refused(house):
    file = house / SUM / "sums.py"
    file.write_text(file.read_text() + "\n\ndef total(values):\n    return 0\n")
    with pytest.raises(ProjectError, match="function total is 2 times defined"):
        load(file.parent)
