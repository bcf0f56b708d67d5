"""Measures what project 30 promises: what the page costs beside the plain client, and how fast it draws.

    python -m phase10_deployment.project30_gradio.benchmark --preset cpu

The same questions go to one server through the OpenAI client alone and through all that the page does with an answer
(`given/talk.py`), which must give the same text. `full` also asks in a real browser, where there is one.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phase10_deployment.project30_gradio.engine_view import (
    assign_places,
    draw_blocks,
    draw_queues,
    draw_steps,
)
from phase10_deployment.project30_gradio.given.browser import Window, browser, eventually, running, why_not
from phase10_deployment.project30_gradio.given.launch import PAGE, PRETEND, SERVE, started
from phase10_deployment.project30_gradio.given.server import ServerLink
from phase10_deployment.project30_gradio.given.talk import answer_turns
from shared.config import parse
from shared.ladder.project import load
from shared.measuring.arms import Arm, Report, measure

FOLDER = Path(__file__).parent
QUESTION = [{"role": "user", "content": "Tell me a story about a dog and a boat."}]
CLIENT, PAGES, CANDIDATES = "the plain client", "the page", "the page, with 5 candidates a token"


@dataclass(frozen=True)
class Settings:
    """What is measured, and how often."""

    preset: str = "cpu"
    model: str = "tiny-chat"
    """what is served; "pretend" is the server without a model"""
    tokens: int = 128
    """tokens of an answer"""
    repeats: int = 9
    blocks: list[int] = field(default_factory=lambda: [64])
    """sizes of the block tables that are drawn"""
    draws: int = 30
    in_browser: bool = False

    def __post_init__(self) -> None:
        if min(self.tokens, self.repeats, self.draws, *self.blocks) < 1:
            raise ValueError("tokens, repeats, draws and each of blocks must be at least 1")


Asked = Callable[[], Coroutine[Any, Any, tuple[str, float]]]


def ways(link: ServerLink, model: str, tokens: int) -> dict[str, Asked]:
    """The ways to ask, by name: each gives the text and the seconds to its first words."""
    values = {"temperature": 0.0, "max_tokens": tokens, "min_tokens": tokens}

    async def plain() -> tuple[str, float]:
        begin, first, text = time.perf_counter(), 0.0, ""
        stream = await link.client.chat.completions.create(
            model=model, messages=QUESTION, stream=True, temperature=0.0, max_tokens=tokens,  # pyright: ignore
            extra_body={"min_tokens": tokens},
        )  # fmt: skip
        async for chunk in stream:
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
            first = first or (time.perf_counter() - begin if text else 0.0)
        return text, first

    async def page(candidates: int) -> tuple[str, float]:
        begin, first, turn = time.perf_counter(), 0.0, None
        async with aclosing(answer_turns(link, model, QUESTION, "", values, candidates)) as turns:
            async for turn in turns:
                if turn.trouble:
                    raise RuntimeError(turn.trouble)
                first = first or (time.perf_counter() - begin if turn.reply.text else 0.0)
        return ("" if turn is None else turn.reply.text), first

    return {CLIENT: plain, PAGES: lambda: page(0), CANDIDATES: lambda: page(5)}


def measure_answers(report: Report, settings: Settings, url: str) -> None:
    """First words and tokens a second, through the page and through the client alone."""
    loop = asyncio.new_event_loop()
    link = ServerLink(url)
    [model, *_] = loop.run_until_complete(link.models())
    firsts: dict[str, list[float]] = {}

    def arm(name: str, ask: Asked) -> Arm:
        def run() -> str:
            text, first = loop.run_until_complete(ask())
            firsts.setdefault(name, []).append(first)
            return text

        return Arm(name, run, work=settings.tokens)

    def same(texts: Any) -> None:
        if len(set(texts.values())) != 1:
            raise AssertionError(f"the texts differ: {texts}")

    arms = [arm(name, ask) for name, ask in ways(link, model, settings.tokens).items()]
    measured = measure(arms, check=same, warmup=2, repeats=settings.repeats, seconds=45)
    later = {name: 1000 * statistics.median(times[3:]) for name, times in firsts.items()}
    report.figure(
        "first words, later than the plain client", later[PAGES] - later[CLIENT], "ms", ("<=", 25),
        {CANDIDATES: later[CANDIDATES] - later[CLIENT]},
        note=f"the plain client has them after {later[CLIENT]:.1f} ms; medians of {settings.repeats}",
    )  # fmt: skip
    rates = {name: one.throughput / measured[CLIENT].throughput for name, one in measured.items()}
    report.figure(
        "tokens a second, share of the plain client's", rates[PAGES], "", (">=", 0.9), {CANDIDATES: rates[CANDIDATES]},
        note=f"answers of {settings.tokens} tokens, one at a time; the plain client: "
        f"{measured[CLIENT].throughput:,.0f} tokens/s",
    )  # fmt: skip
    waits = [loop.run_until_complete(stopped(link, model, url)) for _ in range(settings.repeats)]
    report.figure(
        "a stop frees the engine", 1000 * statistics.median(waits), "ms", ("<=", 500),
        note="from closing the generator to the server's gauge at 0, looked at every 5 ms",
    )  # fmt: skip
    loop.run_until_complete(link.close())
    loop.close()


async def stopped(link: ServerLink, model: str, url: str) -> float:
    """Seconds from a stop in mid-answer until the server works on nothing."""
    values = {"max_tokens": 400, "min_tokens": 400}
    turns = answer_turns(link, model, QUESTION, "", values)
    async for turn in turns:
        if turn.reply.text or turn.trouble:
            break
    begin = time.perf_counter()
    await turns.aclose()
    while await asyncio.to_thread(running, url):
        if time.perf_counter() - begin > 20:
            raise RuntimeError("the server goes on 20 s after a stop")
        await asyncio.sleep(0.005)
    return time.perf_counter() - begin


def an_event(step: int, blocks: int) -> dict[str, Any]:
    """A step of a full engine: a sequence for each eight blocks, the first block shared by all."""
    count = max(1, (blocks - 1) // 8)
    running = [
        {
            "id": number,
            "request": f"chatcmpl-{number:08x}",
            "tokens": 120,
            "computed": 119,
            "scheduled": 1,
            "blocks": [0, *range(1 + 7 * number, 8 + 7 * number)],
        }
        for number in range(count)
    ]
    waiting = [{"id": 1000 + number, "request": f"chatcmpl-w{number}", "tokens": 80} for number in range(20)]
    return {
        "step": step, "running": running, "waiting": waiting, "free": 0, "blocks": blocks, "block_size": 16,
        "hits": 0, "preempted": [],
    }  # fmt: skip


def measure_drawing(report: Report, settings: Settings) -> None:
    """What a step costs until it is drawn, with a window of 60 steps, at several sizes of the table."""
    seconds = {}
    for blocks in settings.blocks:
        events = [an_event(step, blocks) for step in range(60)]
        places = [assign_places({}, event) for event in events]

        def draw(events: list[Any] = events, places: list[Any] = places) -> int:
            now = assign_places(places[-2], events[-1])
            drawn = [draw_blocks(events[-1], now), draw_queues(events[-1], now), draw_steps(events, places)]
            return sum(map(len, drawn))

        name = f"{blocks:,} blocks, {len(events[0]['running'])} running"
        seconds[name] = measure([Arm(name, draw)], repeats=settings.draws, seconds=10)[name].seconds
    (first, least), *others = seconds.items()
    report.figure(
        "a step of the engine drawn", 1000 * least, "ms", ("<=", 10),
        {name: 1000 * other for name, other in others}, note=f"{first}; {1 / least:,.0f} steps a second",
    )  # fmt: skip


def measure_in_browser(report: Report, settings: Settings, url: str) -> None:
    """From Enter to the first words on the screen, in a real browser."""
    if reason := why_not():
        print(f"the browser is left out: {reason}", file=sys.stderr)
        return
    times = []
    with started(PAGE, "--server", url, "--port", "0") as page, browser() as opened:
        for _ in range(settings.repeats):
            window = Window(opened, page.url)
            begin = time.perf_counter()
            window.say(QUESTION[0]["content"])
            eventually(window.answer, window=window)
            times.append(time.perf_counter() - begin)
            window.page.close()
    report.figure(
        "first words on the screen of a browser", 1000 * statistics.median(times), "ms",
        note="from Enter, looked at every 50 ms; gradio and the browser share the server's cores",
    )  # fmt: skip


def main() -> None:
    """Measure project 30 with the settings of a preset."""
    settings = parse(Settings, FOLDER / "configs", description=main.__doc__ or "")
    command = f"python -m phase10_deployment.project30_gradio.benchmark --preset {settings.preset}"
    report = Report(FOLDER, load(FOLDER).promise, settings.preset, command)
    print("drawing …", file=sys.stderr)
    measure_drawing(report, settings)
    print("answers …", file=sys.stderr)
    served = (PRETEND, "--pause", "0.002") if settings.model == "pretend" else (
        SERVE, "--model", settings.model, "--port", "0", "--debug",
    )  # fmt: skip
    with started(*served) as server:
        measure_answers(report, settings, server.url)
        if settings.in_browser:
            print("in a browser …", file=sys.stderr)
            measure_in_browser(report, settings, server.url)
    report.finish()


if __name__ == "__main__":
    main()
