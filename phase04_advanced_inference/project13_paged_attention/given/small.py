"""Small engines to try things on, and a small example for `ladder trace 13`."""

from typing import Any

from phase04_advanced_inference.project10_prompt_caching import block_pool, block_store
from phase04_advanced_inference.project12_dynamic_batching import sequence
from phase04_advanced_inference.project12_dynamic_batching.given.example import random_model
from phase04_advanced_inference.project13_paged_attention import (
    block_manager,
    llm_engine,
    paged_runner,
    paged_scheduler,
    swap,
)
from phase04_advanced_inference.project13_paged_attention.given.shadow import Shadow
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from shared.phase01 import LLM, CharTokenizer

LETTERS = CharTokenizer("abcdefghijklmnopqrstuvwxyz .,")
"""a tokenizer for the 29 tokens of the tiny model"""


def make_manager(
    num_blocks: int = 8, block_size: int = 4, watermark: float = 0.0, host: int | None = None
) -> block_manager.BlockManager:
    """A manager without a store."""
    pool = block_pool.BlockPool(num_blocks, block_size)
    return block_manager.BlockManager(pool, watermark, None if host is None else swap.HostPool(host))


def make_sequence(key: int, tokens: list[int], max_tokens: int = 10, limit: int = 1000) -> sequence.Sequence:
    """A sequence that waits."""
    return sequence.Sequence(key, tokens, SamplingParams(max_tokens=max_tokens), limit)


def make_runner(
    model: LLM,
    num_blocks: int = 16,
    block_size: int = 4,
    host: int | None = None,
    decode: paged_runner.StepDecode | None = None,
) -> paged_runner.PagedRunner:
    """A runner with a manager of its own, and NaN in all blocks, on the host too: whoever reads them is found out."""
    weight = model.embedding.weight
    store = block_store.BlockStore(model.config, num_blocks, block_size, weight.dtype, weight.device)
    pool = None if host is None else swap.HostPool(host, store)
    poison(store)
    if pool is not None and pool.memory is not None:
        poison(pool.memory)
    manager = block_manager.BlockManager(block_pool.BlockPool(num_blocks, block_size), 0.0, pool)
    return paged_runner.PagedRunner(model, store, manager, decode=decode)


def poison(store: block_store.BlockStore) -> None:
    """NaN everywhere."""
    for buffer in [*store.keys, *store.values]:
        buffer.fill_(float("nan"))


def make_engine(model: LLM, num_blocks: int = 64, **settings: Any) -> llm_engine.LLMEngine:
    """An LLMEngine for the tiny model, with NaN in all blocks."""
    settings = {"block_size": 4, "max_sequences": 4, "max_tokens": 32, "watermark": 0.0, **settings}
    engine = llm_engine.LLMEngine(model, LETTERS, num_blocks, **settings)
    poison(engine.runner.store)
    return engine


def run_alone(manager: block_manager.BlockManager, one: sequence.Sequence, count: int | None = None) -> None:
    """A step of one sequence, without a model: it computes `count` tokens, or all, and is told."""
    count = one.pending if count is None else count
    assert manager.grow(one, count)
    one.num_computed += count
    manager.computed(one)


def trace_example() -> list[str]:
    """Two texts of one prompt, one more, with a chunk; a preemption to the host; a beam search."""
    model = random_model()
    engine = make_engine(model, num_blocks=8, swap_blocks=8, chunk=5)
    params = SamplingParams(max_tokens=6, n=2, temperature=0.8)
    texts = [result.text for result in engine.generate(["the cat sat", "the cat ran"], params)]
    engine.beam_search("the", width=2, max_tokens=3)
    made = make_manager(host=4)
    scheduler = paged_scheduler.PagedScheduler(made, 2, 8)
    scheduler.add(make_sequence(0, [1, 2, 3, 4, 5]))
    shadow = Shadow(8, 4)
    scheduled = scheduler.schedule()
    shadow.compute(made, scheduled)
    scheduler.update(scheduled, [[6]])
    scheduler.preempt(scheduler.sequences[0])
    shadow.move(made)
    scheduler.abort(0)
    return texts
