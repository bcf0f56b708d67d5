"""`ladder run` starts a project's own commands on the learner's code."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.ladder import run

SHOW = """import sys
from phase01_demo.project01_sum.sums import total

if __name__ == "__main__":
    open("shown.txt", "w").write(f"total {total([1, 2])} {sys.argv[1:]}")
    sys.exit(int(sys.argv[-1]))
"""


@pytest.fixture
def command(house):
    folder = house / "phase01_demo/project01_sum"
    (folder / "show.py").write_text(SHOW)
    return folder


def test_the_learners_code_runs_with_the_options_given(house, ladder, command):
    ladder("start", 1)
    mine = (command / "sums.py").read_text().replace("result = 0", "result = 100", 1)
    (house / "work/phase01_demo/project01_sum/sums.py").write_text(mine)
    said = ladder("run", 1, "show", "--preset", "cpu", "3")
    assert said.code == 3, "the command's exit code is handed on"
    assert "total 103 ['--preset', 'cpu', '3']" in (house / "shown.txt").read_text()
    assert "show with your files in work/phase01_demo/project01_sum" in said.out


def test_what_is_still_to_write_is_said_before(ladder, command):
    ladder("start", 1)
    said = ladder("run", 1, "show", "0")
    assert said.code == 1
    assert "It will stop where it needs a task that is still to write: 1 (" in said.out


def show(house):
    """What `ladder run 1 show 0` says on the error channel, in a process of its own."""
    values = os.environ | {"PYTHONPATH": str(Path(run.__file__).parents[2])}
    command = [sys.executable, "-m", "shared.ladder", "run", "1", "show", "0"]
    return subprocess.run(command, capture_output=True, text=True, env=values, check=False)


def test_a_stub_that_is_reached_is_one_line(house, ladder, command):
    ladder("start", 1)
    done = show(house)
    assert (done.returncode, done.stderr) == (1, "total is still to write: ladder check 1 --task 1\n")


def test_another_error_keeps_its_traceback(house, ladder, command):
    ladder("start", 1)
    file = house / "work/phase01_demo/project01_sum/sums.py"
    file.write_text(file.read_text().replace('Error("project 1, task 1', 'Error("task'))
    done = show(house)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_what_cannot_be_run(house, ladder, command):
    said = ladder("run", 1, "show")
    assert said.code == 2
    assert "project 1 is not started" in said.error
    ladder("start", 1)
    said = ladder("run", 1, "dance")
    assert said.code == 2
    assert "no command 'dance'; its commands: benchmark, show" in said.error
    (house / "work/phase01_demo/project01_sum/sums.py").write_text("def total(:")
    said = ladder("run", 1, "show")
    assert said.code == 2
    assert "invalid syntax" in said.error


def test_ctrl_c_is_left_to_the_command(ladder, command, monkeypatch):
    ladder("start", 1)
    patient = """import signal, sys, time
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    sys.exit(130)
"""
    interrupted = []

    class Process(subprocess.Popen):
        def wait(self, timeout=None):
            if not interrupted:
                interrupted.append(True)
                raise KeyboardInterrupt
            return super().wait(timeout)

    monkeypatch.setattr(
        run.subprocess,
        "Popen",
        lambda arguments, **options: Process([sys.executable, "-c", patient], **options),
    )
    assert ladder("run", 1, "show").code == 130
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
