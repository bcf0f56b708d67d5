import json
from io import StringIO

import pytest
import torch
import typer
from rich.console import Console
from tokenizers import Tokenizer as TheirTokenizer
from typer.testing import CliRunner

from phase01_foundation.project02_tokenizer import show, tokenizer_json
from phase01_foundation.project02_tokenizer import train as train_command
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.formats import FormatError
from phase01_foundation.project02_tokenizer.given import example, fast, openai_tokenizers
from phase01_foundation.project02_tokenizer.given.byte_level import printed
from phase01_foundation.project02_tokenizer.given.trained import TRAIN, load
from phase01_foundation.project02_tokenizer.train import CONFIGS, TrainConfig, train
from shared import artifacts, config
from shared.command import how_to_run

TEXT = "The cat sat on the mat.\nThe dog sat on the log.\n" * 200
SMALL = {"name": "test", "corpus": "shakespeare", "fallback": None, "vocab_size": 280}


@pytest.fixture(autouse=True, scope="module")
def kernels():
    fast.kernels()  # compiled where they always are, before the first test has folders of its own


@pytest.fixture(autouse=True)
def corpus(own_folders, monkeypatch):
    """The corpus is a few sentences."""

    class Corpus:
        name = "cats and dogs"

        def split(self, name):
            return {"train": TEXT, "validation": TEXT[:300]}[name]

    monkeypatch.setattr(train_command.corpora, "load", lambda name, **options: Corpus())


def run(**changes):
    printed = StringIO()
    return *train(
        TrainConfig(**{**SMALL, **changes}), Console(file=printed, soft_wrap=True)
    ), printed.getvalue()


def command(capsys, *arguments):
    code = 0
    try:
        train_command.main(["--preset=smoke", "--name=test", *arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, " ".join((captured.out + captured.err).split())


def shown(*arguments):
    app = typer.Typer()
    app.command()(show.main)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("kind", "vocab_size", "pattern"), [("bpe", 270, "o200k"), ("word", 12, "gpt2"), ("char", None, "gpt2")]
)
def test_what_is_trained_is_published_and_opens_in_other_tools(kind, vocab_size, pattern):
    tokenizer, artifact, _ = run(kind=kind, vocab_size=vocab_size, pattern=pattern)
    loaded = load("test")
    assert tokenizer_json.to_json(loaded) == tokenizer_json.to_json(tokenizer)
    ids = tokenizer.encode(TEXT)
    assert TheirTokenizer.from_file(str(artifact.folder / "tokenizer.json")).encode(TEXT).ids == ids
    assert artifact.card["vocab_size"] == tokenizer.vocab_size
    assert artifact.card["data"] == "cats and dogs"
    assert artifact.card["bytes_per_token"] == pytest.approx(300 / len(tokenizer.encode(TEXT[:300])))
    if vocab_size:
        assert tokenizer.vocab_size == vocab_size


def test_a_text_with_nothing_more_to_learn_is_said():
    tokenizer, _, printed = run(vocab_size=5000)
    assert tokenizer.vocab_size < 400
    assert f"the vocabulary has {tokenizer.vocab_size:,} entries and not 5,000" in printed


def test_the_command_trains_and_says_what_to_do_next(capsys):
    code, printed = command(capsys)
    assert code == 0
    assert "bytes a token on text it has not seen" in printed
    assert f"{how_to_run(train_command.SHOW)} --tokenizer test" in printed


def test_the_command_names_what_is_wrong_before_any_work(capsys, monkeypatch):
    monkeypatch.setattr(train_command.corpora, "load", lambda *_, **__: pytest.fail("the corpus was read"))
    for argument, message in {
        "--vocab_size=100": "vocab_size must be at least 257, the 256 bytes and 1 special tokens, not 100",
        "--vocab_size=null": "not None",
        "--kind=unigram": "there is no kind 'unigram'",
        "--pattern=bert": "there is no pattern 'bert'",
        "--least=0": "least must be at least 1, not 0",
        "--preset=huge": "there is no preset 'huge'",
        "--vocabulary=8": "vocabulary",
    }.items():
        code, printed = command(capsys, argument)
        assert code == 2, argument
        assert message in printed, argument


def test_what_fails_later_is_said_too(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LADDER_WORK", str(tmp_path / "file"))
    code, printed = command(capsys)
    assert (code, "Not a directory" in printed) == (2, True)
    code, printed = command(capsys, "--name=No Name")
    assert (code, "cannot name a model" in printed) == (2, True)


@pytest.mark.parametrize("preset", sorted(path.stem for path in CONFIGS.iterdir()))
def test_the_presets_can_be_read(preset):
    assert config.parse(TrainConfig, CONFIGS, ["--preset", preset]).kind == "bpe"


def test_what_is_no_tokenizer_is_refused():
    with pytest.raises(artifacts.ArtifactError, match=rf"Build it with: {how_to_run(TRAIN)} --name test$"):
        load("test")
    artifacts.publish("test", {"w": torch.zeros(1)}, {"alphabet": "ab"}, {})
    with pytest.raises(FormatError, match="test is no tokenizer of this project"):
        load("test")


def test_the_show_command_makes_spaces_and_bytes_visible():
    run()
    code, out, _ = shown("--tokenizer", "test", "the cat\\n🙂<|endoftext|>")
    assert code == 0
    assert "the␣cat↵\\xf0\\x9f\\x99\\x82<|endoftext|>" in out
    assert "25 bytes" in out


@pytest.mark.parametrize("character", [*"\x00\x07\x08\r\x1b\x7f\x85\x9b\u2028\u202e\ufeff", "\U000e0001"])
def test_what_a_terminal_would_obey_is_shown_as_an_escape(character):
    shown = show.visible(f"a{character}é中🙂".encode())
    assert shown == f"a\\u{ord(character):04x}é中🙂"
    assert shown.isprintable()


def test_the_show_command_names_what_is_wrong():
    for name, message in {
        "nothing": "there is no model 'nothing'",
        "gpt2": "encoder.json cannot be had",
    }.items():
        code, _, err = shown("--tokenizer", name, "text")
        assert code == 2
        assert message in err
    with pytest.raises(
        ValueError, match="no tokenizer 'gpt9' of OpenAI's; there is gpt2, r50k_base, cl100k_base"
    ):
        openai_tokenizers.load_openai_tokenizer("gpt9")


def test_openais_tokenizers_are_read_from_their_files(monkeypatch):
    """With files of our own in the place of theirs."""
    model = ByteBPE.train([TEXT], 300)
    named = {id: printed(token) for id, token in model.tokens.items()}
    merges = [f"{named[left]} {named[right]}" for left, right in model.merges]
    files = {
        openai_tokenizers.ENCODER.path: json.dumps({token: id for id, token in named.items()}),
        openai_tokenizers.VOCAB.path: "\n".join(["#version: 0.2", *merges]),
    }
    monkeypatch.setattr(openai_tokenizers, "read_file", lambda file: files[file.path].encode())
    assert openai_tokenizers.load_openai_tokenizer("gpt2").encode(TEXT) == model.encode(TEXT)
    assert openai_tokenizers.load_openai_tokenizer("gpt2", native=False).encode(TEXT[:100]) == model.encode(
        TEXT[:100]
    )


def test_the_example_runs():
    assert example.trace_example()


def test_without_a_compiler_python_does_it_all(monkeypatch):
    expected = run()[0]
    monkeypatch.setattr(fast, "kernels", lambda: None)
    tokenizer = run()[0]
    assert tokenizer.model._encoder is None
    assert tokenizer.encode(TEXT) == expected.encode(TEXT)
    with pytest.raises(RuntimeError, match=r"no C\+\+ compiler; bpe.py does the same"):
        fast.split_pieces(b"", "gpt2")
