import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer

from shared.options import OptionError, invoke, no_such_option, run_command, spelled


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
    code = "import shared.options, sys; sys.exit('typer' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
