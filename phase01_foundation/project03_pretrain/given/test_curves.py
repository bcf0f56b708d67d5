import sys
from collections import defaultdict
from dataclasses import replace
from importlib.util import find_spec
from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

from phase01_foundation.project03_pretrain.batches import Batches
from phase01_foundation.project03_pretrain.given import curves as module
from phase01_foundation.project03_pretrain.given.curves import curves
from phase01_foundation.project03_pretrain.given.settings import TrainerConfig
from phase01_foundation.project03_pretrain.given.trainer import fit, prepare
from phase01_foundation.project03_pretrain.model import LLM, Config

SHAPE = Config(7, 8, layers=1, heads=2, kv_heads=1, dim=8, hidden_dim=12)
SETTINGS = TrainerConfig(
    name="test", steps=6, batch_size=2, evaluate_every=3, log_every=2, dtype="float32", tensorboard=True
)


def train(folder, settings=SETTINGS, printed=None, step=0):
    """A run of a few steps; its numbers stand in what it returns."""
    torch.manual_seed(0)
    run = prepare(LLM(SHAPE), Batches(np.arange(400, dtype=np.uint16) % 7, 2, 8), settings)
    run.step = step
    return fit(
        run,
        settings,
        folder / "checkpoint.safetensors",
        {},
        lambda model, last: {"validation_loss": 1.5},
        sample=lambda model: ["one\ntwo"],
        console=Console(file=printed or StringIO(), width=200),
    )


class Wandb:
    """What `curves` uses of the module wandb."""

    def __init__(self):
        self.started, self.logged, self.finished = [], defaultdict(dict), 0

    def init(self, **settings):
        self.started.append(settings)
        return self

    def log(self, values, step):
        self.logged[step] |= values

    def finish(self):
        self.finished += 1


@pytest.fixture
def wandb(monkeypatch):
    stand_in = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", stand_in)  # pyright: ignore[reportArgumentType]
    real = find_spec
    monkeypatch.setattr(
        "phase01_foundation.project03_pretrain.given.settings.find_spec",
        lambda name: name == "wandb" or real(name),
    )
    return stand_in


def read(folder):
    """The curves that TensorBoard shows: {name: {step: value}}, and the texts."""
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = event_accumulator.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    scalars = {
        name: {event.step: event.value for event in events.Scalars(name)} for name in events.Tags()["scalars"]
    }
    texts = {
        name: {event.step: event.tensor_proto.string_val[0].decode() for event in events.Tensors(name)}
        for name in events.Tags()["tensors"]
    }
    return scalars, texts


def test_tensorboard_holds_the_curves_and_the_samples(tmp_path):
    run = train(tmp_path)
    scalars, texts = read(tmp_path)
    assert scalars["validation/validation_loss"] == {3: 1.5, 6: 1.5}
    assert list(scalars["train/loss"]) == list(scalars["train/learning_rate"]) == [2, 4, 6]
    assert scalars["validation/tokens"] == {3: 48, 6: 96}
    assert scalars["validation/gradient_norm"][3] == pytest.approx(run.history[0]["gradient_norm"])
    assert texts == {"sample 0/text_summary": {3: "```\none\ntwo\n```", 6: "```\none\ntwo\n```"}}


def test_what_an_earlier_part_drew_past_the_checkpoint_is_forgotten(tmp_path):
    with curves(tmp_path, "test", {}, True, False, 0, Console(quiet=True)) as drawn:
        for step in range(1, 7):
            drawn.numbers(step, {"loss": 10.0})
    with curves(tmp_path, "test", {}, True, False, 4, Console(quiet=True)) as drawn:  # it was killed, say
        for step in range(5, 7):
            drawn.numbers(step, {"loss": 20.0})
    scalars, _ = read(tmp_path)
    assert scalars == {"loss": {1: 10, 2: 10, 3: 10, 4: 10, 5: 20, 6: 20}}


def test_wandb_gets_the_same(tmp_path, wandb):
    run = train(tmp_path, replace(SETTINGS, tensorboard=False, wandb=True))
    [start] = wandb.started
    assert (start["project"], start["name"]) == ("llm-ladder", "test")
    assert start["config"]["learning_rate"] == SETTINGS.learning_rate
    assert list(wandb.logged) == [2, 3, 4, 6]
    assert wandb.logged[6]["validation/validation_loss"] == 1.5
    assert wandb.logged[6]["train/gradient_norm"] > 0
    assert wandb.logged[3]["sample 0"] == "one\ntwo"
    assert wandb.logged[3]["validation/seconds"] == run.history[0]["seconds"]
    assert wandb.finished == 1
    assert not (tmp_path / "tensorboard").exists()


def test_wandb_goes_on_with_the_same_run_and_begins_another_anew(tmp_path, wandb):
    for step in (0, 4, 0):
        with curves(tmp_path, "test", {}, False, True, step, Console(quiet=True)):
            pass
    first, resumed, anew = (start["id"] for start in wandb.started)
    assert first == resumed != anew
    assert {start["resume"] for start in wandb.started} == {"allow"}


def test_a_run_that_fails_still_closes_what_is_open(tmp_path, wandb):
    with (
        pytest.raises(ZeroDivisionError),
        curves(tmp_path, "x", {}, True, True, 0, Console(quiet=True)) as drawn,
    ):
        drawn.numbers(1, {"loss": 1 / 0})
    assert wandb.finished == 1


def test_without_tensorboard_the_run_goes_on_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    printed = StringIO()
    run = train(tmp_path, printed=printed)
    assert run.step == 6
    assert printed.getvalue().count("TensorBoard is not installed, so no curves are written") == 1
    assert not (tmp_path / "tensorboard").exists()


def test_wandb_that_is_not_installed_is_named_with_the_settings(monkeypatch):
    monkeypatch.setattr("phase01_foundation.project03_pretrain.given.settings.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="wandb is wanted and not installed: pip install wandb"):
        replace(SETTINGS, wandb=True)
