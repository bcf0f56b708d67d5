"""What the benchmark measures of attention over blocks: beside one stretch, torch, a gather; and of a whole step.

Both are measured where they are worst off: blocks lie in no order at all, as in a pool that has been in use for hours.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project13_paged_attention.given.example import shuffled_tables
from phase04_advanced_inference.project13_paged_attention.given.huge_pages import use_huge_pages
from phase04_advanced_inference.project13_paged_attention.given.paged_step import PagedStepDecode
from phase04_advanced_inference.project13_paged_attention.paged_attention import PagedStep, gather
from phase04_advanced_inference.project13_paged_attention.paged_kernel import PagedKernel
from shared.measuring.arms import Arm, Report, measure
from shared.phase01 import LLM, Config
from shared.phase03 import FORMATS, DecodeAttention, DecodeStep, KVCache, attend_row

Data = list[tuple[Tensor, Tensor]]
"""keys and values, layer by layer"""


@dataclass
class AttentionSettings:
    """How much of it: GPT-2 small's shape, unless a preset makes it smaller."""

    layers: int = 12
    heads: int = 12
    dim: int = 768
    hidden_dim: int = 2048
    vocab_size: int = 50_257
    shapes: tuple[tuple[int, int], ...] = ((1, 1024), (8, 512), (32, 512))
    """texts, and how many tokens each holds, for attention alone"""
    block_sizes: tuple[int, ...] = (16, 32, 64)
    """the first one is the engine's, and the one that is promised for"""
    megabytes: int = 160
    """attention alone goes through as many layers as have so many keys and values: a step finds none in the cache of
    the processor either"""
    batches: tuple[int, ...] = (1, 8, 32)
    """texts in a whole step"""
    held: int = 256
    """tokens that each of these holds"""
    pool: int = 8192
    """tokens of the store in which they lie scattered, or as many as they need"""
    repeats: int = 5

    def config(self) -> Config:
        """The model's."""
        longest = max(self.held, *(length for _, length in self.shapes)) + 1
        return Config(
            self.vocab_size, longest, self.layers, self.heads, self.heads, self.dim, self.hidden_dim,
            tied_embeddings=True,
        )  # fmt: skip

    def model(self, dtype: torch.dtype) -> LLM:
        """Random weights, which speed does not depend on."""
        torch.manual_seed(0)
        model = LLM(self.config()).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.normal_(std=0.02)
        return model.to(dtype)


SMOKE = AttentionSettings(
    layers=2, heads=2, dim=64, hidden_dim=96, vocab_size=200, shapes=((1, 40), (3, 20)), block_sizes=(4, 16),
    megabytes=1, batches=(1, 3), held=20, repeats=2,
)  # fmt: skip
"""seconds: shows that everything runs"""


def measure_attention(report: Report, settings: AttentionSettings) -> None:
    """Attention alone, one query a text, at each shape and in either format: our kernel over blocks of each size,
    project 8's over one stretch, torch's over one stretch, and torch's after a gather.

    Blocks lie in large pages, as the engine's do; the first size in small ones as well, and one stretch in both.

    Raises RuntimeError without a compiler, and AssertionError unless ours has the same bits in blocks of each size, and
    all give the same, but for rounding.
    """
    for dtype, name in FORMATS.items():
        for texts, length in settings.shapes:
            arms = _attention_arms(settings, texts, length, dtype)
            measured = measure(arms, check=_same_attention, warmup=1, repeats=4 * settings.repeats)
            stretch = measured["one stretch"].seconds
            times = {arm: one.seconds / stretch for arm, one in measured.items()}
            first = f"blocks of {settings.block_sizes[0]}"
            report.figure(
                f"paged attention, {texts} × {length:,} tokens, {name}", times[first], "times one stretch", ("<=", 1.3),
                {arm: time for arm, time in times.items() if arm not in (first, "one stretch")},
                note=f"ours over {first} in no order; one stretch: project 8's kernel, "
                f"{1e6 * stretch / _layers(settings, texts, length, dtype):,.0f} µs a layer; by the fastest runs "
                f"{min(measured[first].times) / min(measured['one stretch'].times):.2f}",
            )  # fmt: skip


def _layers(settings: AttentionSettings, texts: int, length: int, dtype: torch.dtype) -> int:
    """Through how many layers attention alone goes."""
    layer = 2 * texts * length * settings.dim * dtype.itemsize
    return max(1, min(settings.layers, settings.megabytes * 2**20 // layer))


def _attention_arms(settings: AttentionSettings, texts: int, length: int, dtype: torch.dtype) -> list[Arm]:
    layers, heads = _layers(settings, texts, length, dtype), settings.heads
    width = settings.dim // heads
    torch.manual_seed(0)
    q = torch.randn(texts, heads, width).to(dtype)
    cache = KVCache(settings.config(), texts, length, dtype)
    stretch: Data = [
        (
            torch.randn(texts, heads, length, width).to(dtype),
            torch.randn(texts, heads, length, width).to(dtype),
        )
        for _ in range(layers)
    ]
    rows, lengths = list(range(texts)), [length] * texts
    one_stretch = DecodeAttention(cache, torch.get_num_threads())

    def through(data: Data, attend: Callable[[Tensor, Tensor], Tensor | None]) -> list[Tensor | None]:
        return [attend(keys, values) for keys, values in data]

    def project_8(keys: Tensor, values: Tensor) -> Tensor | None:
        return one_stretch(q, keys, values, rows, lengths)

    arms = [
        Arm("one stretch", partial(through, stretch, project_8)),
        Arm(
            "one stretch, large pages",
            partial(through, [(_large(k), _large(v)) for k, v in stretch], project_8),
        ),
        Arm("torch, one stretch", partial(through, stretch, lambda k, v: _torch(q, k, v))),
    ]
    for size in settings.block_sizes:
        num_blocks = texts * -(-length // size)
        tables = shuffled_tables(lengths, size, num_blocks)
        decode = PagedKernel(BlockStore(settings.config(), 1, size, dtype), torch.get_num_threads())
        if decode.kernel is None:
            raise RuntimeError("the benchmark measures kernels in C++, and there is no compiler")
        put = partial(_in_blocks, tables=tables, num_blocks=num_blocks, size=size)

        def ours(k: Tensor, v: Tensor, decode: Any = decode, tables: Any = tables) -> Tensor:
            return decode(q, k, v, tables, lengths)

        data = [(put(keys), put(values)) for keys, values in stretch]
        arms.append(Arm(f"blocks of {size}", partial(through, data, ours)))
        if size == settings.block_sizes[0]:
            gathered = partial(_gathered, q, tables=tables, length=length, size=size)
            arms.append(Arm("torch, after a gather", partial(through, data, gathered)))
            small = [(put(keys, large=False), put(values, large=False)) for keys, values in stretch]
            arms.append(Arm(f"blocks of {size}, small pages", partial(through, small, ours)))
    return arms


def _large(tensor: Tensor) -> Tensor:
    """A copy in large pages."""
    copy = torch.empty_like(tensor)
    use_huge_pages([copy])
    return copy.copy_(tensor)


def _torch(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """torch's attention of one query a text, all texts at once, which it can while they are of one length."""
    return F.scaled_dot_product_attention(q[:, :, None], keys, values)[:, :, 0]


def _gathered(
    q: Tensor, keys: Tensor, values: Tensor, tables: list[list[int]], length: int, size: int
) -> Tensor:
    """What PagedAttention does without a kernel."""
    each = [
        attend_row(query[:, None], gather(keys, table, length, size), gather(values, table, length, size))
        for query, table in zip(q, tables, strict=True)
    ]
    return torch.stack([one[:, 0] for one in each])


def _in_blocks(
    held: Tensor, tables: list[list[int]], num_blocks: int, size: int, large: bool = True
) -> Tensor:
    """One stretch a text, (text, head, length, width), put into blocks: (head, slot, width), NaN where nothing is."""
    _, heads, length, width = held.shape
    stored = held.new_empty(heads, num_blocks, size, width)
    if large:
        use_huge_pages([stored])
    stored.fill_(torch.nan)
    padded = F.pad(held, (0, 0, 0, -length % size), value=torch.nan)
    for text, table in zip(padded, tables, strict=True):
        stored[:, table] = text.view(heads, -1, size, width)
    return stored.view(heads, num_blocks * size, width)


def _same_attention(out: Mapping[str, list[Tensor]]) -> None:
    """Raises AssertionError unless ours has the same bits in all blocks, and all others the same, but for rounding."""
    first, *more = [arm for arm in out if arm.startswith("blocks")]
    for arm in more:
        if not all(map(torch.equal, out[first], out[arm])):
            raise AssertionError(f"{arm} and {first} do not give the same bits")
    for arm, layers in out.items():
        for ours, theirs in zip(out[first], layers, strict=True):
            _close(ours, theirs, arm)


def _close(ours: Tensor, theirs: Tensor, arm: str) -> None:
    error = ((ours - theirs).float().norm() / ours.float().norm()).item()
    if not error < (1e-4 if ours.dtype == torch.float32 else 0.03):
        raise AssertionError(f"what is paged differs from {arm} by {error:.2%}")


def measure_step(report: Report, settings: AttentionSettings) -> None:
    """A whole step, one new token a text: ours over blocks, beside project 8's over a cache with a row a text.

    With blocks of the first two sizes. Raises RuntimeError without a compiler, and AssertionError unless both give the
    same, but for rounding.
    """
    for dtype, name in FORMATS.items():
        model = settings.model(dtype)
        theirs = DecodeStep(model, torch.get_num_threads())
        ours = PagedStepDecode(model, torch.get_num_threads())
        if ours.kernel is None:
            raise RuntimeError("the benchmark measures kernels in C++, and there is no compiler")
        for texts, size in itertools.product(settings.batches, settings.block_sizes[:2]):
            arms = _step_arms(settings, model, theirs, ours, texts, size, dtype)
            measured = measure(arms, check=_same_step, repeats=2 * settings.repeats)
            paged, rows = measured["paged"], measured["rows of a cache"]
            report.figure(
                f"whole step over blocks of {size}, batch {texts}, {name}", paged.seconds / rows.seconds,
                "times project 8's", ("<=", 1.05) if texts == 1 else None,
                note=f"{texts / paged.seconds:,.0f} tokens/s after {settings.held} tokens; by the fastest runs "
                f"{min(paged.times) / min(rows.times):.3f}",
            )  # fmt: skip


def _step_arms(
    settings: AttentionSettings,
    model: LLM,
    theirs: DecodeStep,
    ours: PagedStepDecode,
    texts: int,
    size: int,
    dtype: torch.dtype,
) -> list[Arm]:
    """The same step again and again: each writes the key of the same place anew."""
    held = settings.held // size * size
    cache = KVCache(model.config, texts, held + 1, dtype)
    torch.manual_seed(0)
    for buffer in [*cache.keys, *cache.values]:
        buffer.normal_()
    cache.lengths = [held] * texts
    num_blocks = max(settings.pool // size, texts * (held // size + 1))
    tables = shuffled_tables([held + 1] * texts, size, num_blocks)
    store = BlockStore(model.config, num_blocks, size, dtype)
    use_huge_pages([*store.keys, *store.values])
    for row, table in enumerate(tables):
        store.write(cache, row, 0, table[: held // size])
    step = PagedStep([1] * texts, [held] * texts, tables)
    tokens = [(5 + text) % model.config.vocab_size for text in range(texts)]

    def on_rows() -> Tensor:
        cache.lengths = [held] * texts
        return theirs(cache, [[token] for token in tokens])

    return [
        Arm("rows of a cache", on_rows, work=texts),
        Arm("paged", lambda: ours(store, step, tokens, torch.tensor(step.starts)), work=texts),
    ]


def _same_step(out: Mapping[str, Tensor]) -> None:
    _close(out["paged"], out["rows of a cache"], "rows of a cache")
