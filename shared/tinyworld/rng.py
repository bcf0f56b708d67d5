"""Random choices that are the same on every machine and Python version.

Only `random.Random(integer).random()` is used underneath: its stream is guaranteed by the language, while
`choice`, `shuffle` and `sample` may change. A generator is made from a key, so document 7 of seed 3 needs none
of the documents before it.
"""

from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Rng:
    """A stream of choices that depends on its key alone."""

    __slots__ = ("random",)

    def __init__(self, *key: int | str) -> None:
        digest = blake2b("\0".join(map(str, key)).encode(), digest_size=8).digest()
        self.random = Random(int.from_bytes(digest, "big")).random

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.random() < probability

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + int(self.random() * (high - low + 1))

    def choose(self, options: Sequence[T]) -> T:
        """One of the options, each as likely as the others."""
        return options[int(self.random() * len(options))]

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        """One of the (option, weight) pairs' options."""
        left = self.random() * sum(weight for _, weight in options)
        for option, weight in options:
            left -= weight
            if left < 0:
                return option
        return options[-1][0]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """A new list with the options in a random order."""
        out = list(options)
        for i in range(len(out) - 1, 0, -1):
            j = int(self.random() * (i + 1))
            out[i], out[j] = out[j], out[i]
        return out

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different options, in a random order."""
        return self.shuffled(options)[:count]
