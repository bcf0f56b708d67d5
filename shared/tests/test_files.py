import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import files


def test_folders_follow_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("LADDER_DATA", raising=False)
    monkeypatch.delenv("LADDER_WORK", raising=False)
    assert files.data_folder() == files.ROOT / "data"
    assert files.work_folder() == files.ROOT / "work"
    monkeypatch.setenv("LADDER_DATA", str(tmp_path / "d"))
    monkeypatch.setenv("LADDER_WORK", str(tmp_path / "w"))
    assert files.data_folder() == tmp_path / "d"
    assert files.work_folder() == tmp_path / "w"


def test_paths_are_shown_from_the_root(tmp_path):
    assert files.shown(files.ROOT / "data" / "x") == os.path.join("data", "x")
    assert files.shown(tmp_path / "x") == str(tmp_path / "x")


def test_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "new" / "file"
    files.write_text(path, "one\r\nline")
    files.write_text(path, "two\n")
    assert path.read_bytes() == b"two\n"
    assert os.listdir(path.parent) == ["file"]


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_comes_back_byte_for_byte(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("text") / "file"
    files.write_text(path, text)
    assert path.read_bytes().decode() == text


def test_a_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    files.write_text(path, "old")

    def fail():
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_private_temporary_file_becomes_an_ordinary_one(tmp_path):
    files.write_text(tmp_path / "plain", "x")
    with files.replacing(tmp_path / "private") as temporary:
        temporary.unlink()
        os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))
    assert (tmp_path / "private").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_sweeps_what_dead_processes_left_and_nothing_else(tmp_path):
    dead = subprocess.Popen([sys.executable, "-S", "-c", ""])
    dead.wait()
    host = files._host()
    left = [
        tmp_path / f".file.{host}.{dead.pid}.00ab.tmp",
        tmp_path / f".file.{host}.{os.getpid()}.00ab.tmp",  # another thread of ours may be writing it
        tmp_path / f".file.{host}x.{dead.pid}.00ab.tmp",  # another machine's
        tmp_path / f".other.{host}.{dead.pid}.00ab.tmp",
        tmp_path / f"file.{dead.pid}.tmp",
    ]
    for path in left:
        path.mkdir()
        (path / "file").touch()
    files.write_text(tmp_path / "file", "x")
    assert set(tmp_path.iterdir()) == {*left[1:], tmp_path / "file"}


def test_folders_are_not_synced_where_they_cannot_be(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "name", "nt")
    monkeypatch.setattr(files.os, "open", lambda *_: pytest.fail("Windows cannot open a folder"))
    files._sync_folder(tmp_path)
