"""What a test run may take: an endless loop ends, and an endless print fills no disk, and no reader's memory."""

import contextlib
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

LARGEST_FILE = 2**28  # bytes of any file that the code under test writes, what it prints among them
MOST_READ = 2**20  # bytes of the end of what was printed
WHOLE = 4.0  # times its limit of computing is what a test may take in all: a child's work, or others' on the machine


def limit_files() -> None:
    """From now on, no file that this process or its children write grows beyond LARGEST_FILE; Unix only."""
    with contextlib.suppress(ImportError, ValueError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        limit = LARGEST_FILE if most == resource.RLIM_INFINITY else min(LARGEST_FILE, most)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))


def tail(file: Path) -> str:
    """The end of what a run has printed."""
    with file.open("rb") as output:
        size = output.seek(0, 2)
        output.seek(max(0, size - MOST_READ))
        return output.read().decode("utf-8", errors="replace")


class TooLong(BaseException):
    """A test took too long. No Exception: hypothesis catches those, and would run the same example once more."""


@contextmanager
def limit_time(seconds: float) -> Iterator[None]:
    """Raises TooLong in here after so many seconds of computing, and in any case after WHOLE times as many.

    By the clock of the main thread, in which it must be called: that others keep the machine busy stops nobody. Where
    the exception is caught, it is raised anew a second later. Without such clocks (Windows) there is no limit.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return
    began, computed = time.monotonic(), time.thread_time()

    def look(_number: int, _frame: FrameType | None) -> None:
        computing, whole = time.thread_time() - computed, time.monotonic() - began
        if computing > seconds:
            raise TooLong(f"after {seconds:.0f} s of computing: a loop may have no end")
        if whole > WHOLE * seconds:
            raise TooLong(f"after {whole:.0f} s, {computing:.0f} of them computing: it waits for something")

    tick = min(1.0, seconds)
    before = signal.signal(signal.SIGALRM, look)
    timer = signal.setitimer(signal.ITIMER_REAL, tick, tick)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)
