"""Random operations on a block manager, and random steps of an engine, and after each all that must hold."""

import random
from collections.abc import Sequence as List
from dataclasses import dataclass

import torch

from phase04_advanced_inference.project10_prompt_caching.block_pool import BlockPool
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Draft, Proposal
from phase04_advanced_inference.project12_dynamic_batching.given.refusals import RefusedError
from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled, Sequence, SequenceStatus
from phase04_advanced_inference.project13_paged_attention.block_manager import BlockManager
from phase04_advanced_inference.project13_paged_attention.given.shadow import Shadow, ShadowHost, check
from phase04_advanced_inference.project13_paged_attention.paged_engine import PagedEngine
from phase04_advanced_inference.project13_paged_attention.paged_scheduler import PagedScheduler
from shared.phase01 import Config, SamplingParams

STOP = 2
LIMIT = 40
CONFIG = Config(vocab_size=3, context_length=LIMIT, layers=1, heads=1, kv_heads=1, dim=2, hidden_dim=2)
NOBODY = torch.Generator()
ENDS = [SequenceStatus.FINISHED_STOPPED, SequenceStatus.FINISHED_LENGTH, SequenceStatus.FINISHED_ABORTED]


class ManagerFuzz:
    """Sequences of two tokens that come, grow, fork, go to the host and end; AssertionError tells the first fault."""

    def __init__(self, seed: int = 0, num_blocks: int = 12, block_size: int = 3, host: int = 8):
        self.draw = random.Random(seed)
        self.shadow = Shadow(num_blocks, block_size)
        pool = BlockPool(num_blocks, block_size)
        self.manager = BlockManager(pool, 0.1, ShadowHost(host, self.shadow.slots) if host else None)
        self.running: dict[int, Sequence] = {}
        self.waiting: dict[int, Sequence] = {}
        self.next_key = 0
        self.counts = dict.fromkeys(["admitted", "hit", "grown", "refused", "forked", "swapped", "ended"], 0)

    def run(self, operations: int) -> "ManagerFuzz":
        """So many operations, and then everybody ends, and all must be free."""
        for _ in range(operations):
            self.draw.choice(
                [self.come, self.grow, self.grow, self.grow, self.fork, self.send_back, self.end]
            )()
            check(self.manager, self.shadow)
            assert set(self.manager.tables) == set(self.running)
            assert set(self.manager.keys) <= set(self.running) | set(self.waiting), (
                "nobody is remembered for ever"
            )
        while self.running or self.waiting:
            self.end()
        assert self.manager.pool.num_free == self.manager.pool.num_blocks, "drained means empty"
        assert not self.manager.keys
        assert not self.manager.salts
        assert self.manager.host is None or not self.manager.host.held
        return self

    def some(self, among: dict[int, Sequence]) -> Sequence | None:
        """One of them, by chance."""
        return self.draw.choice(list(among.values())) if among else None

    def come(self) -> None:
        """A new sequence, or one that waits, is to be admitted, and begins at once."""
        draw, manager = self.draw, self.manager
        if not self.waiting or draw.random() < 0.5:
            tokens = [draw.randrange(2) for _ in range(draw.randint(1, 20))]
            one = Sequence(self.next_key, tokens, SamplingParams(), LIMIT, generator=NOBODY)
            self.next_key += 1
            if draw.random() < 0.3:
                manager.salts[one.key] = "other"
            self.waiting[one.key] = one
        else:
            one = self.draw.choice(list(self.waiting.values()))
        if not manager.admit(one):
            self.counts["refused"] += 1
            assert one.key not in manager.tables
            if one.key == self.next_key - 1:
                self.forget(one)
            return
        self.counts["admitted"] += 1
        self.counts["hit"] += one.num_computed > 0
        assert 0 <= one.num_computed < len(one.tokens), "a token at least is computed"
        if draw.random() < 0.1:  # as where no tokens are left in the budget
            manager.free(one)
            one.num_computed = 0
            return
        del self.waiting[one.key]
        one.status = SequenceStatus.RUNNING
        self.running[one.key] = one
        grown = self.step(one, draw.randint(1, one.pending))
        assert grown, "who is admitted has room for all of its tokens"

    def grow(self) -> None:
        """A sequence computes some of what is pending, guesses too, of which some are wrong."""
        one = self.some(self.running)
        if one is not None:
            if one.pending == 1:
                one.draft = [self.draw.randrange(2) for _ in range(self.draw.choice([0, 0, 1, 5]))]
            self.step(one, self.draw.randint(1, one.pending))

    def step(self, one: Sequence, count: int) -> bool:
        """A step of one sequence, if it may grow."""
        before = (self.manager.pool.num_free, list(self.manager.tables[one.key]), list(self.manager.copies))
        if not self.manager.grow(one, count):
            self.counts["refused"] += 1
            assert before == (self.manager.pool.num_free, self.manager.tables[one.key], self.manager.copies)
            one.draft = []
            return False
        self.counts["grown"] += 1
        self.shadow.compute(self.manager, [Scheduled(one, count)])
        places = max(0, one.num_computed + count - len(one.tokens) + 1)
        chosen = []
        if places:
            stay = self.draw.randrange(places)
            chosen = [*one.draft[:stay], self.draw.randrange(2)]
        one.advance(count, chosen)
        if one.finished:
            self.leave(one)
        else:
            self.manager.computed(one)
        return True

    def fork(self) -> None:
        """One more goes on from where one is."""
        one = self.some(self.running)
        if one is None or len(self.running) > 8:
            return
        child = Sequence(self.next_key, one.tokens, one.params, LIMIT, generator=NOBODY)
        self.next_key += 1
        self.manager.fork(one, child)
        child.num_computed, child.status = one.num_computed, SequenceStatus.RUNNING
        self.running[child.key] = child
        self.counts["forked"] += 1

    def send_back(self) -> None:
        """One gives its blocks up, and perhaps goes to the host."""
        one = self.some(self.running)
        if one is None:
            return
        del self.running[one.key]
        if self.draw.random() < 0.7:
            self.counts["swapped"] += self.manager.swap_out(one)
        self.manager.free(one)
        one.num_computed, one.status, one.draft = 0, SequenceStatus.WAITING, []
        self.waiting[one.key] = one

    def end(self) -> None:
        """One ends, in whatever state."""
        one = self.some(self.running | self.waiting)
        if one is not None and one.key in self.running:
            one.status = self.draw.choice(ENDS)
            self.leave(one)
        elif one is not None:
            self.forget(one)

    def leave(self, one: Sequence) -> None:
        """A running one has ended."""
        del self.running[one.key]
        self.manager.free(one)
        self.counts["ended"] += 1

    def forget(self, one: Sequence) -> None:
        """A waiting one has ended."""
        del self.waiting[one.key]
        self.manager.forget(one.key)


@dataclass(frozen=True)
class Setting:
    """An engine to try."""

    num_blocks: int
    block_size: int
    max_sequences: int
    max_tokens: int
    chunk: int | None = None
    host: int = 0
    guesses: int = 0
    watermark: float = 0.0
    max_waiting: int = 40


SETTINGS = [
    Setting(40, 1, 1, 1),
    Setting(10, 4, 1, 40, max_waiting=1),
    Setting(10, 4, 4, 8, chunk=3),
    Setting(12, 4, 4, 40, watermark=0.2),
    Setting(12, 4, 6, 16, chunk=5, host=10),
    Setting(14, 3, 8, 64, host=40, guesses=3),
    Setting(14, 3, 8, 16, chunk=4, guesses=5, watermark=0.1),
    Setting(3, 16, 4, 40),
    Setting(3, 16, 8, 20, chunk=20, host=2, guesses=2),
    Setting(60, 4, 16, 40, chunk=40, watermark=0.05),
    Setting(45, 1, 8, 32, chunk=16, host=45, guesses=4),
    Setting(100, 8, 32, 64, guesses=1),
]
"""twelve configurations"""


class Fuzz:
    """An engine without a model; it is runner, sampler and proposer too."""

    def __init__(self, setting: Setting, seed: int = 0):
        self.setting, self.draw = setting, random.Random(seed)
        self.config = CONFIG
        self.shadow = Shadow(setting.num_blocks, setting.block_size)
        host = ShadowHost(setting.host, self.shadow.slots) if setting.host else None
        self.manager = BlockManager(
            BlockPool(setting.num_blocks, setting.block_size), setting.watermark, host
        )
        self.scheduler = PagedScheduler(
            self.manager, setting.max_sequences, setting.max_tokens, setting.max_waiting, setting.chunk, 3
        )
        self.manager.fork = self.fork
        guesser = self if setting.guesses else None
        self.engine = PagedEngine(
            self.scheduler, self, self.sample, guesser, setting.guesses, None, self.ends
        )
        self.counts = dict.fromkeys(
            ["requests", "refused", "aborted", "failed", "ended", "forked", "preempted", "swapped", "hit"], 0
        )

    def fork(self, parent: Sequence, child: Sequence) -> None:
        """The manager's, counted."""
        self.counts["forked"] += 1
        BlockManager.fork(self.manager, parent, child)

    def propose(self, drafts: List[Draft]) -> list[Proposal]:
        """Random guesses; now and then it raises."""
        if self.draw.random() < 0.005:
            raise ArithmeticError("now and then")
        return [
            Proposal([self.draw.randrange(2) for _ in range(self.draw.randint(0, draft.count))])
            for draft in drafts
        ]

    def forget(self, key: int) -> None:
        """Nothing is kept."""

    def __call__(self, scheduled: List[Scheduled]) -> list[torch.Tensor]:
        """A step on the shadow store; now and then it raises."""
        setting, scheduler = self.setting, self.scheduler
        assert len({one.key for one, _ in scheduled}) == len(scheduled) <= setting.max_sequences
        assert sum(count for _, count in scheduled) <= setting.max_tokens, "the budget is kept"
        assert all(1 <= count <= one.pending for one, count in scheduled)
        assert all(count <= (setting.chunk or count) for _, count in scheduled)
        assert [one.key for one, _ in scheduled] == list(scheduler.running), "who runs goes on"
        if self.draw.random() < 0.01:
            raise ArithmeticError("now and then")
        self.shadow.compute(self.manager, scheduled)
        wanted = [max(0, one.num_computed + count - len(one.tokens) + 1) for one, count in scheduled]
        return [torch.empty(rows, 1) for rows in wanted]

    def sample(self, sequence: Sequence, logits: torch.Tensor) -> list[int]:
        """Some guesses stay, and a random token follows; now and then it raises, or aborts somebody."""
        if self.draw.random() < 0.005:
            raise ArithmeticError("now and then")
        if self.draw.random() < 0.01:
            self.abort()
        if not len(logits):
            return []
        stay = self.draw.randrange(len(logits))
        token = STOP if self.draw.random() < 0.03 else self.draw.randrange(2)
        return [*sequence.draft[:stay], token]

    def ends(self, output: object) -> bool:
        """As if a stop text had come."""
        return self.draw.random() < 0.01

    def add(self) -> None:
        """One more request, which may be refused; then nothing has changed."""
        draw = self.draw
        prompt = [draw.randrange(2) for _ in range(draw.choice([1, 4, 8, 12, 20, LIMIT, LIMIT + 1]))]
        params = SamplingParams(max_tokens=draw.choice([1, 2, 8, 30]), stop_ids=(STOP,))
        longest = min(len(prompt) + params.max_tokens - 1, LIMIT)
        bad = (
            len(prompt) > LIMIT
            or longest > self.manager.capacity
            or len(self.scheduler.waiting) >= self.setting.max_waiting
        )
        before = (dict(self.scheduler.sequences), len(self.scheduler.waiting), self.engine.next_key)
        try:
            keys = self.engine.ask(
                prompt,
                params,
                draw.choice([1, 1, 1, 3]),
                draw.choice([0, 0, 1, 9]),
                draw.choice(["", "", "x"]),
            )
        except RefusedError:
            assert bad, "what can be served is not refused"
            self.counts["refused"] += 1
            assert before == (
                self.scheduler.sequences,
                len(self.scheduler.waiting),
                self.engine.next_key,
            )
        else:
            assert not bad, "what cannot be served is refused"
            self.counts["requests"] += len(keys)

    def abort(self) -> None:
        """One that is there, or was."""
        key = self.draw.randrange(self.engine.next_key + 1)
        there = key in self.scheduler.sequences
        assert self.engine.abort(key) == there
        self.counts["aborted"] += there

    def step(self) -> None:
        """Requests, aborts, and a step."""
        for _ in range(self.draw.choice([0, 0, 0, 1, 2])):
            self.add()
        if self.draw.random() < 0.05:
            self.abort()
        self.make()

    def make(self) -> None:
        """A step of the engine, and what must hold after it."""
        outputs = self.engine.step()
        self.counts["failed"] += sum(output.error is not None for output in outputs)
        self.counts["ended"] += sum(output.finished for output in outputs)
        self.counts["preempted"] += len(self.scheduler.preempted)
        self.counts["swapped"] += len(self.scheduler.swapped)
        self.counts["hit"] += sum(count > 0 for count in self.scheduler.hits.values())
        for output in outputs:
            known = output.key in self.scheduler.sequences
            assert known != output.finished, "who has ended has gone"
        self.check()

    def check(self) -> None:
        """What must hold between steps."""
        manager, scheduler = self.manager, self.scheduler
        check(manager, self.shadow)
        assert set(manager.tables) == set(scheduler.running), "who runs has blocks, and nobody else"
        known = set(scheduler.sequences)
        assert set(manager.keys) <= known, "nobody is remembered for ever"
        assert set(manager.salts) <= known
        assert set(self.engine.siblings) <= known
        assert len(scheduler.waiting) + len(scheduler.running) == len(known)
        if manager.host is not None:
            assert set(manager.host.held) <= known - set(scheduler.running), (
                "who runs has nothing at the host"
            )
        for level in scheduler.waiting.levels.values():
            arrivals = [one.arrival for one in level.values()]
            assert arrivals == sorted(arrivals), "first come, first served"
        for one in scheduler.sequences.values():
            assert not one.finished
            assert 0 <= one.num_computed < len(one.tokens), "no guess counts as computed"
            assert one.num_computed == 0 or one.key in scheduler.running

    def drain(self) -> None:
        """Let nobody come: all end, and nothing is left. Each step computes a token of the one that came in first."""
        everybody = [
            *self.scheduler.sequences.values(),
            *(one for more in self.engine.siblings.values() for one in more),
        ]
        left = sum(one.longest for one in everybody)
        while self.scheduler.sequences:
            assert left, "nobody starves"
            left -= 1
            self.make()
        pool, host = self.manager.pool, self.manager.host
        assert pool.num_free == pool.num_blocks, "drained means empty"
        assert not self.manager.tables
        assert not self.manager.keys
        assert not self.manager.salts
        assert not self.engine.siblings
        assert host is None or not host.held
        assert self.engine.step() == []


def fuzz(setting: Setting, steps: int, seed: int = 0) -> Fuzz:
    """So many random steps, drained now and then, and at the end. Raises AssertionError at the first fault."""
    found = Fuzz(setting, seed)
    for step in range(steps):
        found.step()
        if step % 1000 == 999:
            found.drain()
    found.drain()
    return found
