import re
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from phase04_advanced_inference.project11_speculative_decoding import speculate
from phase04_advanced_inference.project11_speculative_decoding.given.example import (
    TINY,
    random_model,
    resembling,
)
from phase04_advanced_inference.project11_speculative_decoding.given.heads import publish_heads
from phase04_advanced_inference.project11_speculative_decoding.mtp import MTPHeads
from phase04_advanced_inference.project11_speculative_decoding.speculation import Written
from shared import tinyworld
from shared.phase01 import ByteBPE, PromptTokenizer, SamplingParams, Tokenizer, publish_base
from shared.phase03 import generate_tokens

pytestmark = pytest.mark.usefixtures("own_folders")

TOKENIZER = Tokenizer(
    ByteBPE.train([tinyworld.text("train", 0, 20_000)], 290, native=False), {"<|endoftext|>": 290}
)
PROMPTS = PromptTokenizer(TOKENIZER)


@pytest.fixture
def model(monkeypatch):
    """A model "tiny", a draft model "small" and heads "ahead" for it, published."""
    # In a new data folder the kernels would be compiled anew.
    monkeypatch.setattr(speculate, "use_own_products", lambda model: [])
    found = random_model(replace(TINY, vocab_size=291, context_length=64), torch.float32)
    publish_base("tiny", found, TOKENIZER, {"data": "none"})
    publish_base("small", resembling(found), TOKENIZER, {"data": "none"})
    publish_heads("ahead", MTPHeads(24, 2), "tiny", {"data": "none"})
    return found


def run(*words):
    app = speculate.typer.Typer()
    app.command()(speculate.main)
    names = ("--model", "tiny", "--draft", "small", "--heads", "ahead", "--prompt", "It was")
    return CliRunner().invoke(app, [*names, *words])


@pytest.mark.parametrize("proposer", ["draft", "ngram", "heads"])
@pytest.mark.parametrize("count", ["0", "3"])
def test_it_writes_what_is_written_without_guesses_and_says_what_they_saved(model, proposer, count):
    done = run("--proposer", proposer, "--count", count, "--max-tokens", "20")
    assert done.exit_code == 0, done.output
    params = SamplingParams(20, 0.0, stop_ids=(290,))
    [tokens] = generate_tokens(model, [PROMPTS.encode("It was")], params)
    assert done.stdout == "It was" + speculate.printable(TOKENIZER.decode(tokens)) + "\n"
    assert re.search(rf"^{len(tokens)} tokens in \d+ passes, \d+\.\d\d a pass", done.stderr, re.M)
    assert re.search(r"with guesses \d+\.\d\d s, without .* times as fast, the same text", done.stderr)


def test_drawn_it_is_another_text(model):
    done = run("--temperature", "0.8", "--max-tokens", "12")
    assert done.exit_code == 0, done.output
    assert "another text, drawn from the same distribution" in done.stderr


def test_marks_stand_around_guesses_that_stayed():
    decode = lambda ids: "".join("abcdefgh"[token] for token in ids)  # noqa: E731
    written = [Written(0, [0, 1, 2], 4, 2), Written(0, [3], 4, 0), Written(0, [4, 5], 4, 3)]
    assert speculate.show(written, decode, True).plain == "[ab]cd[ef]"
    text = speculate.show(written, decode, False)
    assert text.plain == "abcdef"
    assert [(span.start, span.end) for span in text.spans] == [(0, 1), (1, 2), (4, 5), (5, 6)]


def test_a_character_of_several_tokens_comes_with_the_last():
    parts = [b"a", "é".encode()[:1], "é".encode()[1:], b"b"]
    decode = lambda ids: b"".join(parts[i] for i in ids).decode(errors="replace")  # noqa: E731
    assert speculate.pieces([0, 1, 2, 3], decode) == ["a", "", "é", "b"]


def test_the_summary_of_guesses():
    written = [Written(0, [1, 2, 3], 4, 2), Written(0, [4], 0, 0)]
    said = speculate.summary(written, 4)
    assert "4 tokens in 2 passes, 2.00 a pass; of 4 guesses 2 stayed, of those judged 67%" in said
    assert "the formula says 2.60" in said
    assert "formula" not in speculate.summary(written, 0)
    assert "nothing was guessed" in speculate.summary([Written(0, [1], 0, 0)], 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--proposer", "luck"), "'luck'"),
        (("--count", "-1"), "-1"),
        (("--max-tokens", "0"), "max_tokens"),
        (("--model", "none"), "none"),
        (("--proposer", "heads", "--heads", "tiny"), "tiny"),
        (("--prompt", "word " * 80), "64"),
    ],
)
def test_a_mistake_is_one_line(model, words, message):
    done = run(*words)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_draft_model_with_other_tokens_is_refused(model):
    other = Tokenizer(TOKENIZER.model, {"<|endoftext|>": 290, "<|pad|>": 291})
    publish_base("odd", random_model(replace(TINY, vocab_size=292), torch.float32), other, {"data": "none"})
    done = run("--draft", "odd")
    assert done.exit_code == 2
    assert "292" in done.stderr
