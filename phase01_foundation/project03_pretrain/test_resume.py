import copy
import os
import signal
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.batches import Batches
from phase01_foundation.project03_pretrain.given import trainer
from phase01_foundation.project03_pretrain.given.settings import TrainerConfig
from phase01_foundation.project03_pretrain.given.trainer import fit, prepare
from phase01_foundation.project03_pretrain.model import LLM, Config
from phase01_foundation.project03_pretrain.streaming import StreamingBatches
from phase01_foundation.project03_pretrain.token_file import END_OF_TEXT
from shared import checkpoint
from shared.checkpoint import CheckpointError
from shared.command import Interrupted
from shared.testing import raises

task = pytest.mark.task(8)

SHAPE = Config(7, 8, layers=1, heads=2, kv_heads=1, dim=8, hidden_dim=12, dropout=0.1, qk_norm=True)
IDS = np.tile(np.arange(7, dtype=np.uint16), 40)  # 0, 1, ..., 6 over and over
SETTINGS = TrainerConfig(
    steps=12, batch_size=4, learning_rate=0.02, warmup=2, evaluate_every=5, dtype="float32", tensorboard=False
)
IDENTITY = {"dim": 8, "seed": 0}


def begin(settings=SETTINGS, batches=None, shape=SHAPE):
    torch.manual_seed(0)
    return prepare(LLM(shape), batches or Batches(IDS, settings.batch_size, 8, settings.seed), settings)


def validate(model, last):
    return {"validation_loss": model.head.weight.abs().sum().item()}


def train(path, settings=SETTINGS, run=None, identity=IDENTITY, **options):
    return fit(
        run or begin(settings), settings, path / "checkpoint.safetensors", identity, validate, **options
    )


def signal_in_step(monkeypatch, step, number=signal.SIGINT):
    """From now on, a signal comes in the middle of that step, counted from the run's beginning."""
    real = trainer.run_step

    def run_step(run, *arguments):
        if run.step == step - 1:
            os.kill(os.getpid(), number)
        return real(run, *arguments)

    monkeypatch.setattr(trainer, "run_step", run_step)


def interrupted(monkeypatch, path, step, settings=SETTINGS, run=None, number=signal.SIGINT):
    with monkeypatch.context() as patch:
        signal_in_step(patch, step, number)
        with pytest.raises(Interrupted, match=f"stopped at step {step}; the checkpoint is"):
            train(path, settings, run)


def everything(run):
    """All that a run is, but for what a clock says."""
    history = [
        {name: value for name, value in entry.items() if name not in ("seconds", "tokens_per_second")}
        for entry in run.history
    ]
    record = [history, run.step, run.tokens, run.losses, run.norms, run.monitor.state_dict()]
    optimizers = [copy.deepcopy(optimizer.state_dict()) for optimizer in run.optimizers]
    scaler = run.scaler.state_dict() if run.scaler else {}
    return [run.model.state_dict(), optimizers, scaler, run.batches.state_dict(), record]


def assert_bitwise(one, other):
    """The same nested values; tensors to the last bit."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for name in one:
            assert_bitwise(one[name], other[name])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_bitwise(mine, theirs)
    else:
        assert one == other


# ---- stopped and resumed


@task
@pytest.mark.parametrize(
    ("optimizer", "step", "number"),
    [
        ("muon", 1, signal.SIGINT),
        ("muon", 5, signal.SIGTERM),  # where there is a validation
        ("muon", 7, signal.SIGINT),
        ("adamw", 11, signal.SIGTERM),
    ],
)
def test_stopped_and_resumed_is_bitwise_the_run_that_never_stopped(
    tmp_path, monkeypatch, optimizer, step, number
):
    settings = replace(SETTINGS, optimizer=optimizer)
    whole = train(tmp_path / "whole", settings)
    interrupted(monkeypatch, tmp_path, step, settings, number=number)
    printed = StringIO()
    resumed = train(tmp_path, settings, console=Console(file=printed, width=200))
    assert f"resumed at step {step} from" in printed.getvalue()
    assert_bitwise(everything(resumed), everything(whole))


@task
def test_a_run_may_be_stopped_again_and_again(tmp_path, monkeypatch):
    whole = train(tmp_path / "whole")
    for step in (2, 3, 9):
        interrupted(monkeypatch, tmp_path, step)
    assert_bitwise(everything(train(tmp_path)), everything(whole))


@task
def test_a_stream_of_documents_goes_on_where_it_stopped(tmp_path, monkeypatch):
    tokenizer = Tokenizer(ByteBPE.train(["the cat sat on the mat"], 260), {END_OF_TEXT: 260})
    documents = [f"the cat {number} sat on the mat" for number in range(20)]
    shape = replace(SHAPE, vocab_size=261)

    def streaming():
        batches = StreamingBatches(
            lambda start: documents[start:], tokenizer, context_length=8, batch_size=4, buffer_size=5
        )
        return begin(batches=batches, shape=shape)

    whole = train(tmp_path / "whole", run=streaming())
    interrupted(monkeypatch, tmp_path, 7, run=streaming())
    assert_bitwise(everything(train(tmp_path, run=streaming())), everything(whole))


@task
def test_the_scale_of_float16_goes_on_too(tmp_path, monkeypatch):
    settings = replace(SETTINGS, dtype="float16")

    def scaled():
        run = begin(settings)
        run.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**22, growth_interval=4)
        return run

    whole = train(tmp_path / "whole", settings, scaled())
    assert whole.monitor.skipped > 0, "the scale was too large at first"
    interrupted(monkeypatch, tmp_path, 7, settings, scaled())
    assert_bitwise(everything(train(tmp_path, settings, scaled())), everything(whole))


@task
def test_a_checkpoint_of_other_settings_is_refused_by_name_and_kept(tmp_path, monkeypatch):
    interrupted(monkeypatch, tmp_path, 7)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    run = begin()
    fresh = copy.deepcopy(everything(run))
    with raises(CheckpointError, "dim", 8, 16, "width", "None", 3, "restart"):
        train(tmp_path, run=run, identity={"dim": 16, "seed": 0, "width": 3})
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert_bitwise(everything(run), fresh)


@task
def test_broken_and_foreign_files_are_named_and_kept(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    interrupted(monkeypatch, tmp_path, 3)
    whole = path.read_bytes()
    for content in (whole[:-100], b"", b"x" * 99):
        path.write_bytes(content)
        with raises(CheckpointError, str(path)):
            train(tmp_path)
        assert path.read_bytes() == content
    for state in ({"step": 3}, [1, 2]):
        checkpoint.write(path, state)
        with raises(CheckpointError, str(path)):
            train(tmp_path)


@task
def test_restart_begins_anew(tmp_path, monkeypatch):
    interrupted(monkeypatch, tmp_path, 7)
    printed = StringIO()
    run = train(tmp_path, replace(SETTINGS, restart=True), console=Console(file=printed))
    assert "resumed" not in printed.getvalue()
    assert_bitwise(everything(run), everything(train(tmp_path / "other")))
