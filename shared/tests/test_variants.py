"""Other right ways, and other words: what fails on them asks for more than a learner is told."""

import pytest

from shared.ladder import jobs
from shared.ladder.imports import lower
from shared.ladder.project import find
from shared.ladder.reworded import reworded
from shared.ladder.selfcheck import Selfcheck
from shared.ladder.variants import Ways, rounds, write_ways

SUM, MEAN = "phase01_demo/project01_sum", "phase02_demo/project02_mean"

CHECKED = "other right way, checked as a learner does, {}"

MESSAGES = '''
def checked(values: list[int]) -> int:
    """The length. Raises ValueError for an empty list, naming the least_length that is allowed."""
    if not values:
        raise ValueError("there is nothing at all" f" in {values!r} and {len(values)}: least_length is 1")
    if len(values) > 9:
        raise ValueError
    if len(values) > 8:
        raise OverflowError(values, "too many") from None
    return len(values)


def not_asked() -> None:
    raise ValueError("these words stay")
'''


def test_a_message_keeps_its_facts_and_loses_its_words():
    scope = {}
    exec(reworded(MESSAGES, ["checked"]), scope)
    with pytest.raises(ValueError, match=r"^1 is least_length 0 \[\] is $"):
        scope["checked"]([])
    with pytest.raises(OverflowError) as error:
        scope["checked"]([0] * 9)
    assert error.value.args == ([0] * 9, "")
    with pytest.raises(ValueError, match="these words stay"):
        scope["not_asked"]()


def test_what_is_tried_together(house):
    assert [[way.name for way in ways] for ways in rounds(find(1))] == [
        [
            "variant pythons_own of project 1, task 1",
            "variant each_sum_anew of project 1, task 2",
            "errors of project 1 in other words",
        ]
    ]
    assert lower(find(2)) == [find(1)]
    (together,) = rounds(find(2))
    assert [way.project.number for way in together] == [1, 1, 1, 2, 2]


def test_two_variants_may_not_change_the_same_text(house, tmp_path):
    file = house / SUM / "mutants.toml"
    text = file.read_text()
    first = text[text.index("[[variant]]") :].partition("[[variant]]\ntask = 2")[0]
    file.write_text(text + first.replace("pythons_own", "once_more").replace("task = 1", "task = 2"))
    ways = [way for ways in rounds(find(1)) for way in ways]
    with pytest.raises(ValueError, match="variant once_more of project 1, task 2 and another one change"):
        write_ways(ways, tmp_path)


def looks_for(text):
    """Lines of a test that want some text in the file that it tests."""
    return (
        "    from pathlib import Path\n"
        "    from phase01_demo.project01_sum import sums\n"
        f"    assert {text} Path(sums.__file__).read_text()\n"
    )


def run(project, folder):
    ways = Ways(project, folder)
    names = [outcome.job.name for outcome in jobs.run(ways.jobs(), then=ways.then)]
    return ways.faults, names


def test_right_ways_pass(house, tmp_path):
    for number, file in ((1, "test_sums.py"), (2, "test_means.py")):
        faults, names = run(find(number), tmp_path / str(number))
        assert (faults, set(names)) == ([], {CHECKED.format(file), f"other right ways, round 1, {file}"})


def test_a_test_that_asks_for_one_way_is_found(house, tmp_path, change):
    asked = looks_for("'yield result' in")
    change("test_sums.py", ("def test_together():\n", f"def test_together():\n{asked}"))
    faults, names = run(find(1), tmp_path)
    (fault,) = faults
    assert fault.startswith(
        "variant each_sum_anew of project 1, task 2: it is right, but fails test_together"
    )
    assert len(names) == 2 + 1 + 3, (
        "checked, the round, the reference in a learner's place, and then each way alone"
    )


def test_a_test_that_fails_in_a_learners_place_whatever_they_write_is_one_fault(house, tmp_path, change):
    asked = "    import os\n    assert 'LADDER_OVERLAY' not in os.environ\n"
    change("test_sums.py", ("def test_together():\n", f"def test_together():\n{asked}"))
    faults, names = run(find(1), tmp_path)
    (fault,) = faults
    assert fault.startswith(
        "the reference of project 1 in a learner's place: it is right, but fails test_together"
    )
    assert len(names) == 3


def test_a_test_that_asks_for_words_is_found(house, tmp_path, change):
    refusal = "    if -7 in values:\n        raise TypeError(f'there is a hole: {values}')\n"
    change("sums.py", ("    result = 0\n", f"{refusal}    result = 0\n"))
    asked = "def test_together():\n    with pytest.raises(TypeError) as error:\n        total([-7])\n"
    change("test_sums.py", ("def test_together():\n", asked + "    assert '[-7]' in str(error.value)\n"))
    assert run(find(1), tmp_path / "facts")[0] == []
    change("test_sums.py", ("'[-7]'", "'hole'"))
    (fault,) = run(find(1), tmp_path / "words")[0]
    assert fault.startswith("errors of project 1 in other words: a test is to ask for facts")
    assert "test_together" in fault


def test_a_project_above_gets_the_variants_of_those_below(house, tmp_path):
    """What it needs of a function and the function's own task does not ask for is found."""
    file = house / MEAN / "test_means.py"
    file.write_text(file.read_text() + looks_for("'return result' in"))
    (fault,) = run(find(2), tmp_path)[0]
    assert fault.startswith("variant pythons_own of project 1, task 1: it is right, but fails test_mean: ")


def test_what_fails_only_together_is_said(house, tmp_path, change):
    asked = looks_for("'yield result' in Path(sums.__file__).read_text() or 'return result' in")
    change("test_sums.py", ("def test_together():\n", f"def test_together():\n{asked}"))
    (fault,) = run(find(1), tmp_path)[0]
    assert fault.startswith(
        "other right ways, round 1, test_sums.py: what passes one by one fails together: "
    )


def test_selfcheck_tries_them(house, tmp_path):
    check = Selfcheck(find(1), tmp_path)
    names = [outcome.job.name for outcome in jobs.run(check.jobs(), then=check.then)]
    assert "other right ways, round 1, test_sums.py" in names
    assert check.faults == []
