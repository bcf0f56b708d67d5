"""What the benchmark shows first: the same texts with the cache as without it; and how much faster, by length."""

import random
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from phase03_core_inference.project08_kv_cache.decode_step import DecodeStep
from phase03_core_inference.project08_kv_cache.generation import Step, generate_tokens, step
from phase03_core_inference.project08_kv_cache.given.example import TINY, random_model, random_prompts
from phase03_core_inference.project08_kv_cache.kv_cache import KVCache, attend_row
from phase03_core_inference.project08_kv_cache.window import SlidingWindowCache
from shared.machine import cores
from shared.measuring.arms import Arm, Report, measure
from shared.phase01 import LLM, Config, SamplingParams, torch_attention

NAMES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


@dataclass
class Settings:
    """What a preset in configs/ sets."""

    layers: int = 12
    """of the model whose speed is measured; its weights are random, which speed does not depend on"""
    heads: int = 12
    dim: int = 768
    hidden_dim: int = 2048
    vocab_size: int = 50_257
    context_length: int = 1024
    prompts: int = 1000
    """how many random prompts must be written alike with the cache and without it"""
    lengths: tuple[int, ...] = (16, 128, 256, 512, 1024)
    """where the curve is measured; the first is the prompt's"""
    first_prompt: int = 512
    """the prompt of the time to the first token"""
    threads: tuple[int, ...] = (1, 2)
    """with which decoding is measured, and texts beside the peers; no more than there are cores"""
    steps: int = 16
    """of decoding a run, spread over 16 to 144 tokens; a half at 8 rows, a quarter at 32"""
    repeats: int = 3
    peers: bool = False
    """measure texts against ctranslate2 and llama.cpp instead, where they are installed"""
    preset: str = "cpu"

    def thread_counts(self) -> list[int]:
        """Those of `threads` for which there are cores."""
        return [count for count in self.threads if count <= cores()]

    def model(self, dtype: torch.dtype = torch.float32) -> LLM:
        """The model: a Llama of GPT-2 small's shape, unless a preset makes it smaller."""
        config = Config(
            self.vocab_size, self.context_length, self.layers, self.heads, self.heads, self.dim, self.hidden_dim,
            tied_embeddings=True,
        )  # fmt: skip
        torch.manual_seed(0)
        model = LLM(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.normal_(std=0.02)
        return model.to(dtype)


def equality(report: Report, settings: Settings) -> None:
    """Raises AssertionError unless the cache writes what the model says without it, for all random prompts, in float64.

    Greedy texts are right if each token is the likeliest after what stands before it: one pass without a cache over the
    whole text shows that, for all its tokens at once.
    """
    model, draw = random_model(), random.Random(0)
    params = SamplingParams(max_tokens=12, temperature=0)
    prompts = random_prompts(settings.prompts)
    written = 0
    while written < len(prompts):
        batch = prompts[written : written + draw.choice([1, 1, 3, 8])]
        written += len(batch)
        texts = generate_tokens(model, batch, params)
        window = draw.randint(1, 8)
        ring = SlidingWindowCache(TINY, window, len(batch), torch.float64)
        rung = generate_tokens(model, batch, params, ring)
        cache = KVCache(TINY, len(batch), dtype=torch.float64)
        step(model, cache, batch)
        kept = []
        for row, prompt in enumerate(batch):
            step(model, cache, [[1, 2, 3] if other == row else [] for other in range(len(batch))])
            kept.append(draw.randint(0, len(prompt)))
            cache.rewind(row, kept[-1])
        after = step(model, cache, [[4, 5]] * len(batch))
        for row, prompt in enumerate(batch):
            _check(model, prompt, texts[row], None)
            _check(model, prompt, rung[row], window)
            expected = model(torch.tensor([[*prompt[: kept[row]], 4, 5]]))[0, -1]
            torch.testing.assert_close(after[row], expected, rtol=1e-9, atol=1e-9)
    report.figure(
        "random prompts written alike with the cache and without", written, "prompts", ("==", settings.prompts),
        note="float64, alone and in batches of mixed lengths; as many with a window, and after a rewind",
    )  # fmt: skip


@torch.inference_mode()
def _check(model: LLM, prompt: list[int], text: list[int], window: int | None) -> None:
    attend = lambda layer, q, k, v: attend_row(q[0], k[0], v[0], window)[None]  # noqa: E731
    whole = torch.tensor([[*prompt, *text[:-1]]])
    likeliest = model(whole, attend=attend)[0, len(prompt) - 1 :].argmax(-1).tolist()
    if likeliest != text:
        said = f"after {prompt} the cache writes {text}, and without it"
        raise AssertionError(f"{said} (window {window}) it is {likeliest}")


def filled(model: LLM, rows: int, length: int, dtype: torch.dtype) -> KVCache:
    """A cache that has read `length` random tokens a row, the same in all rows."""
    cache = KVCache(model.config, rows, length + 1, dtype)
    tokens = torch.randint(
        model.config.vocab_size, (length,), generator=torch.Generator().manual_seed(1)
    ).tolist()
    step(model, cache, [tokens] + [[]] * (rows - 1))
    for buffer in [*cache.keys, *cache.values]:
        buffer[1:] = buffer[:1]
    cache.lengths = [length] * rows
    return cache


def gain_over_length(report: Report, settings: Settings) -> None:
    """How many times as fast texts of growing length are written with the cache as without it, in either format."""
    for dtype, name in NAMES.items():
        model = settings.model(dtype)
        one_call = DecodeStep(model)
        seconds: dict[str, list[float]] = {"with": [], "without": [], "modules": []}
        for length in settings.lengths:
            tokens = torch.randint(settings.vocab_size, (1, length))
            cache = filled(model, 1, length - 1, dtype)

            @torch.inference_mode()
            def without(model: LLM = model, tokens: Tensor = tokens) -> Tensor:
                return model.logits(model.hidden(tokens, attend=torch_attention)[:, -1:])

            def once(read: Step, cache: KVCache = cache, length: int = length) -> Tensor:
                cache.rewind(0, length - 1)
                return read(cache, [[5]])

            arms = [
                Arm("with", partial(once, one_call)),
                Arm("without", without),
                Arm("modules", partial(once, partial(step, model))),
            ]
            for arm, measured in measure(arms, warmup=0, repeats=settings.repeats).items():
                seconds[arm].append(measured.seconds)
        ratios = {}
        for arm in ("with", "modules"):
            totals = zip(_written(settings, seconds["without"], seconds["without"]),
                         _written(settings, seconds[arm], seconds["without"]), strict=True)  # fmt: skip
            ratios[arm] = [slow / fast for slow, fast in totals]
        lengths = settings.lengths[1:]
        report.series(
            f"{name}", lengths, ratios["with"], "tokens written", "times as fast as without the cache"
        )
        report.series(
            f"{name}, through modules", lengths, ratios["modules"], "tokens written", "times as fast"
        )
        for i, length in enumerate(lengths):
            target = {("float32", 1024): (">=", 30.0), ("bfloat16", 1024): (">=", 20.0)}.get((name, length))
            places = ", ".join(f"{at:,}" for at in settings.lengths)
            report.figure(
                f"cached over uncached, {length:,} tokens, {name}", ratios["with"][i], "times", target,
                {"the cache through modules": ratios["modules"][i]},
                note=f"from a prompt of {settings.lengths[0]} tokens, one thread; without the cache each token is one "
                "pass over all before it, with torch's products and attention, and logits of the last place only; "
                f"measured for one token at {places}, with straight lines between",
            )  # fmt: skip


def _written(settings: Settings, each: list[float], prefill: list[float]) -> list[float]:
    """The seconds to write up to each length but the first: reading the prompt, then token after token."""
    totals, total = [], prefill[0]
    for (start, end), (first, last) in zip(pairwise(settings.lengths), pairwise(each), strict=True):
        total += (end - start) * (first + last) / 2
        totals.append(total)
    return totals
