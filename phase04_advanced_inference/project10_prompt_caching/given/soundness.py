"""What the benchmark shows before it measures: the cache changes no result, and the pool loses no block."""

import random

import torch

from phase04_advanced_inference.project10_prompt_caching.block_hash import block_keys
from phase04_advanced_inference.project10_prompt_caching.given.example import (
    TINY,
    random_model,
    random_text,
    same_hashes,
    without_cache,
)
from phase04_advanced_inference.project10_prompt_caching.given.fuzz import Fuzz
from phase04_advanced_inference.project10_prompt_caching.given.settings import Settings
from phase04_advanced_inference.project10_prompt_caching.prompt_cache import PromptCache
from shared.measuring.arms import Report
from shared.phase03 import KVCache, step


def equality(report: Report, settings: Settings) -> None:
    """Raises AssertionError unless prompts and greedy answers are the same with the cache as without it, in float64.

    Prompts share beginnings, pools are so small that they evict, blocks and chunks have any size, tenants their salts.
    """
    model, draw = random_model(), random.Random(0)
    begins = [random_text(24, seed) for seed in range(3)]
    read = hits = 0
    while read < settings.prompts:
        texts = PromptCache(model, draw.randint(0, 16), draw.randint(1, 6), draw.choice([None, 3, 8]))
        for _ in range(min(20, settings.prompts - read)):
            tail = [draw.randrange(TINY.vocab_size) for _ in range(draw.randint(0, 8))]
            prompt = draw.choice(begins)[: draw.randint(1, 24)] + tail
            hits += _answer(texts, prompt, draw.choice(["", "a"]))
            read += 1
    report.figure(
        "prompts with the same logits and greedy answers with the cache as without", read, "prompts",
        ("==", settings.prompts),
        note=f"float64, to 1e-10, four tokens of answer each; {hits:,} tokens were hits",
    )  # fmt: skip


def _answer(texts: PromptCache, prompt: list[int], salt: str) -> int:
    """Read a prompt and write four tokens; returns how many tokens were hits."""
    cache, text = KVCache(TINY, dtype=torch.float64), list(prompt)
    found = texts.prefill(cache, 0, prompt, salt)
    logits = found.logits
    for _ in range(4):
        torch.testing.assert_close(logits, without_cache(texts.model, text), rtol=1e-10, atol=1e-10)
        text.append(int(logits.argmax()))
        [logits] = step(texts.model, cache, [text[-1:]])
    texts.keep(cache, 0, text, salt, found.keys)
    return found.cached


def pool(report: Report, settings: Settings) -> None:
    """Raises AssertionError where a random operation breaks an invariant of the pool."""
    hits = twins = evictions = 0
    for keys in (block_keys, same_hashes):
        for seed in range(10):
            fuzz = Fuzz(seed, num_blocks=(12, 5, 24, 3, 1)[seed % 5], keys=keys)
            fuzz.run(settings.operations // 10)
            hits, twins = hits + fuzz.hits, twins + fuzz.twins
            evictions += fuzz.pool.evictions
    report.figure(
        "random operations on the pool that broke nothing", 2 * (settings.operations // 10 * 10), "operations",
        ("==", 2 * settings.operations),
        note=f"all invariants after each; half of them with a hash that is always the same; {hits:,} blocks were hit, "
        f"{twins:,} were twins, {evictions:,} evicted",
    )  # fmt: skip
