"""Grades come from the instructor's tests, whatever was handed in."""

import csv
import io
import os
import xml.etree.ElementTree as ElementTree
import zipfile

import pytest

from shared.ladder.grading.submissions import read_submission
from shared.ladder.project import find
from shared.ladder.stubs import put_functions, stub_file

FOLDER = "phase01_demo/project01_sum"


def reference(house):
    return (house / FOLDER / "sums.py").read_text()


def test_the_work_folder_of_a_whole_house_is_chosen(house, tmp_path):
    project = find(1)
    files = {
        f"x/{FOLDER}/sums.py": "stub = 1\n",
        f"x/work/{FOLDER}/sums.py": reference(house),
        f"x/work/{FOLDER}/helper.py": "h = 1\n",
        f"x/work/{FOLDER}/benchmark.py": "b = 1\n",
        f"x/work/{FOLDER}/test_sums.py": "t = 1\n",
        f"x/work/.kept/2026/{FOLDER}/sums.py": "old = 1\n",
        "x/work/phase09_demo/project09_other/sums.py": "other = 1\n",
        "../../evil.py": "e = 1\n",
    }
    with zipfile.ZipFile(tmp_path / "ann.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    submission = read_submission(tmp_path / "ann.zip", project)
    assert submission.student == "ann"
    assert submission.files == {"sums.py": reference(house).encode(), "helper.py": b"h = 1\n"}
    assert submission.notes == []


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (None, "sums.py is missing"),
        ("\n", "sums.py is empty"),
        ("def total(:\n", "sums.py does not parse: invalid syntax, line 1"),
        ("x = '\0'\n", "sums.py does not parse"),
    ],
)
def test_what_is_missing_or_broken_becomes_a_stub(house, tmp_path, text, note):
    (tmp_path / "bob").mkdir()
    if text:
        (tmp_path / "bob/sums.py").write_text(text)
    submission = read_submission(tmp_path / "bob", find(1))
    assert submission.files["sums.py"].decode() == stub_file(find(1), "sums.py")
    assert submission.notes[0].startswith(note)


def test_a_function_that_is_gone(house, tmp_path):
    (tmp_path / "cy").mkdir()
    (tmp_path / "cy/sums.py").write_text(reference(house).replace("def total(", "def totals("))
    assert read_submission(tmp_path / "cy", find(1)).notes == ["sums.py does not define total"]


def test_grades_of_good_bad_and_hostile_submissions(house, ladder):
    good = reference(house)
    for name, text in {
        "all": good,
        "half": good.replace("self.count += number", "self.count = number"),
        "stubs": stub_file(find(1), "sums.py"),
        "hangs": good.replace("    result = 0\n", "    while True:\n        pass\n", 1),
        "exits": "import os\nos._exit(0)\n" + good,
        "skips": good.replace("    result = 0\n", "    import pytest\n    pytest.skip()\n", 1),
        "broken": "print(missing)\n" + good,
    }.items():
        (house / "handed" / name).mkdir(parents=True)
        (house / "handed" / name / "sums.py").write_text(text)
    (house / "handed/readme.txt").write_text("not a submission")
    said = ladder("grade", "handed", "--project", 1, "--seconds", 8)
    assert said.code == 0
    assert "all 2 3 5" in said.out
    assert "the most there is 2 3 5" in said.out
    assert "Left out, as no submission: readme.txt" in said.out
    assert "half task 2: test_counter_counts_on: AssertionError" in said.out
    assert "7 submissions: grades/grades.csv, grades/grades.xml" in said.out
    rows = {
        row["student"]: row for row in csv.DictReader(io.StringIO((house / "grades/grades.csv").read_text()))
    }
    totals = {student: int(row["total"]) for student, row in rows.items()}
    assert totals == {"all": 5, "half": 2, "stubs": 0, "hangs": 3, "exits": 0, "skips": 3, "broken": 0}
    assert "task 1: stopped after 8 s" in rows["hangs"]["notes"]
    assert "task 1: ended itself with exit code 0" in rows["exits"]["notes"]
    assert "task 1: 3 tests did not pass" in rows["skips"]["notes"]
    assert "task 1: fails while imported: NameError" in rows["broken"]["notes"]
    assert "task 2: test_counter_counts_on: AssertionError" in rows["half"]["notes"]
    assert rows["stubs"]["notes"] == "task 1: not written; task 2: not written"
    suites = ElementTree.fromstring((house / "grades/grades.xml").read_text())
    failures = {suite.get("name"): int(suite.get("failures", 0)) for suite in suites}
    assert failures == {"all": 0, "half": 1, "stubs": 2, "hangs": 1, "exits": 2, "skips": 1, "broken": 2}


STANDS_ON_TASK_1 = (
    "        result += value\n        yield result",
    "        result = total([result, value])\n        yield result",
)


def grade_one_forgotten(house, ladder, *options):
    """A first task that is wrong, and a second that stands on it: right by itself, wrong, or not written."""
    good = reference(house)
    wrong = good.replace("result += value\n    return", "result = value\n    return")
    for name, text in {
        "right": wrong,
        "wrong": wrong.replace("yield result", "yield result + 1"),
        "unwritten": wrong.replace(
            "        yield result\n", "        raise NotImplementedError\n        yield 1\n"
        ),
        "stub": put_functions(wrong, stub_file(find(1), "sums.py"), {"running", "Counter.add"}),
        "other": wrong.replace("def total(", "def sum_of(").replace("total(", "sum_of("),
    }.items():
        (house / "handed" / name).mkdir(parents=True)
        (house / "handed" / name / "sums.py").write_text(text)
    said = ladder("grade", "handed", "--project", 1, *options)
    rows = csv.DictReader(io.StringIO((house / "grades/grades.csv").read_text()))
    return said, {row["student"]: (int(row["total"]), row["notes"]) for row in rows}


def test_what_only_follows_from_an_earlier_task_is_said(house, ladder, change):
    change("sums.py", STANDS_ON_TASK_1)
    said, rows = grade_one_forgotten(house, ladder)
    assert {name: total for name, (total, _) in rows.items()} == dict.fromkeys(rows, 0)
    follows = "task 2: follows only from task 1: test_running_ends_at_the_total: AssertionError"
    assert {name for name, (_, notes) in rows.items() if follows in notes} == {"right"}
    assert "right task 1: test_total_equals_sum[values1]: AssertionError" in said.out
    assert f"right {follows}" in said.out
    xml = (house / "grades/grades.xml").read_text()
    assert xml.count("follows only from task 1") == 1


def test_independent_gives_points_for_what_only_follows(house, ladder, change):
    change("sums.py", STANDS_ON_TASK_1)
    said, rows = grade_one_forgotten(house, ladder, "--independent")
    assert {name: total for name, (total, _) in rows.items() if total} == {"right": 3}
    assert "task 2: passes on the reference's task 1" in rows["right"][1]
    assert "right task 2: passes on the reference's task 1" in said.out


def test_files_that_only_python_reads_are_graded(house, ladder):
    """A byte-order mark, a coding line, a form feed, a name that is not UTF-8; and a conftest that would pass all."""
    good = reference(house).encode()
    for name, text in {
        b"bom": b"\xef\xbb\xbf" + good,
        b"latin": b'# coding: latin-1\nx = "\xe9"\n' + good,
        b"M\xfcller": good.replace(b"\ndef total", b"\n\x0cdef total"),
    }.items():
        folder = os.fsencode(house) + b"/handed/" + name
        os.makedirs(folder)
        with open(folder + b"/sums.py", "wb") as file:
            file.write(text)
    (house / "handed/stubs").mkdir()
    (house / "handed/stubs/sums.py").write_text(stub_file(find(1), "sums.py"))
    (house / "handed/stubs/conftest.py").write_text(
        "import _pytest.python\n_pytest.python.Function.runtest = print\n"
    )
    (house / "handed/zip.zip").write_bytes(b"PK\x03\x04 damaged")
    said = ladder("grade", "handed", "--project", 1)
    rows = list(csv.DictReader(io.StringIO((house / "grades/grades.csv").read_text())))
    assert {row["student"]: int(row["total"]) for row in rows} == {
        "bom": 5,
        "latin": 5,
        "M\\xfcller": 5,
        "stubs": 0,
        "zip": 0,
    }
    assert rows[-2]["notes"] == "its conftest.py is left out; task 1: not written; task 2: not written"
    assert "zip cannot be read: File is not a zip file" in said.out
    assert len(ElementTree.fromstring((house / "grades/grades.xml").read_text())) == 5


def test_nothing_to_grade(house, ladder):
    assert "handed is not a folder" in ladder("grade", "handed", "--project", 1).error
    (house / "handed").mkdir()
    assert "handed holds no submission" in ladder("grade", "handed", "--project", 1).error
    (house / "handed/ann").mkdir()
    (house / "handed/ann.zip").write_text("")
    assert (
        "has ann and ann.zip of the same student; keep one" in ladder("grade", "handed", "--project", 1).error
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "== sum(values)",
            "== 7",
            "the reference fails here, so nothing can be graded: test_total_equals_sum[values0]",
        ),
        (
            "@pytest.mark.task(1)\n",
            "@pytest.mark.task(1)\n@pytest.mark.skip\n",
            "no test of task 1 runs here",
        ),
    ],
)
def test_tests_that_the_reference_does_not_pass(house, ladder, old, new, message):
    test = house / FOLDER / "test_sums.py"
    test.write_text(test.read_text().replace(old, new))
    (house / "handed/ann").mkdir(parents=True)
    assert message in ladder("grade", "handed", "--project", 1).error
