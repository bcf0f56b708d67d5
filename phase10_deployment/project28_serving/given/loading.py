"""Many requests at once, of several kinds, some of whose clients go away; and what they say all together."""

import asyncio
import random
import statistics
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from phase10_deployment.project28_serving.given.plain_client import Exchange, ask

WORDS = [
    "Mia",
    "Ben",
    "Tara",
    "Max",
    "the",
    "a",
    "red",
    "kite",
    "dog",
    "park",
    "sun",
    "tree",
    "went",
    "ran",
    "saw",
]


@dataclass
class Load:
    """What is asked of a server."""

    requests: int = 64
    at_once: int = 16
    """how many are on their way at any time"""
    max_tokens: int = 48
    prompt_words: int = 24
    disconnects: float = 0.0
    """the share of clients that go away before the end"""
    mixed: bool = False
    """chats and completions, streamed and whole, of one text and of two; else streamed completions alone"""
    rate: float = 0.0
    """requests a second, at random times, in place of `at_once`; 0 is none"""
    seed: int = 0
    key: str = ""


@dataclass
class Loaded:
    """What came of it."""

    exchanges: list[Exchange] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def whole(self) -> list[Exchange]:
        """Those that were answered to their end."""
        return [one for one in self.exchanges if one.status == 200 and one.done]

    @property
    def failed(self) -> list[Exchange]:
        """Those that were neither answered to their end, nor refused, nor left by their clients."""
        return [
            one
            for one in self.exchanges
            if not one.left and not (one.done and (one.status == 200 or one.status in (429, 503)))
        ]

    @property
    def tokens(self) -> int:
        """Tokens written, of those that were answered to their end."""
        return sum(one.tokens for one in self.whole)

    @property
    def throughput(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds if self.seconds else 0.0

    def percentiles(self, name: str = "first") -> dict[str, float]:
        """The median, p95 and p99 of "first", "seconds" or "between" (two events), in milliseconds."""
        if name == "between":
            values = [b - a for one in self.whole for a, b in zip(one.events, one.events[1:], strict=False)]
        else:
            values = [getattr(one, name) for one in self.whole]
        return percentiles(values)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The median, p95 and p99 of seconds, in milliseconds; zeros where there are none."""
    if not values:
        return {"p50": 0.0, "p95": 0.0, "p99": 0.0}
    if len(values) == 1:
        return dict.fromkeys(("p50", "p95", "p99"), 1000 * values[0])
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {f"p{share}": 1000 * cuts[share - 1] for share in (50, 95, 99)}


def bodies(load: Load) -> list[tuple[str, dict[str, Any], int | None]]:
    """Path, body and after how many events the client leaves, of each request: the same for a seed."""
    draw, found = random.Random(load.seed), []
    for _ in range(load.requests):
        text = " ".join(draw.choices(WORDS, k=load.prompt_words))
        body: dict[str, Any] = {
            "max_tokens": load.max_tokens,
            "seed": draw.randrange(2**31),
            "ignore_eos": True,
        }
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        path, leave = "/v1/completions", None
        if load.mixed:
            body |= {"stream": draw.random() < 0.7, "n": draw.choice([1, 1, 1, 2])}
            body["max_tokens"] = draw.randint(1, load.max_tokens)
            if draw.random() < 0.5:
                path = "/v1/chat/completions"
        if path == "/v1/completions":
            body["prompt"] = text
        else:
            body["messages"] = [{"role": "user", "content": text}]
        if draw.random() < load.disconnects:
            leave = draw.choice([0, 1, 2, 5]) if body["stream"] else 0
        found.append((path, body, leave))
    return found


async def run(url: str, load: Load) -> Loaded:
    """Send all of it."""
    loop, waiting, found = asyncio.get_running_loop(), bodies(load), Loaded()
    waiting.reverse()
    start = loop.time()

    async def one(path: str, body: dict[str, Any], leave: int | None) -> None:
        found.exchanges.append(await ask(url, path, body, load.key, leave))

    async def worker() -> None:
        while waiting:
            await one(*waiting.pop())

    if load.rate:
        draw, tasks = random.Random(load.seed + 1), []
        while waiting:
            await asyncio.sleep(draw.expovariate(load.rate))
            tasks.append(asyncio.create_task(one(*waiting.pop())))
        await asyncio.gather(*tasks)
    else:
        await asyncio.gather(*(worker() for _ in range(load.at_once)))
    found.seconds = loop.time() - start
    return found


def read_metrics(url: str, key: str = "") -> dict[str, float]:
    """The server's samples by name, those of one name added together; the reason of an end is part of the name."""
    request = urllib.request.Request(
        f"{url}/metrics", headers={"authorization": f"Bearer {key}"} if key else {}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith(("vllm:", "ladder:")) and "_bucket{" not in line:
            labels, _, value = line.rpartition(" ")
            name = labels.partition("{")[0]
            if 'finished_reason="' in labels:
                name += ":" + labels.partition('finished_reason="')[2].partition('"')[0]
            found[name] = found.get(name, 0.0) + float(value)
    return found


async def settled(url: str, key: str = "", patience: float = 30.0) -> dict[str, float]:
    """The metrics once nothing runs or waits any more, or when patience ends."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    while True:
        found = await asyncio.to_thread(read_metrics, url, key)
        idle = not found["vllm:num_requests_running"] and not found["vllm:num_requests_waiting"]
        if idle or loop.time() > end:
            return found
        await asyncio.sleep(0.1)


def disagreements(before: dict[str, float], after: dict[str, float], loaded: Loaded) -> list[str]:
    """Where counters differ from what the clients have counted; of requests that were left, clients know nothing."""
    rose = {name: value - before.get(name, 0.0) for name, value in after.items()}
    found = []
    ended = sum(rose.get(f"vllm:request_success_total:{reason}", 0) for reason in ("stop", "length"))
    if not any(one.left for one in loaded.exchanges):
        pairs = {
            "vllm:prompt_tokens_total": sum(one.prompt for one in loaded.whole),
            "vllm:generation_tokens_total": loaded.tokens,
            "vllm:request_generation_tokens_sum": loaded.tokens,
            "vllm:e2e_request_latency_seconds_count": len(loaded.whole),
        }
        found += [
            f"{name}: {rose[name]:g}, clients {own}" for name, own in pairs.items() if rose[name] != own
        ]
    elif rose["vllm:request_generation_tokens_sum"] < loaded.tokens:
        found.append(
            f"lengths: {rose['vllm:request_generation_tokens_sum']:g}, clients at least {loaded.tokens}"
        )
    if ended < len(loaded.whole):
        found.append(f"texts that ended: {ended:g}, clients at least {len(loaded.whole)}")
    for gauge in ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"):
        if after[gauge]:
            found.append(f"{gauge}: {after[gauge]:g}, and nobody is there")
    return found
