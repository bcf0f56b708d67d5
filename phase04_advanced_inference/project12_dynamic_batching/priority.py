"""The queue of those that wait: by priority, with ageing, and first come, first served within a priority.

With strict priorities a request of low priority may wait for ever. So a priority is worth only so much: one step of
it puts a request ahead of `age` others that came before. Numbered in the order they came, requests are served by

    rank = arrival + age · priority        the lowest first; of equal ranks the one that came first

A request of priority p is overtaken by at most age · (p - q) that come later with priority q, whoever they are and
however many: nobody starves. What waits never changes its rank, so nothing need be sorted anew as time goes by, and
within a priority ranks rise as requests come: each priority is a plain queue, and the first of all is one of its
heads.
"""

from collections import OrderedDict

from phase04_advanced_inference.project12_dynamic_batching.sequence import Sequence

PRIORITIES = range(10)
"""0 is served first"""


class WaitingQueue:
    """Waiting sequences. Whatever their number, no method looks at more than one of each priority."""

    def __init__(self, age: int = 100):
        """How many later requests of the next better priority may overtake one; 0: first come, first served.

        Raises ValueError for less than 0, naming it.
        """
        if age < 0:
            raise ValueError(f"a priority is worth 0 or more places, not {age}")
        self.age = age
        self.levels: dict[int, OrderedDict[int, Sequence]] = {}
        """the sequences of each priority by key, the one that came first in front; no priority without any"""

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self.levels.values()))

    def rank(self, sequence: Sequence) -> tuple[int, int]:
        """What the first is the least by: arrival + age · priority, and then the arrival."""
        return sequence.arrival + self.age * sequence.priority, sequence.arrival

    def add(self, sequence: Sequence) -> None:
        """Let a sequence wait, in its place by rank.

        As a rule it came after all of its priority that wait, and goes behind them. One that is sent back from memory
        came before all of these, and goes in front. So one look at the first of its priority tells; other cases do
        not occur.
        """
        level = self.levels.setdefault(sequence.priority, OrderedDict())
        first = next(iter(level.values()), None)
        level[sequence.key] = sequence
        if first is not None and sequence.arrival < first.arrival:
            level.move_to_end(sequence.key, last=False)

    def first(self) -> Sequence | None:
        """The one to be served next, which stays in the queue; None where nobody waits."""
        heads = [next(iter(level.values())) for level in self.levels.values()]
        return min(heads, key=self.rank, default=None)

    def remove(self, sequence: Sequence) -> None:
        """Take out a sequence that waits, wherever it stands, without looking at the others."""
        level = self.levels[sequence.priority]
        del level[sequence.key]
        if not level:
            del self.levels[sequence.priority]
