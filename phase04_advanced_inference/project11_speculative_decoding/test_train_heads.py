from dataclasses import replace
from io import StringIO

import pytest
import torch
from rich.console import Console

from phase04_advanced_inference.project11_speculative_decoding import train_heads
from phase04_advanced_inference.project11_speculative_decoding.given.example import TINY, random_model
from phase04_advanced_inference.project11_speculative_decoding.given.heads import load_heads
from phase04_advanced_inference.project11_speculative_decoding.train_heads import CONFIGS, HeadsConfig, train
from shared import config, tinyworld
from shared.phase01 import ByteBPE, Tokenizer, publish_base
from shared.testing import raises

SETTINGS = HeadsConfig(
    name="ahead", base="tiny", heads=2, characters=20_000, context_length=16, batch_size=4, steps=6, warmup=1,
    learning_rate=0.02, evaluate_every=3, validation_windows=4, tensorboard=False, dtype="float32", threads=1,
)  # fmt: skip


@pytest.fixture(autouse=True)
def base(own_folders):
    """A model "tiny", published."""
    tokenizer = Tokenizer(
        ByteBPE.train([tinyworld.text("train", 0, 20_000)], 290, native=False), {"<|endoftext|>": 290}
    )
    model = random_model(replace(TINY, vocab_size=291), torch.float32)
    publish_base("tiny", model, tokenizer, {"data": "none"})
    return model


def test_heads_are_trained_and_published_with_a_card(base):
    run, artifact = train(SETTINGS, Console(file=StringIO()))
    assert run.step == 6
    first, last = run.history
    assert last["validation_loss"] < first["validation_loss"]
    assert last["validation_loss"] == pytest.approx((last["head_1_loss"] + last["head_2_loss"]) / 2)
    heads = load_heads("ahead", base)
    assert heads.count == 2
    assert artifact.card["base"] == "tiny"
    assert artifact.card["training_tokens"] == 6 * 4 * 16
    assert not (artifact.folder / "checkpoint.safetensors").exists()


def test_the_base_stays_as_it_is(base):
    loss_fn = train_heads.make_loss(base.requires_grad_(False))
    heads = train_heads.MTPHeads(24, 2)
    tokens = torch.randint(291, (2, 9), generator=torch.Generator().manual_seed(0))
    loss, metrics = loss_fn(heads, {"tokens": tokens[:, :-1], "targets": tokens[:, 1:]})
    loss.backward()
    assert all(parameter.grad is None for parameter in base.parameters())
    assert set(metrics) == {"head_1", "head_2"}
    assert loss.item() == pytest.approx(sum(float(one) for one in metrics.values()) / 2)


def test_the_command_says_how_good_they_are(capsys):
    options = [f"--{name}={value}" for name, value in (
        ("name", "ahead"), ("base", "tiny"), ("steps", 2), ("evaluate_every", 2), ("characters", 20_000),
        ("context_length", 16), ("dtype", "float32"), ("threads", 1),
    )]  # fmt: skip
    train_heads.main(["--preset", "smoke", *options])
    assert "validation loss of the heads, nearest first" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        train_heads.main(["--preset", "smoke", "--base", "nothing"])
    assert ended.value.code == 2


@pytest.mark.parametrize("preset", ["smoke", "cpu"])
def test_the_presets_can_be_read(preset):
    assert config.parse(HeadsConfig, CONFIGS, ["--preset", preset]).base == "tiny-base"


def test_settings_that_cannot_be_are_named():
    with raises(ValueError, "heads", 1, 0):
        replace(SETTINGS, heads=0)
    with raises(ValueError, "context_length", 2):
        replace(SETTINGS, context_length=2)
    with raises(ValueError, "characters", 5):
        replace(SETTINGS, characters=5)
