"""Process 1: signals arrive, orphans are buried, and the exit code is the program's."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from phase10_deployment.project29_docker import init
from shared.testing import raises

# The tests fork, so that a learner's function runs in the child as it is imported here. The workers have threads.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals of Windows are others"),
]
PATIENCE = 10.0


def forked(work: Callable[[], int]) -> int:
    """Starts a process that ends with what `work` gives; 99 after an error in it."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work()
        except NotImplementedError:
            code = 98
        except BaseException as problem:
            os.write(2, f"{type(problem).__name__}: {problem}\n".encode())
        finally:
            os._exit(code)
    return pid


def exit_code(status: int) -> int:
    """The exit code in a status, 128 + n after signal n. Raises NotImplementedError where the stub was met."""
    code = os.waitstatus_to_exitcode(status)
    if code == 98:
        raise NotImplementedError("project 29, task 5: init is still to write")
    return code if code >= 0 else 128 - code


def ended(pid: int) -> int:
    """The exit code of a child; waits for it, but not for ever: -1 where it does not end, and it is killed."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return exit_code(status)
        time.sleep(0.005)
    for child in children(pid):
        os.kill(child, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -1


def has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def appears(path: Path, pid: int) -> None:
    """Waits until there is a file with something in it; not for ever, and not when who is to make it has ended."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and not has_ended(pid):
        if path.is_file() and path.read_text(encoding="utf-8"):
            return
        time.sleep(0.005)


def children(parent: int) -> dict[int, str]:
    """The states of a process's children, by number: Z is a zombie."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, of = stat.read_text(encoding="utf-8").rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(of) == parent:
            found[int(stat.parent.name)] = state
    return found


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


@pytest.mark.task(5)
@pytest.mark.parametrize("code", [0, 1, 3, 77])
def test_the_exit_code_is_the_programs(code: int):
    assert ended(forked(lambda: init.run(shell(f"exit {code}")))) == code


@pytest.mark.task(5)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_program_that_a_signal_ends_gives_128_and_the_number(number: int):
    assert ended(forked(lambda: init.run(shell(f"kill -{int(number)} $$")))) == 128 + number


@pytest.mark.task(5)
def test_no_program_is_127_and_one_that_may_not_be_run_126(tmp_path: Path):
    plain = tmp_path / "plain"
    plain.write_text("no program", encoding="utf-8")
    assert ended(forked(lambda: init.run([str(tmp_path / "missing")]))) == 127
    assert ended(forked(lambda: init.run([str(plain)]))) == 126


@pytest.mark.task(5)
def test_no_command_is_an_error():
    with raises(ValueError):
        init.run([])


@pytest.mark.task(5)
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT]
)
def test_a_signal_goes_on_to_the_program(tmp_path: Path, number: int):
    ready, got = tmp_path / "ready", tmp_path / "got"
    script = f"trap 'echo {int(number)} > {got}; exit 7' {int(number)}; echo x > {ready}; while :; do sleep 0.01; done"

    def work() -> int:
        signal.signal(number, signal.SIG_DFL)  # who started the tests may ignore it, as nohup does
        return init.run(shell(script))

    pid = forked(work)
    appears(ready, pid)
    os.kill(pid, number)
    code = ended(pid)
    assert (code, got.read_text(encoding="utf-8").strip()) == (7, str(int(number)))


@pytest.mark.task(5)
def test_a_signal_that_came_before_the_program_started_arrives():
    """What is sent while process 1 still starts must not be lost: the mask is there, and the signal waits."""

    def work() -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        os.kill(os.getpid(), signal.SIGTERM)
        # Were it this process that the signal ends, that would be 143, too: so another number tells that it lived.
        return init.run(shell("sleep 20")) - 100

    assert ended(forked(work)) == 28 + signal.SIGTERM


@pytest.mark.task(5)
def test_the_program_has_no_signal_blocked():
    """A blocked SIGTERM would pass through exec, and the program could never be stopped."""
    script = "import signal, sys; sys.exit(len(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
    assert ended(forked(lambda: init.run([sys.executable, "-I", "-c", script]))) == 0


@pytest.mark.task(5)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_the_program_ignores_no_signal():
    """Python ignores SIGPIPE, and what it starts would go on writing to nobody."""
    script = "exit $(( (0x$(sed -n 's/^SigIgn:[^0-9]*//p' /proc/self/status) & 0x1001000) != 0 ))"
    assert ended(forked(lambda: init.run(shell(script)))) == 0


@pytest.mark.task(5)
def test_whoever_started_it_may_have_ignored_ends_of_children():
    def work() -> int:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        return init.run(shell("exit 3"))

    assert ended(forked(work)) == 3


@pytest.mark.task(5)
def test_the_program_leads_a_group_of_its_own():
    script = "import os, sys; sys.exit(os.getpgrp() == os.getpid())"
    assert ended(forked(lambda: init.run([sys.executable, "-I", "-c", script]))) == 1


@pytest.mark.task(5)
def test_only_the_program_gets_the_signal_not_its_children(tmp_path: Path):
    """A server's workers end when it tells them to: a SIGTERM of their own would cut the requests off."""
    ready, got = tmp_path / "ready", tmp_path / "got"
    inner = f"trap 'echo child > {got}' TERM; echo x > {ready}; sleep 0.3; sleep 0.3"
    script = f"trap 'wait; exit 5' TERM; sh -c \"{inner}\" & while :; do sleep 0.01; done"
    pid = forked(lambda: init.run(shell(script)))
    appears(ready, pid)
    os.kill(pid, signal.SIGTERM)
    assert (ended(pid), got.exists()) == (5, False)


@pytest.mark.task(5)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_orphans_are_buried_while_the_program_runs(tmp_path: Path):
    """The program's grandchildren become children of process 1, and end; none may stay a zombie."""
    ready, go = tmp_path / "ready", tmp_path / "go"
    orphans = "for i in 1 2 3 4 5; do (sh -c 'sleep 0.05' &) ; done"
    script = f"{orphans}; sleep 0.4; echo x > {ready}; while [ ! -e {go} ]; do sleep 0.01; done"
    pid = forked(lambda: init.run(shell(script)))
    appears(ready, pid)
    states = list(children(pid).values())
    go.write_text("x", encoding="utf-8")
    assert (ended(pid), len(states), "Z" in states) == (0, 1, False)


@pytest.mark.task(5)
def test_an_orphans_end_is_not_the_programs():
    """The exit code is that of the program, not that of whichever child ended last or first."""
    script = "(sh -c 'exit 9' &); sleep 0.2; exit 4"
    assert ended(forked(lambda: init.run(shell(script)))) == 4


@pytest.mark.task(5)
def test_a_program_that_will_not_end_is_killed_after_the_grace(tmp_path: Path):
    ready = tmp_path / "ready"
    script = f"trap '' TERM; echo x > {ready}; while :; do sleep 0.01; done"
    pid = forked(lambda: init.run(shell(script), grace=0.2))
    appears(ready, pid)
    os.kill(pid, signal.SIGTERM)
    assert ended(pid) == 128 + signal.SIGKILL


@pytest.mark.task(5)
def test_within_the_grace_it_may_finish_and_a_second_signal_gives_no_longer_one(tmp_path: Path):
    ready = tmp_path / "ready"
    script = f"trap 'sleep 0.3; exit 6' TERM; echo x > {ready}; while :; do sleep 0.01; done"
    pid = forked(lambda: init.run(shell(script), grace=20.0))
    appears(ready, pid)
    os.kill(pid, signal.SIGTERM)
    assert ended(pid) == 6


@pytest.mark.task(5)
def test_a_second_sigterm_does_not_begin_the_grace_anew(tmp_path: Path):
    ready = tmp_path / "ready"
    script = f"trap '' TERM; echo x > {ready}; while :; do sleep 0.01; done"
    pid = forked(lambda: init.run(shell(script), grace=0.5))
    appears(ready, pid)
    for _ in range(100):  # every 0.05 s for 5 s: anew each time, it would not end
        if not has_ended(pid):
            os.kill(pid, signal.SIGTERM)
            time.sleep(0.05)
    alive = not has_ended(pid)
    assert (ended(pid), alive) == (128 + signal.SIGKILL, False)


@pytest.mark.task(5)
def test_a_hangup_is_no_end(tmp_path: Path):
    """SIGHUP means "read your settings again" to many a server: no grace begins."""
    ready = tmp_path / "ready"
    script = f"trap '' HUP; echo x > {ready}; sleep 0.6; exit 5"
    pid = forked(lambda: init.run(shell(script), grace=0.05))
    appears(ready, pid)
    os.kill(pid, signal.SIGHUP)
    assert ended(pid) == 5


@pytest.mark.task(5)
def test_what_the_program_leaves_behind_is_killed(tmp_path: Path):
    left = tmp_path / "left"
    script = f"sleep 100 & echo $! > {left}; exit 0"
    code = ended(forked(lambda: init.run(shell(script))))
    assert (code, Path("/proc", left.read_text(encoding="utf-8").strip()).exists()) == (0, False)


@pytest.mark.task(5)
def test_reap_takes_all_that_have_ended_and_none_that_runs():
    def work() -> int:
        quick = [os.posix_spawn("/bin/sh", shell(f"exit {code}"), {}) for code in (3, 4)]
        killed = os.posix_spawn("/bin/sh", shell("kill -9 $$"), {})
        slow = os.posix_spawn("/bin/sh", shell("exec sleep 100"), {})
        for pid in (*quick, killed):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        found = init.reap()
        again = init.reap()
        os.kill(slow, signal.SIGKILL)
        os.waitpid(slow, 0)
        return 0 if (found, again, init.reap()) == ({quick[0]: 3, quick[1]: 4, killed: 137}, {}, {}) else 1

    assert ended(forked(work)) == 0


def test_as_a_command(tmp_path: Path):
    """By its path and isolated, as the image starts it: no package is imported."""
    script = Path(init.__file__)
    start = [sys.executable, "-I", str(script)]
    done = [
        os.spawnv(os.P_WAIT, sys.executable, [*start, "--grace", "5", "--", "/bin/sh", "-c", "exit 5"]),
        os.spawnv(os.P_WAIT, sys.executable, [*start, "--", "/bin/sh", "-c", "exit 0"]),
        os.spawnv(os.P_WAIT, sys.executable, [*start, "--"]),
        os.spawnv(os.P_WAIT, sys.executable, [*start, "--grace"]),
    ]
    assert done == [5, 0, 2, 2]
