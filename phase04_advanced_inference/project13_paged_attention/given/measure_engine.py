"""What the benchmark measures of LLMEngine beside other engines: the same prompts and lengths, everybody at once."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from phase04_advanced_inference.project12_dynamic_batching.given.in_time import gpt2_small
from phase04_advanced_inference.project12_dynamic_batching.given.padded import Padded
from phase04_advanced_inference.project13_paged_attention.given.compiled import Compiled
from phase04_advanced_inference.project13_paged_attention.given.engine_peers import (
    PACKAGES,
    CTranslate2Batches,
    LlamaCppBatches,
    absent,
)
from phase04_advanced_inference.project13_paged_attention.llm_engine import LLMEngine
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from shared.device import DTYPES
from shared.machine import cores
from shared.measuring.arms import Arm, Report, measure
from shared.phase01 import LLM
from shared.phase01 import SamplingParams as PlainParams
from shared.phase03 import DecodeStep, KVCache, generate_tokens

Write = Callable[[list[list[int]], int], list[list[int]]]
"""prompts of one length and a count in, as many tokens after each of them out"""
OURS, STEP = "LLMEngine", "project 8's decode_step"


@dataclass
class EngineSettings:
    """A model of GPT-2 small's shape, unless a preset makes it smaller."""

    layers: int = 12
    dim: int = 768
    batches: tuple[int, ...] = (1, 8, 32)
    threads: tuple[int, ...] = (1, 2)
    """no more than there are cores"""
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    prompt: int = 16
    tokens: int = 32
    """that are written after each prompt"""
    repeats: int = 2
    peers: bool = True
    """also measure ctranslate2 and llama.cpp, where they are installed"""


def measure_engine(report: Report, settings: EngineSettings, folder: Path) -> None:
    """Tokens a second at each batch size, in each format, with one thread and two; and what the engine costs above
    project 8's decoding step.
    """
    before = torch.get_num_threads()
    for peer in PACKAGES if settings.peers else ():
        if names := absent(peer):
            print(f"{peer} is left out: {' and '.join(names)} is not installed", file=sys.stderr)
    try:
        for threads in [count for count in settings.threads if count <= cores()]:
            torch.set_num_threads(threads)
            for name in settings.dtypes:
                model = gpt2_small(settings.layers, settings.dim).llm.to(DTYPES[name])
                place = folder / f"engine-{name}-{threads}"
                said = f"{name}, threads: {threads}"
                compiled, writers = Compiled(model, threads), make_writers(model, settings, threads, place)
                over_step(report, settings, compiled, said)
                for batch in settings.batches:
                    _measure(report, settings, compiled, writers, batch, said)
    finally:
        torch.set_num_threads(before)


def make_writers(model: LLM, settings: EngineSettings, threads: int, folder: Path) -> dict[str, Write]:
    """What writes besides our engine, by name: project 8's step first."""
    dtype, most = model.embedding.weight.dtype, max(settings.batches)
    longest = settings.prompt + settings.tokens
    step, padded = DecodeStep(model, threads), Padded(model, folder / "padded")

    def rows(prompts: list[list[int]], count: int) -> list[list[int]]:
        return generate_tokens(model, prompts, PlainParams(max_tokens=count, temperature=0), decode=step)

    def by_transformers(prompts: list[list[int]], count: int) -> list[list[int]]:
        return padded.write(prompts, [count] * len(prompts), len(prompts))

    writers: dict[str, Write] = {STEP: rows, "transformers": by_transformers}
    if settings.peers and not absent("ctranslate2") and dtype == torch.float32:
        writers["ctranslate2"] = CTranslate2Batches(model, folder, threads).write
    if settings.peers and not absent("llama.cpp"):
        writers["llama.cpp"] = LlamaCppBatches(model, folder, dtype, threads, most, longest + 1).write
    return writers


def _measure(
    report: Report,
    settings: EngineSettings,
    compiled: Compiled,
    writers: Mapping[str, Write],
    batch: int,
    said: str,
) -> None:
    vocab_size, found = compiled.model.config.vocab_size, {}
    draw = torch.Generator().manual_seed(batch)
    prompts = torch.randint(vocab_size, (batch, settings.prompt), generator=draw).tolist()
    blocks = (2 + (settings.prompt + settings.tokens) // 16) * batch

    def ours(engine: LLMEngine) -> list[list[int]]:
        results = engine.generate(prompts, SamplingParams(max_tokens=settings.tokens, temperature=0))
        return [one.completions[0].tokens for one in results]

    new = partial(compiled.engine, blocks, max_sequences=batch, max_tokens=512, watermark=0.0)
    arms = [Arm(OURS, ours, new, work=batch * settings.tokens)]
    arms += [
        Arm(arm, partial(write, prompts, settings.tokens), work=batch * settings.tokens)
        for arm, write in writers.items()
    ]

    def check(out: Mapping[str, list[list[int]]]) -> None:
        found.update(out)
        same_beginnings(out)

    measured = measure(arms, check=check, warmup=0, repeats=settings.repeats, seconds=20)
    differ = {
        arm: sum(a != b for a, b in zip(found[OURS], texts, strict=True)) for arm, texts in found.items()
    }
    others = ", ".join(f"{count} by {arm}" for arm, count in differ.items() if arm != OURS)
    rates = {arm: one.throughput for arm, one in measured.items()}
    rate, step = rates.pop(OURS), rates.pop(STEP)
    report.figure(
        f"LLMEngine, 124M, batch {batch}, {said}", rate, "tokens/s", (">", max(rates.values())), {**rates, STEP: step},
        note=f"{settings.tokens} tokens after prompts of {settings.prompt}, reading these included; other texts than "
        f"ours: {others}",
    )  # fmt: skip


def over_step(report: Report, settings: EngineSettings, compiled: Compiled, said: str) -> None:
    """What the engine costs above project 8's decoding step: one text, begun with one token, the likeliest of the
    logits each time. Raises AssertionError unless both write the same.
    """
    model, count = compiled.model, settings.tokens
    decode = DecodeStep(model, torch.get_num_threads())

    def ours(engine: LLMEngine) -> list[int]:
        return (
            engine.generate([[5]], SamplingParams(max_tokens=count, temperature=0))[0].completions[0].tokens
        )

    def step(cache: KVCache) -> list[int]:
        text = [5]
        for _ in range(count):
            text.append(int(decode(cache, [text[-1:]])[0].argmax()))
        return text[1:]

    def same(out: Mapping[str, list[int]]) -> None:
        if out[OURS] != out[STEP]:
            raise AssertionError("the engine writes another text than project 8's decoding step")

    dtype = model.embedding.weight.dtype
    arms = [
        Arm(OURS, ours, partial(compiled.engine, 2 + count // 16, max_sequences=1, watermark=0.0)),
        Arm(STEP, step, lambda: KVCache(model.config, 1, count + 1, dtype)),
    ]
    measured = measure(arms, check=same, repeats=5 * settings.repeats, seconds=15)
    fastest = {arm: min(one.times) for arm, one in measured.items()}
    report.figure(
        f"LLMEngine over project 8's decode_step, 124M, batch 1, {said}", fastest[OURS] / fastest[STEP], "times",
        ("<=", 1.05), note=f"seconds for {count} tokens, by the fastest of {5 * settings.repeats} runs; at the median "
        f"{measured[OURS].seconds / measured[STEP].seconds:.3f}",
    )  # fmt: skip


def same_beginnings(out: Mapping[str, list[list[int]]]) -> None:
    """Raises AssertionError where somebody has another model: later tokens may differ, where a choice was close."""
    for arm, texts in out.items():
        alike = sum(ours[:1] == theirs[:1] for ours, theirs in zip(out[OURS], texts, strict=True))
        if alike < 0.8 * len(texts) or any(len(a) != len(b) for a, b in zip(out[OURS], texts, strict=True)):
            raise AssertionError(f"of {len(texts)} texts by {arm} only {alike} begin as ours do")
