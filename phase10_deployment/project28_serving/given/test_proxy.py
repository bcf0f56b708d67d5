"""The router before two real replicas, one of which is killed in mid-load."""

import threading

import httpx
import pytest

from phase10_deployment.project28_serving.given.background import running
from phase10_deployment.project28_serving.given.example import events_of, publish_small
from phase10_deployment.project28_serving.given.proxy import prompt_of

SERVE = ("--model", "small", "--port", "0", "--max-sequences", "4", "--blocks", "128")


@pytest.mark.parametrize(
    ("body", "prompt"),
    [
        (b'{"prompt": "The cat"}', b'"The cat"'),
        (b'{"prompt": [1, 2]}', b"[1, 2]"),
        (b'{"messages": [{"role": "user", "content": "Hi"}]}', b"user\0Hi\0"),
        (b"{}", b'""'),
        (b"{", b""),
        (b"[]", b""),
        (b'{"messages": [5]}', b""),
        (b"[" * 9999, b""),
        (b"\xff", b""),
    ],
)
def test_what_a_body_begins_with(body, prompt):
    assert prompt_of(body) == prompt


def test_two_replicas_and_then_one(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LADDER_WORK", str(tmp_path_factory.mktemp("work")))
        patch.setenv("LADDER_OFFLINE", "1")
        publish_small()
        with running(*SERVE) as one, running(*SERVE) as two:
            route = ("--replica", one.url, "--replica", two.url, "--port", "0", "--every", "0.1")
            with (
                running(*route, command="route") as front,
                httpx.Client(base_url=front.url, timeout=60) as http,
            ):
                check(http, {one.url: one, two.url: two})


def check(http, replicas):
    def state():
        return {replica["url"]: replica for replica in http.get("/router").json()["replicas"]}

    assert http.get("/ready").status_code == 200
    assert [model["id"] for model in http.get("/v1/models").json()["data"]] == ["small"]
    before = {url: one["sent"] for url, one in state().items()}
    talk, text = (
        [{"role": "system", "content": "You know all about the park, and are kind to everybody who asks."}],
        "",
    )
    for turn in range(4):
        talk.append({"role": "user", "content": f"Who is number {turn}?"})
        body = {"messages": talk, "max_tokens": 4, "temperature": 0, "stream": True}
        with http.stream("POST", "/v1/chat/completions", json=body) as answer:
            events = events_of(answer.read())
        assert events[-1] == "[DONE]"
        talk.append({"role": "assistant", "content": text or "Somebody."})
    rose = sorted(one["sent"] - before[url] for url, one in state().items())
    assert rose == [0, 4]
    assert all(one["in_flight"] == 0 for one in state().values())
    statuses, lock = [], threading.Lock()

    def ask(number):
        for i in range(6):
            body = {"prompt": f"{number} {i}", "max_tokens": 30, "ignore_eos": True}
            try:
                status = http.post("/v1/completions", json=body).status_code
            except httpx.HTTPError:
                status = 0
            with lock:
                statuses.append(status)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while len(statuses) < 4:
        threads[0].join(0.01)
    gone = next(iter(replicas))
    replicas[gone].process.kill()
    for thread in threads:
        thread.join(90)
    assert statuses.count(200) == len(statuses) == 24
    assert not state()[gone]["healthy"]
    assert http.get("/ready").status_code == 200
    for command in replicas.values():
        command.end()
    answer = http.post("/v1/completions", json={"prompt": "a"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_replica")
