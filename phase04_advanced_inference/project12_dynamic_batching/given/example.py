"""Small random models and engines to try things on, and a small example for `ladder trace 12`."""

from collections.abc import Sequence as List

import torch

from phase04_advanced_inference.project12_dynamic_batching import engine, rows, runner, scheduler, sequence
from shared.phase01 import LLM, Config, SamplingParams
from shared.phase03 import KVCache

TINY = Config(
    vocab_size=29, context_length=40, layers=2, heads=4, kv_heads=2, dim=24, hidden_dim=36, head_dim=6
)


def random_model(config: Config = TINY, dtype: torch.dtype = torch.float64, seed: int = 0) -> LLM:
    """A model with all weights random, the same at every call, whose likeliest tokens stand well apart.

    With a deviation of 0.2, two right ways to compute it write the same text in float64; with 0.02 there would be
    ties.
    """
    generator = torch.Generator().manual_seed(seed)
    model = LLM(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            mean = 1.0 if parameter.ndim == 1 else 0.0
            parameter.copy_(mean + 0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def random_prompts(
    count: int, seed: int = 0, longest: int = 12, vocab_size: int = TINY.vocab_size
) -> list[list[int]]:
    """Prompts of 1 to `longest` random tokens."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    return [torch.randint(vocab_size, (length,), generator=generator).tolist() for length in lengths]


class ShortRows(rows.Rows):
    """Rows that share `total` tokens: it may happen that nobody can grow, as in project 13's blocks."""

    def __init__(self, count: int, capacity: int, total: int):
        super().__init__(count, min(capacity, total))
        self.total = total
        self.held: dict[int, int] = {}
        """how many tokens each has room for, by its key"""

    def grow(self, sequence: sequence.Sequence, count: int) -> bool:
        """Whether there is room for so many more, in the row and in all."""
        wanted = sequence.num_computed + count
        others = sum(held for key, held in self.held.items() if key != sequence.key)
        if wanted > self.capacity or others + wanted > self.total:
            return False
        self.held[sequence.key] = wanted
        return True

    def free(self, sequence: sequence.Sequence) -> None:
        """Forget a sequence."""
        super().free(sequence)
        self.held.pop(sequence.key, None)


def make_engine(
    model: LLM,
    max_sequences: int = 4,
    max_tokens: int = 16,
    chunk: int | None = None,
    memory: rows.Rows | None = None,
    decode: runner.Decode | None = None,
    max_waiting: int = 1000,
    age: int = 100,
) -> engine.Engine:
    """An engine with a row of the model's whole context for each sequence, or with a memory of one's own."""
    config, weight = model.config, model.embedding.weight
    memory = memory or rows.Rows(max_sequences, config.context_length)
    cache = KVCache(config, max_sequences, dtype=weight.dtype, device=weight.device)
    return engine.Engine(
        scheduler.Scheduler(memory, max_sequences, max_tokens, max_waiting, chunk, age),
        runner.Runner(model, cache, memory, decode),
    )


def trace_example() -> dict[int, list[int]]:
    """Two requests in one engine, the first prompt in chunks; the same by static batches; and the time it took."""
    from phase04_advanced_inference.project12_dynamic_batching.given.serving import Arrival, serve
    from phase04_advanced_inference.project12_dynamic_batching.static_batching import StaticBatcher

    model, params = random_model(), SamplingParams(max_tokens=3, temperature=0)
    made = make_engine(model, max_sequences=2, max_tokens=4, chunk=3)
    made.add([3, 1, 4, 1, 5], params, priority=1)
    made.add([9, 2], params)
    made.abort(made.add([6], params))
    texts = made.run()
    memory = rows.Rows(2, TINY.context_length)
    static = engine.Engine(
        StaticBatcher(memory, 2), runner.Runner(model, KVCache(TINY, 2, dtype=torch.float64), memory)
    )
    served: List[list[int]] = serve(
        static, [Arrival(0.0, prompt, params) for prompt in ([3, 1, 4, 1, 5], [9, 2])]
    ).texts
    assert list(texts.values()) == served
    return texts
