import re
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from phase03_core_inference.project08_kv_cache import generate
from phase03_core_inference.project08_kv_cache.given.example import TINY, WIDE, random_model
from shared import tinyworld
from shared.command import printable
from shared.phase01 import ByteBPE, PromptTokenizer, SamplingParams, Tokenizer, publish_base, torch_attention
from shared.phase01 import generate as without_cache

pytestmark = pytest.mark.usefixtures("own_folders")

TOKENIZER = Tokenizer(
    ByteBPE.train([tinyworld.text("train", 0, 20_000)], 290, native=False), {"<|endoftext|>": 290}
)
PROMPTS = PromptTokenizer(TOKENIZER)
RULE = "─" * 40 + "\n"


@pytest.fixture(params=[TINY, WIDE[2]], ids=["heads for torch", "heads for the kernels"])
def model(request):
    """A model "tiny", published."""
    config = replace(request.param, vocab_size=291, context_length=48)
    found = random_model(config, torch.float32)
    publish_base("tiny", found, TOKENIZER, {"data": "none"})
    return found


def run(*words):
    app = generate.typer.Typer()
    app.command()(generate.main)
    return CliRunner().invoke(app, ["--model", "tiny", *words])


def expected(model, prompts, **params):
    settings = SamplingParams(**{"stop_ids": (290,), "temperature": 0.7} | params)
    return [printable(text) for text in without_cache(model, PROMPTS, prompts, settings, torch_attention)]


def test_it_writes_what_is_written_without_the_cache_and_says_how_much_faster(model):
    done = run("--prompt", "It was", "--max-tokens", "20", "--seed", "3")
    assert done.exit_code == 0, done.output
    [text] = expected(model, ["It was"], max_tokens=20, seed=3)
    assert done.stdout == f"It was{text}\n"
    assert re.search(r"with the cache \d+\.\d\d s, without it .* times as fast, the same text", done.stderr)


def test_several_prompts_are_written_side_by_side(model):
    done = run(
        "--prompt", "Once", "--prompt", "It was\\n", "--max-tokens", "12", "--temperature", "0", "--stop", "e"
    )
    texts = expected(model, ["Once", "It was\n"], max_tokens=12, temperature=0.0, stop=("e",))
    assert done.stdout == f"{RULE}Once{texts[0]}\n{RULE}It was\n{texts[1]}\n"


def test_a_text_ends_with_the_context_and_one_with_a_window_goes_on(model):
    words = ("--prompt", "It", "--max-tokens", "90", "--temperature", "0")
    ids = PROMPTS.encode("It")
    tokens = list(generate.stream_tokens(model, [ids], SamplingParams(90, 0.0, stop_ids=(290,))))
    assert len(tokens) <= 48 + 1 - len(ids)
    assert run(*words).stdout == "It" + printable(TOKENIZER.decode([token for _, token in tokens])) + "\n"
    beyond = run(*words, "--window", "20")
    assert beyond.exit_code == 0, beyond.output
    assert "without it" not in beyond.stderr, "that would be another text"


def test_without_kernels_and_without_comparing(monkeypatch, model):
    monkeypatch.setattr(generate, "DecodeStep", lambda *_: pytest.fail("no kernels were wanted"))
    done = run("--prompt", "It", "--no-kernels", "--no-compare", "--max-tokens", "5", "--temperature", "0")
    assert done.stdout == "It" + expected(model, ["It"], max_tokens=5, temperature=0.0)[0] + "\n"
    assert "times as fast" not in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--max-tokens", "0"), "max_tokens must be at least 1, not 0"),
        (("--prompt", "word " * 100), "the model reads at most 48"),
        (("--model", "huge"), "there is no model 'huge'; there is tiny"),
        (("--device", "abacus"), "unknown device 'abacus'"),
        (("--dtype", "float8"), "unknown dtype 'float8'; use float32, bfloat16, float16"),
        (("--window", "0"), "a window must be from 1 to the context length, 48, not 0"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_work(model, words, message):
    done = run(*words)
    assert done.exit_code == 2
    assert message in done.stderr.replace("\n", " ")
    assert not done.stdout
