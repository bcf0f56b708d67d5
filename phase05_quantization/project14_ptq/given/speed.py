"""What the benchmark measures of speed: writing token by token, and reading a prompt, on the 124M shape."""

import copy
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from phase05_quantization.project14_ptq.given.methods import quantize_model
from phase05_quantization.project14_ptq.given.products import use_products
from phase05_quantization.project14_ptq.given.settings import Settings
from phase05_quantization.project14_ptq.given.speed_peers import CTranslate2, LlamaCpp, absent
from phase05_quantization.project14_ptq.given.whole_step import QuantizedStep
from phase05_quantization.project14_ptq.grids import Grid
from phase05_quantization.project14_ptq.quant_linear import model_bytes
from shared.measuring.arms import Arm, Report, measure
from shared.phase01 import LLM, SamplingParams
from shared.phase03 import DecodeStep, KVCache, generate_tokens, kernel_library, step

HALF = torch.float16
GRIDS = {"8 bits": Grid(8, "channel", scale_dtype=HALF), "4 bits": Grid(4, 64, scale_dtype=HALF)}
EMBEDDINGS = {"8 bits": Grid(8, "channel", scale_dtype=HALF), "4 bits": Grid(4, 64, scale_dtype=HALF)}
LIMITS = {"8 bits": 0.75, "4 bits": 0.6}
FILES = {"8 bits": "Q8_0", "4 bits": "Q4_0"}


def speed(report: Report, settings: Settings, threads: int, folder: Path) -> None:
    """Tokens a second at batch 1, in floats and in codes, beside a streaming read of the same bytes, and the peers."""
    torch.set_num_threads(threads)
    floats = settings.model()
    models: dict[str, LLM] = {}
    for name, grid in GRIDS.items():
        models[name] = copy.deepcopy(floats)
        quantize_model(models[name], "nearest", grid, embedding=EMBEDDINGS[name])
        use_products(models[name], threads)
    count, prompt = settings.steps, [1]
    params = SamplingParams(max_tokens=count, temperature=0)

    def ours(model: LLM, decode: object) -> list[list[int]]:
        cache = KVCache(model.config, 1, dtype=torch.float32)
        return generate_tokens(model, [prompt], params, cache, decode)  # pyright: ignore[reportArgumentType]

    steps = {name: QuantizedStep(model, threads) for name, model in models.items()}
    read = _stream()
    arms = [Arm("float32 (project 8)", partial(ours, floats, DecodeStep(floats, threads)), work=count)]
    for name, model in models.items():
        arms.append(Arm(name, partial(ours, model, steps[name]), work=count))
        arms.append(Arm(f"{name}, layer by layer", partial(ours, model, partial(step, model)), work=count))
        if read is not None:
            arms.append(
                Arm(
                    f"{name}, reading alone",
                    partial(_reads, read(model_bytes(model), threads), count),
                    work=count,
                )
            )
    if settings.peers:
        arms += _peers(floats, threads, count, prompt, folder)
    found = measure(arms, warmup=0, repeats=settings.repeats)
    plural = "s" if threads > 1 else ""
    float32 = found["float32 (project 8)"].throughput
    for name in models:
        alone, theirs = found.get(f"{name}, reading alone"), found.get(f"llama.cpp {FILES[name]}")
        peers = {
            "float32 (project 8)": float32,
            "layer by layer": found[f"{name}, layer by layer"].throughput,
        }
        peers |= {arm: one.throughput for arm, one in found.items() if arm in (f"llama.cpp {FILES[name]}",)}
        if name == "8 bits" and "ctranslate2 int8" in found:
            peers["ctranslate2 int8"] = found["ctranslate2 int8"].throughput
        report.figure(
            f"writing, {name}, {threads} thread{plural}", found[name].throughput, "tokens/s",
            (">", theirs.throughput) if theirs else None, peers,
            note=f"{count} tokens, batch 1; {model_bytes(models[name]) / 1e6:.0f} MB",
        )  # fmt: skip
        if alone is not None:
            report.figure(
                f"share of the memory limit, {name}, {threads} thread{plural}", alone.seconds / found[name].seconds, "",
                (">=", LIMITS[name]) if threads == 1 else None,
                note=f"a streaming read of as many bytes in the same run: at most {alone.throughput:.0f} tokens/s",
            )  # fmt: skip
    _prefill(report, settings, floats, models, threads)


def _prefill(report: Report, settings: Settings, floats: LLM, models: dict[str, LLM], threads: int) -> None:
    prompt = torch.randint(
        settings.vocab_size, (1, settings.prompt), generator=torch.Generator().manual_seed(1)
    )

    @torch.inference_mode()
    def reads(model: LLM) -> torch.Tensor:
        return model.logits(model.hidden(prompt)[:, -1:])

    arms = [Arm("float32", partial(reads, floats), work=settings.prompt)]
    arms += [Arm(name, partial(reads, model), work=settings.prompt) for name, model in models.items()]
    found = measure(arms, warmup=0, repeats=settings.repeats)
    for name in models:
        report.figure(
            f"reading a prompt, {name}, {threads} thread{'s' if threads > 1 else ''}", found[name].throughput,
            "tokens/s",
            peers={"float32": found["float32"].throughput},
            note=f"{settings.prompt} tokens at once: weights are made floats first, so this is slower, not faster",
        )  # fmt: skip


def _stream() -> Callable[[int, int], Callable[[], object]] | None:
    """What makes a streaming read of so many bytes, or None without a compiler."""
    found = kernel_library("frame")
    if found is None:
        return None
    read = found["stream_read"]

    def make(size: int, threads: int) -> Callable[[], object]:
        numbers = torch.ones(size // 4)
        return lambda: read(numbers.data_ptr(), numbers.numel(), threads)

    return make


def _reads(once: Callable[[], object], count: int) -> None:
    for _ in range(count):
        once()


def _peers(model: LLM, threads: int, count: int, prompt: list[int], folder: Path) -> list[Arm]:
    arms = []
    for peer in ("llama.cpp", "ctranslate2"):
        if missing := absent(peer):
            print(f"{peer} is left out: {' and '.join(missing)} is not installed", file=sys.stderr)
    if not absent("llama.cpp"):
        for kind in FILES.values():
            writer = LlamaCpp(model, folder / f"{kind}-{threads}", kind, threads, count + 1)
            arms.append(Arm(f"llama.cpp {kind}", partial(writer.write, prompt, count), work=count))
    if not absent("ctranslate2"):
        other = CTranslate2(model, folder / f"ctranslate2-{threads}", threads)
        arms.append(Arm("ctranslate2 int8", partial(other.write, prompt, count), work=count))
    return arms
