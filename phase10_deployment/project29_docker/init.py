"""Process 1 of the container: starts the server, hands it every signal, buries orphans, ends as the server ends.

    python -I init.py [--grace 40] -- program argument …

The kernel treats process 1 in a way of its own: a signal for which it has no handler does nothing, and every
process whose parent ends becomes its child, to stay a zombie until it is waited for. A server is written for
neither. This file uses the standard library alone, so that it starts in a few hundredths of a second.
"""

import contextlib
import ctypes
import errno
import os
import signal
import sys
from collections.abc import Sequence

FORWARDED = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT")
    if hasattr(signal, name)
)
"""the signals that the program gets when process 1 does"""
WAITED = {*FORWARDED, signal.SIGCHLD, signal.SIGALRM}
RESTORED = [getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ") if hasattr(signal, name)]
"""what Python ignores from its start, and its children would, too"""


def run(command: Sequence[str], grace: float = 40.0) -> int:
    """Run a command as process 1 should, wait until it ends, and return what to exit with.

    - It runs in a process group of its own, with no signal blocked, and those of RESTORED, which Python ignores, as
      they are by default. (`os.posix_spawnp` takes all of this: setpgroup, setsigmask, setsigdef.)
    - Each signal of FORWARDED that this process gets goes to it (to it alone: it knows its own children), also one
      that came before it had started. So they are blocked (`signal.pthread_sigmask`) before it is started, and
      taken with `signal.sigwait`: nothing can come between.
    - SIGCHLD is as it is by default here, also where whoever started this process had it ignored: else nothing
      would tell of an end. Every child that ends is waited for at once, those too that this process adopted: no
      zombies. (`adopt` makes this process adopt its descendants' orphans when it is not process 1.)
    - `grace` seconds after the first SIGTERM or SIGINT, its whole group gets SIGKILL. `signal.setitimer` sends a
      SIGALRM.
    - When it has ended, what is left of its group gets SIGKILL and is waited for; then this returns.

    Returns its exit code; 128 + n where signal n ended it, as shells say it. Where there is no such program, it
    says so on stderr and returns 127, and 126 where it may not be run. Raises ValueError for an empty command.
    """
    if not command:
        raise ValueError("there is no command to run; give it after --")
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)
    adopt()
    try:
        child = os.posix_spawnp(
            command[0], list(command), os.environ, setpgroup=0, setsigmask=[], setsigdef=RESTORED
        )
    except OSError as problem:
        print(f"init: {command[0]}: {problem.strerror}", file=sys.stderr, flush=True)
        return 127 if problem.errno == errno.ENOENT else 126
    ending = False
    while True:
        number = signal.sigwait(WAITED)
        if number == signal.SIGCHLD:
            ended = reap()
            if child in ended:
                break
        elif number == signal.SIGALRM:
            _kill_group(child)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)
            if number in (signal.SIGTERM, signal.SIGINT) and not ending:
                ending = True
                signal.setitimer(signal.ITIMER_REAL, max(grace, 0.001))
    signal.setitimer(signal.ITIMER_REAL, 0)
    _kill_group(child)
    with contextlib.suppress(ChildProcessError):
        while True:  # SIGKILL ends each soon
            os.waitpid(-child, 0)
    return ended[child]


def reap() -> dict[int, int]:
    """Wait for every child that has ended, and for none that has not. Gives exit codes, 128 + n after signal n, by pid.

    One SIGCHLD may stand for several ends, so this goes on until there is none. (`os.waitpid`, `os.WNOHANG`.)
    """
    ended = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        code = os.waitstatus_to_exitcode(status)
        ended[pid] = code if code >= 0 else 128 - code


def adopt() -> None:
    """Make this process the one that its descendants' orphans go to, on Linux (PR_SET_CHILD_SUBREAPER)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def main() -> None:
    """Read `[--grace SECONDS] -- command`, run it, and exit as it does."""
    arguments, grace = sys.argv[1:], 40.0
    try:
        if arguments[:1] == ["--grace"]:
            grace, arguments = float(arguments[1]), arguments[2:]
        if arguments[:1] == ["--"]:
            arguments = arguments[1:]
        code = run(arguments, grace)
    except (IndexError, ValueError) as mistake:
        print(f"error: {mistake}; usage: init.py [--grace SECONDS] -- command …", file=sys.stderr)
        code = 2
    sys.stdout.flush()
    os._exit(code)  # signals are blocked: nothing more is to happen here


if __name__ == "__main__":
    main()
