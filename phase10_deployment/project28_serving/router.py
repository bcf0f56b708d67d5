"""Several replicas, and which of them a request goes to: the one that has read its beginning already.

Each replica has a prefix cache of its own. Sent round in turn, a conversation of ten turns meets a cache that knows it
one time in as many as there are replicas. So the router remembers what it has sent where, under the hashes that project
10 gives to blocks, and sends a request to where most of its blocks went, unless that replica has much more to do than
another: reading a prompt again is cheaper than to wait behind a crowd. (SGLang's router and vLLM's production stack do
the like.)

It needs no tokenizer: for a hash the bytes of a prompt are as good as its tokens.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shared.phase04 import block_keys


class NoReplicaError(RuntimeError):
    """No replica can take a request."""


@dataclass
class Replica:
    """A server, as the router knows it."""

    url: str
    healthy: bool = True
    in_flight: int = 0
    """requests that were sent there and are not done"""
    held: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    """hashes of blocks that were sent there, the one that was used last comes last"""


class PrefixRouter:
    """Which of the replicas a prompt goes to."""

    def __init__(self, urls: Sequence[str], block_size: int = 64, slack: int = 8, most_blocks: int = 100_000):
        """A replica is overloaded that has more than `slack` requests in flight more than the least busy healthy one.

        Of each, the `most_blocks` hashes that were used last are remembered. Raises ValueError for no replica at all,
        for a URL that comes twice, naming it, and for a slack below 0.
        """
        twice = [url for url in urls if list(urls).count(url) > 1]
        if not urls or twice or slack < 0:
            raise ValueError(
                "there must be a replica or more, each once, and a slack of 0 or more, not "
                f"{twice or list(urls)} and {slack}"
            )
        self.replicas = {url: Replica(url) for url in urls}
        self.block_size, self.slack, self.most_blocks = block_size, slack, most_blocks

    def hashes(self, prompt: bytes, salt: str = "") -> list[bytes]:
        """The hashes of a prompt's full blocks of bytes, each with all before it in it (project 10's `block_keys`).

        Prompts with another salt, as of another API key, have nothing in common: the servers' caches have not either.
        """
        return [key.hash for key in block_keys(list(prompt), self.block_size, salt)]

    def matched(self, url: str, hashes: Sequence[bytes]) -> int:
        """How many of the first hashes a replica has: up to the first that it has not."""
        held = self.replicas[url].held
        count = 0
        for one in hashes:
            if one not in held:
                break
            count += 1
        return count

    def choose(self, hashes: Sequence[bytes], but: Iterable[str] = ()) -> str:
        """The replica for a prompt with these hashes: its URL.

        Healthy ones only, and none of `but`, which have failed this request already: they do not count either where it
        is asked who is the least busy. Of those that are not overloaded the one with the most `matched` hashes; of
        equal ones the one with the fewest requests in flight; of these the first. Raises NoReplicaError, naming how
        many there are in all, where none is left.
        """
        left_out = set(but)
        able = [one for one in self.replicas.values() if one.healthy and one.url not in left_out]
        if not able:
            raise NoReplicaError(f"none of the {len(self.replicas)} replicas can take a request")
        least = min(one.in_flight for one in able)
        fit = [one for one in able if one.in_flight - least <= self.slack]
        return max(fit, key=lambda one: (self.matched(one.url, hashes), -one.in_flight)).url

    def begin(self, url: str, hashes: Sequence[bytes]) -> None:
        """A request goes there: one more is in flight, and the replica has its blocks from now on.

        All of them were used last, the last block first: where not all can be kept, a beginning outlives what comes
        after it, for without the beginning the rest can never be matched.
        """
        one = self.replicas[url]
        one.in_flight += 1
        for block in reversed(hashes):
            one.held[block] = None
            one.held.move_to_end(block)
        while len(one.held) > self.most_blocks:
            one.held.popitem(last=False)

    def end(self, url: str) -> None:
        """A request that went there is done, or has failed."""
        self.replicas[url].in_flight -= 1

    def mark(self, url: str, healthy: bool) -> None:
        """What was found out about a replica. One that was away comes back with an empty cache: it holds nothing."""
        one = self.replicas[url]
        if not healthy:
            one.held.clear()
        one.healthy = healthy
