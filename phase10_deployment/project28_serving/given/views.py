"""Who looks at the engine's steps: each has one place for what is new, and skips what it was too slow to see."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any


class Views:
    """All that look. `watch` tells the engine whether anybody does."""

    def __init__(self, watch: Callable[[bool], None] = lambda on: None):
        self.watch = watch
        self.readers: dict[asyncio.Queue[dict[str, Any]], bool] = {}
        """each with whether it has had its snapshot"""

    def put(self, view: dict[str, Any]) -> None:
        """A step was made. A reader whose place is taken misses the older one."""
        for queue, begun in self.readers.items():
            if not begun and not view.get("snapshot"):
                continue
            self.readers[queue] = True
            while queue.full():
                queue.get_nowait()
            queue.put_nowait(view)

    async def events(self) -> AsyncIterator[bytes]:
        """A snapshot, and then the steps, as server-sent events; a comment every 15 seconds keeps the connection."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=2)
        self.readers[queue] = False
        self.watch(True)
        try:
            while True:
                try:
                    async with asyncio.timeout(15):
                        view = await queue.get()
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                name = "snapshot" if view.pop("snapshot", False) else "step"
                yield f"event: {name}\ndata: {json.dumps(view)}\n\n".encode()
        finally:
            del self.readers[queue]
            if not self.readers:
                self.watch(False)
