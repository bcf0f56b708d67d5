import os
from copy import deepcopy
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
import torch

from phase01_foundation.project03_pretrain.batches import Batches
from phase01_foundation.project03_pretrain.given.example import TINY
from phase01_foundation.project03_pretrain.given.settings import TrainerConfig
from phase01_foundation.project03_pretrain.given.trainer import prepare, run_step
from phase01_foundation.project03_pretrain.model import LLM
from phase01_foundation.project03_pretrain.run import Run
from shared.checkpoint import CheckpointError, read, write
from shared.testing import raises

task = pytest.mark.task(8)

IDS = np.random.default_rng(0).integers(TINY.vocab_size, size=300, dtype=np.uint16)
SETTINGS = TrainerConfig(steps=8, batch_size=4, learning_rate=0.02, warmup=3, dtype="float32")
IDENTITY = {"steps": 8, "corpus": "numbers"}


def begin(settings=SETTINGS, seed=1):
    torch.manual_seed(seed)
    model = LLM(replace(TINY, dropout=0.2, tied_embeddings=True))
    return prepare(model, Batches(IDS, 4, 16), settings)


def take(run: Run, settings=SETTINGS, steps=1):
    """Take steps as `fit` does: watched, and with an entry in the history for each."""
    for _ in range(steps):
        run.monitor.update(run_step(run, settings))
        run.history.append({"step": run.step, "loss": run.losses[-1]})


def everything(run: Run):
    """All that decides how a run goes on, and all it has to tell, but for its time."""
    return {
        "weights": dict(run.model.state_dict()),
        "optimizers": [optimizer.state_dict()["state"] for optimizer in run.optimizers],
        "batches": run.batches.state_dict(),
        "monitor": run.monitor.state_dict(),
        "numbers": (run.step, run.tokens),
        "record": (run.history, run.losses, run.norms),
    }


def assert_same(one, other):
    assert set(one) == set(other)
    for name in ("batches", "monitor", "numbers", "record"):
        assert one[name] == other[name], name
    for name in ("weights", "optimizers"):
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


@task
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("stop", [0, 1, 3])
def test_resuming_is_never_having_stopped(tmp_path, optimizer, stop):
    """To the last bit, with dropout, from another model's beginning."""
    settings = replace(SETTINGS, optimizer=optimizer)
    whole = begin(settings)
    take(whole, settings, 5)
    stopped = begin(settings)
    take(stopped, settings, stop)
    stopped.save(tmp_path / "checkpoint.safetensors", IDENTITY)
    resumed = begin(settings, seed=2)
    resumed.resume(tmp_path / "checkpoint.safetensors", IDENTITY)
    assert resumed.seconds == stopped.seconds
    assert_same(everything(resumed), everything(stopped))
    take(resumed, settings, 5 - stop)
    assert_same(everything(resumed), everything(whole))


@task
def test_a_run_can_go_back(tmp_path):
    """To a checkpoint before the first step, too, when no optimizer had a state."""
    run = begin()
    for number in (0, 2):
        take(run, steps=number)
        before = deepcopy(everything(run))
        run.save(tmp_path / "checkpoint.safetensors", IDENTITY)
        take(run, steps=2)
        run.resume(tmp_path / "checkpoint.safetensors", IDENTITY)
        assert_same(everything(run), before)
        assert any(optimizer.state for optimizer in run.optimizers) == bool(number)


@task
def test_saving_changes_nothing(tmp_path):
    """Also before the first step, where AdamW must not count a step that was none."""
    saved, unsaved = begin(), begin()
    for _ in range(3):
        saved.save(tmp_path / "checkpoint.safetensors", IDENTITY)
        for run in (saved, unsaved):
            take(run)
    assert_same(everything(saved), everything(unsaved))


@task
def test_the_scale_of_float16_goes_on(tmp_path):
    run, other = begin(), begin()
    run.scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    other.scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    run.save(tmp_path / "checkpoint.safetensors", IDENTITY)
    other.resume(tmp_path / "checkpoint.safetensors", IDENTITY)
    assert other.scaler.state_dict() == run.scaler.state_dict()
    without = begin()
    without.resume(tmp_path / "checkpoint.safetensors", IDENTITY)
    assert without.scaler is None
    without.save(tmp_path / "checkpoint.safetensors", IDENTITY)
    other.resume(tmp_path / "checkpoint.safetensors", IDENTITY)
    assert other.scaler.get_scale() == 64, "a checkpoint without a scale leaves it as it is"


@task
@pytest.mark.parametrize(
    ("now", "facts"),
    [
        ({"steps": 9, "corpus": "numbers"}, ("steps", 8, 9)),
        ({"steps": 9, "corpus": "words"}, ("steps", 8, 9, "corpus", "numbers", "words")),
        ({"steps": 8}, ("corpus", "numbers", "None")),
        ({**IDENTITY, "new": 1}, ("new", "None", 1)),
    ],
)
def test_another_runs_checkpoint_is_refused_and_kept(tmp_path, now, facts):
    path = tmp_path / "checkpoint.safetensors"
    first = begin()
    take(first)
    first.save(path, IDENTITY)
    content = path.read_bytes()
    run = begin(seed=2)
    before = deepcopy(everything(run))
    with raises(CheckpointError, *facts, "restart") as caught:
        run.resume(path, now)
    same = [name for name in IDENTITY if now.get(name) == IDENTITY[name]]
    assert not any(name in str(caught.value) for name in same), "only what differs is named"
    assert_same(everything(run), before)
    assert path.read_bytes() == content


@task
def test_files_that_are_no_checkpoint_of_a_run(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    run = begin()
    run.save(path, IDENTITY)
    whole = read(path)
    odd = [{**whole, name: 5} for name in ("identity", "model", "optimizers", "batches", "monitor", "losses")]
    for state in ([1, 2], {"model": {}}, {"identity": IDENTITY}, *odd):
        write(path, state)
        with raises(CheckpointError, str(path)):
            run.resume(path, IDENTITY)
    with raises(CheckpointError, str(tmp_path / "missing.safetensors")):
        run.resume(tmp_path / "missing.safetensors", IDENTITY)
    run.save(path, IDENTITY)
    path.write_bytes(path.read_bytes()[:-1])
    with raises(CheckpointError, str(path)):
        run.resume(path, IDENTITY)


@task
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    def full(source, target):
        raise OSError("no space left")

    path = tmp_path / "checkpoint.safetensors"
    run = begin()
    run.save(path, IDENTITY)
    before = path.read_bytes()
    take(run)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        run.save(path, IDENTITY)
    assert path.read_bytes() == before


@task
def test_the_file_names_weights_and_states_as_the_model_does(tmp_path):
    run = begin()
    take(run)
    run.save(tmp_path / "checkpoint.safetensors", MappingProxyType(IDENTITY))
    state = read(tmp_path / "checkpoint.safetensors")
    assert state["identity"] == IDENTITY
    torch.testing.assert_close(state["model"], dict(run.model.state_dict()), rtol=0, atol=0)
    velocity = state["optimizers"]["state"]["blocks.0.attention.q.weight"]["velocity"]
    assert velocity.shape == (16, 16)
