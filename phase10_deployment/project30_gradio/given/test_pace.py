"""What comes fast is shown as one, nothing is held back, and who stops is noticed."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from phase10_deployment.project30_gradio.given.pace import paced

LONG = 1e6


def everything(value: int) -> bool:
    return True


class Source:
    """Numbers, each when it is told; notes whether it was closed."""

    def __init__(self, *pieces: int, then: Callable[[], None] | None = None):
        self.pieces, self.then, self.closed = pieces, then, False
        self.go = asyncio.Event()

    async def run(self) -> AsyncGenerator[int, None]:
        try:
            yield self.pieces[0]
            await self.go.wait()
            for piece in self.pieces[1:]:
                yield piece
            if self.then is not None:
                self.then()
            else:
                await asyncio.Event().wait()  # nothing comes any more, and nobody hangs up
        finally:
            self.closed = True


def nothing() -> None:
    return None


def breaks() -> None:
    raise ValueError("broken")


def test_what_came_meanwhile_is_shown_as_one():
    async def run() -> list[int]:
        source, got = Source(1, 2, 3, 4, then=nothing), []
        async for one in paced(source.run(), LONG, everything):
            got.append(one)
            source.go.set()
        return got

    assert asyncio.run(run()) == [1, 4]


def test_nothing_is_held_back():
    async def run() -> tuple[list[int], bool]:
        source, got = Source(1, 2, 3), []
        shown = paced(source.run(), 0.001, everything)
        async for one in shown:
            got.append(one)
            source.go.set()
            if one == 3:
                break
        before = source.closed
        await shown.aclose()
        return got, not before and source.closed

    got, closed_with_it = asyncio.run(run())
    assert got[0] == 1
    assert got[-1] == 3
    assert closed_with_it


def test_what_breaks_is_said_after_the_last():
    got: list[int] = []

    async def run() -> None:
        source = Source(1, 2, 3, then=breaks)
        async for one in paced(source.run(), LONG, everything):
            got.append(one)
            source.go.set()

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(run())
    assert got == [1, 3]


def test_what_breaks_at_once_is_said_at_once():
    async def broken() -> AsyncGenerator[int, None]:
        raise ValueError("broken")
        yield 1

    async def run() -> list[int]:
        return [one async for one in paced(broken(), LONG, everything)]

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(run())


def test_a_source_of_nothing_ends():
    async def empty() -> AsyncGenerator[int, None]:
        return
        yield 1

    async def run() -> list[int]:
        return [one async for one in paced(empty(), LONG, everything)]

    assert asyncio.run(run()) == []


def test_what_is_not_worth_showing_is_seen_and_does_not_count():
    seen = []

    def worth(value: int) -> bool:
        seen.append(value)
        return value % 2 == 0

    async def run() -> list[int]:
        source, got = Source(1, 2, 3, 4, 5, then=nothing), []
        source.go.set()
        async for one in paced(source.run(), LONG, worth):
            got.append(one)
        return got

    assert asyncio.run(run())[-1] == 4
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("worth", [True, False])
def test_a_task_that_is_cancelled_closes_the_source(worth: bool):
    async def run() -> bool:
        source, came = Source(1, 2), asyncio.Event()

        def seen(value: int) -> bool:
            came.set()
            return worth

        async def watch() -> None:
            async for _ in paced(source.run(), LONG, seen):
                pass

        task = asyncio.create_task(watch())
        await came.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return source.closed

    assert asyncio.run(run())
