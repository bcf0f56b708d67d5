"""Jobs end whatever the code in them does, and none sees a GPU, the network or another's files."""

import os
import sys

import pytest

from shared.ladder import jobs
from shared.ladder.jobs import Job
from shared.ladder.project import find

FOLDER, MEAN = "phase01_demo/project01_sum", "phase02_demo/project02_mean"


def run(project, overlay=None, tasks=None, **options):
    (outcome,) = jobs.run([Job("job", project, overlay, tasks, **options)])
    return outcome


@pytest.fixture
def overlaid(house):
    """An overlay with a sums.py that begins with a text of the test's choice."""

    def write(start):
        folder = house / "overlay" / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sums.py").write_text(start + (house / FOLDER / "sums.py").read_text())
        return house / "overlay"

    return write


@pytest.mark.parametrize(
    ("start", "why"),
    [
        ("import os\nos._exit(0)\n", "ended itself with exit code 0"),
        ("import sys\nsys.exit(0)\n", "ended itself with exit code 3"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "killed by signal 9"),
        ("import time\ntime.sleep(60)\n", "stopped after 2 s"),
    ],
)
def test_a_job_that_breaks_out_says_how(house, overlaid, start, why):
    limit = 2 if "sleep" in start else 60  # on a busy machine, starting alone may take two seconds
    assert run(find(1), overlaid(start), seconds=limit).why_cut_off == why


def test_a_job_has_no_gpu_no_network_and_a_folder_of_its_own(house, overlaid, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    start = "import os\nkeys = ('CUDA_VISIBLE_DEVICES', 'https_proxy')\n"
    start += "raise ValueError([os.environ[key] for key in keys], os.path.basename(os.getcwd()))\n"
    outcome = run(find(1), overlaid(start))
    assert outcome.why_cut_off == ""
    assert outcome.results.broken[0]["failure"]["message"] == "(['', 'http://127.0.0.1:9'], '0')"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"


def test_a_job_has_a_memory_limit(house, overlaid):
    outcome = run(find(1), overlaid("x = bytearray(3 * 2**30)\n"), memory_gb=2)
    assert outcome.results.broken[0]["failure"]["error"] == "MemoryError"


def test_jobs_left_over_are_killed(house, overlaid):
    slow = Job("slow", find(1), overlaid("import time\ntime.sleep(60)\n"))
    quick = Job("quick", find(2), command=(sys.executable, "-c", "pass"))
    running = jobs.run([slow, quick])
    assert next(running).job.name == "quick"
    running.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_commands_fill_the_gaps_and_what_is_alone_waits(house):
    tests, alone = Job("tests", find(1)), Job("alone", find(1), alone=True)
    higher = Job("higher", find(2))
    sleep = (sys.executable, "-c", "import time; time.sleep(0.5); print('done')")
    command = Job("command", find(2), command=sleep)
    followed = []

    def then(outcome):
        followed.append(outcome.job.name)
        return [Job("next", find(1), tasks=(1,))] if outcome.job.name == "tests" else []

    outcomes = list(jobs.run([higher, command, alone, tests], then=then))
    names = [outcome.job.name for outcome in outcomes]
    assert names == followed
    assert sorted(names) == ["alone", "command", "higher", "next", "tests"]
    assert names.index("tests") < names.index("next") < names.index("alone") < names.index("higher")
    assert names.index("command") < names.index("alone"), "alone means that no command runs either"
    (said,) = (outcome for outcome in outcomes if outcome.job.name == "command")
    assert (said.code, said.results.output) == (0, "done\n")


def test_a_command_says_how_it_ended(house):
    fails = Job("fails", find(1), command=(sys.executable, "-c", "import sys; sys.exit(3)"))
    hangs = Job("hangs", find(1), command=(sys.executable, "-c", "import time; time.sleep(60)"), seconds=1)
    outcomes = {outcome.job.name: outcome for outcome in jobs.run([fails, hangs])}
    assert (outcomes["fails"].code, outcomes["fails"].why_cut_off) == (3, "")
    assert (outcomes["hangs"].timed_out, outcomes["hangs"].why_cut_off) == (True, "stopped after 1 s")


def test_a_job_says_which_files_it_opened(house):
    code = "import subprocess, sys; open('notes.txt'); subprocess.run([sys.executable, '-c', 'open(\\'more.txt\\')'])"
    for name in ("notes.txt", "more.txt"):
        (house / name).write_text("")
    command = Job("command", find(1), command=(sys.executable, "-c", code.replace("\\'", '"')))
    outcomes = {outcome.job.name: outcome for outcome in jobs.run([command, Job("tests", find(2))])}
    assert {"notes.txt", "more.txt"} <= outcomes["command"].opened
    assert {f"{MEAN}/means.py", f"{MEAN}/test_means.py"} <= outcomes["tests"].opened
    assert not any(name.startswith((".", "/")) for name in outcomes["tests"].opened)


def test_a_projects_own_files_are_never_imported_before_its_jobs(house):
    sys.modules[f"{FOLDER.replace('/', '.')}.sums"] = sys
    with pytest.raises(RuntimeError, match="is imported already"):
        run(find(1))


def test_what_lies_below_is_imported_once_and_checked_for_shapes(house):
    run(find(2))
    assert "phase01_demo.project01_sum.sums" in sys.modules
    assert "phase02_demo.project02_mean.means" not in sys.modules


def test_plugins_of_others_are_not_loaded(house, overlaid):
    foreign = ("xdist", "nbmake", "anyio.pytest_plugin")
    before = [name for name in foreign if name in sys.modules]
    start = f"import sys\nraise ValueError([name for name in {foreign} if name in sys.modules])\n"
    assert run(find(1), overlaid(start)).results.broken[0]["failure"]["message"] == str(before)


def test_without_fork_it_says_so(house, ladder, monkeypatch):
    monkeypatch.delattr(os, "fork")
    assert "this command forks processes, which this system cannot" in ladder("selfcheck", 1).error
