"""Processes: who they are, what they agree on, and the whole command with two of them."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from io import StringIO

import pytest
import torch
import torch.distributed as dist
from rich.console import Console

from phase01_foundation.project03_pretrain.given.example import example
from phase01_foundation.project03_pretrain.given.settings import PretrainConfig
from phase01_foundation.project03_pretrain.parallel import (
    Processes,
    any_process,
    joined,
    spread,
    threads_each,
)
from phase01_foundation.project03_pretrain.together import together
from phase01_foundation.project03_pretrain.train import CONFIGS, train
from shared import config
from shared.files import ROOT

CPU = torch.device("cpu")


def test_any_process():
    assert together(asked) == [[True, True, False]] * 2
    assert not any_process(False)
    assert any_process(True)


def asked():
    return [any_process(flag) for flag in (dist.get_rank() == 1, True, False)]


def test_alone_nothing_is_joined_or_spread(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    model, _ = example()
    with joined(CPU) as (processes, device):
        assert processes == Processes(0, 1)
        assert processes.first
        assert device == CPU
        assert spread(model, "fsdp") is model
        assert not dist.is_initialized()


@pytest.mark.parametrize("fails", [False, True])
def test_what_torchrun_started_is_joined_and_left(monkeypatch, fails):
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 0}.items():
        monkeypatch.setenv(name, str(value))
    waited = []
    monkeypatch.setattr(dist, "barrier", lambda: waited.append(dist.is_initialized()))
    with pytest.raises(ZeroDivisionError) if fails else nullcontext(), joined(CPU) as (processes, _):
        assert processes == Processes(0, 1)
        assert dist.get_backend() == "gloo"
        with joined(CPU) as (inside, _):
            assert inside == processes
        assert dist.is_initialized(), "who joined first leaves last"
        assert 1 / (not fails)
    assert not dist.is_initialized()
    assert waited == ([] if fails else [True]), "for the others, unless they wait in vain"


def test_each_process_needs_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with (
        pytest.raises(ValueError, match="each process needs a GPU of its own; there are 1"),
        joined(torch.device("cuda")),
    ):
        pass


def test_processes_share_the_cores(monkeypatch):
    monkeypatch.setattr("phase01_foundation.project03_pretrain.parallel.cores", lambda: 6)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert threads_each() == 6
    for processes, threads in ((1, 6), (4, 1), (2, 3), (8, 1)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
        assert threads_each() == threads


def test_a_process_that_fails_ends_the_others():
    with pytest.raises(NotImplementedError, match="rank 1 cannot") as caught:
        together(fails_in_the_second)
    assert "in process 1:" in caught.value.__notes__[0]


def fails_in_the_second():
    if dist.get_rank() == 1:
        raise NotImplementedError("rank 1 cannot")
    dist.barrier()


def test_the_whole_command_with_two_processes_is_the_command_with_one(own_folders):
    options = (
        "--preset smoke --steps 6 --evaluate_every 3 --batch_size 4 --context_length 32 --characters 20000"
    )
    options += " --vocab_size 300 --dtype float32 --threads 1 --tensorboard false --micro_batch 1"
    options = [*options.split(), "--name", "two"]
    module = "phase01_foundation.project03_pretrain.train"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    command += [module, *options, "--parallel", "fsdp"]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert "processes: 2" in ended.stdout
    assert ended.stdout.count("validation loss") == 3, "one process speaks: two validations, and the end"
    folder = own_folders / "work" / "models" / "two"
    two = json.loads((folder / "card.json").read_text())
    one, _ = train(
        config.parse(PretrainConfig, CONFIGS, [*options, "--name", "one"]), Console(file=StringIO())
    )
    assert two["processes"] == 2
    assert len(one.history) == 2
    for entry, expected in zip(two["history"], one.history, strict=True):
        # Muon rounds to bfloat16.
        assert entry["validation_loss"] == pytest.approx(expected["validation_loss"], rel=1e-4)
        assert entry["gradient_norm"] == pytest.approx(expected["gradient_norm"], rel=1e-2)
        assert entry["samples"] == expected["samples"]
    assert not (folder / "checkpoint.safetensors").exists()
