"""What a project must have around its code is looked for without running anything."""

import pytest

from shared.ladder.fixed import fixed_faults
from shared.ladder.project import find

FOLDER = "phase01_demo/project01_sum"


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("project.toml", '"Start from nothing.", ', "", "task 1 has fewer than two hints"),
        ("mutants.toml", "task = 2", "task = 1", "task 2 has no mutant"),
        ("mutants.toml", "[[variant]]\ntask = 2", "[[variant]]\ntask = 1", "task 2 has no variant"),
        ("project.toml", "hours = 0.5", "hours = 0", "hours is 0"),
        ("sums.py", '    """Adds up whole numbers."""\n', "", "sums.py:total has no docstring"),
        ("README.md", "## Budget", "## Money", "README.md has no section on: budget"),
        ("README.md", "## Papers\n\nText.\n", "", "README.md has no section on: papers"),
    ],
)
def test_fixed_faults(house, file, old, new, fault, change):
    assert fixed_faults(find(1)) == []
    change(file, (old, new))
    (found,) = fixed_faults(find(1))
    assert fault in found


def test_a_tasks_test_asks_for_no_words(house, change):
    """A learner's error says what the docstring asks for, in the learner's words."""
    refusal = "    with pytest.raises(TypeError, match='unsupported'):\n        {}(['a'])\n"
    change("test_sums.py", ("def test_together():\n", "def test_together():\n" + refusal.format("total")))
    assert fixed_faults(find(1)) == [], "a test of no task may look at what is given"
    change("test_sums.py", ("    assert total(values)", refusal.format("total") + "    assert total(values)"))
    (fault,) = fixed_faults(find(1))
    assert fault.startswith("test_sums.py, line 9: test_total_equals_sum asks for words by match=")


def test_sections_in_the_wrong_order(house, change):
    change("README.md", ("## Budget", "## Papers"), ("## Papers", "## Papers"))
    change("README.md", ("## Common errors", "## Budget"))
    faults = fixed_faults(find(1))
    assert "README.md has its section on needs too early" in faults


def test_configs_need_a_smoke_preset(house):
    (house / FOLDER / "configs").mkdir()
    assert fixed_faults(find(1)) == ["there is no configs/smoke.yaml"]
    (house / FOLDER / "configs/smoke.yaml").write_text("steps: 1\n")
    assert fixed_faults(find(1)) == []


def test_a_project_without_tasks(house):
    file = house / "phase02_demo/project02_mean/project.toml"
    file.write_text(file.read_text().partition("[[task]]")[0])
    file.with_name("mutants.toml").unlink()
    assert fixed_faults(find(2)) == [
        "it has no task",
        "there is no benchmark.py",
        "there is no explore.ipynb",
        "there is no README.md",
        "means.py is written by no task and is no command: it belongs in given/",
    ]
