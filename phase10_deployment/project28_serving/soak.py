"""A long run at a share of what the server can do: ladder run 28 soak --minutes 60

Its memory and the p99 of the first token, minute by minute, go into a JSON file. It is for a machine left alone.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console

from phase10_deployment.project28_serving.given.background import Command, running
from phase10_deployment.project28_serving.given.loading import (
    Load,
    Loaded,
    disagreements,
    read_metrics,
    run,
    settled,
)
from shared.command import exits_with_message
from shared.files import write_text
from shared.options import run_command

FOLDER = Path(__file__).parent


def main(
    minutes: Annotated[float, typer.Option(help="How long.")] = 60,
    share: Annotated[float, typer.Option(help="Of the most requests a second that it can answer.")] = 0.8,
    model: Annotated[str, typer.Option(help="What is served.")] = "tiny-chat",
    disconnects: Annotated[float, typer.Option(help="The share of clients that go away.")] = 0.1,
    out: Annotated[Path, typer.Option(help="Where the result goes.")] = FOLDER / "results" / "soak.json",
) -> None:
    """Exit code 1 where a request failed, a counter is wrong, or memory grew by more than 5% after the first tenth."""
    console = Console(stderr=True)
    with exits_with_message(console, ValueError, RuntimeError):
        if minutes <= 0 or not 0 < share <= 1:
            raise ValueError(f"minutes are above 0, the share from 0 to 1, not {minutes} and {share}")
        with running("--model", model, "--port", "0") as server:
            found = asyncio.run(soak(server, minutes, share, disconnects, console))
    write_text(out, json.dumps(found, indent=1) + "\n")
    print(json.dumps({name: value for name, value in found.items() if name != "minutes"}))
    if found["failed"] or found["faults"] or found["growth"] > 0.05:
        sys.exit(1)


async def soak(
    server: Command, minutes: float, share: float, disconnects: float, console: Console
) -> dict[str, Any]:
    """First what it can do, with as many streams as it has places; then its share of that, minute by minute."""
    most = await run(server.url, Load(200, 16, mixed=True, seed=99))
    rate = share * len(most.whole) / most.seconds
    console.print(f"{len(most.whole) / most.seconds:.1f} requests a second at most; {rate:.1f} from now on")
    before, rows, total = read_metrics(server.url), [], Loaded()
    end, number = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < end:
        seconds = max(1.0, min(60.0, end - time.monotonic()))
        load = Load(max(1, int(rate * seconds)), rate=rate, mixed=True, disconnects=disconnects, seed=number)
        loaded = await run(server.url, load)
        number += 1
        first = loaded.percentiles("first")
        rows.append(
            {
                "memory": memory(server),
                "requests": len(loaded.exchanges),
                "failed": len(loaded.failed),
                **first,
            }
        )
        total.exchanges += loaded.exchanges
        total.seconds += loaded.seconds
        for one in loaded.exchanges:
            one.content, one.events = None, []
        console.print(f"{number}: {rows[-1]}")
    after = await settled(server.url)
    early = rows[len(rows) // 10]["memory"]
    return {
        "requests": len(total.exchanges),
        "rate": rate,
        "failed": len(total.failed),
        "refused": sum(one.status == 429 for one in total.exchanges),
        "faults": disagreements(before, after, total),
        "growth": max(row["memory"] for row in rows[len(rows) // 10 :]) / early - 1,
        "minutes": rows,
    }


def memory(server: Command) -> int:
    """Bytes that the server and its engine hold."""
    process = psutil.Process(server.process.pid)
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])


if __name__ == "__main__":
    run_command(main)
