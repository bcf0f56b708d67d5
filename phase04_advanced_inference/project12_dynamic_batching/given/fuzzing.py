"""Random requests and aborts against a scheduler, and after each step all that must hold."""

import random
from dataclasses import dataclass

from phase04_advanced_inference.project12_dynamic_batching.given.example import ShortRows
from phase04_advanced_inference.project12_dynamic_batching.given.refusals import RefusedError
from phase04_advanced_inference.project12_dynamic_batching.given.simulate import NOBODY
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.scheduler import Scheduler
from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled, Sequence, SequenceStatus
from shared.phase01 import SamplingParams

STOP = 1
LIMIT = 60


@dataclass(frozen=True)
class Setting:
    """A scheduler to try."""

    max_sequences: int
    max_tokens: int
    chunk: int | None = None
    max_waiting: int = 50
    age: int = 3
    total: int | None = None
    """tokens of memory for all together, which may run short; None: a whole row for each"""

    def make(self) -> Scheduler:
        """A scheduler of this kind."""
        rows = self.max_sequences
        memory = Rows(rows, LIMIT) if self.total is None else ShortRows(rows, LIMIT, self.total)
        return Scheduler(memory, rows, self.max_tokens, self.max_waiting, self.chunk, self.age)


SETTINGS = [
    Setting(1, 1),
    Setting(1, 40, max_waiting=1),
    Setting(4, 4, chunk=1),
    Setting(4, 8),
    Setting(4, 16, chunk=5, age=0),
    Setting(8, 64),
    Setting(8, 64, chunk=16, age=1000),
    Setting(32, 40, chunk=40),
    Setting(4, 16, total=60),
    Setting(8, 16, chunk=4, total=60),
    Setting(8, 70, total=100, age=0),
    Setting(3, 9, chunk=9, total=61, max_waiting=4),
]
"""twelve configurations"""


class Fuzz:
    """A scheduler whose sequences come, go and are aborted at random; AssertionError tells the first fault."""

    def __init__(self, setting: Setting, seed: int = 0):
        self.setting, self.draw = setting, random.Random(seed)
        self.scheduler = setting.make()
        self.next_key = 0
        self.came_in: dict[int, list[int]] = {}
        """arrivals of those that have been admitted once, in that order, by priority"""
        self.admitted: set[int] = set()
        self.refused = self.aborted = self.finished = self.preempted = 0

    def step(self) -> None:
        """Requests, aborts, and a step, in which some are aborted too."""
        draw = self.draw
        for _ in range(draw.choice([0, 0, 0, 1, 1, 2, 6])):
            self.add()
        if draw.random() < 0.1:
            self.abort()
        scheduled = self.scheduler.schedule()
        self.check(scheduled)
        chosen = [self.choose(sequence, count) for sequence, count in scheduled]
        if draw.random() < 0.05:
            self.abort()
        before = [len(sequence.tokens) for sequence, _ in scheduled]
        written = self.scheduler.update(scheduled, chosen)
        for (sequence, _), length, tokens in zip(scheduled, before, written, strict=True):
            assert sequence.tokens[length:] == tokens, "what is said to be written has been"
            self.finished += sequence.finished
        self.check_memory()

    def add(self) -> None:
        """One more request, which may be one that is refused; then nothing has changed."""
        draw, scheduler = self.draw, self.scheduler
        known = list(scheduler.sequences)
        again = known and draw.random() < 0.02
        key = draw.choice(known) if again else self.next_key
        priority = draw.choice([0, 0, 1, 2, 9, 10])
        params = SamplingParams(max_tokens=draw.choice([1, 2, 5, 20, 90]), stop_ids=(STOP,))
        limit = LIMIT if draw.random() < 0.98 else 500  # of another model: it can never fit
        sequence = Sequence(key, [0] * draw.randint(1, LIMIT), params, limit, priority, NOBODY)
        before = (dict(scheduler.sequences), len(scheduler.waiting), scheduler.arrivals)
        bad = (
            again
            or priority == 10
            or sequence.longest > scheduler.memory.capacity
            or len(scheduler.waiting) >= scheduler.max_waiting
        )
        try:
            scheduler.add(sequence)
        except RefusedError:
            assert bad, "what can be served is not refused"
            self.refused += 1
            assert before == (scheduler.sequences, len(scheduler.waiting), scheduler.arrivals)
        else:
            assert not bad, "what cannot be served is refused"
            self.next_key += 1

    def abort(self) -> None:
        """One that is there, or was."""
        key = self.draw.randrange(self.next_key + 1)
        there = key in self.scheduler.sequences
        assert self.scheduler.abort(key) == there
        self.aborted += there

    def choose(self, sequence: Sequence, count: int) -> list[int]:
        """A token at the end of a text, sometimes one that ends it."""
        if count < sequence.pending:
            return []
        return [STOP if self.draw.random() < 0.03 else 0]

    def check(self, scheduled: list[Scheduled]) -> None:
        """What must hold of a schedule."""
        scheduler, setting = self.scheduler, self.setting
        counts = {sequence.key: count for sequence, count in scheduled}
        assert len(counts) == len(scheduled) <= setting.max_sequences, "a sequence has one part at most"
        assert sum(counts.values()) <= setting.max_tokens, "the budget is kept"
        assert all(1 <= count <= sequence.pending for sequence, count in scheduled)
        assert bool(scheduled) == bool(scheduler.sequences), "every step makes progress"
        assert list(counts) == list(scheduler.running), "who runs goes on, in the order of coming in"
        if setting.chunk:
            assert max(counts.values(), default=0) <= setting.chunk
        self.preempted += len(scheduler.preempted)
        for sequence, _ in scheduled:
            assert sequence.status is SequenceStatus.RUNNING
            if sequence.key not in self.admitted:
                self.admitted.add(sequence.key)
                line = self.came_in.setdefault(sequence.priority, [])
                assert not line or line[-1] < sequence.arrival, "first come, first served within a priority"
                line.append(sequence.arrival)

    def check_memory(self) -> None:
        """What must hold between steps."""
        scheduler, memory = self.scheduler, self.scheduler.memory
        assert isinstance(memory, Rows)
        assert set(memory.taken) == set(scheduler.running), "who runs has a row, and nobody else"
        assert sorted([*memory.unused, *memory.taken.values()]) == list(range(self.setting.max_sequences))
        if isinstance(memory, ShortRows):
            assert set(memory.held) <= set(memory.taken)
            assert sum(memory.held.values()) <= memory.total
        assert len(scheduler.waiting) + len(scheduler.running) == len(scheduler.sequences)
        # Those sent back from memory come on top of those that were let wait.
        assert len(scheduler.waiting) <= scheduler.max_waiting + self.setting.max_sequences
        for key, sequence in scheduler.sequences.items():
            assert not sequence.finished
            assert (sequence.status is SequenceStatus.RUNNING) == (key in scheduler.running)
            assert 0 <= sequence.num_computed < len(sequence.tokens)
            assert sequence.num_computed == 0 or key in scheduler.running

    def drain(self) -> None:
        """Let nobody come any more: everybody ends, within as many steps as there are tokens, and nothing is left."""
        scheduler = self.scheduler
        # Each step computes a token at least of the one that came in first, whom nobody sends back: so in as many
        # steps as it has tokens it has ended, and another is the first.
        left = sum(sequence.longest for sequence in scheduler.sequences.values())
        while scheduler.sequences:
            assert left, "nobody starves"
            left -= 1
            scheduled = scheduler.schedule()
            self.check(scheduled)
            scheduler.update(scheduled, [self.choose(*part) for part in scheduled])
            self.check_memory()
        assert not scheduler.waiting.first()
        assert not scheduler.running
        assert scheduler.schedule() == []


def fuzz(setting: Setting, steps: int, seed: int = 0) -> Fuzz:
    """So many random steps, drained now and then, and at the end. Raises AssertionError at the first fault."""
    found = Fuzz(setting, seed)
    for step in range(steps):
        found.step()
        if step % 1000 == 999:
            found.drain()
    found.drain()
    return found
