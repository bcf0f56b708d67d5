"""Project 12's scheduler over blocks: what runs may grow until memory is full, and then the newest is sent back.

Nothing is reserved, so that many more run at once; the price is that memory may run out while all of them grow. Then
the sequence that came in last gives up its blocks and waits, first of its priority. When it comes in again, its blocks
are computed anew, but for those that are still cached; or they come back from the host, where it had room for them.
"""

from collections.abc import Sequence as List

from phase04_advanced_inference.project12_dynamic_batching.scheduler import Scheduler
from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled, Sequence, SequenceStatus
from phase04_advanced_inference.project13_paged_attention.block_manager import BlockManager
from phase04_advanced_inference.project13_paged_attention.given.in_order import InOrder


class PagedScheduler(Scheduler):
    """A Scheduler whose memory is a BlockManager, with drafts that cost nobody a block."""

    def __init__(
        self,
        manager: BlockManager,
        max_sequences: int = 8,
        max_tokens: int = 256,
        max_waiting: int = 10_000,
        chunk: int | None = None,
        age: int = 100,
    ):
        """As Scheduler, which raises ValueError."""
        super().__init__(manager, max_sequences, max_tokens, max_waiting, chunk, age)
        self.manager = manager
        self.waiting = InOrder(age)
        self.hits: dict[int, int] = {}
        """by the key of each that came in with the last `schedule`: how many tokens of it were computed already"""
        self.swapped: list[int] = []
        """keys of those that the last `schedule` sent to the host"""

    def share(self, sequence: Sequence, left: int) -> int:
        """As Scheduler's, but less of the draft where there is no room for it: nobody is sent back for guesses.

        The tokens of the text that are part of the share stay; of the draft's, as many as the manager has `room` for.
        """
        count = super().share(sequence, left)
        text = len(sequence.tokens) - sequence.num_computed
        if count <= text:
            return count
        return max(text, min(count, self.manager.room(sequence)))

    def schedule(self) -> list[Scheduled]:
        """As Scheduler's; `hits` and `swapped` say what has happened in it."""
        before = set(self.running)
        self.swapped = []
        scheduled = super().schedule()
        self.hits = {one.key: one.num_computed for one, _ in scheduled if one.key not in before}
        return scheduled

    def preempt(self, sequence: Sequence) -> None:
        """Send a running sequence back to wait, as Scheduler's does; before that, the manager swaps it out if it can.

        `swapped` gets its key where it could. Its draft is dropped.
        """
        if self.manager.swap_out(sequence):
            self.swapped.append(sequence.key)
        sequence.draft = []
        super().preempt(sequence)

    def update(self, scheduled: List[Scheduled], chosen: List[List[int]]) -> list[list[int]]:
        """As Scheduler's; then the manager hears what is `computed` of each that goes on."""
        written = super().update(scheduled, chosen)
        for sequence, _ in scheduled:
            if not sequence.finished:
                self.manager.computed(sequence)
        return written

    def abort(self, key: int) -> bool:
        """As Scheduler's; and nothing of the sequence is kept, at the host neither."""
        found = super().abort(key)
        if found:
            self.manager.forget(key)
        return found

    def finish(self, key: int, status: SequenceStatus) -> None:
        """End a sequence as `status` says, for a reason that it cannot see itself, as a text that it should stop at."""
        sequence = self.sequences[key]
        self.abort(key)
        sequence.status = status

    def join(self, sequence: Sequence) -> None:
        """Let a sequence run that has blocks and a number of arrival already, as a fork has; it comes last."""
        sequence.status = SequenceStatus.RUNNING
        self.sequences[sequence.key] = self.running[sequence.key] = sequence

    def wait(self, sequence: Sequence) -> None:
        """Let a sequence wait that has a number of arrival already, in its place by that."""
        self.sequences[sequence.key] = sequence
        self.waiting.add(sequence)
