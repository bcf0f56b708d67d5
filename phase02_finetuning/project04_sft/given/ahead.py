"""Conversations made ahead of training, in processes of their own: a GPU takes them faster than one makes them."""

import multiprocessing
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from typing import Generic, TypeVar

Settings = TypeVar("Settings")
Made = TypeVar("Made")


class Ahead(Generic[Settings, Made]):
    """Calls `make(settings, number)` for 0, 1, 2, … and gives the same, sooner: what follows a number is on its way.

    `make` is a function of a module, and settings and results can be pickled. Processes begin at the first call.
    """

    def __init__(self, make: Callable[[Settings, int], Made], settings: Settings, workers: int) -> None:
        self.make = partial(make, settings)
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._coming: dict[int, Future[Made]] = {}

    def __call__(self, number: int) -> Made:
        """What `make` makes of this number."""
        if self._pool is None:
            # Not forked: a copy of a process that has threads, or a GPU, may stop for ever.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, context, _leave_interrupts_to_the_trainer)
        for one in range(number, number + 2 * self.workers):
            if one not in self._coming:
                self._coming[one] = self._pool.submit(self.make, one)
        for old in [one for one in self._coming if one < number]:
            del self._coming[old]
        return self._coming.pop(number).result()

    def close(self) -> None:
        """End the processes; what is on its way is dropped."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool, self._coming = None, {}


def _leave_interrupts_to_the_trainer() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
