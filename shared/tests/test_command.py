import io
import os
import signal
import threading

import pytest
from rich.console import Console

from shared.command import Interrupted, catch_interrupts, exits_with_message, how_to_run, printable


class ModelError(Exception):
    pass


def test_a_command_is_named_as_it_runs_the_same_code_again(monkeypatch, tmp_path):
    module = "phase01_foundation.project01_minimal_gpt.train"
    monkeypatch.delenv("LADDER_OVERLAY", raising=False)
    assert how_to_run(module) == f"python -m {module}"
    monkeypatch.setenv("LADDER_OVERLAY", str(tmp_path))
    assert how_to_run(module) == f"python -m {module}", "project 1 is not started"
    for folder in ("phase01_foundation/project01_minimal_gpt", "phase10_deployment/project28_serving"):
        (tmp_path / folder).mkdir(parents=True)
    assert how_to_run(module) == "ladder run 1 train"
    assert how_to_run("phase10_deployment.project28_serving.serve") == "ladder run 28 serve"


def test_a_terminal_gets_nothing_that_it_would_obey():
    assert printable("a\tb\n é中🙂") == "a\tb\n é中🙂"
    assert printable("\x1b]0;x\x07\r\x00\x7f\x9b") == "\\x1b]0;x\\x07\\x0d\\x00\\x7f\\x9b"
    assert ended(ValueError("no \x1b[2J"), ValueError) == (2, "error: no \\x1b[2J\n")


def ended(problem, *kinds, width=20):
    """The exit code, and all that was printed, when a command's work raises this."""
    printed = io.StringIO()
    with pytest.raises(SystemExit) as stop, exits_with_message(Console(file=printed, width=width), *kinds):
        raise problem
    return stop.value.code, printed.getvalue()


def test_a_problem_of_these_kinds_is_one_line_and_exit_code_2():
    kinds = ValueError, ModelError
    assert ended(ModelError("there is no model of that name [yet]"), *kinds) == (
        2,
        "error: there is no model of that name [yet]\n",
    )
    assert ended(ValueError("dim must be even"), *kinds) == (2, "error: dim must be even\n")


@pytest.mark.parametrize(
    ("problem", "said"), [(MemoryError("lower it"), "lower it"), (MemoryError(), "out of memory")]
)
def test_out_of_memory_is_one_line_and_exit_code_2(problem, said):
    assert ended(problem) == (2, f"error: {said}\n")


def test_a_file_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(OSError, match="No such file") as missing:
        (tmp_path / "missing").read_text()
    assert ended(missing.value) == (2, f"error: {tmp_path / 'missing'}: No such file or directory\n")
    assert ended(OSError("the socket is closed")) == (2, "error: the socket is closed\n")


def test_after_an_interrupt_it_says_how_to_go_on():
    code, printed = ended(Interrupted("stopped at step 7; the checkpoint is work/[a].safetensors"))
    assert code == 130
    assert printed == (
        "\nstopped at step 7; the checkpoint is work/[a].safetensors\n"
        "Give the same command again to go on from there.\n"
    )


@pytest.mark.parametrize("problem", [TypeError("a fault"), BrokenPipeError(), KeyboardInterrupt()])
def test_anything_else_is_left_alone(problem):
    printed = io.StringIO()
    with pytest.raises(type(problem)), exits_with_message(Console(file=printed), ValueError):
        raise problem
    assert printed.getvalue() == ""


def test_what_goes_well_goes_on():
    printed = io.StringIO()
    with exits_with_message(Console(file=printed), ValueError):
        result = 3
    assert result == 3
    assert printed.getvalue() == ""


def test_the_second_interrupt_does_not_wait():
    with pytest.raises(KeyboardInterrupt), catch_interrupts() as caught:  # noqa: PT012 - both signals belong here
        os.kill(os.getpid(), signal.SIGINT)
        assert caught == [signal.SIGINT]
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_thread_leaves_signals_alone():
    """Only the main thread may say what happens at a signal."""
    caught = []

    def work():
        with catch_interrupts() as numbers:
            caught.append((numbers, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert caught == [([], signal.default_int_handler)]
