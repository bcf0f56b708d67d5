"""Put a server under load, and compare its counters with what the clients counted: ladder run 28 load --url http://…"""

import asyncio
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from phase10_deployment.project28_serving.given.loading import Load, disagreements, read_metrics, run, settled
from shared.command import exits_with_message
from shared.options import run_command


def main(
    url: Annotated[str, typer.Option(help="The server's address.")],
    requests: Annotated[int, typer.Option(help="How many requests, at each number of streams.")] = 200,
    streams: Annotated[
        list[int] | None, typer.Option(help="How many at once; give it again for more.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(help="The most tokens of a text.")] = 48,
    disconnects: Annotated[float, typer.Option(help="The share of clients that go away.")] = 0.0,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Chats and completions, streamed and whole.")
    ] = False,
    key: Annotated[str, typer.Option(help="An API key.", show_default=False)] = "",
    seed: Annotated[int, typer.Option(help="The same seed asks the same.")] = 0,
) -> None:
    """Throughput and latency by the number of streams; exit code 1 where a request failed or a counter is wrong."""
    console, wrong = Console(stderr=True), 0
    table = Table("streams", "answered", "refused", "left", "failed", "tokens/s", "first token, ms (p50, p95, p99)",
                  "between, ms", "whole, ms")  # fmt: skip
    with exits_with_message(console, ValueError):
        if requests < 1 or not 0 <= disconnects <= 1 or max_tokens < 1:
            raise ValueError("requests and max_tokens are 1 or more, disconnects from 0 to 1")
        for number, count in enumerate(streams or [1, 4, 16]):
            load = Load(requests, count, max_tokens, 24, disconnects, mixed, seed=seed + number, key=key)
            before = read_metrics(url, key)
            loaded = asyncio.run(run(url, load))
            after = asyncio.run(settled(url, key))
            faults = disagreements(before, after, loaded)
            wrong += len(faults) + len(loaded.failed)
            refused = sum(one.status == 429 for one in loaded.exchanges)
            left = sum(one.left for one in loaded.exchanges)
            columns = (
                ", ".join(f"{one:.1f}" for one in loaded.percentiles(name).values())
                for name in ("first", "between", "seconds")
            )
            table.add_row(str(count), str(len(loaded.whole)), str(refused), str(left), str(len(loaded.failed)),
                          f"{loaded.throughput:,.0f}", *columns)  # fmt: skip
            for fault in faults:
                console.print(f"counter: {fault}", style="red")
    Console(width=160).print(table)
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    run_command(main)
