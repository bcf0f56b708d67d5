import re
from dataclasses import replace
from functools import partial
from io import StringIO

import jaxtyping
import numpy as np
import pytest
import torch
from rich.console import Console

from phase01_foundation.project03_pretrain.batches import Batches
from phase01_foundation.project03_pretrain.given import chunked_loss, trainer
from phase01_foundation.project03_pretrain.given.attention import grouped_attention
from phase01_foundation.project03_pretrain.given.settings import PretrainConfig, TrainerConfig
from phase01_foundation.project03_pretrain.given.trainer import Speed, fit, prepare
from phase01_foundation.project03_pretrain.model import LLM, Config
from phase01_foundation.project03_pretrain.monitor import DivergedError
from phase01_foundation.project03_pretrain.parallel import Processes
from phase01_foundation.project03_pretrain.step import next_token_loss
from phase01_foundation.project03_pretrain.train import CONFIGS
from shared import checkpoint, config
from shared.device import OutOfMemoryError
from shared.testing import raises

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


def test_a_run_compiles_one_graph_for_each_number_of_rows(tmp_path, monkeypatch):
    """Not for validations, their last, shorter batch, samples of growing length, dropout, or the loss of a part.

    Where micro_batch does not divide the rows, the last part is shorter, and has a second graph: both of fixed shapes.
    """
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    monkeypatch.setattr(chunked_loss, "LOGITS_AT_ONCE", 7 * 9)  # the loss in parts is in the graph too
    rows = []

    def backend(graph, inputs):
        assert not any(isinstance(value, torch.SymInt) for value in inputs), (
            "a graph for any shape: a slower one"
        )
        rows.append(next(len(value) for value in inputs if value.dtype == torch.int64))
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))

    def validate_twice(model, last):
        for count in (8, 3):
            found = next_token_loss(model, Batches(IDS, count, 8, seed=9).next())[0].item()
        return {"validation_loss": found}

    def sample(model):
        for length in range(1, 5):
            model(torch.zeros(1, length, dtype=torch.long))
        return ["a sample"]

    for micro_batch, expected in ((0, [4]), (2, [2]), (3, [3, 1])):
        torch._dynamo.reset()
        rows.clear()
        settings = replace(
            SETTINGS, compile=True, micro_batch=micro_batch, gradient_checkpointing=micro_batch == 2
        )
        run = begin(settings)
        fit(run, settings, tmp_path / f"{micro_batch}", {}, validate_twice, sample=sample)
        assert rows == expected
        first, *others = run.history
        assert first["compile_seconds"] > 0
        assert not any("compile_seconds" in entry for entry in others)
        assert first["tokens_per_second"] > 5 * 32 / first["seconds"], (
            "the compiling step counts as the speed"
        )


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


def test_the_learning_rate_of_a_step_is_its_own(tmp_path, monkeypatch):
    """Up in two steps, along the peak, and down in the last four: the first step has half of the peak, not nothing."""
    rates = []
    real = trainer.training_step

    def step(model, optimizers, batch, rate, **options):
        rates.append(rate)
        return real(model, optimizers, batch, rate, **options)

    monkeypatch.setattr(trainer, "training_step", step)
    run = train(tmp_path, replace(SETTINGS, steps=8, evaluate_every=3, decay_share=0.5, learning_rate=0.4))
    assert rates == pytest.approx([0.2, 0.4, 0.4, 0.4, 0.4, 0.3, 0.2, 0.1])
    assert [entry["learning_rate"] for entry in run.history] == pytest.approx([0.4, 0.3, 0.1])


def test_the_history_has_the_mean_loss_and_the_largest_norm_since_the_last_validation(tmp_path, monkeypatch):
    steps = []
    real = trainer.training_step
    monkeypatch.setattr(
        trainer, "training_step", lambda *given, **more: steps.append(real(*given, **more)) or steps[-1]
    )
    run = train(tmp_path)
    for entry, (begin, end) in zip(run.history, ((0, 5), (5, 10), (10, 12)), strict=True):
        taken = steps[begin:end]
        assert entry["train_loss"] == pytest.approx(sum(step.loss for step in taken) / len(taken))
        assert entry["gradient_norm"] == max(step.gradient_norm for step in taken)
    assert (run.losses, run.norms) == ([], [])


def test_each_rank_and_each_step_draws_dropout_of_its_own(monkeypatch):
    """What it draws is the same in each run of the same seed, and so after a resume, too."""
    drawn = []

    def step(*given, **more):
        drawn.append(torch.rand(4).tolist())
        return trainer.Step(1.0, 1.0, applied=True)

    monkeypatch.setattr(trainer, "training_step", step)

    def draw(rank, world_size, seed=0, first=0):
        drawn.clear()
        run = begin()
        run.processes, run.step = Processes(rank, world_size), first
        for _ in range(4 - first):
            trainer.run_step(run, replace(SETTINGS, seed=seed))
        return list(drawn)

    several = [draw(0, 2), draw(1, 2), draw(0, 2, seed=1), draw(1, 2, seed=1)]
    assert len({tuple(numbers) for one in several for numbers in one}) == 4 * 4
    assert draw(1, 2) == several[1]
    assert draw(1, 2, first=2) == several[1][2:]


# ---- attention, and the residual stream's format


@pytest.mark.parametrize("kind", ["written", "fused"])
def test_training_validation_and_samples_take_the_same_attention(tmp_path, monkeypatch, kind):
    fused = []
    real = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda *heads, **options: fused.append(torch.is_grad_enabled()) or real(*heads, **options),
    )
    settings = replace(SETTINGS, steps=2, evaluate_every=2, attention=kind)
    sampled = []

    def sample(model):
        before = len(fused)
        model(torch.zeros(1, 3, dtype=torch.long))
        sampled.append(len(fused) - before)
        return ["a sample"]

    train(tmp_path, settings, begin(settings), sample=sample)
    assert sampled == [kind == "fused"]
    assert fused == ([True, True, False, False] if kind == "fused" else []), "two steps, validation, sample"


def stream_formats(run):
    """What the blocks are given and hand on, in one training step."""
    seen = set()
    for block in run.model.blocks:
        block.register_forward_hook(lambda module, given, out: seen.update((given[0].dtype, out.dtype)))
    trainer.run_step(run, replace(SETTINGS, dtype="bfloat16"))
    return seen


@pytest.mark.parametrize(
    ("stream", "dtype", "expected"),
    [
        ("float32", "bfloat16", torch.float32),
        ("compute", "bfloat16", torch.bfloat16),
        ("compute", "float32", torch.float32),
    ],
)
def test_the_stream_has_the_format_that_is_set(stream, dtype, expected):
    run = begin(replace(SETTINGS, stream=stream, dtype=dtype), replace(SHAPE, layers=3))
    assert stream_formats(run) == {expected}
    assert {parameter.dtype for parameter in run.model.parameters()} == {torch.float32}
    gradients = [parameter.grad for parameter in run.model.parameters() if parameter.grad is not None]
    assert {gradient.dtype for gradient in gradients} == {torch.float32}


def test_a_stream_in_bfloat16_trains_as_well_as_one_in_float32(tmp_path):
    """They differ by what bfloat16 rounds: less than two numbers in a hundred of the loss, after any of these steps."""
    losses = []
    for stream in ("float32", "compute"):
        settings = replace(SETTINGS, steps=40, evaluate_every=10, dtype="bfloat16", stream=stream)
        run = train(tmp_path / stream, settings, begin(settings, replace(SHAPE, layers=3, dropout=0.0)))
        losses.append([entry["validation_loss"] for entry in run.history])
    assert losses[0] != losses[1], "the setting does nothing"
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_a_stream_in_float16_is_refused():
    with pytest.raises(ValueError, match="stream in float16 can overflow"):
        replace(SETTINGS, stream="compute", dtype="float16")


# ---- a step that does not fit


@pytest.mark.parametrize(
    "problem",
    [
        torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total of 79 GiB."
        ),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
            "allocate 21474836480 bytes. Error code 12 (Cannot allocate memory)"
        ),
    ],
)
def test_out_of_memory_names_the_settings_to_lower_and_leaves_the_checkpoint(tmp_path, problem):
    taken = []

    def large(model, batch):
        taken.append(1)
        if len(taken) == 8:
            raise problem
        return next_token_loss(model, batch)

    settings = replace(SETTINGS, micro_batch=4)
    with pytest.raises(OutOfMemoryError) as caught:
        train(tmp_path, settings, loss_fn=large)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("out of memory on cpu: 20.00 GiB more were asked for; lower micro_batch")
    order = [message.index(name) for name in ("micro_batch", "gradient_checkpointing=true", "context_length")]
    assert order == sorted(order)
    assert checkpoint.read(tmp_path / "checkpoint.safetensors")["step"] == 5, "the last validation's"
    expected = train(tmp_path / "whole", settings)
    smaller = replace(settings, micro_batch=2)
    resumed = train(tmp_path, smaller, begin(smaller))
    assert resumed.history[-1]["validation_loss"] == pytest.approx(
        expected.history[-1]["validation_loss"], abs=1e-3
    )


def test_out_of_memory_asks_only_for_what_can_still_be_lowered(tmp_path):
    settings = replace(SETTINGS, micro_batch=1, gradient_checkpointing=True)
    advice = trainer.lower_what(settings, tmp_path / "checkpoint")
    assert "micro_batch" not in advice
    assert "gradient_checkpointing" not in advice
    assert "context_length" in advice
    assert "takes 2 rows" in trainer.lower_what(SETTINGS, tmp_path / "checkpoint", processes=2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_real_gpu_out_of_memory_names_the_setting(tmp_path):
    def large(model, batch):
        total = torch.cuda.get_device_properties("cuda").total_memory
        return next_token_loss(model, batch)[0] + torch.ones(total, device="cuda").sum(), {}

    settings = replace(SETTINGS, device="cuda")
    run = prepare(LLM(SHAPE).cuda(), Batches(IDS, 4, 8), settings)
    with pytest.raises(OutOfMemoryError, match=r"out of memory on cuda:0: .*GiB more .*lower micro_batch"):
        fit(run, settings, tmp_path / "checkpoint.safetensors", {}, validate, loss_fn=large)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_takes_a_step_of_the_gpu_preset():
    """One row in bfloat16, not compiled: the fused attention, a stream in bfloat16, and a loss like that on a CPU."""
    asked = ["--preset", "gpu", "--micro_batch", "1", "--batch_size", "1", "--compile", "false"]
    settings = config.parse(PretrainConfig, CONFIGS, [*asked, "--tensorboard", "false"])
    shape = settings.model_config(10_000)
    ids = np.random.default_rng(0).integers(10_000, size=3_000).astype(np.uint16)
    torch.manual_seed(0)
    run = prepare(LLM(shape).cuda(), Batches(ids, 1, shape.context_length), settings)
    assert run.model.attend is grouped_attention
    assert getattr(run.model.embedding, "stream_dtype") == torch.bfloat16  # noqa: B009
    first, second = (trainer.run_step(run, settings) for _ in range(2))
    assert first.applied
    assert second.applied
    assert first.loss == pytest.approx(np.log(10_000), rel=0.01), "untrained, all tokens are equally likely"


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
    assert re.search(r"step      2   .*\bnan\b", printed.getvalue())
    assert [entry["skipped_steps"] for entry in run.history] == [1, 6, 6]
    assert "spikes and skipped steps: 6" in printed.getvalue()
    for entry in (first, third):
        assert np.isfinite([entry["train_loss"], entry["gradient_norm"]]).all()
    assert (second["train_loss"], second["gradient_norm"]) == (None, None), "no step was taken from 6 to 10"
    assert "step     10   every step skipped   validation loss" in printed.getvalue()


def test_a_run_that_comes_apart_ends_and_keeps_its_last_checkpoint(tmp_path):
    settings = replace(SETTINGS, steps=30)
    with raises(DivergedError, (10, "ten")):
        train(tmp_path, settings, loss_fn=failing(*range(8, 30)))
    state = checkpoint.read(tmp_path / "checkpoint.safetensors")
    assert state["step"] == 15, "the last validation"
    assert all(torch.isfinite(tensor).all() for tensor in state["model"].values())
