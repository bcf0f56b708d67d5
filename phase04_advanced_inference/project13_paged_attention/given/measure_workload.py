"""What the benchmark measures of a whole workload: through LLMEngine, project 12's engine, transformers and vLLM."""

import sys
from collections.abc import Callable, Mapping
from collections.abc import Sequence as List
from functools import partial
from pathlib import Path

import torch

from phase04_advanced_inference.project12_dynamic_batching.engine import Engine
from phase04_advanced_inference.project12_dynamic_batching.given.in_time import Model
from phase04_advanced_inference.project12_dynamic_batching.given.padded import Padded
from phase04_advanced_inference.project12_dynamic_batching.given.serving import Arrival, serve
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.runner import Runner
from phase04_advanced_inference.project12_dynamic_batching.scheduler import Scheduler
from phase04_advanced_inference.project13_paged_attention.given.compiled import Compiled
from phase04_advanced_inference.project13_paged_attention.given.vllm_peer import VARIABLE, Vllm, vllm_python
from phase04_advanced_inference.project13_paged_attention.given.workload import (
    Asked,
    Outcome,
    WorkloadSettings,
    one_by_one,
    said,
    through_engine,
)
from phase04_advanced_inference.project13_paged_attention.llm_engine import LLMEngine
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from shared.device import DTYPES
from shared.measuring.arms import Arm, Report, measure
from shared.phase01 import LLM
from shared.phase03 import DecodeStep, KVCache

OURS, ALONE = "LLMEngine", "transformers, one by one"


def measure_workload(report: Report, settings: WorkloadSettings, model: Model, folder: Path) -> None:
    """Tokens a second, time to the first token, and what was hit, in each format."""
    asked = settings.draw(model.texts)
    python, threads = vllm_python(), torch.get_num_threads()
    if python is None:
        print(f"vLLM is left out: {VARIABLE} names no python that has it", file=sys.stderr)
    for name in settings.dtypes:
        llm = model.llm.to(DTYPES[name])
        place, vllm = folder / f"{model.name}-{name}", None
        arms = [
            Arm(OURS, lambda engine: through_engine(engine, asked), _ours(llm, settings, threads)),
            Arm(
                "project 12, rows", lambda engine: _through_rows(engine, asked), _rows(llm, settings, threads)
            ),
        ]
        if settings.one_by_one:
            padded = Padded(llm, place / "transformers")
            few = asked[: settings.one_by_one]
            arms.append(Arm(ALONE, partial(one_by_one, partial(_alone, padded), few)))
        try:
            if python is not None:
                vllm = Vllm(python, llm, place / "vllm", settings, threads)
                arms.append(Arm("vLLM", partial(vllm.serve, asked)))
            _measure(report, arms, settings, asked, f"{model.name}, {name}")
        finally:
            if vllm is not None:
                vllm.close()
    model.llm.float()


def _measure(
    report: Report, arms: List[Arm], settings: WorkloadSettings, asked: List[Asked], what: str
) -> None:
    found: dict[str, Outcome] = {}

    def check(out: Mapping[str, Outcome]) -> None:
        found.update(out)
        same_texts(out)

    measured = measure(arms, check=check, warmup=0, repeats=settings.repeats, seconds=60)
    rates = {arm: sum(map(len, found[arm].texts)) / one.seconds for arm, one in measured.items()}
    ours, threads = found[OURS], torch.get_num_threads()
    differ = {
        arm: sum(a != b for a, b in zip(ours.texts, one.texts, strict=False)) for arm, one in found.items()
    }
    others = ", ".join(f"{count} by {arm}" for arm, count in differ.items() if arm != OURS)
    rate = rates.pop(OURS)
    report.figure(
        f"workload, {what}, threads: {threads}", rate, "tokens/s", (">", max(rates.values())), rates,
        note=f"{said(asked)}; {settings.size} places, {settings.budget} tokens a step; {ALONE}: the first "
        f"{settings.one_by_one}; other texts than ours: {others}",
    )  # fmt: skip
    for share in (0.5, 0.95):
        report.figure(
            f"time to the first token, {100 * share:.0f}%, workload, {what}, threads: {threads}",
            ours.first_token(share), "ms",
            peers={arm: one.first_token(share) for arm, one in found.items() if arm in ("project 12, rows", "vLLM")},
        )  # fmt: skip
    read = sum(len(one.prompt) for one in asked)
    report.figure(
        f"prompts' tokens that were cached, workload, {what}", 100 * ours.hit / read, "%",
        peers={"vLLM": 100 * found["vLLM"].hit / read} if "vLLM" in found else {},
    )  # fmt: skip


def same_texts(out: Mapping[str, Outcome]) -> None:
    """Raises AssertionError where somebody writes other texts: few may begin otherwise, where choices are close."""
    ours = out[OURS].texts
    for arm, one in out.items():
        count = len(one.texts)
        if [len(text) for text in one.texts] != [len(text) for text in ours[:count]]:
            raise AssertionError(f"{arm} writes texts of other lengths")
        alike = sum(a[:2] == b[:2] for a, b in zip(ours, one.texts, strict=False))
        if alike < 0.8 * count:
            raise AssertionError(f"of {count} texts by {arm} only {alike} begin as ours do")


def _alone(padded: Padded, prompts: list[list[int]], count: int) -> list[list[int]]:
    """By transformers' generate."""
    return padded.write(prompts, [count] * len(prompts), len(prompts))


def _ours(model: LLM, settings: WorkloadSettings, threads: int) -> Callable[[], LLMEngine]:
    compiled = Compiled(model, threads)
    return lambda: compiled.engine(
        settings.memory // settings.block_size, block_size=settings.block_size, max_sequences=settings.size,
        max_tokens=settings.budget,
    )  # fmt: skip


def _rows(model: LLM, settings: WorkloadSettings, threads: int) -> Callable[[], Engine]:
    """Project 12's engine with a row a place, each as long as the context: what it takes."""
    decode = DecodeStep(model, threads)

    def engine() -> Engine:
        config, dtype = model.config, model.embedding.weight.dtype
        rows = Rows(settings.size, config.context_length)
        cache = KVCache(config, settings.size, min(256, config.context_length), dtype)
        batcher = Scheduler(rows, settings.size, settings.budget)
        return Engine(batcher, Runner(model, cache, rows, decode))

    return engine


def _through_rows(engine: Engine, asked: List[Asked]) -> Outcome:
    arrivals = [
        Arrival(0.0, one.prompt, SamplingParams(max_tokens=one.answer, temperature=0)) for one in asked
    ]
    served = serve(engine, arrivals)
    return Outcome(served.texts, served.latency.first_token, served.seconds)
