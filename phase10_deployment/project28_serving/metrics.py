"""What Prometheus reads, under the names that vLLM's users know.

Counted is what happens, once, where it happens: tokens when the engine has written them, a request when it has ended. A
request that is refused, or asked a second time because its client tried again, is another one; one with n texts is one
request, and n texts that have finished.

prometheus-client would write `vllm_x` for `vllm:x` to a Prometheus that asks for OpenMetrics, as it does, and a
dashboard would show nothing. So the text format 0.0.4 is served, whatever is asked for.
"""

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from phase10_deployment.project28_serving.given.wire import Piece

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FIRST_TOKEN = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.02,
    0.04,
    0.08,
    0.16,
    0.32,
    0.64,
    1.28,
    2.56,
    5.12,
    10.24,
    20.48,
    40.96,
)
BETWEEN = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56)
WHOLE = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84)
LENGTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
GAUGES = {"num_requests_running": "texts that run", "num_requests_waiting": "texts that wait"}
COUNTERS = {
    "prefix_cache_queries": ("queried", "tokens of prompts that came in"),
    "prefix_cache_hits": ("hit", "tokens of prompts that did not have to be computed"),
    "num_preemptions": ("preempted", "texts that were sent back to wait"),
    "spec_decode_num_draft_tokens": ("guessed", "tokens that were guessed"),
    "spec_decode_num_accepted_tokens": ("accepted", "guesses that stayed"),
}
"""of the engine's own counts: the name, the name in its stats, and what it is"""


class Metrics:
    """All metrics of a server, in a registry of their own."""

    def __init__(self, model: str):
        """`model` is the label "model_name" of each."""
        self.registry = CollectorRegistry()
        label = {"labelnames": ["model_name"], "registry": self.registry}

        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(f"vllm:{name}", text, buckets=buckets, **label).labels(model)

        self.gauges = {
            name: Gauge(f"vllm:{name}", text, **label).labels(model) for name, text in GAUGES.items()
        }
        self.usage = Gauge(
            "vllm:kv_cache_usage_perc", "share of the blocks in use, 1 is all", **label
        ).labels(model)
        self.counters = {
            name: Counter(f"vllm:{name}", text, **label).labels(model) for name, (_, text) in COUNTERS.items()
        }
        self.prompt_tokens = Counter("vllm:prompt_tokens", "tokens of prompts", **label).labels(model)
        self.generation_tokens = Counter("vllm:generation_tokens", "tokens written", **label).labels(model)
        self.success = Counter(
            "vllm:request_success", "texts that have ended, by the reason", ["model_name", "finished_reason"],
            registry=self.registry,
        )  # fmt: skip
        self.refused = Counter(
            "ladder:request_refused", "requests that were not taken in, by status", ["model_name", "status"],
            registry=self.registry,
        )  # fmt: skip
        self.model = model
        self.first_token = histogram("time_to_first_token_seconds", "until the first token", FIRST_TOKEN)
        self.between = histogram("inter_token_latency_seconds", "between two tokens of a text", BETWEEN)
        self.whole = histogram("e2e_request_latency_seconds", "until the end of a request", WHOLE)
        self.prompt_lengths = histogram("request_prompt_tokens", "tokens of the prompt of a request", LENGTHS)
        self.lengths = histogram(
            "request_generation_tokens", "tokens of a text that was written to its end", LENGTHS
        )
        for reason in ("stop", "length", "abort", "error"):
            self.success.labels(model, reason)  # there from the beginning, as 0
        self.seen = dict.fromkeys(COUNTERS, 0)
        """of each of the engine's counts, what has been counted of it"""

    def engine(self, stats: Mapping[str, int]) -> None:
        """The engine has sent its `stats`: gauges are set, and counters grow to what it has counted since its start.

        The share of blocks in use is 1 - free / blocks. A count that went back, as of an engine that was started anew,
        adds all of what it says.
        """
        self.gauges["num_requests_running"].set(stats["running"])
        self.gauges["num_requests_waiting"].set(stats["waiting"])
        self.usage.set(1 - stats["free"] / stats["blocks"])
        for name, (source, _) in COUNTERS.items():
            seen, now = self.seen[name], stats[source]
            self.counters[name].inc(now - seen if now >= seen else now)
            self.seen[name] = now

    def refuse(self, status: int) -> None:
        """A request was not taken in."""
        self.refused.labels(self.model, str(status)).inc()

    def text(self) -> bytes:
        """All of it in the text format 0.0.4, CONTENT_TYPE."""
        return generate_latest(self.registry)


class Watch:
    """One request's part in the metrics, from when it came to when it has ended."""

    def __init__(self, metrics: Metrics, prompts: Sequence[int], texts: int, now: float):
        """It came at `now`, in seconds, with prompts of so many tokens, for `texts` texts in all."""
        self.metrics, self.prompts, self.came = metrics, list(prompts), now
        self.last: dict[int, float] = {}
        """by text, when its last token came"""
        self.written = dict.fromkeys(range(texts), 0)
        """by text, how many tokens it has"""
        self.ended: set[int] = set()
        self.begun = self.over = False

    def pieces(self, pieces: Sequence[Piece], now: float) -> None:
        """Something came at `now`.

        The first time that there is a token, or an end, of whichever text, the request's prompts are counted, in
        `prompt_tokens` and each in `prompt_lengths`, and the time since it came is the time to its first token. Tokens
        are counted in `generation_tokens`. k tokens of a text that has some already are k observations between two
        tokens, each the kth part of the time since its last one; first tokens that come together are one first token,
        and no time between. A piece with a reason ends its text: `request_success` of the reason, and but for an error
        its length in `lengths`.
        """
        for piece in pieces:
            count = len(piece.tokens)
            if not self.begun and (count or piece.reason is not None):
                self._begin(now)
            if count:
                self.metrics.generation_tokens.inc(count)
                if piece.index in self.last:
                    for _ in range(count):
                        self.metrics.between.observe((now - self.last[piece.index]) / count)
                self.last[piece.index] = now
                self.written[piece.index] += count
            if piece.reason is not None and piece.index not in self.ended:
                self._end(piece.index, piece.reason)

    def _begin(self, now: float) -> None:
        self.begun = True
        self.metrics.first_token.observe(now - self.came)
        for length in self.prompts:
            self.metrics.prompt_tokens.inc(length)
            self.metrics.prompt_lengths.observe(length)

    def _end(self, index: int, reason: str) -> None:
        self.ended.add(index)
        self.metrics.success.labels(self.metrics.model, reason).inc()
        if reason != "error":
            self.metrics.lengths.observe(self.written[index])

    def finish(self, now: float) -> None:
        """The request is over at `now`, done or given up; the second time nothing is counted.

        Texts that have not ended were aborted: each is counted in `request_success` as "abort". Where all have ended,
        the time since it came goes into the latency of whole requests.
        """
        if self.over:
            return
        self.over = True
        left = set(self.written) - self.ended
        for _ in left:
            self.metrics.success.labels(self.metrics.model, "abort").inc()
        if not left:
            self.metrics.whole.observe(now - self.came)
