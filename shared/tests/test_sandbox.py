"""A submission's process sees the system, Python, and the folders it is given; nothing else, and no network."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shared.ladder.grading import sandbox
from shared.ladder.grading.sandbox import Sandbox, environment, find_sandbox, python

FAKE = """#!/bin/sh
echo "$0 $*" >> {log}
case "$*" in
*--help*) echo "--size BYTES"; exit 0 ;;
*inspect*) exit {inspect} ;;
esac
{last}
"""


@pytest.fixture
def engines(tmp_path, monkeypatch):
    """Puts pretended engines, and nothing else, on PATH; returns the list of what they were asked."""
    monkeypatch.setenv("PATH", str(tmp_path))
    find_sandbox.cache_clear()
    sandbox._sized.cache_clear()

    def install(name, last="exit 1", inspect=0):
        path = tmp_path / name
        path.write_text(FAKE.format(log=tmp_path / "log", last=last, inspect=inspect))
        path.chmod(0o755)
        return tmp_path / "log"

    yield install
    find_sandbox.cache_clear()
    sandbox._sized.cache_clear()


def test_nothing_installed(engines):
    found = find_sandbox()
    assert found == Sandbox(why_none="neither bubblewrap nor a container engine is installed")
    assert found.command(["a", "b"], [Path("/x")]) == ["a", "b"]
    assert "is not held back" in found.told()


def test_an_engine_that_is_installed_and_does_not_work_is_passed_over(engines):
    engines("bwrap")
    engines("docker", inspect=1)
    engines("podman", last="echo it works")
    assert find_sandbox() == Sandbox("podman")
    (Path(os.environ["PATH"]) / "podman").unlink()
    find_sandbox.cache_clear()
    assert find_sandbox().why_none == "bwrap does not work here; docker does not work here"


def test_what_bubblewrap_is_asked(engines, tmp_path):
    log = engines("bwrap", last="echo it works")
    assert find_sandbox() == Sandbox("bwrap")
    assert "--unshare-all --die-with-parent --new-session --cap-drop ALL" in log.read_text()
    words = Sandbox("bwrap").command(["run", "it"], [tmp_path / "r"], [tmp_path / "w"])
    assert words[-2:] == ["run", "it"]
    line = " ".join(words)
    for part in (
        "--size 2147483648 --tmpfs /tmp",
        f"--ro-bind {tmp_path}/r {tmp_path}/r",
        f"--bind {tmp_path}/w {tmp_path}/w",
    ):
        assert part in line
    assert line.index("--tmpfs /tmp") < line.index(f"--ro-bind {tmp_path}/r")
    bound = [words[i + 1] for i, word in enumerate(words) if word in ("--bind", "--ro-bind")]
    root = sandbox.root_folder()
    assert not any(root == Path(path) or root.is_relative_to(path) for path in bound), (
        "the house is not inside"
    )


def test_a_house_below_what_is_bound_is_hidden(engines, monkeypatch):
    engines("bwrap")
    monkeypatch.setattr(sandbox, "root_folder", lambda: Path("/usr/src/house"))
    assert "--tmpfs /usr/src/house" in " ".join(Sandbox("bwrap").command(["x"], []))
    assert "--tmpfs /usr/src/house" in " ".join(Sandbox("docker").command(["x"], []))


def test_what_a_container_engine_is_asked(engines, tmp_path):
    log = engines("docker", last="echo it works", inspect=1)
    assert find_sandbox() == Sandbox("docker")
    said = log.read_text()
    assert f"import - {sandbox.IMAGE}" in said, "an image without content is made, none is downloaded"
    words = Sandbox("docker").command(["run", "it"], [tmp_path / "r"], [tmp_path / "w"], "its-name")
    assert words[-3:] == [sandbox.IMAGE, "run", "it"]
    line = " ".join(words)
    for part in (
        "--network none --read-only",
        "--cap-drop ALL",
        "--name its-name",
        "--pids-limit",
        f"{tmp_path}/r:ro",
    ):
        assert part in line
    assert f"{tmp_path}/w:{tmp_path}/w " in line
    Sandbox("docker").end("its-name")
    assert "rm --force its-name" in log.read_text()


def test_the_environment_has_nothing_of_yours(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("LADDER_ROOT", "x")
    assert not {"SECRET_TOKEN", "LADDER_ROOT"} & environment().keys()
    assert environment()["HOME"] == "/tmp"


PROBE = """
import os, socket, subprocess, sys, time
from pathlib import Path
given, hidden, port = sys.argv[1:]
print("given", Path(given, "a").read_text())
for name, action in {
    "hidden": lambda: Path(hidden).read_text(),
    "write": lambda: Path(given, "b").write_text("x"),
    "usr": lambda: Path("/usr/ladder-test").write_text("x"),
    "net": lambda: socket.create_connection(("127.0.0.1", int(port)), timeout=2),
}.items():
    try:
        action()
        print(name, "possible")
    except OSError:
        print(name, "held back")
subprocess.Popen(["sleep", "54321"], start_new_session=True)
"""


@pytest.mark.skipif(not find_sandbox().engine, reason=find_sandbox().why_none)
def test_what_is_held_back_in_this_machines_sandbox(tmp_path):
    (tmp_path / "given").mkdir()
    (tmp_path / "given/a").write_text("seen")
    (tmp_path / "hidden").write_text("unseen")
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = [python(), "-c", PROBE, tmp_path / "given", tmp_path / "hidden", server.getsockname()[1]]
        command = find_sandbox().command([*map(str, arguments)], [tmp_path / "given"], name="ladder-test")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:5] == [
        "given seen",
        *(f"{name} held back" for name in ("hidden", "write", "usr", "net")),
    ]
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "sleep 54321" not in listed.splitlines()


def test_this_python_is_named_by_a_path_that_is_there_inside():
    assert Path(python()).is_file()
    assert os.path.samefile(python(), sys.executable)
