"""How fast it is, and what the cache saved: read off the times at which pieces came, and off the server's counters.

Two speeds must be kept apart. Until the first piece the model reads the prompt; after it, each piece is a step or so. A
rate over both is neither: it falls with a longer prompt, though writing is as fast as before.

Counters of a server only grow, and are shared by all who use it. What one answer has cost is the difference between a
reading after and a reading before it, and that includes what others did in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Speed:
    """How fast an answer came."""

    first: float | None = None
    """seconds from the request to the first tokens; None before there are any"""
    rate: float | None = None
    """tokens a second after the first ones; None before there are more"""
    tokens: int = 0


def speed(start: float, arrivals: Sequence[tuple[float, int]]) -> Speed:
    """The speed of an answer: `start` is when it was asked for, and each arrival a time and the tokens there were by
    then.

    Times are of one clock, in seconds. Counts never fall; arrivals with a count of 0, or with no more than there were
    before, bring nothing and are passed over: neither the first time nor the last is theirs. The rate is the tokens
    that came after the first arrival over the time from the first to the last one. Where no time has passed between
    them, it is None: a rate would be infinite.
    """
    seen = 0
    counted = []
    for moment, count in arrivals:
        if count > seen:
            counted.append((moment, count))
            seen = count
    if not counted:
        return Speed()
    (first, before), (last, after) = counted[0], counted[-1]
    rate = (after - before) / (last - first) if last > first else None
    return Speed(first - start, rate, after)


def read_metrics(text: str, model: str | None = None) -> dict[str, float]:
    """The values of a reading of /metrics (Prometheus' text format), by the names of their samples.

    Samples of one name with several labels are added up; with `model`, only those are counted whose label
    `model_name` is that, or which do not have this label. Buckets of histograms (names that end in _bucket) are left
    out. Raises ValueError for what is no such text.
    """
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                continue
            if model is not None and sample.labels.get("model_name", model) != model:
                continue
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


@dataclass(frozen=True)
class Hits:
    """What the prefix cache had."""

    hit: int
    """tokens that did not have to be computed"""
    asked: int
    """tokens of prompts that were looked up"""


def cache_hits(before: str, after: str, model: str | None = None) -> Hits:
    """What the prefix cache had between two readings of /metrics.

    The differences of `vllm:prefix_cache_hits_total` and `vllm:prefix_cache_queries_total`, as `read_metrics` reads
    them; a counter that a reading does not have is 0 in it. A counter that fell was begun anew, with the server: then
    what the second reading says of both is all that is known to have been since.
    """
    names = ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total")
    first, second = read_metrics(before, model), read_metrics(after, model)
    old = [first.get(name, 0.0) for name in names]
    new = [second.get(name, 0.0) for name in names]
    if any(then > now for then, now in zip(old, new, strict=True)):
        old = [0.0, 0.0]
    hit, asked = (int(now - then) for then, now in zip(old, new, strict=True))
    return Hits(hit, asked)


def meter_line(speed: Speed, cached: int | None, prompt: int | None) -> str:
    """What the page shows below an answer: "31 tokens · first after 84 ms · 212 tokens/s · 48 of 63 prompt tokens
    cached".

    Parts that are not known are left out, and so is the last one where the prompt's tokens are None or 0. "1 token"
    has no s. The time is in whole milliseconds, from 1 s on in seconds with one digit after the point ("1.2 s"). The
    rate is a whole number from 10 on, and below has one digit after the point. Without any tokens, "".
    """
    if not speed.tokens:
        return ""
    parts = [f"{speed.tokens} token{'' if speed.tokens == 1 else 's'}"]
    if speed.first is not None:
        whole = f"{1000 * speed.first:.0f} ms" if speed.first < 0.9995 else f"{speed.first:.1f} s"
        parts.append(f"first after {whole}")
    if speed.rate is not None:
        parts.append(f"{speed.rate:.0f} tokens/s" if speed.rate >= 9.95 else f"{speed.rate:.1f} tokens/s")
    if prompt and cached is not None:
        parts.append(f"{cached} of {prompt} prompt tokens cached")
    return " · ".join(parts)
