"""Memory as the scheduler sees it: may this sequence come in, may it grow, it has gone.

Where keys and values lie is of no interest there. Here each running sequence has a row of project 8's KVCache, so
room is reserved for the longest text that there may be; project 13 gives out blocks instead, with the same four
names.
"""

from typing import Protocol, runtime_checkable

from phase04_advanced_inference.project12_dynamic_batching.sequence import Sequence


@runtime_checkable
class Memory(Protocol):
    """What a scheduler asks of a memory."""

    @property
    def capacity(self) -> int:
        """The most tokens of one sequence that it can ever hold, were it alone."""
        ...

    def admit(self, sequence: Sequence) -> bool:
        """Take in a waiting sequence, with `num_computed` set to what is there of it already; False: no room now."""
        ...

    def grow(self, sequence: Sequence, count: int) -> bool:
        """Make room for `count` more computed tokens of a sequence that is in; False: no room now."""
        ...

    def free(self, sequence: Sequence) -> None:
        """Forget a sequence, in whatever state it is."""
        ...


class Rows:
    """A row for each running sequence."""

    def __init__(self, rows: int, capacity: int):
        """`rows` free rows of `capacity` tokens each. Raises ValueError for less than 1 of either, naming both."""
        if rows < 1 or capacity < 1:
            raise ValueError(f"there must be 1 row or more, of 1 token or more, not {rows} of {capacity}")
        self.capacity = capacity
        self.unused = list(range(rows))[::-1]
        """free rows; the last one is taken next"""
        self.taken: dict[int, int] = {}
        """which row each sequence has, by its key"""

    def row(self, sequence: Sequence) -> int:
        """The row of a sequence that is in."""
        return self.taken[sequence.key]

    def admit(self, sequence: Sequence) -> bool:
        """Give a sequence a row of its own, so that nothing of it is computed yet; False, and no change, without one.

        There are `unused` rows, and `taken` ones, by key: a row is in one of the two, never in both. What an earlier
        sequence left in the row is no concern of the one that gets it: `num_computed` becomes 0.
        """
        if not self.unused:
            return False
        self.taken[sequence.key] = self.unused.pop()
        sequence.num_computed = 0
        return True

    def grow(self, sequence: Sequence, count: int) -> bool:
        """Whether the row has room for `count` tokens more than `num_computed`."""
        return sequence.num_computed + count <= self.capacity

    def free(self, sequence: Sequence) -> None:
        """Take a sequence's row back. One that has none, as it was never in or has left, changes nothing."""
        if sequence.key in self.taken:
            self.unused.append(self.taken.pop(sequence.key))
