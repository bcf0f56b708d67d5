"""What the benchmark measures of the `gpu` preset on a GPU, in at most ten minutes, most of which go to compiling.

Each figure is of the preset's own training step, the trainer's, on random tokens, with one setting changed: how many
rows at once, which attention, the stream's format, the loss in parts or whole. Those that matter most come first.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch

from phase01_foundation.project03_pretrain.batches import Batch
from phase01_foundation.project03_pretrain.given import chunked_loss, trainer
from phase01_foundation.project03_pretrain.given.measurements import VOCABULARY, random_batch
from phase01_foundation.project03_pretrain.given.settings import PretrainConfig
from phase01_foundation.project03_pretrain.model import LLM, Config
from phase01_foundation.project03_pretrain.monitor import flops_per_token
from shared.device import pick_dtype
from shared.measuring.arms import Arm, Measurement, Report, measure, peak_flops
from shared.measuring.attempts import Attempts

SECONDS = 8 * 60  # after these no figure is begun; the last one may take a minute and more


@dataclass
class SameBatch:
    """One batch, again and again."""

    batch: Batch

    def next(self) -> Batch:
        """The batch."""
        return self.batch

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""


def measure_step(
    settings: PretrainConfig, config: Config, device: torch.device, repeats: int
) -> tuple[Measurement, float]:
    """The training step that these settings mean; and the seconds of the first one, compiling included."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    batches = SameBatch(random_batch(config, settings.batch_size))
    run = trainer.prepare(LLM(config).to(device), batches, settings)
    trainer.run_step(run, settings)
    first = run.seconds
    arm = Arm(
        "step", lambda: trainer.run_step(run, settings), work=settings.batch_size * config.context_length
    )
    return measure([arm], warmup=1, repeats=repeats, device=device)["step"], first


def gpu_steps(report: Report, settings: PretrainConfig, device: torch.device, smoke: bool) -> None:
    """All figures of the preset's training step. Exits with 1 where some are missing, with the others recorded."""
    attempts = Attempts(report, SECONDS)
    config = settings.model_config(300 if smoke else VOCABULARY)
    dtype = pick_dtype(settings.dtype, device)
    peak = 0.0

    def find_peak() -> None:
        nonlocal peak
        peak = peak_flops(dtype, device)
        report.figure(
            "GPU: peak FLOP/s", peak / 1e12, "TFLOP/s",
            note=f"the fastest {str(dtype).removeprefix('torch.')} product of two large square matrices",
        )  # fmt: skip

    def step(name: str, **changes: Any) -> None:
        """One figure of speed, its share of the peak, and its memory."""
        changed = replace(settings, **changes)
        measured, first = measure_step(changed, config, device, 2 if smoke else 5)
        note = f"steps of {settings.batch_size} × {config.context_length} tokens, {changed.micro_batch} rows at once, "
        note += f"attention {changed.attention}, stream {changed.stream}; peak memory of a step above weights and "
        note += (
            f"optimizers {measured.memory / 2**30:.1f} GiB; the first step, compiling included, {first:.0f} s"
        )
        report.figure(f"GPU: training throughput, {name}", measured.throughput, "tokens/s", note=note)
        report.figure(f"GPU: memory of a step, {name}", measured.memory / 2**30, "GiB", note=note)
        if peak:
            share = 100 * flops_per_token(config) * measured.throughput / peak
            report.figure(f"GPU: share of peak FLOP/s, {name}", share, "%", note=note)

    def whole_logits(rows: int) -> None:
        before = chunked_loss.LOGITS_AT_ONCE
        chunked_loss.LOGITS_AT_ONCE = 2**62
        try:
            step(f"{rows} rows at once, all logits at once", micro_batch=rows)
        finally:
            chunked_loss.LOGITS_AT_ONCE = before

    def optimizers() -> None:
        torch.manual_seed(0)
        run = trainer.prepare(LLM(config).to(device), SameBatch(random_batch(config, 1)), settings)
        for parameter in run.model.parameters():
            parameter.grad = torch.randn_like(parameter)
        arm = Arm("optimizers", lambda: [optimizer.step() for optimizer in run.optimizers])
        measured = measure([arm], repeats=2 if smoke else 9, device=device)["optimizers"]
        report.figure(
            "GPU: the optimizers' part of a step", 1000 * measured.seconds, "ms", note=settings.optimizer
        )

    preset, sizes = settings.micro_batch, (2, 4) if smoke else (32, 64)
    attempts.run("peak", find_peak)
    attempts.run("preset", lambda: step("gpu preset", micro_batch=preset or settings.batch_size))
    attempts.run("written", lambda: step("attention written out", attention="written"))
    attempts.run("stream", lambda: step("stream in float32", stream="float32"))
    attempts.run("optimizers", optimizers)
    for rows in sizes:
        attempts.run(f"{rows} rows", lambda rows=rows: step(f"{rows} rows at once", micro_batch=rows))
    attempts.run("whole logits", lambda: whole_logits(sizes[-1]))
    attempts.exit_if_missing()
