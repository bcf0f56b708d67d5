"""Who may ask, and how much: keys that are never stored, and buckets that fill again.

A bucket holds `capacity` tokens and gets `rate` a second. Who takes from it may take all at once, and then waits:
bursts pass, and on the average no more than `rate` does. Each key has two of its own, one in requests and one in the
tokens that they can cost, and a request is let through by both or takes from neither.
"""

import hashlib
import hmac
import math
from collections.abc import Callable, Mapping
from time import monotonic

from phase10_deployment.project28_serving.given.errors import ApiError, Code


class TokenBucket:
    """A bucket that fills again, and is full at first."""

    def __init__(self, rate: float, capacity: float, clock: Callable[[], float] = monotonic):
        """`rate` a second, `capacity` at most; `clock` says what time it is, in seconds.

        Raises ValueError, naming both numbers, unless both are above 0.
        """
        if not (rate > 0 and capacity > 0):
            raise ValueError(f"rate and capacity must be above 0, not {rate} and {capacity}")
        self.rate, self.capacity, self.clock = rate, capacity, clock
        self.level, self.since = capacity, clock()

    def fill(self) -> None:
        """Bring `level` up to now: `rate` for each second since the last time, and no more than `capacity`.

        A clock that went back adds nothing, and from then on counts from where it is.
        """
        now = self.clock()
        self.level = min(self.capacity, self.level + self.rate * max(0.0, now - self.since))
        self.since = now

    def wait(self, amount: float) -> float:
        """In how many seconds so much can be taken: 0 if it can be now, infinity for more than `capacity`."""
        self.fill()
        if amount > self.capacity:
            return math.inf
        return max(0.0, (amount - self.level) / self.rate)

    def take(self, amount: float) -> None:
        """Take so much, whether it is there or not: `level` may go below 0, and then others wait the longer."""
        self.fill()
        self.level -= amount

    def give_back(self, amount: float) -> None:
        """So much of what was taken was not needed."""
        self.fill()
        self.level = min(self.capacity, self.level + amount)


class RateLimits:
    """Two buckets for each key, which share nothing with those of others."""

    def __init__(
        self,
        requests_per_minute: float = 0,
        tokens_per_minute: float = 0,
        clock: Callable[[], float] = monotonic,
    ):
        """A minute's worth may be taken at once; 0 is no limit."""
        self.per_minute = {"requests": requests_per_minute, "tokens": tokens_per_minute}
        self.clock = clock
        self.buckets: dict[tuple[str, str], TokenBucket] = {}

    def bucket(self, key: str, what: str) -> TokenBucket | None:
        """The bucket of a key for "requests" or "tokens", made when it is first asked for; None without a limit."""
        amount = self.per_minute[what]
        if not amount:
            return None
        if (key, what) not in self.buckets:
            self.buckets[key, what] = TokenBucket(amount / 60, amount, self.clock)
        return self.buckets[key, what]

    def admit(self, key: str, tokens: int) -> None:
        """Let a request of a key through, which can cost so many tokens: take 1 request and these tokens.

        Raises ApiError, and takes nothing from either bucket, where one of them has not enough: status 429, code
        "rate_limit_exceeded", with `retry_after` the longer of the two waits; but for more tokens than a minute's
        worth, which never come together, status 400, code "request_too_large", naming both numbers.
        """
        wanted = [
            (bucket, amount, what)
            for what, amount in (("requests", 1), ("tokens", tokens))
            if (bucket := self.bucket(key, what)) is not None
        ]
        waits = [(bucket.wait(amount), what) for bucket, amount, what in wanted]
        longest, what = max(waits, default=(0.0, ""))
        if longest == math.inf:
            most = self.per_minute["tokens"]
            raise ApiError(
                f"the request can cost {tokens} tokens, and {most:g} a minute are allowed",
                code=Code.TOO_LARGE,
            )
        if longest > 0:
            raise ApiError(
                f"more than {self.per_minute[what]:g} {what} a minute",
                None,
                429,
                Code.RATE_LIMIT,
                longest,
            )
        for bucket, amount, _ in wanted:
            bucket.take(amount)

    def settle(self, key: str, reserved: int, used: int) -> None:
        """A request has ended, for which `reserved` tokens were taken and `used` were needed: the rest goes back."""
        bucket = self.bucket(key, "tokens")
        if bucket is not None:
            bucket.give_back(reserved - used)


def hash_key(key: str) -> str:
    """What is stored of a key: its SHA-256, in hexadecimal. Keys are long and random, so no slow hash is needed."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class ApiKeys:
    """Names by the hashes of their keys. Without any, everybody may ask."""

    def __init__(self, hashes: Mapping[str, str]):
        """`hashes` are `hash_key` of the keys, by the names of those who have them."""
        self.hashes = dict(hashes)

    def name_of(self, authorization: str | None) -> str:
        """Whose key the Authorization header has, "Bearer KEY"; "" for everybody, where there are no keys at all.

        The hash of what came is compared with every hash there is, each in constant time (`hmac.compare_digest`), also
        after one was found: how long it takes says nothing of how close a guess was, nor of whose key it is. "Bearer"
        is the same in capitals or not, and white space around the key does not matter. Raises ApiError, status 401,
        code "invalid_api_key", for a header that is missing, of another form, or of no key; the message has nothing of
        what came.
        """
        if not self.hashes:
            return ""
        scheme, _, key = (authorization or "").partition(" ")
        sent = hash_key(key.strip())
        found = None
        for name, known in self.hashes.items():
            if hmac.compare_digest(sent, known):
                found = name
        if found is None or scheme.lower() != "bearer":
            raise ApiError("a valid API key is needed: Authorization: Bearer KEY", None, 401, Code.NO_KEY)
        return found
