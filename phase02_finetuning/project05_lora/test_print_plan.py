import pytest
import typer
from typer.testing import CliRunner

from phase02_finetuning.project05_lora import print_plan
from phase02_finetuning.project05_lora.given.shapes import SHAPES
from phase02_finetuning.project05_lora.plan import Setup, memory_plan


def run(*words):
    app = typer.Typer()
    app.command()(print_plan.main)
    return CliRunner().invoke(app, words)


def test_all_lines_of_all_methods_are_there():
    done = run("--model", "tiny-base", "--rank", "2")
    assert done.exit_code == 0, done.output
    for word in (
        "full",
        "lora",
        "qlora",
        "weights",
        "adapters",
        "gradients",
        "optimizer",
        "activations",
        "logits",
    ):
        assert word in done.output
    total = memory_plan(SHAPES["tiny-base"], Setup("full", rank=2)).total / 2**30
    assert f"{total:.3f}" in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--model", "gpt-9"], "llama-7b"), (["--rank", "0"], "rank"), (["--dtype", "int8"], "bfloat16")],
)
def test_what_cannot_be_is_one_line_and_code_two(words, said):
    done = run(*words)
    assert done.exit_code == 2
    assert said in done.output
