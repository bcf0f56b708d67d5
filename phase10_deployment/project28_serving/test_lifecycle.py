"""From start to stop: who is let in when, and that nothing that has begun is dropped."""

import asyncio

import pytest

from phase10_deployment.project28_serving.given.errors import ApiError
from phase10_deployment.project28_serving.lifecycle import Lifecycle

pytestmark = pytest.mark.task(7)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 20))


def refusal(life):
    with pytest.raises(ApiError) as caught, life.request():
        raise AssertionError("it was let in")
    return caught.value


def test_it_is_alive_before_it_is_ready():
    async def check():
        life = Lifecycle()
        seen: list[object] = [(life.state, life.alive, life.ready)]
        error = refusal(life)
        life.warm()
        seen.append((life.state, life.alive, life.ready))
        with life.request():
            seen.append((life.state, life.alive, life.in_flight))
        return seen, error, life.in_flight

    seen, error, left = run(check())
    assert seen == [("starting", True, False), ("ready", True, True), ("ready", True, 1)]
    assert (error.status, error.code, error.retry_after) == (503, "starting", 1.0)
    assert left == 0


def test_what_has_begun_ends_and_what_is_new_is_refused():
    async def check():
        life = Lifecycle()
        life.warm()
        go, seen = asyncio.Event(), []

        async def answer():
            with life.request():
                await go.wait()
                seen.append("answered")

        answers = [asyncio.create_task(answer()) for _ in range(3)]
        await asyncio.sleep(0)
        draining = asyncio.create_task(life.drain(10))
        await asyncio.sleep(0)
        assert (life.state, life.alive, life.ready, life.in_flight) == ("draining", True, False, 3)
        error = refusal(life)
        assert not draining.done()
        go.set()
        ended = await draining
        await asyncio.gather(*answers)
        return ended, seen, error, life.state, refusal(life).code

    ended, seen, error, state, after = run(check())
    assert ended
    assert seen == ["answered"] * 3
    assert (error.status, error.code, error.retry_after) == (503, "draining", 1.0)
    assert (state, after) == ("stopped", "draining")


def test_patience_ends():
    async def check():
        life = Lifecycle()
        life.warm()
        with life.request():
            ended = await life.drain(0.01)
            return ended, life.state, life.in_flight

    assert run(check()) == (False, "stopped", 1)


def test_with_nothing_to_wait_for_it_stops_at_once():
    async def check():
        life = Lifecycle()
        life.warm()
        with life.request():
            pass
        return await life.drain(0), life.state, await life.drain(100)

    assert run(check()) == (True, "stopped", True)


def test_a_request_that_fails_is_no_longer_in_flight():
    async def check():
        life = Lifecycle()
        life.warm()
        with pytest.raises(KeyError), life.request():
            raise KeyError("x")
        first = life.in_flight, life.empty.is_set()
        with life.request(), life.request():
            inside = life.in_flight, life.empty.is_set()
        return first, inside, await life.drain(5)

    assert run(check()) == ((0, True), (2, False), True)


def test_one_of_two_is_not_all():
    async def check():
        life = Lifecycle()
        life.warm()
        one, two = life.request(), life.request()
        one.__enter__()
        two.__enter__()
        one.__exit__(None, None, None)
        seen = life.empty.is_set()
        two.__exit__(None, None, None)
        return seen, life.empty.is_set()

    assert run(check()) == (False, True)


def test_a_fault_is_not_survived():
    async def check():
        life = Lifecycle()
        life.warm()
        life.fail("the engine has ended")
        life.fail("something later")
        error = refusal(life)
        return life.alive, life.ready, life.failed, error

    alive, ready, failed, error = run(check())
    assert (alive, ready, failed) == (False, False, "the engine has ended")
    assert (error.status, error.code, error.retry_after) == (503, "engine_dead", None)
    assert "the engine has ended" in error.message


def test_a_fault_while_draining_is_a_fault():
    async def check():
        life = Lifecycle()
        await life.drain(0)
        life.fail("x")
        return refusal(life).code

    assert run(check()) == "engine_dead"


def test_full_or_draining_is_alive():
    async def check():
        life = Lifecycle()
        life.warm()
        await life.drain(0)
        return life.alive

    assert run(check())


def test_who_drains_does_not_become_ready_again():
    async def check():
        life = Lifecycle()
        draining = asyncio.create_task(life.drain(0))
        await asyncio.sleep(0)
        life.warm()
        await draining
        life.warm()
        return life.state, life.ready

    assert run(check()) == ("stopped", False)


def test_a_second_signal_does_not_wait_longer_than_it_says():
    async def check():
        life = Lifecycle()
        life.warm()
        with life.request():
            first = asyncio.create_task(life.drain(10))
            await asyncio.sleep(0)
            second = await life.drain(0.01)
            return second, life.state, first.done() or first.cancel()

    second, state, _ = run(check())
    assert (second, state) == (False, "stopped")
