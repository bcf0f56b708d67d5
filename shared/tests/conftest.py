"""A small house of two projects for the tests of the `ladder` command."""

import contextlib
import importlib
import io
import json
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.ladder import runner
from shared.ladder.cli import main
from shared.ladder.house import console
from shared.ladder.project import Project
from shared.ladder.runner import Results, read_events

SUMS = '''"""Sums."""

from collections.abc import Iterator


def total(values: list[int]) -> int:
    """Adds up whole numbers."""
    result = 0
    for value in values:
        result += value
    return result


def running(values: list[int]) -> Iterator[int]:
    """Yields the sum so far after each value."""
    result = 0
    for value in values:
        result += value
        yield result


class Counter:
    """Counts."""

    def __init__(self, start: int = 0) -> None:
        self.count = start

    def add(self, number: int) -> int:
        """Counts on by a number and returns the new count."""
        self.count += number
        return self.count


def trace_example() -> int:
    """A small run for `ladder trace`."""
    counter = Counter()
    for value in running([1, 2, 3]):
        counter.add(value)
    return total([counter.count, 4])
'''

TEST_SUMS = '''import pytest
from phase01_demo.project01_sum.sums import Counter, running, total


@pytest.mark.task(1)
@pytest.mark.parametrize("values", [[], [1, 2, 3], [-1, 1]])
def test_total_equals_sum(values):
    """Equals Python's own sum."""
    assert total(values) == sum(values)


@pytest.mark.task(2)
def test_running_ends_at_the_total():
    assert list(running([1, 2, 3])) == [1, 3, 6]


@pytest.mark.task(2)
def test_counter_counts_on():
    counter = Counter(2)
    assert counter.add(3) == 5
    assert counter.add(1) == 6


def test_together():
    assert list(running([4, 5]))[-1] == total([4, 5])
'''

BUDGET = """headline = []
minutes_cpu = 0.1
minutes_gpu = 0
ram_gb = 0.1
hours = 0.5
difficulty = "easy"
needs = []
produces = []
"""

SUM_TOML = f"""number = 1
title = "Sums"
build = "Sums of whole numbers, three ways."
promise = "Equal to Python's sum."
{BUDGET}papers = []
trace = "sums.py:trace_example"

[[task]]
number = 1
title = "Add up"
write = ["sums.py:total"]
points = 2
hints = ["Start from nothing.", "Begin with result = 0 and add each value."]

[[task]]
number = 2
title = "Sums so far"
write = ["sums.py:running", "sums.py:Counter.add"]
points = 3
hints = ["A generator remembers where it was.", "yield result inside the loop."]
"""

SUM_MUTANTS = '''[[mutant]]
task = 1
name = "keeps_the_last"
file = "sums.py"
find = "result += value\\n    return"
replace = "result = value\\n    return"

[[mutant]]
task = 2
name = "forgets_the_count"
file = "sums.py"
find = "self.count += number"
replace = "self.count = number"

[[variant]]
task = 1
name = "pythons_own"
file = "sums.py"
find = """    for value in values:
        result += value
    return result
"""
replace = """    return sum(values)
"""

[[variant]]
task = 2
name = "each_sum_anew"
file = "sums.py"
find = """    for value in values:
        result += value
        yield result
"""
replace = """    for i in range(len(values)):
        yield sum(values[: i + 1])
"""
'''

MEAN = '''"""Means, which stand on the sums of project 1."""

from phase01_demo.project01_sum.sums import total


def mean(values: list[int]) -> float:
    """The arithmetic mean."""
    return total(values) / len(values)
'''

TEST_MEAN = """import pytest
from phase02_demo.project02_mean.means import mean


@pytest.mark.task(1)
def test_mean():
    assert mean([1, 2, 6]) == 3
"""

MEAN_TOML = f"""number = 2
title = "Means"
build = "A mean that stands on your sums."
promise = "Exact."
{BUDGET}
[[task]]
number = 1
title = "The mean"
write = ["means.py:mean"]
points = 1
hints = ["A sum, and a count.", "total(values) / len(values)"]
"""

MEAN_MUTANTS = """[[mutant]]
task = 1
name = "divides_by_one_more"
file = "means.py"
find = "len(values)"
replace = "(len(values) + 1)"

[[variant]]
task = 1
name = "a_sum_of_parts"
file = "means.py"
find = "total(values) / len(values)"
replace = "sum(value / len(values) for value in values)"
"""

INIT = '''"""A project."""

from shared.overlay import overlay

__path__ = overlay(__path__)
'''

BENCHMARK = """import json
import signal
import sys

from phase01_demo.project01_sum.sums import total

if __name__ == "__main__":
    print("preset", sys.argv[-1])
    figures = {"total": {"value": total([1, 2, 3]), "unit": "units"}}
    print(json.dumps({"promise": "Equal.", "measured": figures, "peers": {}}))
"""

HEADINGS = (
    "What you build, and why; Budget; Needs and produces; Shapes; The idea; Tasks; Expected output; Measured results; "
    "Where it wins, where it loses; Common errors; Left out; Production; Papers; Check yourself"
)
README = "# A project\n\n" + "\n".join(f"## {heading}\n\nText.\n" for heading in HEADINGS.split("; "))

PYPROJECT = """[project]
name = "demo-ladder"
version = "0.1.0"
readme = "README.md"

[tool.hatch.build.targets.wheel]
include = ["/shared", "/phase??_*"]

[tool.pytest.ini_options]
testpaths = ["shared", "phase??_*"]
filterwarnings = ["error"]
"""


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """As in a terminal: `nohup`, and a script's job in the background, start Python with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root folder with projects 1 (sums) and 2 (means, standing on 1); the work folder is inside it."""
    root = tmp_path / "house"
    files = {
        "pyproject.toml": PYPROJECT,
        "phase01_demo/__init__.py": "",
        "phase01_demo/project01_sum/__init__.py": INIT,
        "phase01_demo/project01_sum/project.toml": SUM_TOML,
        "phase01_demo/project01_sum/mutants.toml": SUM_MUTANTS,
        "phase01_demo/project01_sum/sums.py": SUMS,
        "phase01_demo/project01_sum/test_sums.py": TEST_SUMS,
        "phase01_demo/project01_sum/benchmark.py": BENCHMARK,
        "phase01_demo/project01_sum/explore.ipynb": "{}",
        "phase01_demo/project01_sum/README.md": README,
        "phase02_demo/__init__.py": "",
        "phase02_demo/project02_mean/__init__.py": INIT,
        "phase02_demo/project02_mean/project.toml": MEAN_TOML,
        "phase02_demo/project02_mean/mutants.toml": MEAN_MUTANTS,
        "phase02_demo/project02_mean/means.py": MEAN,
        "phase02_demo/project02_mean/test_means.py": TEST_MEAN,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("LADDER_ROOT", str(root))
    monkeypatch.setenv("LADDER_WORK", str(root / "work"))
    monkeypatch.delenv("LADDER_OVERLAY", raising=False)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # an overlay sets its own
    monkeypatch.syspath_prepend(root)
    monkeypatch.setattr(
        sys, "meta_path", list(sys.meta_path)
    )  # jobs check shapes here too, by a hook of their own
    forget_demo()
    return root


@pytest.fixture
def change(house: Path) -> Callable[..., None]:
    """`change(file, (old, new), …)` replaces texts in a file of project 1, each of which must be there."""

    def change(file: str, *changes: tuple[str, str]) -> None:
        path = house / "phase01_demo/project01_sum" / file
        text = path.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        path.write_text(text, encoding="utf-8")

    return change


@pytest.fixture
def run_inside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Results]:
    """`run_tests` in this process instead of one of its own: ten times faster, and the same but for that."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def run(project: Project, overlay: Path | None, tasks=None, watching=lambda event: None) -> Results:
        events = tmp_path / "events.jsonl"
        events.write_text("")
        forget_demo()
        with monkeypatch.context() as patch:
            if overlay:
                patch.setenv("LADDER_OVERLAY", str(overlay))
            arguments = runner.pytest_arguments(project, events, tasks)
            with contextlib.redirect_stdout(io.StringIO()):
                pytest.main([*arguments, "-W", "ignore::pytest.PytestAssertRewriteWarning"])
        forget_demo()
        for line in events.read_text().splitlines():
            watching(json.loads(line))
        return read_events(events)

    monkeypatch.setattr("shared.ladder.check.run_tests", run)
    monkeypatch.setattr("shared.ladder.tasks.run_tests", run)
    return run


@dataclass
class Said:
    """What a command printed, with runs of blanks as one, and its exit code."""

    code: int
    out: str
    error: str


@pytest.fixture
def ladder(
    house: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    monkeypatch.chdir(house)
    monkeypatch.setattr(console, "width", 200)

    def run(*arguments: object) -> Said:
        forget_demo()
        monkeypatch.setattr(sys, "argv", ["ladder", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        out, error = ("\n".join(" ".join(line.split()) for line in text.splitlines()) for text in captured)
        return Said(int(ended.value.code or 0), out, error)

    return run


def forget_demo() -> None:
    for name in [name for name in sys.modules if name.startswith(("phase01_demo", "phase02_demo"))]:
        del sys.modules[name]
    importlib.invalidate_caches()
