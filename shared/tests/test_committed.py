"""Tests that were edited are named, and give no points."""

import subprocess

from shared.ladder import committed, progress
from shared.ladder.export import write_house
from shared.ladder.project import find

SUMS = "phase01_demo/project01_sum/sums.py"


def git(house, *arguments):
    names = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(house), *names, *arguments], check=True, capture_output=True)


def test_edited_tests_give_no_points_and_are_named(house, ladder, run_inside):
    ladder("start", 1)
    (house / "work" / SUMS).write_text((house / SUMS).read_text())
    tests = house / "phase01_demo/project01_sum/test_sums.py"
    assert "handed out" not in ladder("check", 1, "--task", 1).out, "no git: it cannot be told"
    git(house, "init")
    git(house, "add", ".")
    git(house, "commit", "-m", "tests")
    assert "handed out" not in ladder("check", 1, "--task", 1).out
    (house / "work/progress.json").unlink()
    tests.write_text(tests.read_text().replace("== sum(values)", "in (0, 6)"))
    said = ladder("check", 1, "--task", 1)
    assert "Tests that are not as they were handed out: phase01_demo/project01_sum/test_sums.py" in said.out
    assert "`git checkout` puts them back." in said.out
    assert "No points: the tests are not as they were handed out (see above)." in said.out
    assert progress.read().project(find(1))["passed"] == {}
    git(house, "checkout", "--", str(tests))
    assert "handed out" not in ladder("check", 1, "--task", 1).out
    assert progress.read().project(find(1))["passed"].keys() == {"1"}


def test_a_test_file_that_is_gone_is_named(house):
    git(house, "init")
    git(house, "add", ".")
    git(house, "commit", "-m", "tests")
    tests = house / "phase01_demo/project01_sum/test_sums.py"
    tests.unlink()
    assert committed.changed_tests(find(1)) == [tests]
    assert committed.changed_tests(find(2)) == []


def test_an_exported_folder_knows_its_tests_without_git(house, tmp_path):
    write_house(find(1), tmp_path / "out")
    listed = (tmp_path / "out" / committed.MANIFEST).read_text()
    assert "  phase01_demo/project01_sum/test_sums.py\n" in listed
    (house / committed.MANIFEST).write_text(
        "".join(f"{line}\n" for line in listed.splitlines() if "shared/" not in line)
    )
    assert committed.changed_tests(find(1)) == []
    tests = house / "phase01_demo/project01_sum/test_sums.py"
    tests.write_text(tests.read_text() + "\n")
    assert committed.changed_tests(find(1)) == [tests]
    tests.unlink()
    assert committed.changed_tests(find(1)) == [tests]
