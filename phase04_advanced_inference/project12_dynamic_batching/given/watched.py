"""Sequences that know whether anybody looks at them: to count what a scheduler does, without a clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from phase04_advanced_inference.project12_dynamic_batching.sequence import Sequence

_seen: list[set[int]] = []


class Watched(Sequence):
    """A sequence that is noted whenever any of its attributes is read."""

    def __getattribute__(self, name: str) -> Any:
        if _seen:
            _seen[-1].add(id(self))
        return super().__getattribute__(name)


@contextmanager
def looked_at() -> Iterator[set[int]]:
    """Inside the block, the set grows by each watched sequence of which an attribute is read."""
    _seen.append(set())
    try:
        yield _seen[-1]
    finally:
        _seen.pop()
