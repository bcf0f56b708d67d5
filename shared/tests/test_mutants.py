"""mutants.toml is read whole, or refused with a message that says what is wrong."""

import pytest

from shared.ladder.mutants import Mistakes, read_mistakes
from shared.ladder.project import ProjectError, find

SUM = "phase01_demo/project01_sum"


def change(house, old, new):
    """Replace a text of project 1's mutants.toml."""
    file = house / SUM / "mutants.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_everything_is_read(house):
    first, second = read_mistakes(find(1)).mutants
    assert (first.task, first.name, first.file) == (1, "keeps_the_last", "sums.py")
    assert (second.find, second.replace) == ("self.count += number", "self.count = number")


def test_a_project_without_the_file_has_none(house):
    (house / SUM / "mutants.toml").unlink()
    assert read_mistakes(find(1)) == Mistakes()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[[mutant]]", "[[mutation]]", "unknown key mutation; allowed: mutant, variant, equivalent"),
        ('name = "keeps_the_last"\n', "", "mutant 1: missing key name"),
        ("task = 1\n", "task = 7\n", r"mutant 1 \(keeps_the_last\): there is no task 7"),
        (
            'find = "self.count += number"',
            'find = "result"',
            "find occurs 6 times in sums.py; it must occur exactly",
        ),
        ('find = "self.count += number"', 'find = "absent"', "find occurs 0 times"),
        ('replace = "self.count = number"', 'replace = "self.count += number"', "are the same text"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(house, old, new, message):
    change(house, old, new)
    with pytest.raises(ProjectError, match=message) as raised:
        read_mistakes(find(1))
    assert str(raised.value).startswith(f"{SUM}/mutants.toml")


def test_an_empty_replacement_is_fair(house):
    change(house, 'replace = "self.count = number"', 'replace = ""')
    assert read_mistakes(find(1)).mutants[1].replace == ""
