"""Task 8: what went wrong, said to a person. The problems are those that the OpenAI client makes of real answers."""

import asyncio
import json
from typing import Any

import httpx2
import openai
import pytest

from phase10_deployment.project30_gradio.explain import explain_error, retry_after, server_said
from phase10_deployment.project30_gradio.given.answer import CutOffError

pytestmark = pytest.mark.task(8)

URL = "http://10.0.0.7:8000"


def problem_of(
    status: int, message: Any = "no such thing", code: str | None = None, **headers: str
) -> Exception:
    """What the client raises for an answer with this status."""
    body = {"error": {"message": message, "type": "x", "param": None, "code": code}}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return raised(lambda request: httpx2.Response(status, headers=names, json=body))


def raised(respond: Any) -> Exception:
    async def ask() -> None:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(respond))
        client = openai.AsyncOpenAI(base_url=URL, api_key="k", max_retries=0, http_client=http)
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "a"}], stream=True
        )
        async for _ in stream:
            pass

    try:
        asyncio.run(ask())
    except Exception as problem:
        return problem
    raise AssertionError("nothing was raised")


def refuse(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("[Errno 111] Connection refused", request=request)


def be_slow(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ReadTimeout("slow", request=request)


def test_a_server_that_is_not_there():
    for problem in (raised(refuse), httpx2.ConnectError("refused")):
        text = explain_error(problem, URL)
        assert URL in text
        assert "not running" in text or "cannot be reached" in text


def test_a_server_that_is_slow():
    for problem in (raised(be_slow), httpx2.ReadTimeout("slow"), httpx2.ConnectTimeout("slow")):
        text = explain_error(problem, URL)
        assert URL in text
        assert "in time" in text
        assert "not running" not in text


def test_a_stream_that_breaks():
    for problem in (CutOffError("x"), httpx2.RemoteProtocolError("x"), httpx2.ReadError("x")):
        text = explain_error(problem, URL)
        assert "middle of the answer" in text
        assert "Retry" in text


@pytest.mark.parametrize("status", [401, 403])
def test_the_wrong_key(status: int):
    assert "key" in explain_error(problem_of(status), URL)


def test_a_model_that_is_not_there():
    text = explain_error(problem_of(404, "there is no model 'x'"), URL)
    assert "model" in text
    assert "“there is no model 'x'”" in text


def test_too_many_requests():
    assert "in 7 seconds" in explain_error(problem_of(429, retry_after="7"), URL)
    assert "in a moment" in explain_error(problem_of(429), URL)


def test_a_server_that_drains():
    text = explain_error(problem_of(503, retry_after="2"), URL)
    assert "starting or shutting down" in text
    assert "in 2 seconds" in text
    assert "in a moment" in explain_error(problem_of(503), URL)


def test_a_conversation_that_is_too_long():
    assert "too long" in explain_error(problem_of(400, code="context_length_exceeded"), URL)


def test_what_the_server_does_not_take():
    text = explain_error(problem_of(400, "temperature must be at most 2"), URL)
    assert "“temperature must be at most 2”" in text
    assert "too long" not in text
    assert "“no such thing”" in explain_error(problem_of(422), URL)


def test_a_server_that_fails():
    text = explain_error(problem_of(500, "the engine is dead"), URL)
    assert "500" in text
    assert "“the engine is dead”" in text
    assert "502" in explain_error(problem_of(502), URL)


def test_an_error_in_the_middle_of_a_stream():
    chunk = {"error": {"message": "the engine stumbled", "type": "server_error", "code": None}}
    body = f"data: {json.dumps(chunk)}\n\n"
    stream = {"content-type": "text/event-stream"}
    problem = raised(lambda request: httpx2.Response(200, headers=stream, text=body))
    assert isinstance(problem, openai.APIError)
    assert "“the engine stumbled”" in explain_error(problem, URL)


def test_our_own_refusals_are_said_as_they_are():
    assert (
        explain_error(ValueError("Temperature is from 0 to 2, not 3"), URL)
        == "Temperature is from 0 to 2, not 3"
    )


def test_our_own_mistakes_are_named():
    text = explain_error(ZeroDivisionError("secret detail"), URL)
    assert "ZeroDivisionError" in text
    assert "secret" not in text


def test_it_is_one_line_and_not_long():
    text = explain_error(ValueError("one\ntwo\r\n  three"), URL)
    assert text == "one two three"
    text = explain_error(problem_of(400, "x" * 5000), URL)
    assert len(text) == 400
    assert text.endswith("…")
    assert explain_error(ValueError("y" * 400), URL) == "y" * 400


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("7", "in 7 seconds"), ("1", "in 1 second"), ("0", "in 1 second"), ("0.2", "in 1 second"),
        ("1.01", "in 2 seconds"), ("90", "in 90 seconds"), ("91", "in 2 minutes"), ("120", "in 2 minutes"),
        ("121", "in 3 minutes"), ("-1", "in a moment"), ("nan", "in a moment"), ("inf", "in a moment"),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "in a moment"), ("", "in a moment"),
    ],
)  # fmt: skip
def test_when_to_try_again(header: str, said: str):
    assert retry_after(httpx2.Response(429, headers={"retry-after": header})) == said


def test_without_the_header_nobody_knows_when():
    assert retry_after(httpx2.Response(429)) == "in a moment"


def api_error(body: Any) -> openai.APIError:
    return openai.APIError("plain words", httpx2.Request("POST", URL), body=body)


def test_what_the_server_said():
    for body in ({"error": {"message": " no "}}, {"message": "no"}, "no\n"):
        assert server_said(api_error(body)) == "“no”"


@pytest.mark.parametrize("body", [None, {}, {"error": "x"}, {"message": 5}, {"message": " "}, [], 5, ""])
def test_what_is_no_message_is_the_problems_own(body: Any):
    assert server_said(api_error(body)) == "“plain words”"
