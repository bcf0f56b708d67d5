import re
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from phase04_advanced_inference.project12_dynamic_batching import serve_batch
from phase04_advanced_inference.project12_dynamic_batching.given.example import TINY, random_model
from phase04_advanced_inference.project12_dynamic_batching.given.recorder import read_recording
from shared import tinyworld
from shared.command import printable
from shared.phase01 import ByteBPE, PromptTokenizer, SamplingParams, Tokenizer, publish_base
from shared.phase03 import generate_tokens

pytestmark = pytest.mark.usefixtures("own_folders")

TOKENIZER = Tokenizer(
    ByteBPE.train([tinyworld.text("train", 0, 20_000)], 290, native=False), {"<|endoftext|>": 290}
)
RULE = "─" * 40 + "\n"


@pytest.fixture
def model():
    """A model "tiny", published."""
    import torch

    found = random_model(replace(TINY, head_dim=16, vocab_size=291, context_length=100), torch.float32)
    publish_base("tiny", found, TOKENIZER, {"data": "none"})
    return found


def run(*words):
    app = serve_batch.typer.Typer()
    app.command()(serve_batch.main)
    return CliRunner().invoke(app, ["--model", "tiny", *map(str, words)])


def test_a_dozen_prompts_are_answered_and_recorded(model, tmp_path, monkeypatch):
    shorter = [(text, most // 8) for text, most in serve_batch.PROMPTS]
    monkeypatch.setattr(serve_batch, "PROMPTS", shorter)
    done = run("--record", tmp_path / "steps", "--temperature", 0)
    assert done.exit_code == 0, done.output
    assert done.stdout.count(RULE) == len(serve_batch.PROMPTS) == 12
    assert re.search(r"continuous batching took \d\.\d\d times fewer steps", done.stderr)
    steps = {
        name: len(read_recording(tmp_path / "steps" / f"{name}.jsonl")) for name in ("static", "continuous")
    }
    assert steps["continuous"] < steps["static"]


def test_prompts_of_ones_own_are_written_as_project_8_writes_them(model):
    done = run(
        "--prompt", "It was", "--prompt", "Once\\n", "--max-tokens", 9, "--seed", 5, "--chunk", 2, "--rows", 2
    )
    assert done.exit_code == 0, done.output
    tokenizer, expected = PromptTokenizer(TOKENIZER), ""
    for seed, text in enumerate(["It was", "Once\n"], start=5):
        params = SamplingParams(9, 0.7, stop_ids=(290,), seed=seed)
        [tokens] = generate_tokens(model, [tokenizer.encode(text)], params)
        expected += f"{RULE}{printable(text + tokenizer.decode(tokens))}\n"
    assert done.stdout == expected
    assert "the same texts" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "huge"), "there is no model 'huge'"),
        (("--max-tokens", "0"), "max_tokens must be at least 1, not 0"),
        (("--rows", "9", "--budget", "4"), "9 sequences and 4 tokens"),
        (("--chunk", "0"), "must be 1 or more"),
        (("--prompt", "word " * 100), r"\b402\b.*\b100\b|\b100\b.*\b402\b"),  # in whatever words
        (("--rows", "0"), "not 0"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_work(model, words, message):
    words = words if "--prompt" in words else (*words, "--prompt", "It")
    done = run(*words)
    assert done.exit_code == 2
    assert re.search(message, done.stderr.replace("\n", " "))
    assert not done.stdout
