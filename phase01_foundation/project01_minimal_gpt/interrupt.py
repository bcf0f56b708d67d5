"""Ctrl-C between two steps rather than in the middle of one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def catch_interrupts() -> Iterator[list[int]]:
    """Inside the block, the first ctrl-C (or SIGTERM) only adds its number to the list; the second one interrupts.

    A step cut in half would leave weights and optimizer at different steps, and the checkpoint worthless.
    """
    caught: list[int] = []

    def catch(number: int, frame: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    if threading.current_thread() is not threading.main_thread():  # only it may set handlers
        yield caught
        return
    before = {number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
