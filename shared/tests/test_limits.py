"""What the code under test writes is limited, and a folder of any name runs its tests."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ladder import limits
from shared.ladder.failure import explain
from shared.ladder.limits import TooLong, limit_files, limit_time, tail
from shared.ladder.project import ROOT

resource = pytest.importorskip("resource")
FOLDER = "phase01_demo/project01_sum"


def test_a_file_grows_to_its_limit_and_no_further(tmp_path):
    code = "from shared.ladder import limits; limits.LARGEST_FILE = 1000; limits.limit_files()\n"
    code += f"file = open({str(tmp_path / 'a')!r}, 'wb', buffering=0)\nwhile True: file.write(bytes(300))\n"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert "File too large" in done.stderr
    assert (tmp_path / "a").stat().st_size == 1000


def test_a_lower_limit_that_is_there_stays(monkeypatch):
    said = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (500, 500))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limit: said.append(limit))
    limit_files()
    assert said == [(500, 500)]


def test_only_the_end_of_a_long_output_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_READ", 4)
    (tmp_path / "a").write_bytes(b"abc\xffdef")
    assert tail(tmp_path / "a") == "\ufffddef"


def compute(seconds):
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        pass


def test_an_endless_loop_ends():
    with pytest.raises(TooLong, match="after 0 s of computing"), limit_time(0.1):
        compute(10)


def test_who_catches_the_end_gets_another():
    def stubborn():
        with contextlib.suppress(BaseException):
            compute(10)
        compute(10)

    with pytest.raises(TooLong), limit_time(0.1):
        stubborn()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_hypothesis_does_not_begin_again():
    """Which it does with a failure, to show it once more: pytest-timeout's limit would be used up by then.

    The first end may come in hypothesis's own callback of the garbage collector, where it is lost, with a warning.
    """

    @given(st.integers())
    def endless(_number):
        while True:
            pass

    with pytest.raises(TooLong) as ended, limit_time(0.1):
        endless()
    assert explain(ended.value, []).kind == "timeout"


def test_a_busy_machine_stops_nobody(monkeypatch):
    """Another thread computes meanwhile, and this one waits: neither counts before WHOLE limits have gone by."""
    monkeypatch.setattr(limits, "WHOLE", 30.0)
    with limit_time(0.05):
        other = threading.Thread(target=compute, args=(0.3,))
        other.start()
        time.sleep(0.3)
        other.join()
    compute(0.2)  # nor what comes after


def test_what_waits_for_ever_ends(monkeypatch):
    monkeypatch.setattr(limits, "WHOLE", 2.0)
    with pytest.raises(TooLong, match="it waits for something"), limit_time(0.1):
        threading.Event().wait()


def test_the_limit_outside_goes_on():
    def with_one_inside():
        with limit_time(60):
            compute(0.01)
        compute(10)

    with pytest.raises(TooLong), limit_time(0.2):
        with_one_inside()


def check(house):
    """`ladder check 1` in a process of its own, as a learner types it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LADDER_")}
    environment |= {"PYTHONPATH": str(ROOT), "LADDER_ROOT": str(house), "LADDER_WORK": str(house / "work")}
    command = [sys.executable, "-m", "shared.ladder", "check", "1", "--task", "1"]
    done = subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def with_work(house, start=""):
    (house / "work" / FOLDER).mkdir(parents=True)
    (house / "work" / FOLDER / "sums.py").write_text(start + (house / FOLDER / "sums.py").read_text())


def test_an_endless_print_ends_the_check(house):
    """The limit is the plugin's own, so a learner's run has it as well as a graded one."""
    with_work(house, "import resource\nassert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == 2**28\n")
    assert check(house)[0] == 0


def test_a_clone_in_a_folder_with_brackets_runs_its_tests(house):
    shutil.copytree(house, house.parent / "cl [1]")
    with_work(house.parent / "cl [1]")
    code, said = check(house.parent / "cl [1]")
    assert code == 0, said
    assert "✓ task 1" in said
