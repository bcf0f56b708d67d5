"""The trainer: steps, validations, samples and checkpoints, until the steps are done. Later projects call `fit`."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from rich.console import Console
from torch import nn

from phase01_foundation.project01_minimal_gpt.training import learning_rate
from phase01_foundation.project03_pretrain.given.attention import choose_attention
from phase01_foundation.project03_pretrain.given.curves import Curves, curves
from phase01_foundation.project03_pretrain.given.settings import TrainerConfig
from phase01_foundation.project03_pretrain.model import LLM
from phase01_foundation.project03_pretrain.optimizers import make_optimizers
from phase01_foundation.project03_pretrain.parallel import Processes, any_process, parallelize
from phase01_foundation.project03_pretrain.run import BatchSource, Run
from phase01_foundation.project03_pretrain.step import LossFn, Step, next_token_loss, training_step
from shared.command import Interrupted, catch_interrupts, steps_bar
from shared.device import explains_out_of_memory, pick_dtype
from shared.files import shown

Validate = Callable[[nn.Module, bool], Mapping[str, float]]
"""(model, whether this is the last time) -> numbers by name, validation_loss among them; all processes call it"""
Sample = Callable[[nn.Module], list[str]]


@dataclass(frozen=True)
class Speed:
    """What the throughput is compared with: operations a token, and the machine's measured peak per process."""

    flops_per_token: float = 0.0
    peak: float = 0.0


def prepare(
    model: nn.Module, batches: BatchSource, settings: TrainerConfig, processes: Processes | None = None
) -> Run:
    """A run at its beginning: the model spread over the processes, its optimizers, and compiled if asked for.

    Raises ValueError for a number format that the way of sharing cannot have.
    """
    processes = processes or Processes()
    device = next(model.parameters()).device
    dtype = pick_dtype(settings.dtype, device)
    sharded = settings.parallel == "fsdp" and processes.world_size > 1
    if dtype == torch.float16 and sharded:
        raise ValueError("fsdp cannot scale the loss for float16 here; use bfloat16 or float32")
    if hasattr(model, "gradient_checkpointing"):
        model.gradient_checkpointing = settings.gradient_checkpointing  # pyright: ignore[reportArgumentType]
    if isinstance(model, LLM):
        # The model itself remembers both, so training, validation and samples go the same way.
        model.attend = choose_attention(settings.attention, device, dtype, model.config.context_length)
        model.embedding.stream_dtype = dtype if settings.stream == "compute" else None
    wrapped_model: nn.Module = parallelize(model, settings.parallel) if processes.world_size > 1 else model
    if settings.compile:
        wrapped_model = torch.compile(wrapped_model, dynamic=False)  # pyright: ignore[reportAssignmentType]
    optimizers = make_optimizers(model, settings.optimizer, settings.weight_decay)
    # The step weighs a row's loss by its tokens, which is hundreds of times the mean that torch's first scale is for.
    scaler = torch.amp.GradScaler(device.type, init_scale=2.0**8) if dtype == torch.float16 else None
    return Run(model, wrapped_model, optimizers, batches, processes, scaler)


def fit(
    run: Run,
    settings: TrainerConfig,
    checkpoint: Path,
    identity: Mapping[str, Any],
    validate: Validate,
    *,
    sample: Sample | None = None,
    loss_fn: LossFn = next_token_loss,
    speed: Speed | None = None,
    console: Console | None = None,
) -> Run:
    """Train until settings.steps are done; a checkpoint of the same `identity` is taken up where it left off.

    Every settings.evaluate_every steps, and at the end, the model is validated, writes its samples, and all is
    saved. Raises Interrupted after ctrl-C or SIGTERM, with the checkpoint written; CheckpointError, before any work,
    for a checkpoint of other settings; DivergedError where no step has a finite gradient any more; OutOfMemoryError,
    which names the settings to lower, where a step does not fit: the checkpoint is then the last one written.
    """
    console = console if console and run.processes.first else Console(quiet=True)
    # All look before the first one writes.
    if any_process(checkpoint.exists()) and not settings.restart:
        run.resume(checkpoint, identity)
        console.print(
            f"resumed at step {run.step:,} from {shown(checkpoint)}; --restart=true begins anew",
            highlight=False,
        )
    run.save(checkpoint, identity)  # a folder that cannot be written is found now, not in minutes
    saved = time.perf_counter()
    first = run.processes.first
    draw = curves(
        checkpoint.parent,
        settings.name,
        asdict(settings),
        settings.tensorboard and first,
        settings.wandb and first,
        run.step,
        console,
    )
    device = next(run.model.parameters()).device
    fits = explains_out_of_memory(device, lower_what(settings, checkpoint, run.processes.world_size))
    with fits, draw as drawn, steps_bar(console) as progress, catch_interrupts() as interrupted:
        bar = progress.add_task("training", total=settings.steps, completed=run.step, loss="")
        while run.step < settings.steps:
            step = run_step(run, settings, loss_fn)
            for odd in run.monitor.update(step):
                console.print(f"step {run.step:>6,}   {odd}", style="yellow", highlight=False)
            progress.update(bar, completed=run.step, loss=f"loss {step.loss:.3f}")
            if run.step % settings.log_every == 0:
                _draw_step(drawn, run, step, settings)
            done = run.step == settings.steps
            if run.step % settings.evaluate_every == 0 or done:
                log_validation(run, settings, validate, sample, done, speed or Speed())
                _draw_validation(drawn, run)
                console.print(log_line(run), highlight=False)
            stop = any_process(bool(interrupted)) and not done
            late = any_process(first and time.perf_counter() - saved > 60 * settings.checkpoint_minutes)
            if run.step % settings.evaluate_every == 0 or done or stop or late:
                run.save(checkpoint, identity)
                saved = time.perf_counter()
            if stop:
                raise Interrupted(f"stopped at step {run.step:,}; the checkpoint is {shown(checkpoint)}")
    return run


def lower_what(settings: TrainerConfig, checkpoint: Path, processes: int = 1) -> str:
    """What to change where a step does not fit into memory, the cheapest first."""
    rows = settings.micro_batch or settings.batch_size // processes
    ways = []
    if rows > 1:
        ways.append(f"lower micro_batch (a process takes {rows} rows at once)")
    if not settings.gradient_checkpointing:
        ways.append("set gradient_checkpointing=true")
    ways.append("lower context_length, which begins anew")
    return f"{', or '.join(ways)}. The checkpoint {shown(checkpoint)} is as it was"


def run_step(run: Run, settings: TrainerConfig, loss_fn: LossFn = next_token_loss) -> Step:
    """Take one step, and note its loss, its gradient norm, its tokens and its time."""
    begin, tokens_before = time.perf_counter(), run.tokens
    # What dropout draws follows from the step's number, so a resumed run needs no generator's state.
    torch.manual_seed((settings.seed * 1_000_003 + run.step) * run.processes.world_size + run.processes.rank)
    batch = run.batches.next()
    step = training_step(
        run.wrapped_model,
        run.optimizers,
        batch,
        learning_rate_at(run.step, settings),
        loss_fn=loss_fn,
        micro_batch=settings.micro_batch,
        max_norm=settings.max_norm,
        dtype=pick_dtype(settings.dtype, next(run.model.parameters()).device),
        scaler=run.scaler,
    )
    run.step += 1
    run.tokens += (
        sum(part.numel() for name, part in batch.items() if name.endswith("tokens"))
        * run.processes.world_size
    )
    seconds = time.perf_counter() - begin
    run.seconds += seconds
    if settings.compile and not run.compiled:
        run.compiled, run.compiling = True, (run.tokens - tokens_before, seconds)
    if step.applied:
        run.losses.append(step.loss)
        run.norms.append(step.gradient_norm)
    return step


def learning_rate_at(step: int, settings: TrainerConfig) -> float:
    """The learning rate of a step: project 1's path, up, along, and down."""
    return learning_rate(
        step,
        peak=settings.learning_rate,
        warmup=settings.warmup,
        steps=settings.steps,
        decay_share=settings.decay_share,
    )


def log_validation(
    run: Run, settings: TrainerConfig, validate: Validate, sample: Sample | None, last: bool, speed: Speed
) -> None:
    """Validate, write samples, and add an entry to the history. Its time does not count as training."""
    before = run.history[-1] if run.history else {"tokens": 0, "seconds": 0.0}
    run.model.eval()
    with torch.no_grad():
        found = dict(validate(run.model, last))
        texts = sample(run.model) if sample else []
    run.model.train()
    # Skipped steps have no part in these; where all were skipped, the two are None.
    train_loss, norm = (fmean(run.losses), max(run.norms)) if run.losses else (None, None)
    tokens, seconds = run.tokens - before["tokens"], run.seconds - before["seconds"]
    compiled = run.compiling if run.compiling[0] < tokens else (0, 0.0)
    # The step that compiled takes a minute, whatever it reads: it counts as training, and not as the machine's speed.
    throughput = (tokens - compiled[0]) / max(seconds - compiled[1], 1e-9)
    run.compiling = (0, 0.0)
    entry = {
        "step": run.step,
        "tokens": run.tokens,
        "seconds": round(run.seconds, 2),
        "train_loss": train_loss,
        **found,
        "gradient_norm": norm,
        "learning_rate": learning_rate_at(run.step - 1, settings),
        "tokens_per_second": round(throughput, 1),
        "loss_spikes": run.monitor.loss_spikes,
        "gradient_spikes": run.monitor.gradient_spikes,
        "skipped_steps": run.monitor.skipped,
    }
    if speed.peak:
        share = speed.flops_per_token * throughput / (speed.peak * run.processes.world_size)
        entry["share_of_peak"] = round(share, 4)
    if compiled[0]:
        entry["compile_seconds"] = round(compiled[1], 2)
    if texts:
        entry["samples"] = texts
    run.history.append(entry)
    run.losses, run.norms = [], []


def log_line(run: Run) -> str:
    """The last entry of the history, for the screen."""
    entry = run.history[-1]
    share = f", {entry['share_of_peak']:.0%} of peak" if "share_of_peak" in entry else ""
    odd = sum(entry[name] for name in ("loss_spikes", "gradient_spikes", "skipped_steps"))
    before, norm = "every step skipped", ""
    if entry["train_loss"] is not None:
        before = f"train loss {entry['train_loss']:.3f}"
        norm = f"   largest gradient norm {entry['gradient_norm']:.2f}"
    return (
        f"step {entry['step']:>6,}   {before}   validation loss {entry['validation_loss']:.4f}{norm}   "
        f"{entry['tokens_per_second']:,.0f} tokens/s{share}"
        + (f"   compiled in {entry['compile_seconds']:.0f} s" if "compile_seconds" in entry else "")
        + (f"   spikes and skipped steps: {odd}" if odd else "")
    )


def _draw_step(drawn: Curves, run: Run, step: Step, settings: TrainerConfig) -> None:
    numbers = {"train/loss": step.loss, "train/gradient_norm": step.gradient_norm}
    numbers |= {f"train/{name}": value for name, value in step.metrics.items()}
    drawn.numbers(run.step, {**numbers, "train/learning_rate": learning_rate_at(run.step - 1, settings)})


def _draw_validation(drawn: Curves, run: Run) -> None:
    entry = run.history[-1]
    drawn.numbers(
        run.step,
        {
            f"validation/{name}": value
            for name, value in entry.items()
            if isinstance(value, int | float) and name not in ("step", "train_loss", "learning_rate")
        },
    )
    for number, text in enumerate(entry.get("samples", [])):
        drawn.text(run.step, f"sample {number}", text)
