import json

import pytest

from shared.measuring.attempts import Attempts
from shared.measuring.report import Report


@pytest.fixture
def report(tmp_path):
    return Report(tmp_path, "a promise", "gpu", "python -m benchmark")


def test_a_part_that_fails_costs_the_others_nothing(report, capsys):
    attempts = Attempts(report, 60)

    def fails():
        raise RuntimeError("out of memory\nand a long explanation")

    attempts.run("first", lambda: report.figure("first", 1.0))
    assert json.loads(report.path.read_text())["measured"].keys() == {"first"}, "it is not saved at once"
    attempts.run("second", fails)
    attempts.run("third", lambda: report.figure("third", 3.0))
    assert json.loads(report.path.read_text())["measured"].keys() == {"first", "third"}
    assert "and a long explanation" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"^not measured: second: RuntimeError: out of memory$"):
        attempts.exit_if_missing()


def test_when_the_time_is_over_no_part_is_begun(report):
    attempts = Attempts(report, -1)
    attempts.run("late", lambda: pytest.fail("it was begun"))
    assert attempts.missing == {"late": "no time was left"}


def test_where_nothing_is_missing_the_program_goes_on(report):
    attempts = Attempts(report, 60)
    attempts.run("first", lambda: report.figure("first", 1.0))
    attempts.exit_if_missing()
