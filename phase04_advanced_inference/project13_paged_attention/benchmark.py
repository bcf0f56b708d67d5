"""Measures what project 13 promises.

    python -m phase04_advanced_inference.project13_paged_attention.benchmark --preset cpu

`cpu` takes a minute and a half: texts written alike however they are computed; memory without a model: how much is
wasted, and how many texts run in a fixed pool; attention over blocks beside project 8's and torch's, and a whole step;
the engine beside transformers, ctranslate2 and llama.cpp, as far as they are installed; and a whole workload, also
through vLLM's build for CPUs where LADDER_VLLM_PYTHON names a python that has it. `full` has more of everything.
`smoke` does all of it in seconds, and its figures mean nothing. `gpu` is for a GPU, and takes three minutes.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from phase04_advanced_inference.project12_dynamic_batching.given.example import random_model
from phase04_advanced_inference.project12_dynamic_batching.given.in_time import gpt2_small, tiny_base
from phase04_advanced_inference.project13_paged_attention.given.alike import AlikeSettings, equality
from phase04_advanced_inference.project13_paged_attention.given.block_grid import draw_blocks
from phase04_advanced_inference.project13_paged_attention.given.block_recorder import BlockRecorder
from phase04_advanced_inference.project13_paged_attention.given.in_memory import CountSettings, waste
from phase04_advanced_inference.project13_paged_attention.given.measure_attention import (
    AttentionSettings,
    measure_attention,
    measure_step,
)
from phase04_advanced_inference.project13_paged_attention.given.measure_engine import (
    EngineSettings,
    measure_engine,
)
from phase04_advanced_inference.project13_paged_attention.given.measure_gpu import Gpu, GpuSettings
from phase04_advanced_inference.project13_paged_attention.given.measure_workload import measure_workload
from phase04_advanced_inference.project13_paged_attention.given.small import make_engine
from phase04_advanced_inference.project13_paged_attention.given.workload import WorkloadSettings
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from shared.config import parse
from shared.device import pick_device
from shared.ladder.project import load
from shared.measuring import plot
from shared.measuring.arms import Report
from shared.measuring.attempts import Attempts

FOLDER = Path(__file__).parent


@dataclass
class Settings:
    """What a preset in configs/ sets."""

    alike: AlikeSettings = field(default_factory=AlikeSettings)
    counted: CountSettings = field(default_factory=CountSettings)
    attention: AttentionSettings = field(default_factory=AttentionSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    tiny: WorkloadSettings = field(default_factory=WorkloadSettings)
    """a workload on tiny-base"""
    large: WorkloadSettings | None = None
    """and on a model of GPT-2 small's shape, with random weights"""
    gpu: GpuSettings | None = None
    """measure on a GPU, and nothing else"""
    threads: int = 1
    preset: str = "cpu"


def recorded() -> list[dict]:
    """An engine at work in a pool that is too small: hits, a fork, copies, preemptions; the same on any machine."""
    recorder = BlockRecorder(clock=lambda: 0.0)
    engine = make_engine(random_model(), 28, max_sequences=8, max_tokens=24, chunk=12, recorder=recorder)
    beginning = [7, 4, 26, 2, 0, 19, 26, 18]
    for i in range(14):
        own = [(3 * i + j) % 26 for j in range(1 + i % 5)]
        many = 1 if i else 3
        engine.add(
            beginning + own if i % 3 else own, SamplingParams(max_tokens=8 + 5 * (i % 4), n=many, seed=i)
        )
    while engine.requests:
        engine.step()
    return recorder.lines


def draw(record: Path) -> None:
    """The pictures: of what the record holds, and of an engine at work."""
    content = json.loads(record.read_text(encoding="utf-8"))["series"]
    draw_blocks(record.parent / "blocks.png", recorded())
    curves = {name: (one["x"], one["y"]) for name, one in content.items() if one["y_label"] == "% wasted"}
    if curves:
        title = "Memory that is held and empty, lengths as in chat"
        plot.lines(record.parent / "waste.png", curves, title, "tokens a block", "% wasted", log_x=True)


def on_gpu(settings: GpuSettings, preset: str, command: str) -> None:
    """Measure on a GPU: a part that fails costs the others nothing. The pictures are the other machine's."""
    device = pick_device()
    if device.type != "cuda":
        sys.exit("the gpu preset needs a CUDA GPU, and this machine has none")
    report = Report(FOLDER, load(FOLDER).promise, preset, command, device)
    attempts, gpu = Attempts(report, settings.seconds), Gpu(report, settings, device)
    for title, part in gpu.parts():
        print(f"measuring {title} …", file=sys.stderr)
        attempts.run(title, part)
    attempts.exit_if_missing()
    report.finish()


def main() -> None:
    """Measure project 13 with the settings of a preset."""
    settings = parse(Settings, FOLDER / "configs", description=main.__doc__ or "")
    torch.set_num_threads(settings.threads)
    command = (
        f"python -m phase04_advanced_inference.project13_paged_attention.benchmark --preset {settings.preset}"
    )
    if settings.gpu is not None:
        on_gpu(settings.gpu, settings.preset, command)
        return
    report = Report(FOLDER, load(FOLDER).promise, settings.preset, command)
    with tempfile.TemporaryDirectory() as folder:
        measure_all(report, settings, Path(folder))
    draw(report.finish())


def measure_all(report: Report, settings: Settings, folder: Path) -> None:
    """Everything that is measured on a CPU."""
    large = settings.large
    parts: list[tuple[str, Callable[[], None]]] = [
        ("texts, however they are computed", lambda: equality(report, settings.alike)),
        ("memory", lambda: waste(report, settings.counted)),
        ("attention over blocks", lambda: measure_attention(report, settings.attention)),
        ("a whole step", lambda: measure_step(report, settings.attention)),
        ("the engine beside others", lambda: measure_engine(report, settings.engine, folder)),
        ("a workload, tiny-base", lambda: measure_workload(report, settings.tiny, tiny_base(), folder)),
    ]
    if large is not None:
        shape = partial(gpt2_small, settings.engine.layers, settings.engine.dim)
        parts.append(("a workload, 124M", lambda: measure_workload(report, large, shape(), folder)))
    for title, part in parts:
        print(f"measuring {title} …", file=sys.stderr)
        part()


if __name__ == "__main__":
    main()
