"""Runs many test runs, each in a forked child: the import of torch is paid for once.

A child has its own overlay folder, limits of time and memory, no GPU, and no way to the network by accident.
When it crashes, hangs or calls sys.exit, it ends nothing but itself.
"""

import ast
import contextlib
import importlib
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.ladder.house import LadderError
from shared.ladder.project import Project, root_folder
from shared.ladder.runner import Results, pytest_arguments, read_events

SECONDS = 120
WHOLE_SECONDS = 600  # for all tests of a project, in one process of a slow machine
MEMORY_GB = 8.0


@dataclass(frozen=True)
class Job:
    """One run of a project's tests: `tasks` (None: all, 0: those of no task) with `overlay` in front."""

    name: str
    project: Project
    overlay: Path | None
    tasks: tuple[int, ...] | None = None
    stop_at_first: bool = False
    seconds: float = SECONDS
    memory_gb: float = MEMORY_GB


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `why_cut_off` is empty when the tests ran to their end, whatever they said."""

    job: Job
    results: Results
    seconds: float
    why_cut_off: str


def run(jobs: Sequence[Job], at_once: int = 2) -> Generator[Outcome, None, None]:
    """Run the jobs, some at once, and yield each outcome as it comes.

    Raises LadderError where processes cannot be forked.
    """
    if not hasattr(os, "fork"):
        raise LadderError("this command forks processes, which this system cannot: use Linux, macOS or WSL")
    with _quiet_environment(), tempfile.TemporaryDirectory(prefix="ladder-") as folder:
        for project in {job.project.path: job.project for job in jobs}.values():
            _warm(project)
        waiting = list(reversed(list(enumerate(jobs))))
        running: dict[int, tuple[Job, Path, float]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    i, job = waiting.pop()
                    place = Path(folder, str(i))
                    place.mkdir()
                    running[_fork(job, place)] = (job, place, time.monotonic())
                for pid, (job, place, began) in list(running.items()):
                    if outcome := _ended(pid, job, place, time.monotonic() - began):
                        del running[pid]
                        yield outcome
                time.sleep(0.02)
        finally:
            for pid in running:
                _kill(pid)


def _ended(pid: int, job: Job, place: Path, seconds: float) -> Outcome | None:
    done, status = os.waitpid(pid, os.WNOHANG)
    why = ""
    if not done:
        if seconds < job.seconds:
            return None
        _kill(pid)
        why = f"stopped after {job.seconds:g} s"
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # what the child may have started
    output = (place / "output.txt").read_text(encoding="utf-8", errors="replace")
    results = read_events(place / "events.jsonl", output)
    if not why and not results.ended:
        code = os.waitstatus_to_exitcode(status)
        why = f"killed by signal {-code}" if code < 0 else f"ended itself with exit code {code}"
    return Outcome(job, results, seconds, why)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _fork(job: Job, place: Path) -> int:
    (place / "events.jsonl").touch()
    (place / "output.txt").touch()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:  # pragma: no cover (the child ends without writing its coverage)
        code = 70
        try:
            code = _child(job, place)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def _child(job: Job, place: Path) -> int:  # pragma: no cover
    import resource

    import pytest
    from hypothesis import Phase, settings
    from hypothesis.configuration import set_hypothesis_home_dir

    os.setsid()
    with open(place / "output.txt", "ab", buffering=0) as output, open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    # Data, not address space: torch maps far more than it touches.
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = int(job.memory_gb * 2**30)
    limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    root = root_folder()
    os.chdir(place)  # a test or a submission that writes where it stands leaves nothing behind
    sys.path.insert(0, str(root))
    os.environ["PYTHONPATH"] = str(root)
    sys.dont_write_bytecode = job.overlay is not None  # the reference's bytecode serves the jobs after it
    os.environ.pop("LADDER_OVERLAY", None)
    os.environ["TMPDIR"] = tempfile.tempdir = str(place)
    set_hypothesis_home_dir(root / ".hypothesis")  # its tables of Unicode take seconds to make
    # That a test fails is all that counts here: no search for a smaller example, no failing for slowness.
    settings.register_profile("job", phases=[Phase.explicit, Phase.generate], deadline=None, database=None)
    settings.load_profile("job")
    if job.overlay:
        os.environ["LADDER_OVERLAY"] = os.environ["LADDER_WORK"] = str(job.overlay)
    arguments = pytest_arguments(job.project, place / "events.jsonl", job.tasks, int(job.seconds) + 1)
    # What the parent has imported cannot be rewritten, and need not: the tests themselves are imported here.
    arguments += ["--hypothesis-seed=0", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    arguments += ["-x"] if job.stop_at_first else ["--ladder-keep-going"]
    return int(pytest.main(arguments))


@contextmanager
def _quiet_environment() -> Iterator[None]:
    """No GPU, no network by accident, one thread: set before torch is imported, for it reads them then."""
    values = {
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "LADDER_OFFLINE": "1",
        "HF_HUB_OFFLINE": "1",
        "no_proxy": "127.0.0.1,localhost",
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"),
    }
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value


def _warm(project: Project) -> None:
    """Import what the project's files import from elsewhere, so that the children find it there."""
    own = {"shared", *(path.name for path in root_folder().iterdir())}
    names = {"pytest", "hypothesis", "beartype", "jaxtyping"}
    for file in project.sources:
        names |= set(_imported(file.read_text(encoding="utf-8")))
    if "torch" in names:
        names.add("torch.distributed.tensor")  # a second's worth, which torch.testing.assert_close imports
    for name in sorted(names - own):
        with contextlib.suppress(ImportError):  # the tests will say so
            importlib.import_module(name)


def _imported(text: str) -> Iterable[str]:
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
