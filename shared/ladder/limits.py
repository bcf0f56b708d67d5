"""What a test run may write: an endless print fills no disk, and no memory of those who read it."""

import contextlib
from pathlib import Path

LARGEST_FILE = 2**28  # bytes of any file that the code under test writes, what it prints among them
MOST_READ = 2**20  # bytes of the end of what was printed


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
