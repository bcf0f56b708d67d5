"""Two real servers behind a real nginx, a steady load, and one of the two killed in the middle of it.

    python -m phase10_deployment.project29_docker.failover [--streams 8] [--seconds 12] [--end kill|drain]
    [--stand-in]

Every request is counted: whole; tried again by nginx and whole; cut in its midst, which only a kill may do;
refused.
"""

import asyncio
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console

from phase10_deployment.project29_docker.given import programs, server
from phase10_deployment.project29_docker.given.streams import conf
from shared.command import exits_with_message
from shared.options import run_command


@dataclass
class Counts:
    """What became of the requests of a run."""

    whole: int = 0
    cut: int = 0
    """streams that had begun, and ended without `[DONE]`"""
    refused: int = 0
    """answered with another status than 200"""
    unanswered: int = 0
    """connections that ended before a byte of an answer"""
    first_before: list[float] = field(default_factory=list)
    """seconds to the first event, of requests that began while both servers stood"""
    first_after: list[float] = field(default_factory=list)
    """the same, of those that began later"""


async def one_stream(
    client: httpx.AsyncClient, url: str, body: dict[str, object], counts: Counts, ended: asyncio.Event
) -> None:
    """Ask for a stream, read it, and count how it ended."""
    start, began = time.perf_counter(), False
    times = counts.first_after if ended.is_set() else counts.first_before
    try:
        async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
            if answer.status_code != 200:
                counts.refused += 1
                return
            async for line in answer.aiter_lines():
                if line.startswith("data: ") and not began:
                    began = True
                    times.append(time.perf_counter() - start)
                if line == "data: [DONE]":
                    counts.whole += 1
                    return
        counts.cut += 1
    except httpx.HTTPError:
        if began:
            counts.cut += 1
        else:
            counts.unanswered += 1


async def load(
    url: str, victim: server.Server, model: str, streams: int, seconds: float, tokens: int, end: str
) -> Counts:
    """So many streams at all times; in the middle, the victim is killed, or told to end, or left alone (`none`)."""
    counts, ended, over = Counts(), asyncio.Event(), time.monotonic() + seconds

    async def client_loop(client: httpx.AsyncClient, number: int) -> None:
        turn = 0
        await asyncio.sleep(0.04 * number)  # or all would be at the same place when one server ends
        while time.monotonic() < over:
            body = {
                "model": model, "stream": True, "max_tokens": tokens, "min_tokens": tokens, "ignore_eos": True,
                "messages": [{"role": "user", "content": f"Tell story {number}, part {turn}."}],
                "before": 0.1,  # a stand-in waits so long before its first byte; a server does not know the word
            }  # fmt: skip
            await one_stream(client, url, body, counts, ended)
            turn += 1

    async def killer() -> None:
        await asyncio.sleep(seconds / 2)
        ended.set()
        if end == "kill":
            victim.process.kill()
        elif end == "drain":
            victim.process.terminate()

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=120, limits=limits, trust_env=False) as client:
        await asyncio.gather(killer(), *(client_loop(client, number) for number in range(streams)))
    return counts


def fail_over(
    streams: int,
    seconds: float,
    tokens: int = 24,
    end: str = "kill",
    stand_in: bool = False,
    model: str = "tiny-chat",
    plain: bool = False,
) -> tuple[Counts, int | None]:
    """Start two servers and nginx, load them, and end one; returns the counts, and its exit code where it had to drain.

    `plain` takes nginx as it is by default.

    Raises OSError where nginx or a server does not start.
    """
    command = server.stand_in("--pause", "0.01") if stand_in else server.command(model)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = [stack.enter_context(server.running(command)) for _ in range(2)]
        port = programs.free_port()
        text = conf(plain, [f"127.0.0.1:{one.port}" for one in servers], port, str(folder / "nginx"))
        stack.enter_context(programs.nginx(text, folder / "nginx", port))
        url = f"http://127.0.0.1:{port}"
        counts = asyncio.run(load(url, servers[0], model, streams, seconds, tokens, end))
        code = servers[0].process.wait(60) if end == "drain" else None
    return counts, code


def main(
    streams: Annotated[int, typer.Option(help="Streams that are open at all times.")] = 8,
    seconds: Annotated[float, typer.Option(help="How long; one server ends in the middle.")] = 12.0,
    end: Annotated[str, typer.Option(help="kill, drain (SIGTERM) or none.")] = "kill",
    stand_in: Annotated[bool, typer.Option("--stand-in", help="Servers without a model.")] = False,
) -> None:
    """Two servers behind nginx, one ended in mid-load; exit code 1 if a request that had not begun was lost."""
    with exits_with_message(Console(stderr=True), ValueError):
        if end not in ("kill", "drain", "none"):
            raise ValueError(f"end is {end!r}; it is kill, drain or none")
        counts, code = fail_over(streams, seconds, end=end, stand_in=stand_in)
    lost = counts.refused + counts.unanswered + (counts.cut if end != "kill" else 0)
    said = {key: value for key, value in asdict(counts).items() if not key.startswith("first")}
    worst = {
        f"slowest {key}": round(max(times, default=0.0), 3)
        for key, times in asdict(counts).items()
        if key.startswith("first")
    }
    print(json.dumps({"end": end, **said, **worst, "exit code": code, "lost": lost}))
    sys.exit(1 if lost or code else 0)


if __name__ == "__main__":
    run_command(main)
