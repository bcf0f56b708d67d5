"""The server's side of the engine: who gets what, who goes away, who is too slow, and what happens when it ends."""

import asyncio
from functools import wraps

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase10_deployment.project28_serving.async_engine import (
    AsyncEngine,
    EngineDeadError,
    Generation,
    QueueFullError,
    RefusedError,
)
from phase10_deployment.project28_serving.given.example import RecordingLink, piece
from phase10_deployment.project28_serving.given.wire import Ask, Piece
from shared.phase04 import SamplingParams
from shared.testing import raises

pytestmark = pytest.mark.task(4)


def asynchronous(test):
    """A test that is a coroutine. pytest must see its arguments."""

    @wraps(test)
    def run(*args, **kwargs):
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 20))

    return run


def ask(n=1, **more):
    return Ask([1, 2], SamplingParams(max_tokens=4, n=n), **more)


def start(**settings):
    link = RecordingLink()
    return link, AsyncEngine(link, **settings)


def got(key, index, text, tokens=(), reason=None, error=None, logprobs=()):
    return [key, index, text, list(tokens), reason, error, list(logprobs)]


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


@asynchronous
async def test_pieces_come_to_who_asked():
    link, engine = start()
    one, two = engine.submit([ask()]), engine.submit([ask(n=2), ask()])
    assert [command["do"] for command in link.sent] == ["add"] * 3
    keys = [command["key"] for command in link.sent]
    assert len(set(keys)) == 3
    assert [command["prompt"] for command in link.sent] == [[1, 2]] * 3
    engine.dispatch(
        {"pieces": [got(keys[2], 0, "c", [3]), got(keys[1], 1, "b", [2]), got(keys[0], 0, "a", [1], "stop")]}
    )
    assert await one.next() == [Piece(0, "a", [1], "stop")]
    assert await one.next() == []
    assert await two.next() == [Piece(1, "b", [2]), Piece(2, "c", [3])]
    engine.dispatch({"pieces": [got(keys[1], 0, "x", reason="length"), got(keys[1], 1, "y", reason="stop")]})
    assert [one.text for one in await two.next()] == ["x", "y"]
    assert two.unfinished == {2}
    engine.dispatch({"pieces": [got(keys[2], 0, "", reason="length")]})
    assert [one.index for one in await two.next()] == [2]
    assert await two.next() == []
    assert engine.places == {}
    assert engine.load == 0


@asynchronous
async def test_a_piece_comes_whole():
    link, engine = start()
    generation = engine.submit([ask()])
    likely: list = [[3, -0.5, []]]
    engine.dispatch({"pieces": [got(link.sent[0]["key"], 0, "a", [3], "error", "ValueError: x", likely)]})
    assert await generation.next() == [Piece(0, "a", [3], "error", "ValueError: x", likely)]


@asynchronous
async def test_who_waits_for_what_is_aborted_is_woken():
    _, engine = start()
    generation = engine.submit([ask()])
    waiter = asyncio.create_task(generation.next())
    await settle()
    engine.abort(generation)
    assert await waiter == []


@asynchronous
async def test_no_two_that_wait_have_the_same_key():
    link, engine = start()
    engine.submit([ask()])
    asked = asyncio.create_task(engine.call({"do": "embed", "texts": []}))
    await settle()
    engine.submit([ask(), ask()])
    other = asyncio.create_task(engine.call({"do": "embed", "texts": []}))
    await settle()
    engine.submit([ask()])
    keys = [command["key"] for command in link.sent]
    assert len(set(keys)) == len(keys) == 6
    for task in (asked, other):
        task.cancel()


@given(
    st.lists(st.tuples(st.integers(0, 2), st.text(max_size=3), st.integers(0, 3), st.booleans()), max_size=30)
)
def test_what_is_joined_is_what_came(moves):
    """However often the reader looks, each text is the same in the end, and a piece a text is all that waits."""

    async def run():
        generation, texts, tokens, likely = Generation(3), {}, {}, {}
        expected = {i: ["", [], []] for i in range(3)}

        async def look():
            for one in await generation.next():
                texts[one.index] = texts.get(one.index, "") + one.text
                tokens[one.index] = tokens.get(one.index, []) + one.tokens
                likely[one.index] = likely.get(one.index, []) + one.logprobs

        for index, text, count, looks in moves:
            new = list(range(count))
            generation.put(Piece(index, text, list(new), None, None, [(token, 0.0, []) for token in new]))
            expected[index][0] += text
            expected[index][1] += new
            expected[index][2] += [(token, 0.0, []) for token in new]
            assert len(generation.waiting) <= 3
            if looks:
                await look()
        for index in range(3):
            generation.put(Piece(index, reason="stop"))
        await look()
        assert await generation.next() == []
        assert {i: [texts[i], tokens[i], likely[i]] for i in range(3)} == expected

    asyncio.run(run())


@asynchronous
async def test_a_slow_reader_gets_one_piece_and_holds_nobody_up():
    link, engine = start()
    slow, quick = engine.submit([ask()]), engine.submit([ask()])
    a, b = (command["key"] for command in link.sent)
    for step in range(1000):
        engine.dispatch({"pieces": [got(a, 0, "x", [step]), got(b, 0, "y", [step])]})
        assert [one.text for one in await quick.next()] == ["y"]
    assert len(slow.waiting) == 1
    (one,) = await slow.next()
    assert (one.text, one.tokens) == ("x" * 1000, list(range(1000)))


@asynchronous
async def test_who_waits_wakes_up_when_something_comes():
    link, engine = start()
    generation = engine.submit([ask()])
    waiting = asyncio.create_task(generation.next())
    await settle()
    assert not waiting.done()
    engine.dispatch({"pieces": [got(link.sent[0]["key"], 0, "a", [1])]})
    assert (await waiting)[0].text == "a"
    waiting = asyncio.create_task(generation.next())
    await settle()
    assert not waiting.done()
    waiting.cancel()


@asynchronous
async def test_the_last_piece_keeps_its_reason_when_it_is_joined():
    generation = Generation(1)
    generation.put(piece(text="a", tokens=[1]))
    generation.put(Piece(0, "b", [2], "error", "ValueError: x"))
    (one,) = await generation.next()
    assert one == Piece(0, "ab", [1, 2], "error", "ValueError: x")
    assert await generation.next() == []


@asynchronous
async def test_each_piece_is_heard_once_before_it_is_joined():
    heard = []
    link, engine = start()
    engine.submit([ask()], lambda one: heard.append((one.text, one.reason)))
    key = link.sent[0]["key"]
    engine.dispatch({"pieces": [got(key, 0, "a", [1])]})
    engine.dispatch({"pieces": [got(key, 0, "b", [2], "stop")]})
    assert heard == [("a", None), ("b", "stop")]


@asynchronous
async def test_an_abort_reaches_the_engine_once():
    link, engine = start()
    generation = engine.submit([ask(n=2), ask()])
    first, second = generation.keys
    engine.dispatch({"pieces": [got(second, 0, "a", [1], "stop")]})
    engine.abort(generation)
    engine.abort(generation)
    assert link.sent[2:] == [{"do": "abort", "key": first}]
    assert engine.load == 0
    engine.dispatch({"pieces": [got(first, 0, "late", [1])], "prompt": [[first, []]], "cached": [[first, 3]],
                     "refused": [[first, "ValueError", "x"]], "answers": [[first, 1]]})  # fmt: skip
    assert [one.text for one in await generation.next()] == ["a"]
    assert await generation.next() == []


@asynchronous
async def test_who_stops_reading_aborts():
    link, engine = start()
    pieces = engine.generate([ask()])
    reading = asyncio.create_task(anext(pieces))
    await settle()
    assert [command["do"] for command in link.sent] == ["add"]
    key = link.sent[0]["key"]
    engine.dispatch({"pieces": [got(key, 0, "a", [1])]})
    assert [one.text for one in await reading] == ["a"]
    await pieces.aclose()
    assert link.sent[1:] == [{"do": "abort", "key": key}]
    assert engine.places == {}


@asynchronous
async def test_who_is_cancelled_while_it_waits_aborts():
    link, engine = start()

    async def read():
        async for _ in engine.generate([ask()]):
            pass

    reading = asyncio.create_task(read())
    await settle()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert [command["do"] for command in link.sent] == ["add", "abort"]
    assert engine.load == 0


@asynchronous
async def test_what_ended_by_itself_is_not_aborted():
    link, engine = start()
    found = []

    async def read():
        async for pieces in engine.generate([ask()]):
            found.extend(pieces)

    reading = asyncio.create_task(read())
    await settle()
    assert [command["do"] for command in link.sent] == ["add"]
    engine.dispatch({"pieces": [got(link.sent[0]["key"], 0, "a", [1], "length")]})
    await reading
    assert [one.text for one in found] == ["a"]
    assert [command["do"] for command in link.sent] == ["add"]


@asynchronous
async def test_a_full_queue_refuses_before_anything_is_sent():
    link, engine = start(most=4)
    kept = engine.submit([ask(n=3)])
    with raises(QueueFullError, 4):
        engine.submit([ask(), ask()])
    assert len(link.sent) == 1
    assert engine.load == 3
    more = engine.submit([ask()])
    with raises(QueueFullError, 4):
        engine.submit([ask()])
    engine.dispatch({"pieces": [got(kept.keys[0], 1, "", reason="stop")]})
    assert engine.load == 3
    engine.submit([ask()])
    engine.abort(more)
    engine.abort(kept)
    assert engine.load == 1


@asynchronous
async def test_one_that_only_scores_counts_as_one_and_ends():
    link, engine = start(most=2)
    generation = engine.submit([ask(n=2, generate=False, prompt_logprobs=1), ask()])
    assert generation.texts == 2
    assert [command["generate"] for command in link.sent] == [False, True]
    assert [command["prompt_logprobs"] for command in link.sent] == [1, None]
    key = generation.keys[0]
    engine.dispatch({"prompt": [[key, [None, [2, -1.0, []]]]], "pieces": [got(key, 0, "", reason="length")]})
    assert generation.prompts == {0: [None, [2, -1.0, []]]}
    assert [one.reason for one in await generation.next()] == ["length"]
    assert engine.load == 1


@asynchronous
async def test_counts_of_cached_tokens_come_with_the_request():
    _, engine = start()
    generation = engine.submit([ask(), ask()])
    engine.dispatch(
        {"cached": [[generation.keys[1], 16]], "pieces": [got(generation.keys[1], 0, "", reason="stop")]}
    )
    assert generation.cached == {1: 16}


@asynchronous
async def test_what_the_engine_refuses_fails_that_request_alone():
    link, engine = start()
    kept, refused = engine.submit([ask()]), engine.submit([ask(), ask()])
    engine.dispatch({"refused": [[refused.keys[1], "ValueError", "nothing can match 'x'"]]})
    with raises(RefusedError, "nothing can match"):
        await refused.next()
    assert {"do": "abort", "key": refused.keys[0]} in link.sent
    assert engine.load == 1
    engine.dispatch({"pieces": [got(kept.keys[0], 0, "a", [1], "stop")]})
    assert [one.text for one in await kept.next()] == ["a"]


@asynchronous
async def test_calls_are_answered_by_their_keys():
    link, engine = start()
    one = asyncio.create_task(engine.call({"do": "embed", "texts": [[1]]}))
    two = asyncio.create_task(engine.call({"do": "attention", "tokens": [2]}))
    await settle()
    assert len(link.sent) == 2
    a, b = (command["key"] for command in link.sent)
    assert link.sent[0]["texts"] == [[1]]
    engine.dispatch({"answers": [[b, "weights"]]})
    engine.dispatch({"answers": [[a, "vector"]]})
    assert (await one, await two) == ("vector", "weights")
    three = asyncio.create_task(engine.call({"do": "embed", "texts": []}))
    await settle()
    engine.dispatch({"refused": [[link.sent[2]["key"], "ValueError", "no tokens"]]})
    with raises(RefusedError, "no tokens"):
        await three
    assert engine.answers == {}


@asynchronous
async def test_a_call_that_is_given_up_leaves_nothing():
    link, engine = start()
    call = asyncio.create_task(engine.call({"do": "embed"}))
    await settle()
    assert len(link.sent) == 1
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert engine.answers == {}
    engine.dispatch({"answers": [[link.sent[0]["key"], 1]]})


@asynchronous
async def test_when_the_engine_ends_all_who_wait_hear_it():
    link, engine = start()
    running = asyncio.create_task(engine.run())
    generation, other = engine.submit([ask()]), engine.submit([ask()])
    call = asyncio.create_task(engine.call({"do": "embed"}))
    waiting = asyncio.create_task(other.next())
    await settle()
    link.inbox.put_nowait({"pieces": [got(generation.keys[0], 0, "a", [1])]})
    link.inbox.put_nowait({"fatal": "RuntimeError: out of blocks"})
    link.end()
    await running
    assert [one.text for one in await generation.next()] == ["a"]
    for late in (generation.next(), waiting, call, engine.call({"do": "embed"})):
        with raises(EngineDeadError, "out of blocks"):
            await late
    with raises(EngineDeadError, "out of blocks"):
        engine.submit([ask()])
    assert engine.places == {}
    assert engine.dead == "RuntimeError: out of blocks"
    sent = len(link.sent)
    engine.abort(generation)
    assert len(link.sent) == sent


@asynchronous
async def test_an_engine_that_ends_without_a_word_is_dead_too():
    link, engine = start()
    running = asyncio.create_task(engine.run())
    generation = engine.submit([ask()])
    link.end()
    await running
    assert engine.dead
    with pytest.raises(EngineDeadError):
        await generation.next()


@asynchronous
async def test_every_message_is_seen_first():
    seen = []
    link = RecordingLink()
    engine = AsyncEngine(link, 8, lambda message: seen.append((message["stats"], len(engine.places))))
    generation = engine.submit([ask()])
    engine.dispatch({"stats": {"running": 1}, "pieces": [got(generation.keys[0], 0, "", reason="stop")]})
    assert seen == [({"running": 1}, 1)]
