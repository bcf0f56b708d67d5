"""Batching as it was: so many requests at once, and nobody comes in before the last of them is done.

A batch takes as many steps as its longest text has tokens. Where lengths differ, most rows are idle most of the time:
of batches of B, exponentially distributed lengths waste all but 1 / H_B of them, H_B = 1 + 1/2 + ... + 1/B.
"""

from collections import OrderedDict
from collections.abc import Sequence as List

from phase04_advanced_inference.project12_dynamic_batching.given.refusals import (
    check_capacity,
    check_key,
)
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled, Sequence, SequenceStatus


class StaticBatcher:
    """Requests in batches, first come, first served, with the Scheduler's names, so that the engine takes either."""

    def __init__(self, memory: Rows, max_sequences: int = 8):
        """Batches of `max_sequences` at most. Raises ValueError for less than 1, naming it."""
        if max_sequences < 1:
            raise ValueError(f"a batch has 1 sequence or more, not {max_sequences}")
        self.memory, self.max_sequences = memory, max_sequences
        self.waiting: OrderedDict[int, Sequence] = OrderedDict()
        self.batch: list[Sequence] = []
        """the present batch, with those of it that have ended"""
        self.sequences: dict[int, Sequence] = {}
        """all that have not ended, by key"""
        self.preempted: list[int] = []
        """the Scheduler has some; here nobody is ever sent back"""

    @property
    def running(self) -> list[Sequence]:
        """Those of the batch that have not ended."""
        return [sequence for sequence in self.batch if not sequence.finished]

    def add(self, sequence: Sequence) -> None:
        """Let a request wait. Raises DuplicateKeyError or NeverFitsError."""
        check_key(sequence, self.sequences)
        check_capacity(sequence, self.memory.capacity)
        self.sequences[sequence.key] = self.waiting[sequence.key] = sequence

    def abort(self, key: int) -> bool:
        """End a request that nobody wants any more; False if there is none of this key. Its row stays idle."""
        sequence = self.sequences.pop(key, None)
        if sequence is None:
            return False
        sequence.status = SequenceStatus.FINISHED_ABORTED
        self.waiting.pop(key, None)
        self.end_batch()
        return True

    def schedule(self) -> list[Scheduled]:
        """What the next step computes: of each sequence in the batch that has not ended, all that is pending.

        Only where there is no batch, a new one is made: of those in `waiting`, the first `max_sequences` leave it, as
        long as memory admits them (`memory.admit`, in their order; the first that it does not admit waits, and all
        behind it). They are RUNNING from then on, and stay in `batch` until all of them have ended. With nobody
        there, it returns [].
        """
        if not self.batch:
            while self.waiting and len(self.batch) < self.max_sequences:
                sequence = next(iter(self.waiting.values()))
                if not self.memory.admit(sequence):
                    break
                del self.waiting[sequence.key]
                sequence.status = SequenceStatus.RUNNING
                self.batch.append(sequence)
        return [Scheduled(sequence, sequence.pending) for sequence in self.running]

    def update(self, scheduled: List[Scheduled], chosen: List[List[int]]) -> list[list[int]]:
        """The step is done: `chosen` are the next tokens of each that was scheduled; returns what each has written.

        Each advances (`Sequence.advance`). Those that have ended leave `sequences`; their rows are theirs until the
        whole batch has ended (`end_batch`). One that was aborted while the step ran has left already; another may have
        its key by now.
        """
        written = []
        for (sequence, count), tokens in zip(scheduled, chosen, strict=True):
            written.append(sequence.advance(count, tokens))
            if sequence.finished and self.sequences.get(sequence.key) is sequence:
                del self.sequences[sequence.key]
        self.end_batch()
        return written

    def end_batch(self) -> None:
        """Where all of the batch have ended, free their rows: a new batch may come."""
        if all(sequence.finished for sequence in self.batch):
            for sequence in self.batch:
                self.memory.free(sequence)
            self.batch = []
