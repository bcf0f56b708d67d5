from dataclasses import asdict

import pytest
import torch
import typer
from typer.testing import CliRunner

from phase01_foundation.project01_minimal_gpt import generate as generate_command
from phase01_foundation.project01_minimal_gpt import train as train_command
from phase01_foundation.project01_minimal_gpt.generation import generate
from phase01_foundation.project01_minimal_gpt.given.small_run import Sentences, run
from phase01_foundation.project01_minimal_gpt.model import GPT, GPTConfig
from phase01_foundation.project01_minimal_gpt.release import release
from phase01_foundation.project01_minimal_gpt.sampling import SamplingParams
from shared import artifacts


@pytest.fixture(autouse=True)
def corpus(own_folders, monkeypatch):
    """The corpus is a few sentences."""
    monkeypatch.setattr(train_command.corpora, "load", lambda name, **options: Sentences())


def generate_with(*arguments):
    app = typer.Typer()
    app.command()(generate_command.main)
    result = CliRunner().invoke(app, ["--model", "test", "--device", "cpu", *arguments])
    return result.exit_code, result.stdout + result.stderr


def test_the_generate_command_writes():
    run()
    code, written = generate_with("--prompt", "The ", "--max-tokens", "5", "--seed", "1")
    assert code == 0
    assert written.startswith("The ")
    code, written = generate_with("--prompt", "The ", "--prompt", "T", "--max-tokens", "5", "--stop", "\\n")
    assert code == 0
    assert written.count("─" * 40) == 2


def test_the_generate_command_names_what_is_wrong():
    code, written = generate_with("--prompt", "The ")
    assert code == 2
    assert "there is no model 'test'" in written
    assert "train --name test" in written
    run()
    for arguments, message in {
        ("--prompt", "Thé"): "the prompt cannot be encoded",
        ("--prompt", ""): "the prompt is empty",
        ("--prompt", "The cat sat"): "the prompt has 11 tokens; the model reads at most 8",
        ("--prompt", "T", "--prompt", "x"): "prompt 2 cannot be encoded",
        ("--prompt", "T", "--temperature", "-1"): "temperature must be 0 (greedy), or from 0.000001",
    }.items():
        code, written = generate_with(*arguments)
        assert code == 2, arguments
        assert message in written


def test_a_released_model_is_half_the_size_and_writes_as_before():
    trained, _ = run(steps=100, learning_rate=0.02)
    own = release("test", "test-released")
    assert own.folder.parent.name == "models"
    assert own.card["stored_as"] == "bfloat16"
    assert own.card["settings"]["steps"] == 100, "how it was trained is kept"
    assert own.card["validation_loss"] == pytest.approx(trained.history[-1]["validation_loss"], rel=0.05)
    assert {tensor.dtype for tensor in own.tensors().values()} == {torch.bfloat16}
    model, tokenizer = generate_command.load("test-released", "cpu")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    params = SamplingParams(max_tokens=10, temperature=0)
    assert generate(model, tokenizer, ["The "], params) == generate(
        trained.model, tokenizer, ["The "], params
    )


def test_a_model_of_another_architecture_is_refused():
    artifacts.publish("test", {"w": torch.zeros(1)}, {"alphabet": "ab", "vocab_size": 2}, {})
    code, written = generate_with("--prompt", "a")
    assert code == 2
    assert "test is no model of this project" in written


@pytest.mark.parametrize(
    "change",
    [
        {"layers": 10**9},
        {"layers": 1.0},
        {"dim": 10**12},
        {"vocab_size": 3},
        {"vocab_size": 10**12},
        {"alphabet": 5},
        {"alphabet": "aa"},
        {"dropout": "0"},
    ],
)
def test_a_config_of_the_wrong_kind_is_refused_before_anything_is_built(change):
    config = GPTConfig(vocab_size=2, context_length=8, layers=1, heads=1, dim=4)
    whole = {"alphabet": "ab", **asdict(config)}
    artifacts.publish("odd", GPT(config).state_dict(), whole, {})
    assert generate_with("--prompt", "a", "--model", "odd")[0] == 0
    artifacts.publish("odd", GPT(config).state_dict(), {**whole, **change}, {})
    code, written = generate_with("--prompt", "a", "--model", "odd")
    assert code == 2
    assert "odd is no model of this project" in written
