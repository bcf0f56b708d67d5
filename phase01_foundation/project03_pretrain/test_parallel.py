"""Two processes that train together must do what one alone does; who they are, and what they agree on."""

import os
import signal
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from phase01_foundation.project02_tokenizer.given.training import train_tokenizer
from phase01_foundation.project03_pretrain.batches import Batches
from phase01_foundation.project03_pretrain.given.example import example
from phase01_foundation.project03_pretrain.given.pretraining_data import TextData
from phase01_foundation.project03_pretrain.given.settings import PretrainConfig, TrainerConfig
from phase01_foundation.project03_pretrain.given.trainer import fit, prepare, run_step
from phase01_foundation.project03_pretrain.model import LLM, Config
from phase01_foundation.project03_pretrain.parallel import (
    Processes,
    any_process,
    parallelize,
    process_group,
    threads_per_process,
)
from phase01_foundation.project03_pretrain.step import next_token_loss, training_step
from phase01_foundation.project03_pretrain.train import make_validate
from shared.command import Interrupted
from shared.processes import spawn

task = pytest.mark.task(8)

CPU = torch.device("cpu")
# Odd sizes, so that shards are of unequal size.
SHAPE = Config(vocab_size=23, context_length=8, layers=2, heads=2, kv_heads=1, dim=12, hidden_dim=21)
TIED = replace(SHAPE, tied_embeddings=True, qk_norm=True)
IDS = np.random.default_rng(0).integers(23, size=500, dtype=np.uint16)
SETTINGS = TrainerConfig(
    steps=7, batch_size=8, learning_rate=0.02, warmup=2, dtype="float32", tensorboard=False
)
IDENTITY = {"run": "a test"}


class Uneven(Batches):
    """Row number r of a batch ignores its first r targets: the last rank has far fewer to count than the first."""

    def next(self):
        batch = super().next()
        batch["targets"] = batch["targets"].clone()
        for row, targets in enumerate(batch["targets"], start=self.first):
            targets[:row] = -100
        return batch


def begin(shape=SHAPE, settings=SETTINGS, dtype=torch.float64):
    """A run at its beginning, in as many processes as there are; float64, so that only faults make a difference."""
    with process_group(CPU) as (processes, _):
        torch.manual_seed(1)
        model = LLM(shape).to(dtype)
        batches = Uneven(IDS, 8, 8, 0, processes.rank, processes.world_size)
        return prepare(model, batches, settings, processes)


def take(run, settings, steps):
    """Take some steps; returns all that must not depend on the number of processes."""
    taken = [run_step(run, settings) for _ in range(steps)]
    return {
        "losses": [step.loss for step in taken],
        "norms": [step.gradient_norm for step in taken],
        "weights": {name: tensor.clone() for name, tensor in run.full_state_dict().items()},
        "tokens": run.tokens,
        "step": run.step,
    }


def trained(shape=SHAPE, settings=SETTINGS, dtype=torch.float64):
    return take(begin(shape, settings, dtype), settings, 5)


def assert_same(together, alone, tolerance=1e-10):
    """The first rank's record is the lone process's, and so is the others' but for the weights, which one rank gets."""
    for record in together:
        assert (record["tokens"], record["step"]) == (alone["tokens"], alone["step"])
        # Losses are added up in float32.
        assert record["losses"] == pytest.approx(alone["losses"], rel=1e-6)
        assert record["norms"] == pytest.approx(alone["norms"], rel=max(tolerance, 1e-9))
    weights = together[0]["weights"]
    assert list(weights) == list(alone["weights"])
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, alone["weights"][name], rtol=0, atol=tolerance, msg=name)


def continued(folder, settings, name, steps, after=None):
    """Go on from the checkpoint `after`, take some steps, and save another one."""
    run = begin(TIED, settings)
    if after:
        run.resume(folder / after, IDENTITY)
    record = take(run, settings, steps)
    with torch.no_grad():  # as a validation does, after which FSDP leaves some parameters put together
        run.model(torch.zeros(1, 8, dtype=torch.int64))
    run.save(folder / name, IDENTITY)
    return record


@task
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_goes_on_with_another_number_of_processes(tmp_path, optimizer):
    settings = replace(SETTINGS, optimizer=optimizer)
    ddp, fsdp = (replace(settings, parallel=kind) for kind in ("ddp", "fsdp"))
    run = begin(TIED, settings)
    expected = [take(run, settings, steps) for steps in (2, 1, 1, 2)]
    assert_same([continued(tmp_path, settings, "one", 2)], expected[0])
    assert_same(spawn(continued, tmp_path, fsdp, "two", 1, "one"), expected[1])
    assert_same(spawn(continued, tmp_path, ddp, "three", 1, "two"), expected[2])
    assert_same([continued(tmp_path, settings, "four", 2, "three")], expected[3])


class Collectives(TorchDispatchMode):
    """Counts the calls of each kind that processes make together."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.namespace == "c10d":
            self.counts[function.name()] += 1
        return function(*args, **(kwargs or {}))


def talked(parallel, micro_batch):
    """What a step sends: gradients averaged, in calls and in numbers."""
    run = begin(settings=replace(SETTINGS, parallel=parallel))
    sent = []
    if isinstance(run.wrapped_model, DistributedDataParallel):

        def count(state, bucket):
            sent.append(bucket.buffer().numel())
            return default_hooks.allreduce_hook(state, bucket)

        run.wrapped_model.register_comm_hook(None, count)
    with Collectives() as collectives:
        training_step(run.wrapped_model, run.optimizers, run.batches.next(), 0.01, micro_batch=micro_batch)
    return {"averaged": sent, **collectives.counts}


@task
def test_ddp_shares_gradients_once_a_step():
    numbers = sum(parameter.numel() for parameter in LLM(SHAPE).parameters())
    for micro_batch in (0, 1):
        for record in spawn(talked, "ddp", micro_batch):
            assert sum(record["averaged"]) == numbers, "each gradient once, however many parts there are"


@task
@pytest.mark.parametrize(("micro_batch", "parts"), [(0, 1), (1, 4)])
def test_fsdp_shares_gradients_once_a_step_and_keeps_one_block_at_a_time(micro_batch, parts):
    for record in spawn(talked, "fsdp", micro_batch):
        assert record["c10d::_reduce_scatter_base_"] == SHAPE.layers + 1, "blocks, and what is outside them"
        # A block is put together going forward, and anew going back; what is outside stays in between.
        assert record["c10d::_allgather_base_"] == parts * (2 * SHAPE.layers + 1)


def kept(optimizer):
    """How many numbers this process keeps: weights, gradients, and the optimizers' state."""
    run = begin(settings=replace(SETTINGS, parallel="fsdp", optimizer=optimizer))
    take(run, SETTINGS, 1)
    run.model.zero_grad()
    training_step(run.wrapped_model, [], run.batches.next(), 0.01)
    weights = list(run.model.parameters())
    states = [
        tensor
        for one in run.optimizers
        for state in one.state.values()
        for tensor in state.values()
        if tensor.ndim
    ]
    kinds = {"weights": weights, "gradients": [weight.grad for weight in weights], "states": states}
    return {kind: sum(tensor.to_local().numel() for tensor in kinds[kind]) for kind in kinds}


@task
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_fsdp_processes_keep_a_part_each(optimizer):
    model = LLM(SHAPE)
    numbers = {"weights": sum(parameter.numel() for parameter in model.parameters())}
    numbers["gradients"] = numbers["weights"]
    moments = 2 * numbers["weights"]
    if optimizer == "muon":  # which keeps one number a weight, AdamW two
        moments -= sum(weight.numel() for weight in model.blocks.parameters() if weight.ndim == 2)
    numbers["states"] = moments
    shares = spawn(kept, optimizer)
    assert {kind: sum(share[kind] for share in shares) for kind in numbers} == numbers
    for share in shares:
        assert all(0.45 * numbers[kind] < share[kind] < 0.55 * numbers[kind] for kind in numbers)


@task
@pytest.mark.parametrize(
    ("parallel", "optimizer", "shape"),
    [
        ("ddp", "adamw", SHAPE),
        ("ddp", "muon", TIED),
        ("fsdp", "adamw", SHAPE),
        ("fsdp", "adamw", TIED),
        ("fsdp", "muon", SHAPE),
        ("fsdp", "muon", TIED),
    ],
)
def test_two_processes_are_one(parallel, optimizer, shape):
    """Also where they cut their rows into parts, and compute blocks a second time."""
    settings = replace(SETTINGS, optimizer=optimizer)
    alone = trained(shape, settings)
    changed = replace(settings, parallel=parallel, micro_batch=3, gradient_checkpointing=shape is TIED)
    assert_same(spawn(trained, shape, changed), alone)


@task
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_in_float32_they_differ_by_rounding_only(parallel):
    settings = replace(SETTINGS, optimizer="adamw")  # Muon's bfloat16 would round up here and down there
    alone = trained(SHAPE, settings, torch.float32)
    changed = replace(settings, parallel=parallel)
    assert_same(spawn(trained, SHAPE, changed, torch.float32), alone, tolerance=2e-6)


def interrupted(folder, settings):
    """Train with `fit`; the last process gets a SIGTERM in the third step."""
    run = begin(settings=settings)

    def loss_fn(model, batch):
        if run.step == 2 and run.processes.rank == dist.get_world_size() - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return next_token_loss(model, batch)

    checkpoint = folder / "checkpoint.safetensors"
    try:
        fit(
            run, settings, checkpoint, IDENTITY, lambda model, last: {"validation_loss": 0.0}, loss_fn=loss_fn
        )
    except Interrupted as stop:
        return {"step": run.step, "said": str(stop)}
    return {}


@task
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_a_signal_to_one_process_stops_all_with_one_checkpoint(tmp_path, parallel):
    settings = replace(SETTINGS, parallel=parallel)
    first, second = spawn(interrupted, tmp_path, settings)
    assert first == second
    assert first["step"] == 3
    assert "checkpoint.safetensors" in first["said"]
    whole = begin()
    take(whole, settings, 3)
    run = begin()
    run.resume(tmp_path / "checkpoint.safetensors", IDENTITY)
    assert_same([take(run, settings, 2)], take(whole, settings, 2))


def validated(parallel):
    """The loss on pieces of a text that two processes cannot share evenly, on some and on all of it."""
    with process_group(CPU) as (processes, _):
        run = begin(settings=replace(SETTINGS, parallel=parallel))
        text = TextData("numbers", train_tokenizer(["a"], "char", None, []), IDS, IDS[:410], "")
        settings = PretrainConfig(context_length=8, validation_windows=13)
        validate = make_validate(text, settings, processes, torch.float32)
        with torch.no_grad():
            return [validate(run.model, last) for last in (False, True)]


@task
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_validation_is_the_same(parallel):
    alone = validated(parallel)
    assert alone[0] != alone[1]
    for found in spawn(validated, parallel):
        for several, one in zip(found, alone, strict=True):
            assert several == pytest.approx(one, rel=1e-12)


@task
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_alone_a_model_stays_as_it_is(kind):
    model, _ = example()
    assert parallelize(model, kind) is model
    assert not any(isinstance(parameter, DTensor) for parameter in model.parameters())


# ---- what is given


def test_any_process():
    assert spawn(asked) == [[True, True, False]] * 2
    assert not any_process(False)
    assert any_process(True)


def asked():
    return [any_process(flag) for flag in (dist.get_rank() == 1, True, False)]


def test_alone_nothing_is_joined(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group(CPU) as (processes, device):
        assert processes == Processes(0, 1)
        assert processes.first
        assert device == CPU
        assert not dist.is_initialized()


@pytest.mark.parametrize("fails", [False, True])
def test_what_torchrun_started_is_joined_and_left(monkeypatch, fails):
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 0}.items():
        monkeypatch.setenv(name, str(value))
    waited = []
    monkeypatch.setattr(dist, "barrier", lambda: waited.append(dist.is_initialized()))
    with pytest.raises(ZeroDivisionError) if fails else nullcontext(), process_group(CPU) as (processes, _):
        assert processes == Processes(0, 1)
        assert dist.get_backend() == "gloo"
        with process_group(CPU) as (inside, _):
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
        process_group(torch.device("cuda")),
    ):
        pass


def test_processes_share_the_cores(monkeypatch):
    monkeypatch.setattr("phase01_foundation.project03_pretrain.parallel.cores", lambda: 6)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert threads_per_process() == 6
    for processes, threads in ((1, 6), (4, 1), (2, 3), (8, 1)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
        assert threads_per_process() == threads
