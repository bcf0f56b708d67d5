"""What the benchmark measures of the trainer: speed, memory, and whether stopping or sharing changes anything."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import torch
from rich.console import Console
from torch import Tensor

from phase01_foundation.project03_pretrain.batches import Batch
from phase01_foundation.project03_pretrain.given import trainer
from phase01_foundation.project03_pretrain.given.attention import choose_attention
from phase01_foundation.project03_pretrain.given.settings import PretrainConfig
from phase01_foundation.project03_pretrain.model import LLM, Config
from phase01_foundation.project03_pretrain.monitor import flops_per_token
from phase01_foundation.project03_pretrain.optimizers import make_optimizers
from phase01_foundation.project03_pretrain.step import training_step
from phase01_foundation.project03_pretrain.train import train
from shared import artifacts
from shared.command import Interrupted
from shared.device import autocast, pick_dtype
from shared.measuring.arms import Arm, Report, measure, peak_flops
from shared.measuring.memory import keep_freed_memory, peak_memory

VOCABULARY = 10_000


def random_batch(config: Config, rows: int) -> Batch:
    """Tokens drawn at random: for speed and memory it does not matter which."""
    tokens = torch.randint(config.vocab_size, (rows, config.context_length + 1))
    return {"tokens": tokens[:, :-1], "targets": tokens[:, 1:]}


def large_model(report: Report, settings: PretrainConfig, smoke: bool) -> None:
    """Training steps of the 125M preset on this machine: tokens a second, share of peak, memory."""
    dtype = pick_dtype()
    config = settings.model_config(300 if smoke else VOCABULARY)
    torch.manual_seed(0)
    model = LLM(config)
    # As training does; what else the preset asks for, compiling and the stream's format, is for a GPU.
    model.attend = choose_attention(settings.attention, torch.device("cpu"), dtype, config.context_length)
    optimizers = make_optimizers(model, settings.optimizer, settings.weight_decay)
    rows = 1 if smoke else 4
    batch = random_batch(config, rows)

    def step() -> float:
        return training_step(model, optimizers, batch, 1e-3, micro_batch=1, dtype=dtype).loss

    arm = Arm("step", step, work=rows * config.context_length)
    [measured] = measure([arm], warmup=1, repeats=3).values()
    peak = peak_flops(dtype)
    rate = flops_per_token(config) * measured.throughput
    share = 100 * rate / peak
    size, format = f"{model.parameter_count() / 1e6:.0f}M", str(dtype).removeprefix("torch.")
    note = f"gpu preset, {model.parameter_count():,} parameters, {format}, {settings.optimizer}; {rows} × "
    note += f"{config.context_length} tokens a step, one row at a time"
    report.figure(
        "share of peak FLOP/s, 125M training step", share, "%",
        note=f"{rate / 1e9:.0f} of {peak / 1e9:.0f} GFLOP/s, the fastest {format} product of two 1024 × 1024 matrices "
        f"in this run; {note}",
    )  # fmt: skip
    report.figure("training throughput, 125M", measured.throughput, "tokens/s", note=note)
    memory = psutil.Process().memory_info().rss / 2**30
    total = psutil.virtual_memory().total / 2**30
    report.figure(
        "memory of the process after a 125M step", memory, "GiB", ("<=", total),
        note=f"of {total:.1f} GiB; weights, gradients and the optimizers' state of {size} parameters in float32, and "
        "the activations of one row",
    )  # fmt: skip


def rows_at_once(report: Report, settings: PretrainConfig, smoke: bool) -> None:
    """Throughput of the preset's training step by how many rows it takes at once, their gradients added up."""
    dtype = pick_dtype()
    keep_freed_memory()  # as training does
    config = settings.model_config(300 if smoke else settings.vocab_size)
    torch.manual_seed(0)
    model = LLM(config)
    optimizers = make_optimizers(model, settings.optimizer, settings.weight_decay)
    batch = random_batch(config, settings.batch_size)
    rows = [count for count in (16, 8, 4, 2, 1) if count <= settings.batch_size]

    def arm(count: int) -> Arm:
        step = lambda: training_step(model, optimizers, batch, 1e-3, micro_batch=count, dtype=dtype)  # noqa: E731
        return Arm(
            f"{count} row{'s' if count > 1 else ''} at once",
            step,
            work=settings.batch_size * config.context_length,
        )

    measured = measure([arm(count) for count in rows], warmup=1, repeats=1 if smoke else 5)
    speeds = [one.throughput for one in measured.values()]
    best = max(measured, key=lambda name: measured[name].throughput)
    report.series("training throughput by rows at once", rows, speeds, "rows at once", "tokens/s")
    report.figure(
        f"training throughput, {settings.name}, {best}", measured[best].throughput, "tokens/s",
        peers={name: one.throughput for name, one in measured.items() if name != best},
        note=f"steps of {settings.batch_size} × {config.context_length} tokens, {model.parameter_count():,} "
        "parameters, not compiled; the gradients of the parts add up to the same",
    )  # fmt: skip


def activation_memory(report: Report, smoke: bool) -> None:
    """Peak memory of forward and backward with and without gradient checkpointing, for models of growing depth."""
    depths = (1, 2) if smoke else (2, 4, 8, 16)
    width, context, rows = (32, 32, 2) if smoke else (256, 512, 4)
    dtype = pick_dtype()
    peaks: dict[bool, list[float]] = {False: [], True: []}
    seconds: dict[bool, float] = {}
    for depth in depths:
        config = Config(
            512, context, layers=depth, heads=4, kv_heads=4, dim=width, hidden_dim=width * 11 // 4
        )
        batch = random_batch(config, rows)
        for checkpointing in (False, True):
            torch.manual_seed(0)
            model = LLM(config)
            model.gradient_checkpointing = checkpointing

            def both(model: LLM = model, batch: Batch = batch) -> None:
                with autocast("cpu", dtype):
                    logits = model(batch["tokens"])
                torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten()).backward()

            both()  # gradients are there from now on, so the peak is that of the activations
            peaks[checkpointing].append(peak_memory(both) / 2**20)
            seconds[checkpointing] = measure([Arm("both", both)], repeats=3)["both"].seconds
    for checkpointing, name in ((False, "everything kept"), (True, "with gradient checkpointing")):
        report.series(
            f"activation memory: {name}", depths, peaks[checkpointing], "layers", "peak memory (MiB)"
        )
    report.figure(
        f"activation memory, {depths[-1]} layers, with gradient checkpointing", peaks[True][-1], "MiB",
        peers={"everything kept": peaks[False][-1]},
        note=f"forward and backward of {rows} × {context} tokens, {width} wide, growth of the process at its peak; "
        f"it takes {seconds[True] / seconds[False] - 1:.0%} longer",
    )  # fmt: skip


@contextmanager
def own_work_folder() -> Iterator[Path]:
    """A work folder for runs of the benchmark's own: the learner's models are not ours to replace."""
    before = os.environ.get("LADDER_WORK")
    with tempfile.TemporaryDirectory(prefix="ladder-work-") as folder:
        os.environ["LADDER_WORK"] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["LADDER_WORK"]
            else:
                os.environ["LADDER_WORK"] = before


def weights(name: str) -> dict[str, Tensor]:
    """The weights of a model that was just trained."""
    return artifacts.find(name).tensors()


def resume(report: Report, settings: PretrainConfig) -> None:
    """Stop a run in the middle by a signal, go on, and count what differs from a run that was not stopped."""
    quiet = Console(quiet=True)
    with own_work_folder():
        train(replace(settings, name="whole", dropout=0.1), quiet)
        real = trainer.run_step
        steps = settings.steps // 2 + 1

        def run_step(run: trainer.Run, *arguments: object) -> trainer.Step:
            if run.step == steps - 1:
                signal.raise_signal(signal.SIGINT)
            return real(run, *arguments)  # pyright: ignore[reportArgumentType]

        trainer.run_step = run_step
        try:
            train(replace(settings, name="stopped", dropout=0.1), quiet)
        except Interrupted:
            pass
        finally:
            trainer.run_step = real
        run, _ = train(replace(settings, name="stopped", dropout=0.1), quiet)
        whole, stopped = weights("whole"), weights("stopped")
    differing = sum(int((whole[name] != stopped[name]).sum()) for name in whole)
    report.figure(
        "weights that differ after a stop and a resume", differing, "", ("==", 0),
        note=f"of {sum(tensor.numel() for tensor in whole.values()):,}; {run.step} steps, stopped by ctrl-C after "
        f"{steps}; dropout 0.1, {settings.optimizer}; compared bit by bit",
    )  # fmt: skip


def processes(report: Report, settings: PretrainConfig) -> None:
    """Train with one process, and with two by DDP and FSDP2: the largest difference of a weight, and the loss."""
    common = ["--preset", "smoke", "--dtype", "float32", "--steps", str(settings.steps), "--device", "cpu"]
    # Not Muon: its products are in bfloat16, where a difference in the last digit of a sum soon becomes one that shows.
    common += ["--threads", "1", "--tensorboard", "false", "--optimizer", "adamw"]
    module = "phase01_foundation.project03_pretrain.train"
    with own_work_folder():
        ways = {"one": [sys.executable, "-m", module]}
        for kind in ("ddp", "fsdp"):
            torchrun = [
                sys.executable,
                "-m",
                "torch.distributed.run",
                "--standalone",
                "--nproc-per-node",
                "2",
            ]
            ways[kind] = [*torchrun, "-m", module, "--parallel", kind, "--micro_batch", "2"]
        for name, command in ways.items():
            done = subprocess.run(
                [*command, *common, "--name", name], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(f"training with {name} failed:\n{done.stderr[-2000:]}")
        found = {name: artifacts.find(name) for name in ways}
        tensors = {name: artifact.tensors() for name, artifact in found.items()}
        losses = {name: artifact.card["validation_loss"] for name, artifact in found.items()}
    for kind, title in (("ddp", "DDP"), ("fsdp", "FSDP2")):
        apart = max((tensors["one"][n] - tensors[kind][n]).abs().max().item() for n in tensors["one"])
        report.figure(
            f"{title}, two processes against one: largest difference of a weight", apart, "", ("<=", 1e-4),
            note=f"{settings.steps} steps of AdamW in float32, gradients added up over two parts a process; validation "
            f"loss {losses[kind]:.6f} against {losses['one']:.6f}; what differs is the order of sums",
        )  # fmt: skip
