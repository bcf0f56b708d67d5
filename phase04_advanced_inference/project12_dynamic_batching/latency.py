"""How long somebody waits: for the first token, from one token to the next, and for the whole answer.

Throughput is the machine's view, latency the user's. Both are needed: a batch that waits until it is full has the
best throughput and the worst time to the first token.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

SHARES = (0.5, 0.95, 0.99)


def percentile(values: Sequence[float], share: float) -> float:
    """What a share of the values, from 0 to 1, does not exceed, by straight lines between the values in order.

    The smallest of n values is at share 0, the i-th of them, counted from 0, at i / (n - 1), the largest at 1:
    numpy's default, "linear". Raises ValueError for no values, and for a share out of range, naming it.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError(f"there must be values, and a share from 0 to 1, not {len(values)} and {share}")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@dataclass
class Latency:
    """What was noted of many requests, in whatever unit the times have that are told: seconds, or steps."""

    first_token: list[float] = field(default_factory=list)
    """from coming to the first token, of each request that has one"""
    between_tokens: list[float] = field(default_factory=list)
    """from each token to the next of the same request; 0 between two that come at once"""
    end_to_end: list[float] = field(default_factory=list)
    """from coming to the end, of each request that has ended"""
    came: dict[int, float] = field(default_factory=dict)
    """when each came that has not ended, by key"""
    last: dict[int, float] = field(default_factory=dict)
    """when each of these had its last token, if it has one"""

    def add(self, key: int, now: float) -> None:
        """A request has come."""
        self.came[key] = now

    def note(self, key: int, tokens: int, now: float, finished: bool = False) -> None:
        """A request has got so many tokens, all at once, or none, and has ended with that, or not.

        One that ends without any token has no time to the first token. One that has ended is forgotten: its key may
        come again. Raises KeyError for a request that has not come.
        """
        came = self.came[key]
        for _ in range(tokens):
            if key in self.last:
                self.between_tokens.append(now - self.last[key])
            else:
                self.first_token.append(now - came)
            self.last[key] = now
        if finished:
            self.end_to_end.append(now - came)
            del self.came[key]
            self.last.pop(key, None)

    def summary(self, shares: Sequence[float] = SHARES) -> dict[str, dict[float, float]]:
        """Percentiles of first_token, between_tokens and end_to_end, by these names; what has no values is left out."""
        found = {}
        for name in ("first_token", "between_tokens", "end_to_end"):
            values: list[float] = getattr(self, name)
            if values:
                found[name] = {share: percentile(values, share) for share in shares}
        return found
