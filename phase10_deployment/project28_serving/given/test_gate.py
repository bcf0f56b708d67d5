"""The gate, without an engine: who gets in, what a fault looks like, what the log says, and CORS."""

import asyncio
import json

import httpx
import pytest

from phase10_deployment.project28_serving.async_engine import AsyncEngine
from phase10_deployment.project28_serving.given.app import make_app
from phase10_deployment.project28_serving.given.example import RecordingLink, make_served
from phase10_deployment.project28_serving.given.state import Options, State
from phase10_deployment.project28_serving.given.views import Views
from phase10_deployment.project28_serving.lifecycle import Lifecycle
from phase10_deployment.project28_serving.limits import ApiKeys, RateLimits, hash_key
from phase10_deployment.project28_serving.metrics import Metrics

TEXT = {"prompt": "a secret", "max_tokens": 5}
ADA = {"Authorization": "Bearer ladder-ada"}


def make(ready=True, **options):
    life = Lifecycle()
    if ready:
        life.warm()
    keys = ApiKeys({"ada": hash_key("ladder-ada")})
    return State(
        life,
        keys,
        RateLimits(),
        Options(**options),
        Metrics("tiny"),
        AsyncEngine(RecordingLink()),
        make_served(),
        Views(),
    )


def ask(state, method, path, **more):
    async def send():
        transport = httpx.ASGITransport(make_app(state), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **more)

    return asyncio.run(send())


@pytest.mark.parametrize(
    ("path", "status"), [("/health", 200), ("/ready", 503), ("/metrics", 401), ("/nowhere", 401)]
)
def test_while_it_starts_it_is_alive_and_not_ready(path, status):
    assert ask(make(ready=False), "GET", path).status_code == status


def test_while_it_starts_requests_are_sent_elsewhere():
    answer = ask(make(ready=False), "POST", "/v1/completions", json=TEXT, headers=ADA)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["error"]["code"] == "starting"
    assert ask(make(ready=False), "GET", "/v1/models", headers=ADA).status_code == 200


def test_a_dead_engine_is_not_alive():
    state = make()
    state.lifecycle.fail("the engine has ended")
    assert ask(state, "GET", "/health").status_code == 503
    assert (
        ask(state, "POST", "/v1/completions", json=TEXT, headers=ADA).json()["error"]["code"] == "engine_dead"
    )


def test_a_fault_is_told_without_what_was_asked(capsys):
    state = make()

    def broken(asks, heard):
        raise KeyError(f"a secret of {asks[0].prompt}")

    setattr(state.engine, "submit", broken)  # noqa: B010 (pyright)
    answer = ask(state, "POST", "/v1/completions", json=TEXT, headers=ADA)
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    said = capsys.readouterr().err + answer.text
    assert "secret" not in said
    assert "ladder-ada" not in said
    lines = [json.loads(line) for line in said.splitlines() if line.startswith('{"time"')]
    assert [line["event"] for line in lines] == ["fault", "request"]
    assert lines[0]["kind"] == "KeyError"
    assert lines[1]["request"] == answer.headers["x-request-id"]
    assert state.lifecycle.in_flight == 0


def test_pages_of_others_may_not_ask_unless_they_are_named():
    preflight = {"origin": "http://page", "access-control-request-method": "POST"}
    answer = ask(make(), "OPTIONS", "/v1/completions", headers=preflight)
    assert answer.status_code == 401
    assert "access-control-allow-origin" not in answer.headers
    named = make(cors=["http://page"])
    answer = ask(named, "OPTIONS", "/v1/completions", headers=preflight)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "http://page"
    answer = ask(named, "OPTIONS", "/v1/completions", headers={**preflight, "origin": "http://other"})
    assert answer.headers.get("access-control-allow-origin") != "http://other"


def test_debug_routes_are_there_only_when_asked_for():
    assert ask(make(), "POST", "/debug/attention", json={"tokens": [1]}, headers=ADA).status_code == 404
    answer = ask(make(debug=True), "POST", "/debug/attention", json={"tokens": []}, headers=ADA)
    assert answer.status_code == 400


def test_salts_are_the_servers():
    one, other = make(), make()
    assert one.salt("ada") == one.salt("ada") != one.salt("bob")
    assert one.salt("ada") != other.salt("ada")
    assert one.salt("") == ""
    assert "ada" not in one.salt("ada")
