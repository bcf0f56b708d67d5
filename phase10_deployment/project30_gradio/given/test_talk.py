"""One answer from the question to the last word, in front of the server that pretends, without any network."""

import asyncio
from typing import Any

import httpx2
import pytest

from phase10_deployment.project30_gradio.given.pretend import Pretend, make_app
from phase10_deployment.project30_gradio.given.server import ServerLink
from phase10_deployment.project30_gradio.given.talk import Turn, answer_turns, as_alert, other_turns
from phase10_deployment.project30_gradio.history import Message, ask
from phase10_deployment.project30_gradio.tokens_view import ranked


def link(state: Pretend, key: str = "") -> ServerLink:
    return ServerLink("http://pretend", key, httpx2.ASGITransport(make_app(state)))


def turns(
    server: ServerLink, history: list[Message], system: str = "", candidates: int = 3, **values: Any
) -> list[Turn]:
    async def gather() -> list[Turn]:
        return [turn async for turn in answer_turns(server, "pretend", history, system, values, candidates)]

    return asyncio.run(gather())


def test_an_answer_grows_and_is_measured():
    state = Pretend(pause=0.06)
    found = turns(link(state), ask([], "say one two three"))
    texts = [turn.history[-1]["content"] for turn in found]
    assert texts[-1] == "one two three"
    assert all("one two three".startswith(text) for text in texts)
    assert found[-1].history[0] == {"role": "user", "content": "say one two three"}
    assert "3 tokens" in found[-1].meter
    assert "prompt tokens cached" in found[-1].meter
    assert [len(token.top) for token in found[-1].reply.tokens] == [3, 3, 3]
    assert state.running == {}


def test_without_candidates_none_are_asked_for():
    reply = turns(link(Pretend(pause=0)), ask([], "say one two"), candidates=0)[-1].reply
    assert len(reply.ids) == 2


def test_the_oldest_exchanges_are_left_out_where_there_is_no_room():
    history = [{"role": role, "content": "word " * 30} for _ in range(4) for role in ("user", "assistant")]
    last = turns(link(Pretend(pause=0, limit=120)), ask(history, "say here"), "Be brief.")[-1]
    assert last.history[-1]["content"] == "here"
    assert len(last.history) == 10  # they stay on the page
    assert "oldest messages left out" in last.meter


def test_one_message_that_is_too_long_is_said_to_be():
    [last] = turns(link(Pretend(pause=0, limit=20)), ask([], "word " * 50))
    assert "longer than the model can read" in last.trouble
    assert last.history == ask([], "word " * 50)


@pytest.mark.parametrize(
    ("question", "said", "kept"),
    [
        ("busy", "in 7 seconds", 1),
        ("break here", "middle of the answer", 2),
        ("fail", "the engine stumbled", 2),
    ],
)
def test_what_goes_wrong_is_a_sentence(question: str, said: str, kept: int):
    last = turns(link(Pretend(pause=0)), ask([], question))[-1]
    assert said in last.trouble
    assert len(last.history) == kept


def test_a_wrong_key_and_a_wrong_setting():
    [last] = turns(link(Pretend(pause=0, key="secret"), "other"), ask([], "a"))
    assert "key" in last.trouble
    [last] = turns(link(Pretend(pause=0)), ask([], "a"), temperature=9.0)
    assert "Temperature" in last.trouble
    assert turns(link(Pretend(pause=0, key="secret"), "secret"), ask([], "say a"))[-1].trouble == ""


def test_going_on_from_another_token():
    server = link(Pretend(pause=0))
    history = ask([], "say one two three")
    reply = turns(server, history)[-1].reply
    other = ranked(reply.tokens[1])[1][0]

    async def gather() -> list[Turn]:
        return [turn async for turn in other_turns(server, "pretend", history, reply, 1, other, {}, 3)]

    last = asyncio.run(gather())[-1]
    assert last.trouble == ""
    assert last.history[-1]["content"] == "one perhaps and so it went on."
    assert last.reply.ids[0] == reply.ids[0]
    assert last.reply.prompt_ids == reply.prompt_ids
    assert len(last.reply.ids) == len(last.reply.tokens) == 8
    assert [token.text for token in last.reply.tokens][:3] == ["one", " perhaps", " and"]


def test_an_alert_is_text():
    assert as_alert("") == ""
    assert "<b>" not in as_alert("a <b>")


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a", "http://", "file:///etc/passwd"])
def test_an_address_is_one_of_a_server(url: str):
    with pytest.raises(ValueError, match="address"):
        ServerLink(url)


def test_a_server_without_metrics_has_none():
    link = ServerLink("http://127.0.0.1:9")
    assert asyncio.run(link.metrics()) == ""
