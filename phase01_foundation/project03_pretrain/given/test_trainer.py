from dataclasses import replace
from functools import partial
from io import StringIO

import jaxtyping
import numpy as np
import pytest
import torch
from rich.console import Console

from phase01_foundation.project03_pretrain.batches import Batches
from phase01_foundation.project03_pretrain.given import trainer
from phase01_foundation.project03_pretrain.given.settings import TrainerConfig
from phase01_foundation.project03_pretrain.given.trainer import Speed, fit, prepare
from phase01_foundation.project03_pretrain.model import LLM, Config
from phase01_foundation.project03_pretrain.monitor import DivergedError
from phase01_foundation.project03_pretrain.parallel import Processes
from phase01_foundation.project03_pretrain.step import next_token_loss
from shared import checkpoint

SHAPE = Config(7, 8, layers=1, heads=2, kv_heads=1, dim=8, hidden_dim=12, dropout=0.1, qk_norm=True)
IDS = np.tile(np.arange(7, dtype=np.uint16), 40)  # 0, 1, ..., 6 over and over
SETTINGS = TrainerConfig(
    steps=12, batch_size=4, learning_rate=0.02, warmup=2, evaluate_every=5, dtype="float32", tensorboard=False
)


def begin(settings=SETTINGS, shape=SHAPE):
    torch.manual_seed(0)
    return prepare(LLM(shape), Batches(IDS, settings.batch_size, 8), settings)


def validate(model, last):
    with torch.no_grad():
        batch = Batches(IDS, 8, 8, seed=9).next()
        return {"validation_loss": next_token_loss(model, batch)[0].item()}


def train(path, settings=SETTINGS, run=None, **options):
    return fit(run or begin(settings), settings, path / "checkpoint.safetensors", {}, validate, **options)


# ---- a run


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_run_learns_and_keeps_its_record(tmp_path, optimizer):
    settings = replace(SETTINGS, steps=80, evaluate_every=30, optimizer=optimizer, learning_rate=0.05)
    calls, printed = [], StringIO()

    def watched(model, last):
        calls.append((last, model.training, torch.is_grad_enabled()))
        return {**validate(model, last), "accuracy": 0.5}

    run = fit(
        begin(settings, shape=replace(SHAPE, dropout=0.0)),
        settings,
        tmp_path / "checkpoint.safetensors",
        {},
        watched,
        sample=lambda model: [f"a sample, training {model.training}"],
        speed=Speed(flops_per_token=1e3, peak=1e9),
        console=Console(file=printed, width=200),
    )
    assert calls == [(False, False, False), (False, False, False), (True, False, False)]
    assert [entry["step"] for entry in run.history] == [30, 60, 80]
    assert [entry["tokens"] for entry in run.history] == [30 * 32, 60 * 32, 80 * 32]
    losses = [entry["validation_loss"] for entry in run.history]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.2, "seven tokens in a circle are not learnt by heart"
    last = run.history[-1]
    assert last["accuracy"] == 0.5
    assert last["samples"] == ["a sample, training False"]
    assert last["share_of_peak"] == pytest.approx(last["tokens_per_second"] * 1e-6, abs=1e-4)
    assert last["learning_rate"] == pytest.approx(0.05 / 48)  # the last of 48 steps down
    assert run.model.training
    lines = [line for line in printed.getvalue().splitlines() if line.startswith("step ")]
    assert len(lines) == 3
    assert f"validation loss {losses[0]:.4f}" in lines[0]


def test_the_compiled_model_learns_the_same(tmp_path, monkeypatch):
    """With dynamo's own graphs; the machine code that `compile` makes of them by default takes a minute."""
    shape = replace(SHAPE, dropout=0.0)
    plain = train(tmp_path / "plain", run=begin(shape=shape))
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # dynamo cannot trace the checks
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    settings = replace(SETTINGS, compile=True)
    compiled = begin(settings, shape=shape)
    train(tmp_path / "compiled", settings, compiled)
    assert len(graphs) == 1, "the step is one graph, and steps do not compile it anew"
    for one, other in zip(plain.history, compiled.history, strict=True):
        assert one["validation_loss"] == pytest.approx(other["validation_loss"], abs=1e-4)
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=1e-4)


def test_settings_reach_the_model_and_the_step(tmp_path, monkeypatch):
    seen = {}

    def step(*arguments, **options):
        seen.update(options)
        return real(*arguments, **options)

    real = trainer.training_step
    monkeypatch.setattr(trainer, "training_step", step)
    settings = replace(
        SETTINGS, steps=1, gradient_checkpointing=True, micro_batch=3, max_norm=0.5, dtype="bfloat16"
    )
    loss_fn = partial(next_token_loss)
    run = train(tmp_path, settings, loss_fn=loss_fn)
    assert run.model.gradient_checkpointing is True
    assert seen == {
        "loss_fn": loss_fn, "micro_batch": 3, "max_norm": 0.5, "dtype": torch.bfloat16, "scaler": None,
    }  # fmt: skip


def test_fsdp_refuses_float16():
    settings = replace(SETTINGS, dtype="float16", parallel="fsdp")
    with pytest.raises(ValueError, match="fsdp cannot scale the loss for float16"):
        prepare(LLM(SHAPE), Batches(IDS, 4, 8), settings, Processes(0, 2))


# ---- checkpoints


def test_a_folder_that_cannot_be_written_is_found_before_the_first_step(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(
        trainer, "training_step", lambda *arguments, **options: pytest.fail("a step was taken")
    )
    with pytest.raises(NotADirectoryError):
        train(tmp_path / "file" / "run")  # no folder fits in a file, not even root's


def test_checkpoints_come_with_validations_and_with_time(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(trainer.Run, "save", lambda run, path, identity: saved.append(run.step))
    train(tmp_path)
    assert saved == [0, 5, 10, 12]
    saved.clear()
    train(tmp_path, replace(SETTINGS, checkpoint_minutes=1e-12))
    assert saved == list(range(13))


# ---- steps that cannot be applied


def failing(*steps):
    """A loss that is not a number in these steps, counted from 1."""
    taken = []

    def loss_fn(model, batch):
        taken.append(1)
        loss, metrics = next_token_loss(model, batch)
        return loss * (float("nan") if len(taken) in steps else 1.0), metrics

    return loss_fn


def test_skipped_steps_are_told_and_leave_the_record_finite(tmp_path):
    printed = StringIO()
    run = train(tmp_path, loss_fn=failing(2, *range(6, 11)), console=Console(file=printed, width=200))
    first, second, third = run.history
    assert "step      2   the gradient is not finite (loss nan); the step is skipped" in printed.getvalue()
    assert [entry["skipped_steps"] for entry in run.history] == [1, 6, 6]
    assert "spikes and skipped steps: 6" in printed.getvalue()
    for entry in (first, third):
        assert np.isfinite([entry["train_loss"], entry["gradient_norm"]]).all()
    assert (second["train_loss"], second["gradient_norm"]) == (None, None), "no step was taken from 6 to 10"
    assert "step     10   every step skipped   validation loss" in printed.getvalue()


def test_a_run_that_comes_apart_ends_and_keeps_its_last_checkpoint(tmp_path):
    settings = replace(SETTINGS, steps=30)
    with pytest.raises(DivergedError, match="10 steps in a row"):
        train(tmp_path, settings, loss_fn=failing(*range(8, 30)))
    state = checkpoint.read(tmp_path / "checkpoint.safetensors")
    assert state["step"] == 15, "the last validation"
    assert all(torch.isfinite(tensor).all() for tensor in state["model"].values())
