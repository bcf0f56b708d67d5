"""Whole answers, for requests that are the same in everything: nothing is computed at all.

Only what always gives the same answer may be answered from memory. Greedy choice does. So does a draw here, for its
seed is a part of SamplingParams, and the same seed writes the same text: a cached answer is the one that would be
computed, and another seed is another request. (Without a fixed seed, each answer should be a new draw: a service that
allows that must leave such requests out.)

Unlike a prefix, an answer is found by equality alone: one more token in the question, and it is another one.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence

from shared.phase01 import SamplingParams

BYTES_A_TOKEN = 8


def request_key(model: str, tokens: Sequence[int], params: SamplingParams, salt: str = "") -> Hashable:
    """What a request is found by: equal for two requests where all four are equal, and only then.

    All of `params` counts, what a later version of it may add too. Whatever becomes of the list `tokens` afterwards,
    the key stays. It is no hash: Python's are alike for some numbers that differ.
    """
    return model, tuple(tokens), params, salt


class ResponseCache:
    """Answers by request, at most `max_entries` of them and `max_bytes`; what was used longest ago goes first."""

    def __init__(self, max_entries: int = 1000, max_bytes: int = 2**24):
        """Empty. With 0 entries or 0 bytes it keeps nothing. Raises ValueError for less, naming both numbers."""
        if max_entries < 0 or max_bytes < 0:
            raise ValueError(f"a cache keeps 0 entries and bytes or more, not {max_entries} and {max_bytes}")
        self.max_entries, self.max_bytes = max_entries, max_bytes
        self.answers: OrderedDict[Hashable, tuple[int, ...]] = OrderedDict()
        """the answers, the one used longest ago first"""
        self.nbytes = 0
        """of all answers together, 8 bytes a token"""
        self.hits = self.misses = self.evictions = 0

    def get(self, key: Hashable) -> tuple[int, ...] | None:
        """The answer's tokens, or None; counted in `hits` or `misses`. An answer that is found counts as used now."""
        answer = self.answers.get(key)
        if answer is None:
            self.misses += 1
            return None
        self.hits += 1
        self.answers.move_to_end(key)
        return answer

    def put(self, key: Hashable, answer: Sequence[int]) -> None:
        """Keep an answer's tokens, which counts as using them; an older one of the same key is replaced.

        Then, while there are too many answers or too many bytes (8 a token), the one used longest ago goes, and
        `evictions` counts it. An answer larger than `max_bytes` is not kept, nor any in a cache of 0 entries: then
        nothing else goes because of it, but an older answer of the same key does, uncounted. An answer without tokens
        is an answer.
        """
        self.nbytes -= BYTES_A_TOKEN * len(self.answers.pop(key, ()))
        size = BYTES_A_TOKEN * len(answer)
        if not self.max_entries or size > self.max_bytes:
            return
        self.answers[key] = tuple(answer)
        self.nbytes += size
        while len(self.answers) > self.max_entries or self.nbytes > self.max_bytes:
            _, gone = self.answers.popitem(last=False)
            self.nbytes -= BYTES_A_TOKEN * len(gone)
            self.evictions += 1
