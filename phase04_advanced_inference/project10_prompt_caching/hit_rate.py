"""How much a cache saves: tokens that were asked for, and those of them that were there, in all and lately.

Tokens, not requests: a hit of 16 tokens out of 2,000 saves next to nothing. And lately, because a rate over all since
the start hides that a new kind of traffic hits nothing. (vLLM's `PrefixCacheStats` keeps the last 1,000 requests.)
"""

from collections import deque
from dataclasses import dataclass


@dataclass
class Counts:
    """What some requests asked for, and what was there."""

    requests: int = 0
    queried: int = 0
    """tokens of all prompts"""
    hit: int = 0
    """those of them that did not have to be computed"""
    evicted: int = 0
    """blocks that were lost to make room"""

    @property
    def rate(self) -> float:
        """The share of the queried tokens that was hit; 0 where none was queried."""
        return self.hit / self.queried if self.queried else 0.0


class HitRate:
    """`total` counts all requests, `recent` the last `window` of them."""

    def __init__(self, window: int = 1000):
        """Nothing recorded. Raises ValueError for a window below 1, naming it."""
        if window < 1:
            raise ValueError(f"the window must be 1 request or more, not {window}")
        self.window = window
        self.total, self.recent = Counts(), Counts()
        self.last: deque[tuple[int, int, int]] = deque()
        """(queried, hit, evicted) of the requests in the window, the oldest first"""

    def record(self, queried: int, hit: int, evicted: int = 0) -> None:
        """Count a request: tokens of its prompt, how many of them were hit, and blocks evicted for it.

        `recent` goes by what comes in and what leaves the window: no request is looked at twice, so that it costs the
        same whatever the window. Raises ValueError, and counts nothing, for a number below 0 and for more hit than
        queried, naming the numbers.
        """
        if min(queried, hit, evicted) < 0 or hit > queried:
            raise ValueError(
                f"of {queried} tokens 0 to {queried} can be hit, not {hit}, and 0 blocks or more evicted, not {evicted}"
            )
        self.last.append((queried, hit, evicted))
        _add(self.total, self.last[-1], 1)
        _add(self.recent, self.last[-1], 1)
        if len(self.last) > self.window:
            _add(self.recent, self.last.popleft(), -1)


def _add(counts: Counts, request: tuple[int, int, int], sign: int) -> None:
    counts.requests += sign
    counts.queried += sign * request[0]
    counts.hit += sign * request[1]
    counts.evicted += sign * request[2]
