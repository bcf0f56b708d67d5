import io
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from rich.console import Console

from shared.command import (
    Interrupted,
    OptionError,
    exits_with_message,
    invoke,
    no_such_option,
    run_command,
    spelled,
)


class ModelError(Exception):
    pass


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


def test_options_may_be_written_with_dashes_or_underscores():
    options = ["--batch_size", "--model.kv_heads", "--max-tokens", "--json", "-n"]
    typed = [
        "train",
        "--batch-size",
        "3",
        "--model.kv-heads=a-b_c",
        "--max_tokens=7",
        "--json",
        "-n",
        "--no-such_one",
    ]
    assert spelled(typed, options) == [
        "train", "--batch_size", "3", "--model.kv_heads=a-b_c", "--max-tokens=7", "--json", "-n", "--no-such_one",
    ]  # fmt: skip


def test_an_option_that_there_is_not_gets_a_suggestion():
    options = ["--batch_size", "--steps", "-s"]
    assert no_such_option("--batch-sizes=3", options) == (
        "there is no option --batch-sizes; did you mean --batch_size?"
    )
    assert no_such_option("--zzz", options) == "there is no option --zzz"


def write(
    text: str,
    max_tokens: Annotated[int, typer.Option(min=1)] = 400,
    preset: Literal["smoke", "cpu"] = "cpu",
    end_early: bool = False,
) -> None:
    """Write."""
    print(text, max_tokens, preset, end_early)
    if max_tokens == 3:
        raise typer.Exit(3)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["write", *arguments])
    with pytest.raises(SystemExit) as stop:
        run_command(write)
    return stop.value.code


@pytest.mark.parametrize("option", ["--max-tokens", "--max_tokens"])
def test_a_function_as_a_command(monkeypatch, capsys, option):
    assert run(monkeypatch, "a-b_c", option, "5", "--end_early") == 0
    assert capsys.readouterr().out == "a-b_c 5 cpu True\n"
    assert run(monkeypatch, "it", f"{option}=3", "--no_end-early") == 3
    assert capsys.readouterr().out == "it 3 cpu False\n"


def test_help_is_no_mistake(monkeypatch, capsys):
    assert run(monkeypatch, "--help") == 0
    assert "--max-tokens" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["it", "--max-token", "5"], "there is no option --max-token; did you mean --max-tokens?"),
        (["it", "--max-tokens", "0"], "invalid value for '--max-tokens'"),
        (["it", "--preset", "huge"], "invalid value for '--preset': 'huge' is not one of 'smoke', 'cpu'"),
        (["it", "--max-tokens"], "option '--max-tokens' requires an argument"),
        ([], "missing argument"),
    ],
)
def test_a_mistake_in_what_was_typed_is_one_line(monkeypatch, capsys, arguments, words):
    assert run(monkeypatch, *arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {words}")
    assert said.err.endswith(" (--help lists every option)\n")
    assert said.err.count("\n") == 1


def test_a_command_among_several_has_options_of_its_own(capsys):
    app = typer.Typer()
    app.command("write")(write)
    app.command("other")(lambda max_tokens_too=1: print(max_tokens_too))
    assert invoke(app, ["write", "it", "--max_tokens", "5"]) == 0
    assert capsys.readouterr().out == "it 5 cpu False\n"
    with pytest.raises(OptionError, match="there is no option --max_tokens; did you mean --max-tokens-too"):
        invoke(app, ["other", "--max_tokens", "5"])


def test_what_projects_share_needs_no_command_line_library():
    code = "import shared.command, sys; sys.exit('typer' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
