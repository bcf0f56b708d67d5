"""A submission that fools the tests instead of passing them gets no points, and is told of."""

import csv
import io
import xml.etree.ElementTree as ElementTree

import pytest

from shared.ladder.grading import grade
from shared.ladder.grading.sandbox import Sandbox, find_sandbox
from shared.ladder.project import find
from shared.ladder.stubs import stub_file

FOLDER = "phase01_demo/project01_sum"
NOT_WRITTEN = "task 1: not written; task 2: not written"

# Each stands before the stubs of sums.py, and makes them pass where nothing holds it back.
REPORTED = {
    "runtest": "import _pytest.python\n_pytest.python.Function.runtest = lambda self: None\n",
    "code": """
import _pytest.python
_pytest.python.Function.runtest.__code__ = (lambda self: None).__code__
""",
    "outcome": """
import _pytest.reports
first = _pytest.reports.TestReport.__init__
def init(self, nodeid, location, keywords, outcome, *rest, **more):
    first(self, nodeid, location, keywords, "passed", *rest, **more)
_pytest.reports.TestReport.__init__ = init
""",
    "events": """
from shared.ladder import pytest_plugin
write = pytest_plugin.Ladder.write
def lie(self, event, **values):
    if event == "test":
        values |= {"outcome": "passed"}
        values.pop("failure", None)
    write(self, event, **values)
pytest_plugin.Ladder.write = lie
""",
    "json": """
import json
dumps = json.dumps
json.dumps = lambda value, **more: dumps(value, **more).replace('"failed"', '"passed"')
""",
    "forges": """
import os
for number in range(3, 40):
    try:
        os.write(number, b'{"event": "test", "id": "a::test_a", "outcome": "passed"}\\n')
    except OSError:
        pass
""",
    "seeks": """
import gc
for found in gc.get_objects():
    if type(found).__name__ == "Ladder":
        found.send = lambda *args, **more: None
""",
    "reference": f"""
from pathlib import Path
import shared
path = Path(shared.__file__).parents[1] / "{FOLDER}/sums.py"
exec(compile(path.read_text(), str(path), "exec"))
def __getattr__(name): raise AttributeError(name)
""",
    "expected": f"""
from pathlib import Path
import shared
text = (Path(shared.__file__).parents[1] / "{FOLDER}/test_sums.py").read_text()
""",
    "audit": "import sys\nsys.addaudithook(lambda *event: None)\n",
    "memory": "open('/proc/self/mem', 'rb')\n",
    "added": "import _pytest.python\n_pytest.python.Function.__getattr__ = lambda self, name: None\n",
}
# These bring functions of their own, which take the place of the stubs.
WRITTEN = {
    "equal": """
class Equal:
    def __eq__(self, other): return True
    def __hash__(self): return 1
def total(values): return Equal()
""",
    "peer": """
import builtins
builtins.sum = lambda values: 0
def total(values): return 0
""",
    "module": """
import sys, types
sys.modules["operator"] = types.ModuleType("operator")
def total(values):
    return sum(values)
""",
    "frames": """
import inspect
def total(values):
    frame = inspect.currentframe()
    return sum(frame.f_back.f_locals["values"])
""",
}
# These get no points either: they are seen to end early, or to do nothing.
WORTHLESS = {
    "exits": "import atexit, os\natexit.register(os._exit, 0)\nos._exit(0)\n",
    "kills": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nimport time\ntime.sleep(60)\n",
    "group": "import os, signal\nos.killpg(0, signal.SIGKILL)\n",
    "skips": "import builtins, pytest\nbuiltins.AssertionError = pytest.skip.Exception\n",
}


def hand_in(house, name, start, end=""):
    (house / "handed" / name).mkdir(parents=True)
    (house / "handed" / name / "sums.py").write_text(start + stub_file(find(1), "sums.py") + end)


def read_rows(house):
    return {
        row["student"]: row for row in csv.DictReader(io.StringIO((house / "grades/grades.csv").read_text()))
    }


def grade_all(house, ladder, names=None):
    """Hand in all cheats, or those of these names, and an honest solution; returns the rows and what was said."""
    solution = house / FOLDER / "sums.py"
    # One reads the solution where the instructor has it. Inside a sandbox, no file of that name is there.
    starts = REPORTED | WORTHLESS | {"path": f"exec(open({str(solution)!r}).read())\n"}
    for name, text in starts.items():
        if names is None or name in names:
            hand_in(house, name, text)
    for name, text in WRITTEN.items():
        if names is None or name in names:
            hand_in(house, name, "", text)
    (house / "handed/honest").mkdir()
    (house / "handed/honest/sums.py").write_text(solution.read_text())
    said = ladder("grade", "handed", "--project", 1, "--seconds", 10)
    rows = csv.DictReader(io.StringIO((house / "grades/grades.csv").read_text()))
    return {row["student"]: row for row in rows}, said


def told(rows):
    return {
        name for name, row in rows.items() if row["notes"].startswith("no points for the whole project: ")
    }


def test_cheats_get_no_points_and_are_reported(house, ladder, monkeypatch):
    """Also without a sandbox."""
    monkeypatch.setattr(grade, "find_sandbox", lambda: Sandbox(why_none="none, for a test"))
    rows, said = grade_all(house, ladder)
    assert {name: int(row["total"]) for name, row in rows.items() if int(row["total"])} == {"honest": 5}
    assert told(rows) == {*REPORTED, *WRITTEN, "path"}
    for name, words in {
        "runtest": "it replaces _pytest.python.Function.runtest; a canary that must fail passes: test_",
        "code": "a canary that must fail passes: test_",
        "equal": "a canary that must fail passes: test_total_equals_sum with a wrong expected value",
        "reference": "it opens sums.py of the tests or the stubs",
        "expected": "it opens test_sums.py of the tests or the stubs",
        "path": f"it opens {house / FOLDER / 'sums.py'}",
        "peer": "it replaces builtins.sum",
        "module": "it replaces operator",
        "seeks": "it calls gc.get_objects",
        "frames": "it calls sys._getframe",
        "forges": "it writes results of its own into those of the tests",
    }.items():
        assert words in rows[name]["notes"]
    assert rows["honest"]["notes"] == ""
    assert "No sandbox (none, for a test): what a submission does with the network" in said.out
    assert f"code {rows['code']['notes']}" in said.out
    suites = ElementTree.fromstring((house / "grades/grades.xml").read_text())
    messages = {suite.get("name"): [one.get("message") for one in suite.iter("failure")] for suite in suites}
    assert messages["code"] == [rows["code"]["notes"]] * 2
    assert messages["honest"] == []


@pytest.mark.skipif(not find_sandbox().engine, reason=find_sandbox().why_none)
def test_in_a_sandbox_as_well(house, ladder):
    rows, said = grade_all(house, ladder, ["runtest", "reference", "path", "kills", "group", "equal"])
    assert {name: int(row["total"]) for name, row in rows.items() if int(row["total"])} == {"honest": 5}
    assert told(rows) == {"runtest", "reference", "path", "equal"}
    assert "Each submission runs inside" in said.out
