"""Commands reach the engine whole and in order, however the pipe or the queue cuts them."""

import os
import queue
import threading

from hypothesis import given, strategies

from phase10_deployment.project28_serving.given.engine_process import take_from_pipe, take_from_queue
from phase10_deployment.project28_serving.given.wire import encode


@given(strategies.lists(strategies.integers(1, 40), max_size=20), strategies.integers(0, 6))
def test_lines_come_whole_wherever_they_are_cut(cuts, count):
    wanted = [{"do": "abort", "key": 10**number} for number in range(count)]
    data = b"".join(map(encode, wanted))
    read, write = os.pipe()
    take, found = take_from_pipe(read), []
    try:
        for cut in [*cuts, len(data)]:
            os.write(write, data[:cut])
            data = data[cut:]
            found += take(False) or []
        assert found == wanted
        assert take(False) == []
        os.close(write)
        assert take(True) is None
        assert take(False) is None
    finally:
        os.close(read)


def test_what_came_before_the_end_is_not_lost():
    read, write = os.pipe()
    take = take_from_pipe(read)
    os.write(write, encode({"do": "watch"}))
    os.close(write)
    assert take(True) == [{"do": "watch"}]
    assert take(True) is None
    os.close(read)


def test_who_waits_is_woken_by_the_first():
    read, write = os.pipe()
    take, found = take_from_pipe(read), []
    waiter = threading.Thread(target=lambda: found.append(take(True)))
    waiter.start()
    os.write(write, encode({"key": 1}))
    waiter.join(30)
    assert found == [[{"key": 1}]]
    os.close(write)
    os.close(read)


def test_a_queue_ends_with_none():
    waiting = queue.Queue()
    take = take_from_queue(waiting)
    assert take(False) == []
    waiting.put({"key": 1})
    waiting.put({"key": 2})
    assert take(True) == [{"key": 1}, {"key": 2}]
    waiting.put(None)
    assert take(True) is None
