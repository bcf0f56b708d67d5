"""The command: the same answer from fewer bytes, and files."""

import pytest
import typer
from typer.testing import CliRunner

from phase05_quantization.project14_ptq import quantize
from phase05_quantization.project14_ptq.saving import load_quantized
from shared.phase01 import PromptTokenizer, load_base

app = typer.Typer()
app.command()(quantize.main)


def run(*words):
    return CliRunner().invoke(app, list(words))


def test_it_says_sizes_and_answers_and_writes_a_folder(tmp_path):
    out = tmp_path / "model"
    found = run("--method", "nearest", "--bits", "4", "--rows", "2", "--out", str(out))
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    assert "bfloat16" in lines[0]
    assert "10.95 MB" in lines[0]
    assert "4 bits" in lines[1]
    assert "times smaller" in lines[1]
    _, tokenizer = load_base()
    said = quantize.answer(load_quantized(out), PromptTokenizer(tokenizer), quantize.QUESTION)
    assert said
    assert said in lines[1]


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [(["--bits", "9"], "9"), (["--group", "row"], "row"), (["--method", "obq"], "obq"), (["--group", "0"], "0"),
     (["--model", "no-such"], "no-such"), (["--rows", "1"], "704")],
)  # fmt: skip
def test_what_cannot_be_is_one_line(arguments, fact):
    found = run(*arguments)
    assert found.exit_code == 2, found.output
    assert fact in found.output
    assert "Traceback" not in found.output
