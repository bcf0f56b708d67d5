from dataclasses import asdict, replace
from io import StringIO

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from phase04_advanced_inference.project11_speculative_decoding import release_heads
from phase04_advanced_inference.project11_speculative_decoding.given.example import TINY, random_model
from phase04_advanced_inference.project11_speculative_decoding.given.heads import (
    load_artifact,
    load_heads,
    publish_heads,
)
from phase04_advanced_inference.project11_speculative_decoding.given.texts import stories
from phase04_advanced_inference.project11_speculative_decoding.mtp import MTPHeads
from phase04_advanced_inference.project11_speculative_decoding.train_heads import HeadsConfig, train
from shared import artifacts, tinyworld
from shared.phase01 import ByteBPE, Tokenizer, load_base, publish_base
from shared.testing import raises

SETTINGS = HeadsConfig(
    name="ahead", base="tiny", heads=2, characters=20_000, context_length=16, batch_size=4, steps=2, warmup=1,
    learning_rate=0.02, evaluate_every=2, validation_windows=4, tensorboard=False, dtype="float32", threads=1,
)  # fmt: skip


@pytest.fixture
def base(own_folders):
    """A model "tiny", published."""
    tokenizer = Tokenizer(
        ByteBPE.train([tinyworld.text("train", 0, 20_000)], 290, native=False), {"<|endoftext|>": 290}
    )
    model = random_model(replace(TINY, vocab_size=291, context_length=128), torch.float32)
    publish_base("tiny", model, tokenizer, {"data": "none"})
    return model


def test_what_is_released_is_rounded_and_measured_as_it_is_stored(base, own_folders):
    _, trained = train(SETTINGS, Console(file=StringIO()))
    app = release_heads.typer.Typer()
    app.command()(release_heads.main)
    done = CliRunner().invoke(app, ["ahead", "--stories", "2"])
    assert done.exit_code == 0, done.output
    assert "of the judged guesses stay" in done.output
    released = artifacts.Artifact("ahead", own_folders / "data" / "models" / "ahead", "released")
    before, after = trained.tensors(), released.tensors()
    assert all(torch.equal(after[name], one.bfloat16()) for name, one in before.items())
    assert released.card["stored_as"] == "bfloat16"
    for fact in ("seed", "training_seconds", "training_tokens", "settings", "history", "base"):
        assert released.card[fact] == trained.card[fact]
    assert released.card["validation_loss"] == pytest.approx(trained.card["validation_loss"], rel=0.02)
    assert 0 <= released.card["acceptance"] <= 1


def test_what_cannot_be_released_is_named(base, own_folders, monkeypatch):
    card = {"settings": asdict(SETTINGS), "parameters": 3}
    publish_heads("ahead", MTPHeads(24, 2), "tiny", card)
    with monkeypatch.context() as patched, raises(ValueError, "ahead"):
        patched.setattr(release_heads, "MOST_BYTES", 100)
        release_heads.release("ahead", 1)
    rates = iter([0.9, 0.5])
    monkeypatch.setattr(release_heads, "acceptance", lambda *_: next(rates))
    with raises(ValueError, "ahead", "0.500", "0.900"):
        release_heads.release("ahead", 1)
    assert not (own_folders / "data" / "models" / "ahead").exists()
    publish_heads("old", MTPHeads(24, 2), "tiny", card, released=True)
    with raises(artifacts.ArtifactError, "old"):
        release_heads.release("old")


def test_the_released_heads_guess_what_tiny_base_writes(monkeypatch, tmp_path):
    """Not a learner's own, who may have trained others under this name."""
    monkeypatch.setenv("LADDER_WORK", str(tmp_path))
    model, tokenizer = load_base("tiny-base")
    heads = load_heads("tiny-heads", model)
    found = artifacts.find("tiny-heads")
    assert (found.whose, found.config["base"], heads.count) == ("released", "tiny-base", 3)
    assert (found.folder / artifacts.WEIGHTS).stat().st_size < 1_500_000
    rate = release_heads.acceptance(model, load_artifact(found, model), stories(tokenizer, 4), 24)
    assert rate > 0.5
