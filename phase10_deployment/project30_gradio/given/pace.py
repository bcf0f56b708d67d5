"""No more often than somebody can see: of what comes fast, the newest, at once at first and then every so often.

Each value that is shown costs more than it took to arrive: it is made into JSON, sent, and drawn in a browser. So a
reader of its own reads on meanwhile, and what it has read by then is shown as one.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def paced(
    source: AsyncGenerator[T, None], seconds: float, seen: Callable[[T], bool]
) -> AsyncGenerator[T, None]:
    """The newest of what the source gives: the first at once, and then with at least so many seconds in between.

    `seen` is called with each value when it comes, and says whether it is worth showing. Nothing is held back for
    longer than the pause, not even where the source then gives nothing more; the last one comes when the source ends.
    What the source raises is raised after that. When this is closed or cancelled, the source is closed.
    """
    newest: list[T] = []  # none or one
    came = asyncio.Event()

    async def read() -> None:
        try:
            async with aclosing(source):
                async for one in source:
                    if seen(one):
                        newest[:] = [one]
                        came.set()
        finally:
            came.set()

    reader = asyncio.create_task(read())
    try:
        while newest or not reader.done():
            await came.wait()
            came.clear()
            if newest:
                yield newest.pop()
                await asyncio.wait([reader], timeout=seconds)
        await reader
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
