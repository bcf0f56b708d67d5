"""A stand-in for the server, without a model: it streams what it is told, drains on SIGTERM, and counts.

    python -I replica.py [--port 0] [--name a] [--tokens 20] [--pause 0.01]

Standard library alone, so that it is up at once. It speaks as much of the server's language as nginx, Prometheus
and the tests here need: /health, /ready, /metrics, and chat as server-sent events, with `x-served-by` naming the
replica.
"""

import argparse
import asyncio
import contextlib
import json
import signal

GAUGES = ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc")
COUNTERS = (
    "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total", "vllm:num_preemptions_total",
    "vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:spec_decode_num_draft_tokens_total",
    "vllm:spec_decode_num_accepted_tokens_total",
)  # fmt: skip
HISTOGRAMS = (
    "vllm:time_to_first_token_seconds", "vllm:inter_token_latency_seconds", "vllm:e2e_request_latency_seconds",
)  # fmt: skip


class Replica:
    """One server: what it has done, and whether it still takes requests."""

    def __init__(self, name: str, tokens: int, pause: float) -> None:
        self.name, self.tokens, self.pause = name, tokens, pause
        self.running = self.served = self.written = 0
        self.draining = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the requests of one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path = head.split()[:2]
                fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                await self.route(method, path, body, writer)
                await writer.drain()
        writer.close()

    async def route(self, method: str, path: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        if path == "/metrics":
            self.say(writer, 200, self.metrics(), "text/plain; version=0.0.4; charset=utf-8")
        elif path == "/health":
            self.say(writer, 200, "alive")
        elif path == "/ready" or self.draining.is_set():
            self.say(
                writer,
                503 if self.draining.is_set() else 200,
                "draining" if self.draining.is_set() else "ready",
            )
        elif method == "POST" and path == "/v1/chat/completions":
            await self.stream(json.loads(body or b"{}"), writer)
        else:
            self.say(writer, 404, "there is no such route")

    def say(self, writer: asyncio.StreamWriter, status: int, text: str, kind: str = "text/plain") -> None:
        """An answer in one piece."""
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n"
            f"x-served-by: {self.name}\r\n\r\n{text}".encode()
        )

    async def stream(self, body: dict[str, object], writer: asyncio.StreamWriter) -> None:
        """A chat's tokens, one event each, then `[DONE]`. `before` seconds pass before the first byte."""
        self.running += 1
        self.idle.clear()
        try:
            await asyncio.sleep(float(str(body.get("before", 0))))
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
                + f"x-served-by: {self.name}\r\n\r\n".encode()
            )
            for index in range(int(str(body.get("max_tokens", self.tokens)))):
                event = json.dumps({"choices": [{"index": 0, "delta": {"content": f"{index} "}}]})
                self.chunk(writer, f"data: {event}\n\n")
                await writer.drain()
                self.written += 1
                await asyncio.sleep(self.pause)
            self.chunk(writer, "data: [DONE]\n\n")
            writer.write(b"0\r\n\r\n")
            self.served += 1
        finally:
            self.running -= 1
            if not self.running:
                self.idle.set()

    def chunk(self, writer: asyncio.StreamWriter, text: str) -> None:
        """One chunk of a chunked answer."""
        writer.write(f"{len(text):x}\r\n{text}\r\n".encode())

    def metrics(self) -> str:
        """Prometheus' text: names as project 28 has them, numbers as far as this knows any."""
        label = 'model_name="stand-in"'
        lines = []
        for name in GAUGES:
            lines += [f"# TYPE {name} gauge", f"{name}{{{label}}} {self.running if 'running' in name else 0}"]
        for name in COUNTERS:
            count = self.written if "generation" in name else self.served
            lines += [f"# TYPE {name} counter", f"{name}{{{label}}} {count}"]
        name = "vllm:request_success_total"
        lines += [f"# TYPE {name} counter", f'{name}{{{label},finished_reason="stop"}} {self.served}']
        for name in HISTOGRAMS:
            lines += [f"# TYPE {name} histogram"]
            lines += [
                f'{name}_bucket{{{label},le="{edge}"}} {self.served}' for edge in ("0.1", "1.0", "+Inf")
            ]
            lines += [f"{name}_sum{{{label}}} {0.05 * self.served}", f"{name}_count{{{label}}} {self.served}"]
        return "\n".join(lines) + "\n"


async def serve(port: int, replica: Replica) -> None:
    """Listen until SIGTERM; then end when no stream is open."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, replica.draining.set)
    server = await asyncio.start_server(replica.answer, "127.0.0.1", port)
    print(f"serving stand-in on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await replica.draining.wait()
    await replica.idle.wait()
    await asyncio.sleep(0.05)


def main() -> None:
    """Read the options, and serve."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--name", default="a")
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--pause", type=float, default=0.01)
    options = parser.parse_args()

    async def run() -> None:
        await serve(options.port, Replica(options.name, options.tokens, options.pause))

    asyncio.run(run())


if __name__ == "__main__":
    main()
