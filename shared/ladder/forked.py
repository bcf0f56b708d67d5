"""A child process for one job: limits of time and memory, no GPU, no way to the network by accident.

The parent imports what many children need, so that it is paid for once. When a child crashes, hangs or calls
sys.exit, it ends nothing but itself.
"""

import contextlib
import importlib
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.ladder import opened
from shared.ladder.imports import closure, libraries
from shared.ladder.limits import limit_files
from shared.ladder.project import Project, root_folder
from shared.ladder.runner import PLUGINS, pytest_arguments
from shared.ladder.typechecker import check_shapes

SECONDS = 120
WHOLE_SECONDS = 600  # for what has nothing to be compared with, on a slow machine
MEMORY_GB = 8.0
# What the parent has imported cannot be rewritten, and need not: the tests themselves are imported in the child.
ALWAYS = ("--hypothesis-seed=0", "-W", "ignore::pytest.PytestAssertRewriteWarning")


@dataclass(frozen=True)
class Job:
    """A run of a project's tests with `overlay` in front, or of a `command` where there is one.

    A command runs in `folder`, as if that were the root, by default in the root itself. `files` are the test files,
    by default all that hold tests of `tasks` (None: all, 0: those of no task); `only` is the id of a single test.
    `seconds` is a limit. A job that is to be `alone` waits until nothing else runs. One that `records` runs the tests
    as `ladder check` does, with calls recorded and each test's own limit.
    """

    name: str
    project: Project
    overlay: Path | None = None
    tasks: tuple[int, ...] | None = None
    files: tuple[Path, ...] = ()
    only: str = ""
    stop_at_first: bool = False
    alone: bool = False
    records: bool = False
    command: tuple[str, ...] = ()
    folder: Path | None = None
    seconds: float = SECONDS
    memory_gb: float = MEMORY_GB


def start(job: Job, place: Path) -> int:
    """Fork a child that runs a command, or else tests of a project; returns its number.

    What it prints is in `place`/output.txt, what its tests report in events.jsonl, and the files below the root that
    it opened in opened.txt. It is the leader of a process group of its own.
    """
    for name in ("events.jsonl", "output.txt"):
        (place / name).touch()
    own = f"{job.project.module}."
    if not job.command and (loaded := [name for name in sys.modules if f"{name}.".startswith(own)]):
        raise RuntimeError(
            f"{loaded[0]} is imported already: a child would test that, and not the overlay's file"
        )
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:  # pragma: no cover (the child ends without writing its coverage)
        code = 70
        try:
            prepare(place, job.memory_gb)
            root = job.folder or root_folder()
            if job.folder:
                for name in [name for name in os.environ if name.startswith("LADDER_")]:
                    del os.environ[name]
            os.environ.update(opened.environment(root, place / "opened.txt"))
            if job.command:
                os.chdir(root)
                os.execv(job.command[0], job.command)
            code = run_tests(job, place)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def kill(pid: int) -> None:
    """End a child that leads a process group, and what it has started."""
    kill_group(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # it may have ended before it led any group
    os.waitpid(pid, 0)


def kill_group(pid: int) -> None:
    """End what is left of a child's process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def prepare(place: Path, memory_gb: float) -> None:  # pragma: no cover
    """In a child: a process group of its own, no input, output to a file, limits of memory and of files."""
    import resource

    os.setsid()
    with open(place / "output.txt", "ab", buffering=0) as output, open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    # Data, not address space: torch maps far more than it touches.
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = int(memory_gb * 2**30)
    limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_files()
    os.chdir(place)  # a test or a submission that writes where it stands leaves nothing behind
    os.environ.pop("LADDER_OVERLAY", None)
    os.environ["TMPDIR"] = tempfile.tempdir = str(place)


def settle(place: Path) -> None:  # pragma: no cover
    """Make a child ready for a project's tests, whose searches for examples are to be quick and always the same."""
    from hypothesis import Phase, settings
    from hypothesis.configuration import set_hypothesis_home_dir
    from hypothesis.internal.conjecture import providers

    root = root_folder()
    if "[" in str(root):
        os.chdir(root)  # its test files are named as seen from there
    opened.note(root, place / "opened.txt")
    sys.path.insert(0, str(root))
    set_hypothesis_home_dir(root / ".hypothesis")  # its tables of Unicode take seconds to make
    # That a test fails is all that counts here: no search for a smaller example, no failing for slowness.
    settings.register_profile("job", phases=[Phase.explicit, Phase.generate], deadline=None, database=None)
    settings.load_profile("job")
    # It would read the text of every module that the parent has loaded, and try the constants in there.
    providers._get_local_constants = lambda: providers._local_constants


def run_tests(job: Job, place: Path) -> int:  # pragma: no cover
    """In a child: run the job's tests in this process; returns pytest's exit code."""
    import pytest

    settle(place)
    sys.dont_write_bytecode = job.overlay is not None  # the reference's bytecode serves the jobs after it
    if job.overlay and {*job.overlay.glob("*/*")} - {job.overlay / job.project.path}:
        _forget_projects()
    if job.overlay:
        os.environ["LADDER_OVERLAY"] = os.environ["LADDER_WORK"] = str(job.overlay)
    events, seconds = place / "events.jsonl", int(job.seconds) + 1
    arguments = pytest_arguments(job.project, events, job.tasks, seconds, job.files, job.only)
    arguments += [*ALWAYS] if job.records else ["--ladder-no-calls", *ALWAYS]
    arguments += ["-x"] if job.stop_at_first else ["--ladder-keep-going"]
    return int(pytest.main(arguments))


def _forget_projects() -> None:  # pragma: no cover
    """Unload the projects below, and the shelves that show them: the overlay has files of theirs."""
    for name in [name for name in sys.modules if name.startswith(("phase", "shared.phase"))]:
        del sys.modules[name]
    with contextlib.suppress(ImportError):  # beartype knows types by their names, and would want the old ones
        importlib.import_module("beartype._cache.cacheclear").clear_caches()


def quiet_values() -> dict[str, str]:
    """An environment with no GPU, no network by accident, and one thread."""
    return {
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "LADDER_OFFLINE": "1",
        "HF_HUB_OFFLINE": "1",
        "no_proxy": "127.0.0.1,localhost",
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"),
    }


@contextmanager
def quiet_environment() -> Iterator[None]:
    """Sets `quiet_values` before torch is imported, for it reads them then."""
    values = quiet_values()
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value


def warm(project: Project) -> None:
    """Import what a project's files import from elsewhere, so that the children find it there.

    Libraries, `shared`, and the projects below, but nothing of the project's own, nor what imports it: a child is to
    get that from its overlay. The shapes in signatures are checked in them as in any test run.
    """
    # Before the shape checker: what the plugin runs at every call of a test would be checked each time.
    importlib.import_module("shared.ladder.pytest_plugin")
    root = root_folder()
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    check_shapes(root)
    files = closure(project.folder.rglob("*.py"), root)
    names = {"pytest", "hypothesis", "beartype", "jaxtyping", *PLUGINS}.union(*map(libraries, files))
    if "torch" in names:
        names.add("torch.distributed.tensor")  # a second's worth, which torch.testing.assert_close imports
    own = {path.name for path in root.iterdir()}
    below = [file for file in files if not file.is_relative_to(project.folder) and not _is_run(file)]
    modules = {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for file in below
    }
    for name in [*sorted(names - own), *sorted(modules)]:
        with contextlib.suppress(ImportError):  # the tests will say so
            importlib.import_module(name)


def _is_run(file: Path) -> bool:
    """Whether a file does something when it is imported."""
    return file.name.startswith(("test_", "conftest", "__main__", "sitecustomize"))
