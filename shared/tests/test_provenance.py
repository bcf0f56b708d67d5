import sys
from types import SimpleNamespace

import pytest

from shared.files import ROOT
from shared.measuring import provenance


def test_a_record_has_what_a_reader_asks_for():
    facts = provenance.provenance()
    assert set(facts) == {"command", "commit", "device", "threads", "machine", "versions", "date"}
    assert {"python", "torch"} <= set(facts["versions"])


def test_the_command_is_one_to_type_in_the_root(monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["/usr/bin/python3", f"{ROOT}/shared/x.py", "--text", "two words"])
    assert provenance.command() == "python shared/x.py --text 'two words'"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"rev-parse": "abc\n", "status": ""}, "abc"),
        ({"rev-parse": "abc\n", "status": " M x\n"}, "abc-dirty"),
        ({"rev-parse": "", "status": ""}, "unknown"),
    ],
)
def test_the_commit(monkeypatch, tmp_path, answers, expected):
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setattr(provenance.shutil, "which", lambda _: "git")
    monkeypatch.setattr(
        provenance.subprocess, "run", lambda words, **_: SimpleNamespace(stdout=answers[words[3]])
    )
    assert provenance.commit() == expected


def test_the_commit_without_git(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance.shutil, "which", lambda _: None)
    assert provenance.commit() == "unknown"
    monkeypatch.setattr(provenance.shutil, "which", lambda _: "git")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert provenance.commit() == "unknown"
