"""A waiting queue in which a late comer may have an early number, as a fork of an old request has."""

from itertools import takewhile

from phase04_advanced_inference.project12_dynamic_batching.priority import WaitingQueue
from phase04_advanced_inference.project12_dynamic_batching.sequence import Sequence


class InOrder(WaitingQueue):
    """A WaitingQueue whose priorities are each in the order of arrival, whoever is added when."""

    def add(self, sequence: Sequence) -> None:
        """Put a sequence behind those of its priority that came before it: few, where it is not the newest."""
        level = self.levels.get(sequence.priority, {})
        newest = next(reversed(level.values()), None)
        super().add(sequence)
        if newest is None or newest.arrival < sequence.arrival:
            return
        level = self.levels[sequence.priority]
        level.move_to_end(sequence.key)
        older = list(takewhile(lambda one: one.arrival < sequence.arrival, level.values()))
        for one in [sequence, *reversed(older)]:
            level.move_to_end(one.key, last=False)
