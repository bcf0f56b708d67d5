"""What a submission does besides its tasks is seen: forged results, replaced functions, files that are not its own."""

import os
import subprocess
import sys
import types

import pytest

from shared.ladder.grading.channel import LONGEST, ForgeryError, Receiver, sender
from shared.ladder.grading.guard import Seal
from shared.ladder.project import ROOT


@pytest.fixture
def line():
    """A pipe with a sender and a receiver; `read` gives the next line."""
    out, into = os.pipe()
    with os.fdopen(out, "rb") as lines:
        yield sender(into, b"key"), Receiver(b"key"), lambda: lines.readline().rstrip(b"\n"), into
        os.close(into)


def test_events_arrive_in_their_order(line):
    send, receiver, read, _ = line
    send("test", id="é\n")
    send("end", status=0)
    assert receiver.event(read()) == {"event": "test", "id": "é\n"}
    assert receiver.event(read()) == {"event": "end", "status": 0}


def test_what_another_wrote_said_again_or_moved_is_forged(line):
    send, receiver, read, into = line
    send("test", id="a")
    first = read()
    os.write(into, b'{"event": "test"}\n')
    for forged in (read(), first.replace(b'"a"', b'"b"'), b""):
        with pytest.raises(ForgeryError):
            receiver.event(forged)
    receiver.event(first)
    with pytest.raises(ForgeryError):
        receiver.event(first)


def test_a_message_without_end_is_cut(line):
    send, receiver, read, _ = line
    send("test", id="a", outcome="failed", failure={"message": "x" * LONGEST})
    assert receiver.event(read()) == {"event": "test", "id": "a", "outcome": "failed", "too_long": True}


LIBRARY = """
def function(): return 1
def other(): return 2
class Thing:
    def method(self): return 1
    @property
    def value(self): return 1
class Inner(Thing):
    pass
"""


@pytest.fixture
def library(monkeypatch, tmp_path):
    module = types.ModuleType("a_library.part")
    exec(compile(LIBRARY, "/usr/lib/a_library/part.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "a_library.part", module)
    return module


def made(source, file, name="theirs"):
    space: dict = {"__name__": name}
    exec(compile(source, str(file), "exec"), space)
    return space["made"]


def test_a_seal_names_what_was_replaced(library, tmp_path):
    seal = Seal()
    assert seal.broken(str(tmp_path)) == []
    theirs = made("def made(*_): return 1", tmp_path / "sums.py")
    library.function = theirs
    library.Thing.method = theirs
    library.Thing.value = property(theirs)
    library.Inner.method = theirs
    library.new = theirs
    del library.other
    assert [name for name in seal.broken(str(tmp_path)) if name.startswith("a_library")] == [
        "a_library.part.function",
        "a_library.part.other",
        "a_library.part.Thing.method",
        "a_library.part.Thing.value",
        "a_library.part.Inner.method",
    ]
    sys.modules["a_library.part"] = types.ModuleType("a_library.part")
    assert "a_library.part" in seal.broken(str(tmp_path))


def test_what_a_library_replaces_by_itself_is_no_fault(library, tmp_path):
    seal = Seal()
    library.function = made("def made(): return 3", "/usr/lib/a_library/lazy.py", "a_library.lazy")
    assert seal.broken(str(tmp_path)) == []
    library.other = made("def made(): return 3", "<string>", "a_library.lazy")
    assert seal.broken(str(tmp_path)) == ["a_library.part.other"], "a name can be borrowed"


WATCHED = """
import sys
from pathlib import Path
from shared.ladder.grading.guard import watch
folder = Path(sys.argv[1])
watch(str(folder / "theirs"), [str(folder)], [str(folder / "house")], [str(folder / "house/test_a.py")],
      lambda event, **values: print(event, values["what"].replace(str(folder), "")))
sys.path.insert(0, str(folder / "theirs"))
open(folder / "house/test_a.py").close()
open(folder / "theirs/code.py").close()
import code_of_theirs
"""
CODE = """
import inspect, os, sys
from pathlib import Path
folder = Path(__file__).parents[1]
open(folder / "house/given.py").close()
Path(__file__).read_text()
for action in (
    lambda: (folder / "house/test_a.py").read_text(),
    lambda: exec(f"open({str(folder / 'house/test_a.py')!r})"),
    lambda: open(folder / "solution.py"),
    lambda: open(os.path.join(str(folder), "house", "..", "solution.py"), "w"),
    lambda: os.listdir(folder),
    lambda: os.symlink(folder / "solution.py", "link"),
    lambda: inspect.currentframe(),
    lambda: open("/proc/self/maps"),
):
    try:
        action()
        print("possible")
    except PermissionError:
        pass
os.system("true")
open("/proc/self/status").close()
import collections
collections.namedtuple("A", "b")
"""


def test_a_watched_process_refuses_and_reports(tmp_path):
    for name, text in {
        "theirs/code_of_theirs.py": CODE,
        "theirs/code.py": "",
        "house/test_a.py": "",
        "house/given.py": "",
        "solution.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-c", WATCHED, str(tmp_path)]
    values = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=values, cwd=tmp_path / "house"
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "refused it opens test_a.py of the tests or the stubs",
        "refused it opens test_a.py of the tests or the stubs",
        "refused it opens /solution.py",
        "refused it opens /solution.py",
        "refused it opens ",
        "refused it opens /solution.py",
        "refused it calls sys._getframe",
        "refused it opens /proc/self/maps",
        "noted it calls os.system",
    ]
