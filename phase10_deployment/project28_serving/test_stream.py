"""Streams: events in OpenAI's form, and a text that is the same whatever pieces it came in."""

import asyncio
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase10_deployment.project28_serving.given.errors import ApiError
from phase10_deployment.project28_serving.given.example import events_of, piece, streamed_text
from phase10_deployment.project28_serving.stream import DONE, Head, Leads, choice_maker, sse_events

pytestmark = pytest.mark.task(3)
COUNTS = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
CHAT = Head("chatcmpl-1", 77, "tiny", chat=True)
TEXT = Head("cmpl-1", 77, "tiny", chat=False)


class Source:
    """Groups of pieces; an exception among them is raised. Knows whether it was closed."""

    def __init__(self, *groups):
        self.groups, self.closed = list(groups), False

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.groups:
            raise StopAsyncIteration
        group = self.groups.pop(0)
        if isinstance(group, Exception):
            raise group
        return group

    async def aclose(self):
        self.closed = True


def stream(head, *groups, texts=1, **more):
    """The bytes of each event."""

    async def collect():
        return [event async for event in sse_events(Source(*groups), head, texts, lambda: COUNTS, **more)]

    return asyncio.run(collect())


def test_a_chat():
    parts = stream(CHAT, [piece(text="Hi")], [piece(text=" Ada"), piece(1, "No")], [piece(1, reason="length")],
                   [piece(text="!", reason="stop")], texts=2)  # fmt: skip
    events = events_of(b"".join(parts))
    common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 77, "model": "tiny"}

    def event(index, delta, reason=None):
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**common, "choices": [choice]}

    opening = {"role": "assistant", "content": ""}
    assert events == [
        event(0, opening), event(1, opening), event(0, {"content": "Hi"}), event(0, {"content": " Ada"}),
        event(1, {"content": "No"}), event(1, {"content": ""}, "length"), event(0, {"content": "!"}, "stop"), "[DONE]",
    ]  # fmt: skip
    assert parts[-1] == DONE


def test_a_completion_with_counts():
    head = Head("cmpl-1", 77, "tiny", chat=False, usage=True)
    events = events_of(b"".join(stream(head, [piece(text="Hi")], [piece(reason="stop")])))
    common = {"id": "cmpl-1", "object": "text_completion", "created": 77, "model": "tiny"}
    choices = [
        {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}
        for text, reason in (("Hi", None), ("", "stop"))
    ]
    expected = [{**common, "choices": [choice], "usage": None} for choice in choices]
    assert events == [*expected, {**common, "choices": [], "usage": COUNTS}, "[DONE]"]


def test_the_counts_are_asked_for_at_the_end():
    seen = []

    async def collect():
        head = Head("x", 0, "m", chat=True, usage=True)
        source = Source([piece(text="a")], [piece(text="b", reason="stop")])

        def usage():
            seen.append(len(source.groups))
            return COUNTS

        return [event async for event in sse_events(source, head, 1, usage)]

    events = events_of(b"".join(asyncio.run(collect())))
    assert seen == [0]
    assert [event["usage"] for event in events[:-1]] == [None, None, None, COUNTS]
    assert [bool(event["choices"]) for event in events[:-1]] == [True, True, True, False]


def test_without_asking_there_are_no_counts():
    assert all(
        "usage" not in event
        for event in events_of(b"".join(stream(CHAT, [piece(text="a", reason="stop")])))[:-1]
    )


@settings(max_examples=60)
@given(
    st.text(min_size=1, max_size=30), st.lists(st.integers(0, 30), max_size=6), st.sampled_from([CHAT, TEXT])
)
def test_the_text_is_the_same_for_every_split(text, cuts, head):
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    parts = [text[a:b] for a, b in pairwise(places)]
    groups = [[piece(text=part)] for part in parts] + [[piece(reason="stop")]]
    events = events_of(b"".join(stream(head, *groups)))
    assert streamed_text(events) == text
    assert [event["choices"][0]["finish_reason"] for event in events[:-1]].count("stop") == 1


@pytest.mark.parametrize("head", [CHAT, TEXT])
@given(text=st.text(), index=st.integers(0, 99), reason=st.sampled_from([None, "stop", "length"]))
def test_an_event_is_json_on_one_line(head, text, index, reason):
    event = choice_maker(head)(index, text, reason, None, [])
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    assert event.count(b"\n") == 2
    (choice,) = json.loads(event[6:])["choices"]
    assert choice["index"] == index
    assert choice["finish_reason"] == reason
    assert (choice["delta"]["content"] if head.chat else choice["text"]) == text


def test_a_name_with_quotes_is_no_trouble():
    head = Head('id"1', 5, 'my "model" {x}', chat=True)
    events = events_of(b"".join(stream(head, [piece(text='say "{}" %s\n', reason="stop")])))
    assert {event["model"] for event in events[:-1]} == {'my "model" {x}'}
    assert streamed_text(events) == 'say "{}" %s\n'


def test_nothing_to_say_is_no_event():
    groups = [[piece(tokens=[5])], [piece(text="a", tokens=[6])], [piece(tokens=[7], reason="length")]]
    assert len(stream(CHAT, *groups)) == 1 + 2 + 1
    ids = Head("x", 0, "m", chat=True, token_ids=True)
    assert len(stream(ids, *groups)) == 1 + 3 + 1
    likely = stream(CHAT, *groups, logprobs=lambda one: {"content": one.tokens})
    assert [event["choices"][0]["logprobs"] for event in events_of(b"".join(likely))[1:-1]] == [
        {"content": [5]}, {"content": [6]}, {"content": [7]}
    ]  # fmt: skip


def test_tokens_where_they_are_asked_for():
    head = Head("x", 0, "m", chat=True, token_ids=True, prompt_ids=[[1, 2]])
    events = events_of(
        b"".join(stream(head, [piece(text="a", tokens=[5, 6])], [piece(reason="stop")], texts=2))
    )
    assert [event.get("prompt_token_ids") for event in events[:-1]] == [[1, 2], None, None, None]
    assert [event["choices"][0]["token_ids"] for event in events[:-1]] == [[], [], [5, 6], []]
    head = Head("x", 0, "m", chat=False, token_ids=True, prompt_ids=[[1, 2]])
    events = events_of(b"".join(stream(head, [piece(text="a", tokens=[5], reason="stop")])))
    assert [event.get("prompt_token_ids") for event in events[:-1]] == [[1, 2], None]
    assert events[0]["choices"] == []


def test_an_echo_comes_first():
    head = Head("x", 0, "m", chat=False, echo=["Once", "Two"])
    events = events_of(
        b"".join(stream(head, [piece(0, " upon"), piece(1, " by")], [piece(0, reason="stop")], texts=2))
    )
    assert [streamed_text(events, index) for index in (0, 1)] == ["Once upon", "Two by"]


def test_a_lead_is_taken_off_once_and_of_each_text():
    head = Head("x", 0, "m", chat=True, lead=" ")
    groups = [
        [piece(0, " Mia"), piece(1, "")],
        [piece(0, " is"), piece(1, " ")],
        [piece(1, " x")],
        [piece(0, reason="stop")],
    ]
    events = events_of(b"".join(stream(head, *groups, texts=2)))
    assert [streamed_text(events, index) for index in (0, 1)] == ["Mia is", " x"]
    leads = Leads(" ")
    assert [leads.strip(0, text) for text in ("", "  a", " b")] == ["", " a", " b"]
    assert Leads(" ").strip(3, "a b") == "a b"
    assert Leads("").strip(0, " a") == " a"


@pytest.mark.parametrize(
    ("fault", "status_type", "said"),
    [
        (ApiError("took too long", None, 504, "timeout"), "timeout_error", "took too long"),
        (RuntimeError("lost"), "server_error", "lost"),
        ([piece(0, "never sent", reason="error")], "server_error", ""),
    ],
)
def test_a_fault_in_the_middle_is_told(fault, status_type, said):
    head = Head("x", 0, "m", chat=True, usage=True)
    events = events_of(b"".join(stream(head, [piece(text="Hi")], fault, [piece(text="more")])))
    assert streamed_text(events) == "Hi"
    assert events[-1] == "[DONE]"
    error = events[-2]["error"]
    assert error["type"] == status_type
    assert said in error["message"]
    assert all(event.get("usage") is None for event in events[:-1])


def test_who_goes_away_closes_the_source():
    async def leave():
        source = Source([piece(text="a")], [piece(text="b")])
        events = sse_events(source, TEXT, 1, dict)
        first = await anext(events)
        await events.aclose()
        return first, source.closed, source.groups

    first, closed, left = asyncio.run(leave())
    assert streamed_text(events_of(first)) == "a"
    assert closed
    assert len(left) == 1


def test_a_source_that_cannot_be_closed_is_read_to_its_end():
    class Plain:
        def __init__(self):
            self.groups = [[piece(text="a")], [piece(reason="stop")]]

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self.groups:
                raise StopAsyncIteration
            return self.groups.pop(0)

    async def read():
        return b"".join([event async for event in sse_events(Plain(), TEXT, 1, dict)])

    events = events_of(asyncio.run(read()))
    assert streamed_text(events) == "a"
    assert events[-1] == "[DONE]"


def test_at_the_end_the_source_is_closed_too():
    async def read():
        source = Source([piece(text="a", reason="stop")])
        async for _ in sse_events(source, TEXT, 1, dict):
            pass
        return source.closed

    assert asyncio.run(read())
