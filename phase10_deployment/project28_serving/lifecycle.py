"""From start to stop: when the server takes requests, and how it goes without dropping any.

    starting  ->  ready  ->  draining  ->  stopped

Alive and ready are two things. A server that is loading its model, or that is about to go, is alive, and must not be
killed for it; but no request should be sent to it. On SIGTERM it turns unready at once, refuses what is new, and goes
when what it has begun is done, or when the time for that is over.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from phase10_deployment.project28_serving.given.errors import ApiError

STATES = ("starting", "ready", "draining", "stopped")


class Lifecycle:
    """Where the server is, and how many requests are in it."""

    def __init__(self):
        self.state = "starting"
        self.in_flight = 0
        self.failed: str | None = None
        """why it cannot go on; None where nothing is wrong"""
        self.empty = asyncio.Event()
        """set while no request is in flight"""
        self.empty.set()

    @property
    def alive(self) -> bool:
        """Whether it should be left to run: nothing has failed. To load, to drain or to be full is no failure."""
        return self.failed is None

    @property
    def ready(self) -> bool:
        """Whether requests should be sent to it."""
        return self.state == "ready" and self.alive

    def warm(self) -> None:
        """The model is loaded and has made a step: requests may come. Once it drains, this changes nothing."""
        if self.state == "starting":
            self.state = "ready"

    def fail(self, why: str) -> None:
        """Something has happened that it will not recover from. The first reason stays."""
        if self.failed is None:
            self.failed = why

    @contextmanager
    def request(self) -> Iterator[None]:
        """Inside the block a request is in flight, until its answer has been sent to the end, or has failed.

        Raises ApiError, status 503, where it is not `ready`, before anything is counted: with the code "starting" or
        "draining", the state, and "draining" too once it has stopped; or "engine_dead" where it has failed, whatever
        the state. But for this last one, `retry_after` is 1 second: another replica, or this one, will soon be there.
        """
        if not self.ready:
            code = "engine_dead" if not self.alive else "starting" if self.state == "starting" else "draining"
            after = None if code == "engine_dead" else 1.0
            raise ApiError(f"no requests are taken now: {self.failed or self.state}", None, 503, code, after)
        self.in_flight += 1
        self.empty.clear()
        try:
            yield
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self.empty.set()

    async def drain(self, patience: float) -> bool:
        """Take nothing new, and wait until nothing is in flight, at most `patience` seconds; returns whether all ended.

        The state is "draining" at once, and "stopped" when it returns. A second call while the first one waits, as for
        a second signal, waits no longer than its own patience; one after it returns at once.
        """
        if self.state != "stopped":
            self.state = "draining"
        try:
            async with asyncio.timeout(patience):
                await self.empty.wait()
        except TimeoutError:
            pass
        self.state = "stopped"
        return not self.in_flight
