"""How much of memory is wasted, and how many texts run in it, without a model; the same on any machine."""

from dataclasses import dataclass

from phase04_advanced_inference.project10_prompt_caching.block_pool import BlockPool
from phase04_advanced_inference.project12_dynamic_batching.given.simulate import request_of
from phase04_advanced_inference.project12_dynamic_batching.given.workload import Request, workload
from phase04_advanced_inference.project13_paged_attention.block_manager import BlockManager
from phase04_advanced_inference.project13_paged_attention.paged_scheduler import PagedScheduler
from shared.measuring.arms import Report

SIZES = (1, 4, 8, 16, 32, 64, 128)


@dataclass
class CountSettings:
    """What a preset sets for what is counted."""

    requests: int = 600
    """of the workloads without a model"""
    prompt: int = 160
    answer: int = 256
    longest: int = 2048
    """their mean lengths, and the longest that a prompt and an answer may be"""
    rows: int = 16
    """the pool has room for so many of the longest texts"""


@dataclass
class Filled:
    """How full memory was, over the steps in which requests waited."""

    tokens: int = 0
    """computed ones held, summed over steps"""
    slots: int = 0
    """those of all blocks that were held"""
    texts: int = 0
    steps: int = 0
    computed: int = 0
    """tokens, all that were computed at all"""
    preempted: int = 0

    @property
    def waste(self) -> float:
        """The share of held slots with nothing in them."""
        return 1 - self.tokens / max(1, self.slots)

    @property
    def formula(self) -> float:
        """(B - 1) / 2 slots a text, with B = slots a block as in `fill`."""
        return self.texts * self.half / max(1, self.tokens + self.texts * self.half)

    half: float = 7.5


def fill(requests: list[Request], num_blocks: int, block_size: int) -> Filled:
    """Serve requests, all there at the beginning, without a model; nobody shares a prefix."""
    manager = BlockManager(BlockPool(num_blocks, block_size))
    scheduler = PagedScheduler(manager, max_sequences=4096, max_tokens=8192)
    for key, request in enumerate(requests):
        scheduler.add(request_of(key, request))
        manager.salts[key] = str(key)
    found = Filled(half=(block_size - 1) / 2)
    while scheduler.sequences:
        scheduled = scheduler.schedule()
        found.computed += sum(count for _, count in scheduled)
        if len(scheduler.waiting):
            found.steps += 1
            found.texts += len(scheduled)
            found.tokens += sum(one.num_computed + count for one, count in scheduled)
            found.slots += block_size * sum(len(manager.tables[one.key]) for one, _ in scheduled)
            found.preempted += len(scheduler.preempted)
        scheduler.update(scheduled, [[0] if count == one.pending else [] for one, count in scheduled])
    return found


def waste(report: Report, settings: CountSettings) -> None:
    """How much of memory is wasted, and how many texts are in it, beside rows for the longest text."""
    capacity = settings.rows * settings.longest
    names = {"chat": "lengths as in chat", "exponential": "exponential lengths", "uniform": "uniform lengths"}
    for name, said in names.items():
        requests = workload(name, settings.requests, settings.prompt, settings.answer, settings.longest // 2)
        found = fill(requests, capacity // 16, 16)
        texts = found.texts / max(1, found.steps)
        needed = sum(request.prompt + request.answer - 1 for request in requests)
        report.figure(
            f"waste, {said}", 100 * found.waste, "%", ("<=", 4.0) if name == "chat" else None,
            {"7.5 tokens a text": 100 * found.formula},
            note=f"blocks of 16; {found.tokens / found.texts:,.0f} tokens a text, over {found.steps:,} steps",
        )  # fmt: skip
        report.figure(
            f"texts in a fixed pool, paged over reserved, {said}", texts / settings.rows, "times",
            (">=", 3.0) if name == "chat" else None,
            note=f"{texts:,.0f} texts at once, beside {settings.rows} rows of {settings.longest:,} tokens; "
            f"{found.preempted:,} sent back, {found.computed / needed - 1:.1%} of the tokens computed again",
        )  # fmt: skip
    requests = workload("chat", settings.requests, settings.prompt, settings.answer, settings.longest // 2)
    found = [fill(requests, capacity // size, size) for size in SIZES]
    report.series("measured", SIZES, [100 * one.waste for one in found], "tokens a block", "% wasted")
    report.series(
        "(B - 1) / 2 a text", SIZES, [100 * one.formula for one in found], "tokens a block", "% wasted"
    )
