"""Who goes on in the next step, and by how many tokens: decided anew in every step.

A step computes at most `max_tokens` tokens, its budget, of at most `max_sequences` sequences. Those that run come
first, and each gets one token at least: nobody who is being served ever stands still, so `max_tokens` may not be
below `max_sequences`. With what is left, those that wait come in, in the order of their queue, until the budget, the
places or the memory are used up. The first that cannot come in ends it: nobody slips past.

Orca's iteration-level scheduling: Yu et al. 2022 (OSDI). Chunked prefill: Agrawal et al. 2023, Sarathi
(arXiv:2308.16369). The unified view, in which there are only pending tokens, is vLLM's.
"""

from collections.abc import Sequence as List

from phase04_advanced_inference.project12_dynamic_batching.given.refusals import (
    QueueFullError,
    UnknownPriorityError,
    check_capacity,
    check_key,
)
from phase04_advanced_inference.project12_dynamic_batching.priority import PRIORITIES, WaitingQueue
from phase04_advanced_inference.project12_dynamic_batching.rows import Memory
from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled, Sequence, SequenceStatus


class Scheduler:
    """Waiting sequences, running ones, and the choice of a step."""

    def __init__(
        self,
        memory: Memory,
        max_sequences: int = 8,
        max_tokens: int = 256,
        max_waiting: int = 10_000,
        chunk: int | None = None,
        age: int = 100,
    ):
        """`max_tokens` is the budget of a step, `chunk` the most of it for one sequence; None: whole prompts.

        At most `max_waiting` requests wait; `age` is what a priority is worth (WaitingQueue). Raises ValueError,
        naming the numbers, for fewer than one sequence, a budget below the number of sequences, and a queue or a
        chunk below 1.
        """
        if not 1 <= max_sequences <= max_tokens:
            raise ValueError(
                f"there must be 1 sequence or more, and a budget of a token for each: {max_sequences} sequences and "
                f"{max_tokens} tokens are not"
            )
        if max_waiting < 1 or (chunk is not None and chunk < 1):
            raise ValueError(f"max_waiting and chunk must be 1 or more, not {max_waiting} and {chunk}")
        self.memory, self.max_sequences, self.max_tokens = memory, max_sequences, max_tokens
        self.max_waiting, self.chunk = max_waiting, chunk
        self.waiting = WaitingQueue(age)
        self.running: dict[int, Sequence] = {}
        """by key, the one that came in first in front"""
        self.sequences: dict[int, Sequence] = {}
        """all that have not ended, by key"""
        self.arrivals = 0
        """how many requests have come"""
        self.preempted: list[int] = []
        """keys of those that the last `schedule` sent back to wait"""

    def add(self, sequence: Sequence) -> None:
        """Let a request wait: number it (`arrival`, from 0), put it into `sequences` and into `waiting`.

        Raises, before anything changes: DuplicateKeyError (given/refusals.py: check_key) for the key of one that has
        not ended; NeverFitsError (check_capacity) for one that could outgrow `memory.capacity`, were it alone;
        UnknownPriorityError, naming the priority, for one that is not in PRIORITIES; QueueFullError, naming
        `max_waiting`, where so many wait already. A request that is refused is not numbered.
        """
        check_key(sequence, self.sequences)
        check_capacity(sequence, self.memory.capacity)
        if sequence.priority not in PRIORITIES:
            raise UnknownPriorityError(
                f"priorities are from {PRIORITIES[0]} (first) to {PRIORITIES[-1]}, and {sequence.priority} is none"
            )
        if len(self.waiting) >= self.max_waiting:
            raise QueueFullError(f"{self.max_waiting} requests wait already, and no more may")
        sequence.arrival = self.arrivals
        self.arrivals += 1
        self.sequences[sequence.key] = sequence
        self.waiting.add(sequence)

    def share(self, sequence: Sequence, left: int) -> int:
        """How many of its pending tokens a sequence gets, where `left` tokens of the budget are left for it.

        With a `chunk`: all that are pending, but no more than `chunk`, and no more than are left.

        Without one, prompts are read whole: one that waits gets all of its pending tokens, or 0 where fewer are left.
        But one with more pending tokens than `max_tokens` can never be read whole, and would block the queue for
        ever: it gets what is left. One that runs gets all that are pending, but no more than are left.
        """
        if self.chunk is not None:
            return min(sequence.pending, self.chunk, left)
        whole = sequence.status is SequenceStatus.WAITING and sequence.pending <= self.max_tokens
        if whole and sequence.pending > left:
            return 0
        return min(sequence.pending, left)

    def schedule(self) -> list[Scheduled]:
        """What the next step computes: sequences with how many tokens, the sum at most `max_tokens`.

        First those that run, in their order, each with its `share` of what is left, less a token for each that runs
        behind it. For each, memory must `grow` by the share. While it does not, the one that came in last is sent
        back to wait (`preempt`), be it the sequence itself, which then has no part in this step.

        Then, unless one was sent back in this step, those that wait, one after the other: while there are tokens left
        and fewer than `max_sequences` run, the first of the queue is admitted by memory, which may find some of it
        computed already; then its `share` is worked out, and memory grows by it. It leaves the queue, is RUNNING, and
        comes last in `running`. Where memory does not admit it or does not grow, or the share is 0, it ends there:
        what was admitted is freed, `num_computed` is 0 again, and it stays first in the queue.

        Looks at those that run, at those that come in, and at one more of each priority. `preempted` has the keys of
        those sent back.
        """
        self.preempted = []
        scheduled = self._go_on()
        left = self.max_tokens - sum(count for _, count in scheduled)
        while left and len(self.running) < self.max_sequences and not self.preempted:
            sequence = self.waiting.first()
            if sequence is None or not self.memory.admit(sequence):
                break
            count = self.share(sequence, left)
            if not count or not self.memory.grow(sequence, count):
                self.memory.free(sequence)
                sequence.num_computed = 0
                break
            self.waiting.remove(sequence)
            sequence.status = SequenceStatus.RUNNING
            self.running[sequence.key] = sequence
            scheduled.append(Scheduled(sequence, count))
            left -= count
        return scheduled

    def _go_on(self) -> list[Scheduled]:
        """The part of `schedule` for those that run."""
        scheduled: list[Scheduled] = []
        left, behind = self.max_tokens, len(self.running)
        for sequence in list(self.running.values()):
            behind -= 1
            if sequence.status is not SequenceStatus.RUNNING:  # sent back to make room for one before it
                continue
            count = self.share(sequence, left - behind)
            while sequence.key in self.running and not self.memory.grow(sequence, count):
                self.preempt(next(reversed(self.running.values())))
            if sequence.key in self.running:
                scheduled.append(Scheduled(sequence, count))
                left -= count
        return scheduled

    def preempt(self, sequence: Sequence) -> None:
        """Send a running sequence back to wait, with nothing of it computed: it will be read anew, text and all."""
        del self.running[sequence.key]
        self.memory.free(sequence)
        sequence.num_computed, sequence.status = 0, SequenceStatus.WAITING
        self.waiting.add(sequence)
        self.preempted.append(sequence.key)

    def update(self, scheduled: List[Scheduled], chosen: List[List[int]]) -> list[list[int]]:
        """The step is done: `chosen` are the next tokens of each that was scheduled; returns what each has written.

        Each advances (`Sequence.advance`). One that has ended leaves `running` and `sequences`, and its memory is
        freed. One that was aborted while the step ran has left already; another may have its key by now.
        """
        written = []
        for (sequence, count), tokens in zip(scheduled, chosen, strict=True):
            written.append(sequence.advance(count, tokens))
            if sequence.finished and self.sequences.get(sequence.key) is sequence:
                del self.sequences[sequence.key]
                del self.running[sequence.key]
                self.memory.free(sequence)
        return written

    def abort(self, key: int) -> bool:
        """End a request that nobody wants any more, in whatever state; False if none of this key is there.

        One that waits leaves the queue, one that runs leaves `running` and its memory is freed, at once, even if a
        step computes it just now: `update` will find it ended. In either case it leaves `sequences` and is
        FINISHED_ABORTED. No other sequence is looked at.
        """
        sequence = self.sequences.pop(key, None)
        if sequence is None:
            return False
        if sequence.status is SequenceStatus.WAITING:
            self.waiting.remove(sequence)
        else:
            del self.running[key]
            self.memory.free(sequence)
        sequence.status = SequenceStatus.FINISHED_ABORTED
        return True
