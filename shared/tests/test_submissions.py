"""Whatever a student hands in is read, or said in a row of its own; no damaged file costs another its grade."""

import io
import os
import tarfile
import zipfile

import pytest

from shared.ladder.grading import archives
from shared.ladder.grading.submissions import read_submission, read_submissions
from shared.ladder.house import LadderError
from shared.ladder.project import find
from shared.ladder.stubs import stub_file

FOLDER = "phase01_demo/project01_sum"


@pytest.fixture
def good(house):
    return (house / FOLDER / "sums.py").read_bytes()


@pytest.fixture
def handed(house):
    (house / "handed").mkdir()
    return house / "handed"


def zipped(path, files, way=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", way) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def is_stub(submission):
    return submission.files["sums.py"].decode() == stub_file(find(1), "sums.py")


def test_every_way_of_packing_is_read(handed, good):
    zipped(handed / "ann.zip", {f"work/{FOLDER}/sums.py": good})
    zipped(handed / "BOB.ZIP", {"work\\phase01_demo\\project01_sum\\sums.py": good})
    tarred(handed / "cy.tar.gz", {"cy/sums.py": good})
    (handed / "dan.py").write_bytes(good)
    (handed / "eve_12_assignsubmission_file").mkdir()
    zipped(handed / "eve_12_assignsubmission_file/work.zip", {f"work/{FOLDER}/sums.py": good})
    zipped(handed / "fay.zip", {"fay/inner.tgz": tarred(handed / ".inner", {"sums.py": good}).read_bytes()})
    submissions, others = read_submissions(handed, find(1))
    assert [submission.student for submission in submissions] == [
        "BOB", "ann", "cy", "dan", "eve_12_assignsubmission_file", "fay",
    ]  # fmt: skip
    assert {submission.files["sums.py"] for submission in submissions} == {good}
    assert others == []
    assert not any(submission.notes for submission in submissions)


def test_what_cannot_be_read_has_a_row_and_what_is_no_submission_is_named(handed):
    (handed / "gil.rar").write_bytes(b"Rar!")
    (handed / "hal.ipynb").write_text("{}")
    (handed / "notes.txt").write_text("x")
    submissions, others = read_submissions(handed, find(1))
    assert [(one.student, one.notes[0]) for one in submissions] == [
        ("gil", "cannot be read: .rar is not read here; hand in a folder or a .zip"),
        ("hal", "cannot be read: .ipynb is not read here; hand in a folder or a .zip"),
    ]
    assert others == ["notes.txt"]
    assert all(map(is_stub, submissions))


def flipped(path, good):
    zipped(path, {"sums.py": good})
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)


def truncated(path, good):
    tarred(path, {"sums.py": os.urandom(9000)})
    path.write_bytes(path.read_bytes()[:4000])


def encrypted(path, good):
    zipped(path, {"sums.py": good})
    data = path.read_bytes()
    at = data.index(b"PK\x01\x02") + 8
    path.write_bytes(data[:6] + b"\x01\x00" + data[8:at] + b"\x01\x00" + data[at + 2 :])


def unknown_way(path, good):
    zipped(path, {"sums.py": good})
    data = path.read_bytes()
    at = data.index(b"PK\x01\x02") + 10
    path.write_bytes(data[:8] + b"\x63\x00" + data[10:at] + b"\x63\x00" + data[at + 2 :])


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("a.zip", flipped),
        ("a.tar.gz", truncated),
        ("a.zip", encrypted),
        ("a.zip", unknown_way),
        ("a.zip", lambda path, good: path.write_bytes(b"no zip")),
        ("a.zip", lambda path, good: path.write_bytes(b"")),
        ("a.tgz", lambda path, good: path.write_bytes(b"\x1f\x8b nothing")),
    ],
)
def test_a_damaged_archive_is_one_students_bad_luck(handed, good, name, damage):
    damage(handed / name, good)
    zipped(handed / "b.zip", {"sums.py": good})
    (first, second), _ = read_submissions(handed, find(1))
    assert any("cannot be read: " in note for note in first.notes)
    assert is_stub(first)
    assert (second.files, second.notes) == ({"sums.py": good}, [])


def test_one_bad_member_leaves_the_others(handed, good):
    flipped(handed / "a.zip", b"x = 1\n" * 50)
    with zipfile.ZipFile(handed / "a.zip", "a") as archive:
        archive.writestr("work/sums.py", good)
    assert read_submission(handed / "a.zip", find(1)).files["sums.py"] == good


@pytest.mark.parametrize("way", ["file", "sum", "names", "archives"])
def test_a_small_archive_that_holds_very_much_is_not_read_to_its_end(handed, good, way, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST", 2000)
    monkeypatch.setattr(archives, "LARGEST_SUM", 5000)
    monkeypatch.setattr(archives, "LARGEST_ARCHIVE", 5000)
    monkeypatch.setattr(archives, "MOST_NAMES", 30)
    files = {"sums.py": good}
    if way == "file":
        files["big.py"] = bytes(2001)
    elif way == "sum":
        files |= {f"{i}.py": bytes(1500) for i in range(20)}
    elif way == "names":
        files |= {f"{i}.py": b"x" for i in range(40)}
    else:
        inner = zipped(handed / ".inner", {"a.txt": os.urandom(3000)}, zipfile.ZIP_STORED).read_bytes()
        files |= {f"{i}.zip": inner for i in range(20)}
    submission = read_submission(zipped(handed / "a.zip", files), find(1))
    assert submission.files["sums.py"] == good
    assert len(submission.notes[0]) < 100
    words = {
        "file": "big.py is larger",
        "sum": "files are larger",
        "names": "names;",
        "archives": "archives are",
    }
    assert words[way] in submission.notes[0]


def test_names_of_any_bytes_can_be_shown(handed, good):
    for name in (b"M\xfcller", b"a\x01b", "Zoë".encode()):
        folder = os.fsencode(handed) + b"/" + name
        os.mkdir(folder)
        with open(folder + b"/sums.py", "wb") as file:
            file.write(good)
    submissions, _ = read_submissions(handed, find(1))
    assert [submission.student for submission in submissions] == ["M\\xfcller", "Zoë", "a\\x01b"]
    assert all(
        submission.student.encode() and submission.files["sums.py"] == good for submission in submissions
    )


@pytest.mark.parametrize(
    "start", [b"\xef\xbb\xbf", b'# coding: latin-1\nx = "\xe9"\n', b"\x0c", b'x = "\xe2\x80\xa8"\n']
)
def test_a_file_that_python_reads_is_handed_to_it_as_it_is(handed, good, start):
    (handed / "a").mkdir()
    (handed / "a/sums.py").write_bytes(start + good)
    submission = read_submission(handed / "a", find(1))
    assert submission.files == {"sums.py": start + good}
    assert submission.notes == []


def test_a_conftest_and_names_that_cannot_be_imported_are_left_out(handed, good):
    zipped(
        handed / "a.zip",
        {"sums.py": good, "conftest.py": b"", "a b.py": b"", "test_x.py": b"", "mine.py": b""},
    )
    submission = read_submission(handed / "a.zip", find(1))
    assert set(submission.files) == {"sums.py", "mine.py"}
    assert submission.notes == ["its conftest.py is left out"]


def test_a_bare_file_is_the_one_whose_functions_it_defines(handed, good):
    (handed / "homework (1).py").write_bytes(good)
    assert read_submission(handed / "homework (1).py", find(1)).files == {"sums.py": good}
    (handed / "junk.py").write_bytes(b"x = '\xff'\n")
    assert "does not parse" in read_submission(handed / "junk.py", find(1)).notes[0]


def test_two_entries_of_one_student(handed):
    (handed / "ann").mkdir()
    zipped(handed / "ann.ZIP", {"a.py": b""})
    with pytest.raises(LadderError, match=r"has ann(\.ZIP)? and ann(\.ZIP)? of the same student"):
        read_submissions(handed, find(1))
