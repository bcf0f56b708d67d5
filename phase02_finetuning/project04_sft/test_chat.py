"""The commands that talk, measure and export, on a small model."""

import io
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from phase02_finetuning.project04_sft import chat, evaluate, export
from phase02_finetuning.project04_sft.given.chat_model import ChatModel, publish_chat
from phase02_finetuning.project04_sft.given.conversation import Conversation
from phase02_finetuning.project04_sft.given.evaluation import measure
from phase02_finetuning.project04_sft.given.example import TINY, random_model, small_tokenizer
from shared.command import printable
from shared.phase01 import publish_base

pytestmark = pytest.mark.usefixtures("own_folders")


@pytest.fixture
def talker():
    tokenizer = small_tokenizer()
    config = replace(TINY, vocab_size=tokenizer.vocab_size, context_length=1024)
    found = ChatModel(random_model(config, torch.float32), tokenizer, "tinyworld")
    publish_chat("talker", found, {"data": "none"})
    return found


def run(command, *words):
    app = chat.typer.Typer()
    app.command()(command.main)
    return CliRunner().invoke(app, list(words))


def test_it_answers_what_is_said_and_remembers(talker):
    done = run(chat, "--model", "talker", "--say", "Who?", "--say", "And where?", "--max-tokens", "5")
    assert done.exit_code == 0, done.output
    talk = Conversation(talker, max_tokens=5)
    answers = [printable("".join(talk.say(text)).lstrip()) for text in ("Who?", "And where?")]
    expected = f"you: Who?\nmodel: {answers[0]}\nyou: And where?\nmodel: {answers[1]}\n"
    assert done.stdout == expected


def test_typed_lines_end_with_an_empty_one(talker, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("Who?\n\nmore\n"))
    assert list(chat._typed()) == ["Who?"]
    monkeypatch.setattr("sys.stdin", io.StringIO("Who?\nbye\nmore\n"))
    assert list(chat._typed()) == ["Who?"]
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert list(chat._typed()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "nobody"), "there is no model 'nobody'"),
        (("--model", "talker", "--max-tokens", "0"), "from 1 to 1023"),
        (("--model", "talker", "--template", "vicuna"), "vicuna"),
        (("--model", "talker", "--say", "word " * 2000), "tokens"),
        (("--model", "talker", "--temperature", "-1", "--say", "a"), "temperature"),
    ],
)
def test_what_cannot_be_is_one_line(talker, words, message):
    done = run(chat, *words)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_the_evaluation_compares_two_models(talker, monkeypatch):
    monkeypatch.setattr(
        evaluate, "measure", lambda *of, dtype: measure(*of, max_tokens=2, dtype=torch.float32)
    )
    bare = small_tokenizer(control=("<|endoftext|>",))
    publish_base(
        "base",
        random_model(replace(TINY, vocab_size=291, context_length=1024), torch.float32),
        bare,
        {"data": "none"},
    )
    done = run(
        evaluate, "--model", "talker", "--base", "base", "--per-skill", "1", "--talks", "2", "--samples", "2"
    )
    assert done.exit_code == 0, done.output
    for part in ("retrieval", "average", "above", "talks answered well: memory", "before", "by kind"):
        assert part in done.stdout
    assert run(evaluate, "--per-skill", "0").exit_code == 2


def test_an_export_is_written(talker, tmp_path):
    done = run(export, "talker", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja",
    }  # fmt: skip
    assert run(export, "nobody", "--out", str(tmp_path / "none")).exit_code == 2
