import re

import pytest
import torch
from typer.testing import CliRunner

from phase04_advanced_inference.project10_prompt_caching import questions
from phase04_advanced_inference.project10_prompt_caching.given.asking import (
    ask,
    prompts_about,
    story,
)
from phase04_advanced_inference.project10_prompt_caching.given.example import TINY, random_model
from phase04_advanced_inference.project10_prompt_caching.prompt_cache import PromptCache
from shared import tinyworld
from shared.phase01 import ByteBPE, Config, PromptTokenizer, Tokenizer, publish_base

pytestmark = pytest.mark.usefixtures("own_folders")

TOKENIZER = Tokenizer(
    ByteBPE.train([tinyworld.text("train", 0, 20_000)], 290, native=False), {"<|endoftext|>": 290}
)
PROMPTS = PromptTokenizer(TOKENIZER)
SHAPE = Config(291, 1200, TINY.layers, TINY.heads, TINY.kv_heads, TINY.dim, TINY.hidden_dim, head_dim=6)


@pytest.fixture
def model():
    """A model "tiny", published."""
    found = random_model(SHAPE, torch.float32)
    publish_base("tiny", found, TOKENIZER, {"data": "none"})
    return found


def run(*words):
    app = questions.typer.Typer()
    app.command()(questions.main)
    return CliRunner().invoke(app, ["--model", "tiny", *words])


def cached(output):
    return [
        (int(found[1]), int(found[2])) for found in re.finditer(r"(\d+) tokens, (\d+) of them cached", output)
    ]


def test_the_story_is_read_once(model):
    done = run("--questions", "3")
    assert done.exit_code == 0, done.output
    told = story(0, 3)
    assert done.stdout.startswith(told.text)
    first, *others = cached(done.stdout)
    beginning = len(PROMPTS.encode(f"Question: {told.text}\n"))
    assert first[1] == 0
    assert all(beginning // 16 * 16 <= hit < count for count, hit in others)
    assert all(question.text in done.stdout for question in told.questions)
    assert f"Again: {told.questions[0].text}" in done.stdout
    assert "were hits" in done.stdout


def test_a_conversation_keeps_answers_too(model):
    done = run("--questions", "3", "--conversation")
    assert done.exit_code == 0, done.output
    (one, _), (two, second), (_, third) = cached(done.stdout)
    assert one - 16 < second
    assert two - 16 < third


def test_without_blocks_nothing_is_cached(model):
    done = run("--questions", "2", "--blocks", "0")
    assert [hit for _, hit in cached(done.stdout)] == [0, 0]
    assert "0 of 0 blocks" in done.stdout


def test_a_conversations_tokens_begin_with_those_of_the_turn_before(model):
    told, texts = story(1, 3), PromptCache(model, 100)
    replies = []
    for _ in told.questions:
        prompt = prompts_about(PROMPTS, told, True, replies)
        if replies:
            assert prompt[: len(replies[-1].text)] == replies[-1].text
        replies.append(ask(model, PROMPTS, texts, prompt))
    assert TOKENIZER.decode(replies[-1].text).count("Question:") >= 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "huge"), "there is no model 'huge'; there is tiny"),
        (("--blocks", "-1"), "not -1 and 16"),
        (("--block-size", "0"), "not 256 and 0"),
        (("--questions", "0"), "not 0 and 0"),
        (("--story", "-2"), "not -2 and 4"),
        (("--questions", "99"), "no story of the test split has 99 questions"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_work(model, words, message):
    done = run(*words)
    assert done.exit_code == 2
    assert message in done.stderr.replace("\n", " ")
    assert not done.stdout
