"""The server as its clients meet it: one for all tests, with the small model, two keys and an adapter."""

import asyncio
import json
import socket
import threading
import time
from typing import Any

import httpx
import openai
import pytest
import torch

from phase10_deployment.project28_serving.async_engine import Generation, Place
from phase10_deployment.project28_serving.given.app import make_routes
from phase10_deployment.project28_serving.given.background import Background
from phase10_deployment.project28_serving.given.engine_process import EngineSettings
from phase10_deployment.project28_serving.given.example import (
    events_of,
    publish_small,
    random_model,
    small_tokenizer,
    streamed_text,
)
from phase10_deployment.project28_serving.given.gate import OPEN
from phase10_deployment.project28_serving.given.server import ServerSettings
from phase10_deployment.project28_serving.given.state import Options
from phase10_deployment.project28_serving.limits import hash_key
from shared.phase02 import LoraConfig, add_adapter, load_chat, save_adapter

ADA, BOB = {"Authorization": "Bearer ladder-ada"}, {"Authorization": "Bearer ladder-bob"}
CHAT = {"messages": [{"role": "user", "content": "Who is Mia?"}], "max_tokens": 8, "temperature": 0}
TEXT = {"prompt": "The cat", "max_tokens": 8, "temperature": 0}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LADDER_WORK", str(folder))
        patch.setenv("LADDER_OFFLINE", "1")
        publish_small()
        base, _, _ = load_chat("small")
        add_adapter(base, LoraConfig(rank=2, alpha=8, targets=("q", "v")), "poet")
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for place, parameter in base.named_parameters():
                if ".adapters." in place:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator))
        save_adapter(base, folder / "poet", "poet")
        engine = EngineSettings(
            "small", adapters={"poet": str(folder / "poet")}, blocks=64, adapter_blocks=32, block_size=4,
            max_sequences=4, max_tokens=64, chunk=32,
        )  # fmt: skip
        keys = {"ada": hash_key("ladder-ada"), "bob": hash_key("ladder-bob")}
        settings = ServerSettings(
            engine,
            port=0,
            keys=keys,
            max_queue=12,
            options=Options(debug=True, largest_body=100_000, body_seconds=1),
        )
        made = Background(settings)
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.url, headers=ADA, timeout=60) as client:
        yield client


def metrics(http):
    found = {}
    for line in http.get("/metrics").text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name.replace('model_name="small"', "").replace("{}", "").replace(",}", "}")] = float(value)
    return found


def settled(http):
    """The metrics once nothing runs any more, after a while at most; aborts take a step to arrive."""
    found = metrics(http)
    for _ in range(200):
        found = metrics(http)
        if not found["vllm:num_requests_running"] and not found["vllm:num_requests_waiting"]:
            return found
        time.sleep(0.05)
    return found


def counters(found):
    return {name: value for name, value in found.items() if name.endswith("_total") or "success" in name}


def test_the_openai_client(server):
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="ladder-ada", max_retries=0)
    with client:
        assert [model.id for model in client.models.list()] == ["small", "poet"]
        whole = client.chat.completions.create(model="small", **CHAT)
        assert whole.usage is not None
        assert whole.choices[0].finish_reason in ("stop", "length")
        parts = list(
            client.chat.completions.create(
                model="small", stream=True, stream_options={"include_usage": True}, **CHAT
            )
        )
        text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
        assert text == whole.choices[0].message.content
        assert parts[-1].choices == []
        assert parts[-1].usage is not None
        assert parts[-1].usage.completion_tokens == whole.usage.completion_tokens
        completion = client.completions.create(model="poet", logprobs=2, echo=True, n=2, **TEXT)
        assert [choice.text.startswith("The cat") for choice in completion.choices] == [True, True]
        vectors = client.embeddings.create(model="small", input=["a", "b"])
        plain = client.embeddings.create(model="small", input=["a", "b"], encoding_format="float")
        for one, other in zip(vectors.data, plain.data, strict=True):
            assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="gpt-4", **CHAT)
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="small", messages=CHAT["messages"], temperature=9)
        assert caught.value.param == "temperature"
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="wrong").models.list()
        with client.chat.completions.stream(model="small", **CHAT) as stream:
            assert "".join(event.delta for event in stream if event.type == "content.delta") == text


def test_the_asynchronous_client_many_at_once(server):
    async def ask():
        async with openai.AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key="ladder-ada", max_retries=9
        ) as client:

            async def one(i):
                stream = await client.completions.create(
                    model="small", prompt=f"story {i}", max_tokens=6, temperature=0, stream=True
                )
                return "".join([part.choices[0].text async for part in stream])

            return await asyncio.gather(*(one(i) for i in range(12)))

    async def alone():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="ladder-bob") as client:
            return [
                (await client.completions.create(model="small", prompt=f"story {i}", max_tokens=6, temperature=0))
                .choices[0].text
                for i in range(12)
            ]  # fmt: skip

    assert asyncio.run(ask()) == asyncio.run(alone())


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
@pytest.mark.parametrize(
    "more", [{}, {"logprobs": True}, {"return_token_ids": True}, {"stop": ["e", "a "]}, {"n": 3}]
)
def test_a_stream_says_what_the_whole_answer_says(http, path, more):
    chat = "chat" in path
    body = {**(CHAT if chat else TEXT), "seed": 3, "temperature": 0.8, "max_tokens": 12, **more}
    if not chat and "logprobs" in more:
        body |= {"logprobs": 2, "echo": True}
    whole = http.post(path, json=body).json()
    with http.stream(
        "POST", path, json={**body, "stream": True, "stream_options": {"include_usage": True}}
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = events_of(answer.read())
    assert events[-1] == "[DONE]"
    usage = events[-2]["usage"]
    assert {**usage, "prompt_tokens_details": 0} == {**whole["usage"], "prompt_tokens_details": 0}
    for choice in whole["choices"]:
        index = choice["index"]
        text = choice["message"]["content"] if chat else choice["text"]
        own = [one for event in events[:-2] for one in event["choices"] if one["index"] == index]
        assert streamed_text(events, index) == text
        assert [one["finish_reason"] for one in own if one["finish_reason"]] == [choice["finish_reason"]]
        if "logprobs" in more:
            name = "content" if chat else "tokens"
            parts = [entry for one in own if one["logprobs"] for entry in one["logprobs"][name]]
            assert parts == choice["logprobs"][name]
            if not chat:
                offsets = [
                    offset for one in own if one["logprobs"] for offset in one["logprobs"]["text_offset"]
                ]
                assert offsets == choice["logprobs"]["text_offset"]
        if "return_token_ids" in more:
            assert [token for one in own for token in one["token_ids"]] == choice["token_ids"]
            assert events[0]["prompt_token_ids"] == whole["prompt_token_ids"]


def test_echo_scores_the_prompt_as_lm_eval_asks_for_it(http):
    tokens = [5, 6, 7, 8, 9]
    body = {"prompt": tokens, "max_tokens": 1, "logprobs": 1, "echo": True, "temperature": 0, "seed": 1}
    found = http.post("/v1/completions", json=body).json()["choices"][0]["logprobs"]
    assert len(found["tokens"]) == 6
    assert found["token_logprobs"][0] is None
    with torch.no_grad():
        expected = random_model()(torch.tensor([tokens]))[0].double().log_softmax(-1)
    for place, logprob in enumerate(found["token_logprobs"][1:5]):
        assert logprob == pytest.approx(float(expected[place, tokens[place + 1]]), abs=1e-4)
        assert max(found["top_logprobs"][place + 1].values()) == pytest.approx(
            float(expected[place].max()), abs=1e-4
        )
    scored = http.post("/v1/completions", json={**body, "max_tokens": 0}).json()
    assert scored["choices"][0]["logprobs"]["token_logprobs"] == pytest.approx(found["token_logprobs"][:5])
    assert scored["usage"]["completion_tokens"] == 0
    assert scored["choices"][0]["text"] == small_tokenizer().decode(tokens)


def test_an_adapter_answers_by_its_name(http):
    texts = [
        http.post("/v1/completions", json={**TEXT, "model": name}).json()["choices"][0]["text"]
        for name in ("small", "poet")
    ]
    assert texts[0] != texts[1]


def test_guided_answers_are_what_was_asked_for(http):
    schema = {
        "type": "object",
        "properties": {"who": {"enum": ["Mia", "Ben"]}, "sure": {"type": "boolean"}},
        "required": ["who", "sure"],
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = {"messages": CHAT["messages"], "response_format": form, "max_tokens": 60, "seed": 1}
    found = json.loads(
        http.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]
    )
    assert found["who"] in ("Mia", "Ben")
    assert isinstance(found["sure"], bool)
    body = {"messages": CHAT["messages"], "guided_choice": ["yes", "no"], "seed": 2}
    assert http.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"] in (
        "yes",
        "no",
    )


@pytest.mark.parametrize("stream", [False, True])
def test_what_only_the_engine_can_refuse_is_refused_with_its_status(http, stream):
    body = {"prompt": "a", "guided_regex": "(?!)x", "stream": stream, "max_tokens": 5}
    answer = http.post("/v1/completions", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_plain_generation_and_tokens(http):
    found = http.post("/generate", json=TEXT).json()
    assert found["generated_text"] == http.post("/v1/completions", json=TEXT).json()["choices"][0]["text"]
    assert http.post("/generate", json={**TEXT, "n": 2}).status_code == 400
    tokens = http.post("/tokenize", json={"prompt": "The cat é"}).json()
    assert tokens["count"] == len(tokens["tokens"]) == len(tokens["token_strs"])
    assert tokens["max_model_len"] == 128
    bare = http.post("/tokenize", json={"prompt": "The cat é", "add_special_tokens": False}).json()["tokens"]
    assert bare == tokens["tokens"][1:]
    assert http.post("/detokenize", json={"tokens": bare}).json() == {"prompt": "The cat é"}
    chat = http.post("/tokenize", json={"messages": CHAT["messages"]}).json()
    assert chat["token_strs"][-1] == "<|assistant|>"
    assert http.post("/detokenize", json={"tokens": [295]}).status_code == 400


def test_attention_is_causal_and_sums_to_one(http):
    found = http.post("/debug/attention", json={"tokens": [5, 6, 7, 8]}).json()
    weights = torch.tensor(found["attention"])
    assert weights.shape == (2, 4, 4, 4)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 4), atol=5e-4, rtol=0)
    assert http.post("/debug/attention", json={"tokens": [5] * 257}).status_code == 400


def test_steps_are_shown_while_they_are_made(server, http):
    seen = []

    def look():
        with httpx.stream("GET", f"{server.url}/debug/steps", headers=ADA, timeout=60) as answer:
            name = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                if line.startswith("data: "):
                    seen.append((name, json.loads(line.removeprefix("data: "))))
                    if name == "step" and seen[-1][1]["running"]:
                        return

    looking = threading.Thread(target=look)
    looking.start()
    while looking.is_alive():
        http.post("/v1/completions", json={**TEXT, "ignore_eos": True})
        looking.join(0.01)
    assert seen[0][0] == "snapshot"
    step = seen[-1][1]
    assert set(step) == {"step", "running", "waiting", "free", "blocks", "block_size", "hits", "preempted"}
    assert set(step["running"][0]) == {"id", "request", "tokens", "blocks", "computed", "scheduled"}
    assert step["blocks"] == 64


def test_every_route_but_two_needs_a_key(server):
    found: list[Any] = list(make_routes(server.server.state).routes)
    routes = [(route.path, method) for route in found for method in route.methods]
    assert len(routes) >= 12
    with httpx.Client(base_url=server.url, timeout=60) as stranger:
        for path, method in [*routes, ("/nowhere", "GET"), ("/v1/../metrics", "GET"), ("//metrics", "GET")]:
            for headers in ({}, {"Authorization": "Bearer ladder-ad"}, {"Authorization": "Basic ladder-ada"}):
                answer = stranger.request(
                    method, path, headers=headers, content=b"{}" if method == "POST" else b""
                )
                expected = {200} if path in OPEN else {401}
                assert answer.status_code in expected, (path, method)
                if path not in OPEN and method != "HEAD":
                    assert answer.json()["error"]["type"] == "authentication_error"


def test_a_request_has_a_name(http):
    assert http.get("/health", headers={"x-request-id": "my-1"}).headers["x-request-id"] == "my-1"
    for odd in ("a b", "x" * 65, "é".encode()):
        name = http.get("/health", headers={"x-request-id": odd}).headers["x-request-id"]
        assert name not in (odd, "")
    assert (
        http.post("/v1/completions", json={}, headers={"x-request-id": "my-2"}).headers["x-request-id"]
        == "my-2"
    )


def test_keys_share_no_blocks_whatever_a_client_says(http):
    body = {"prompt": list(range(20, 100)), "max_tokens": 1, "cache_salt": "the same"}

    def cached(headers):
        answer = http.post("/v1/completions", json=body, headers=headers).json()
        return answer["usage"]["prompt_tokens_details"]["cached_tokens"]

    assert [cached(headers) for headers in (ADA, ADA, BOB, BOB)] == [0, 79, 0, 79]


def test_counters_are_the_clients_sums(http):
    before = settled(http)
    prompt = written = texts = 0
    for i in range(10):
        body = {**TEXT, "prompt": f"story {i}", "n": 1 + i % 3, "temperature": 0.9, "max_tokens": 3 + i}
        usage = http.post("/v1/completions", json=body).json()["usage"]
        prompt, written = prompt + usage["prompt_tokens"], written + usage["completion_tokens"]
        texts += body["n"]
    after = settled(http)
    rose = {name: after[name] - before.get(name, 0) for name in after}
    assert rose["vllm:prompt_tokens_total"] == prompt
    assert rose["vllm:generation_tokens_total"] == written
    assert rose["vllm:prefix_cache_queries_total"] == prompt
    assert (
        sum(rose[f'vllm:request_success_total{{finished_reason="{why}"}}'] for why in ("stop", "length"))
        == texts
    )
    assert rose["vllm:e2e_request_latency_seconds_count"] == 10
    assert rose["vllm:time_to_first_token_seconds_count"] == 10
    assert rose["vllm:request_generation_tokens_sum"] == written


def test_metrics_are_the_old_format_whatever_is_asked_for(http):
    answer = http.get(
        "/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0; escaping=underscores"}
    )
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "vllm:num_requests_running{" in answer.text
    assert "vllm_" not in answer.text


@pytest.mark.parametrize("stream", [False, True])
def test_who_goes_away_is_aborted(server, http, stream):
    before = settled(http)
    for _ in range(8):
        body = json.dumps({"prompt": "a", "max_tokens": 120, "ignore_eos": True, "stream": stream}).encode()
        with socket.create_connection(("127.0.0.1", server.server.port)) as plain:
            plain.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ladder-bob\r\n")
            plain.sendall(b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            if stream:
                assert plain.recv(100)
    aborted = 'vllm:request_success_total{finished_reason="abort"}'
    done = 'vllm:request_success_total{finished_reason="length"}'
    for _ in range(400):  # they come, and go, after we have
        after = metrics(http)
        ended = after[aborted] + after[done] - before[aborted] - before[done]
        if ended == 8:
            break
        time.sleep(0.05)
    after = settled(http)
    assert after[aborted] + after[done] - before[aborted] - before[done] == 8
    assert after[aborted] > before[aborted]
    assert after["vllm:kv_cache_usage_perc"] == 0
    assert server.server.state.engine.places == {}


def test_two_hundred_that_lose_patience_and_then_an_answer(server, http):
    async def ask():
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(
            base_url=server.url, headers=BOB, timeout=httpx.Timeout(60, read=0.02), limits=limits
        ) as client:

            async def one(i):
                body = {"prompt": f"story {i}", "max_tokens": 100, "ignore_eos": True}
                try:
                    return (await client.post("/v1/completions", json=body)).status_code
                except httpx.TimeoutException:
                    return 0

            return await asyncio.gather(*(one(i) for i in range(200)))

    statuses = asyncio.run(ask())
    assert set(statuses) <= {0, 200, 408, 429}  # 408: on a busy machine a body may come too late
    found = settled(http)
    assert found["vllm:num_requests_running"] == 0
    assert found["vllm:kv_cache_usage_perc"] == 0
    assert http.post("/v1/completions", json=TEXT).status_code == 200


def test_a_full_queue_is_429_and_says_when_to_come_again(server, http):
    state = server.server.state
    state.engine.places[-1] = Place(Generation(1), 0, 0, state.engine.most)
    try:
        for stream in (False, True):
            answer = http.post("/v1/completions", json={**TEXT, "stream": stream})
            assert answer.status_code == 429
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["error"]["type"] == "rate_limit_error"
        assert http.get("/health").status_code == 200
        assert http.get("/ready").status_code == 200
    finally:
        del state.engine.places[-1]
    assert http.post("/v1/completions", json=TEXT).status_code == 200


def test_a_slow_reader_holds_nobody_up(server, http):
    body = json.dumps({"prompt": "a", "max_tokens": 100, "ignore_eos": True, "stream": True}).encode()
    with socket.create_connection(("127.0.0.1", server.server.port)) as slow:
        slow.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ladder-bob\r\n")
        slow.sendall(b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        for _ in range(5):
            assert http.post("/v1/completions", json=TEXT).status_code == 200
        data = b""
        while b"[DONE]" not in data:
            data += slow.recv(65536)
    assert b'"finish_reason":"length"' in data


def test_the_time_limit_aborts(server, http):
    options = server.server.state.options
    limit, options.time_limit = options.time_limit, 0.0
    try:
        answer = http.post("/v1/completions", json={**TEXT, "max_tokens": 100, "ignore_eos": True})
        assert answer.status_code == 504
        assert answer.json()["error"]["code"] == "timeout"
    finally:
        options.time_limit = limit
    assert settled(http)["vllm:num_requests_running"] == 0


def test_rate_limits_are_each_keys_own(server, http):
    limits = server.server.state.limits
    limits.per_minute["requests"] = 2
    try:
        statuses = [
            http.post("/v1/completions", json=TEXT, headers=key).status_code for key in (ADA, ADA, ADA, BOB)
        ]
    finally:
        limits.per_minute["requests"] = 0
        limits.buckets.clear()
    assert statuses == [200, 200, 429, 200]


HEADERS = [
    ({"content-type": "text/plain"}, 415),
    ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ({"content-type": "multipart/form-data; boundary=x"}, 415),
    ({"content-type": "application/json; charset=utf-8"}, 200),
    ({"content-type": "APPLICATION/JSON"}, 200),
    ({"content-encoding": "gzip"}, 415),
    ({"content-encoding": "br"}, 415),
]
BODIES = [
    b"", b"{", b"[]", b"null", b"NaN", b'"x"', b"\xff\xfe", b'{"prompt": "\\ud800"}', b'{"prompt": "a", "prompt": "b"}',
    b'{"prompt": "a", "temperature": NaN}', b'{"prompt": "a", "temperature": 1e400}', b"[" * 50_000, b'{"a":' * 20_000,
    b'{"prompt": ' + b"9" * 9000 + b"}", b'{"prompt": "' + b"a" * 99_000 + b'"}', b'{"prompt": "a\x00b", "n": 0}',
    b'{"prompt": "a"} trailing', b"%PDF-1.4", b"prompt=a", b"\x00" * 100, b"{}", b'{"prompt": "a" "n": 1}',
]  # fmt: skip


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/generate", "/detokenize"]
)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:30]))
def test_a_malformed_body_is_a_typed_error(http, path, body):
    answer = http.post(path, content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert len(answer.content) < 1500


@pytest.mark.parametrize(("headers", "status"), HEADERS, ids=str)
def test_headers(http, headers, status):
    answer = http.post("/v1/completions", content=json.dumps(TEXT), headers=headers)
    assert answer.status_code == status


def test_ten_megabytes_are_refused_with_or_without_a_length(http):
    body = json.dumps({"prompt": "a" * 10_000_000}).encode()
    kind = {"content-type": "application/json"}
    for content in (body, (body[i : i + 50_000] for i in range(0, len(body), 50_000))):
        try:
            answer = http.post("/v1/completions", content=content, headers=kind)
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            continue  # it answered and hung up while we were still sending
        assert answer.status_code == 413
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_body_that_does_not_come_is_given_up(server, http):
    with socket.create_connection(("127.0.0.1", server.server.port), timeout=30) as plain:
        plain.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ladder-ada\r\n")
        plain.sendall(b"content-type: application/json\r\ncontent-length: 50\r\n\r\n{")
        assert b" 408 " in plain.recv(1000)


@pytest.mark.parametrize(
    "text", [b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"a" * 70_000, b"\x16\x03\x01\r\n\r\n"]
)
def test_what_is_no_http_is_told_in_the_same_form(server, text):
    with socket.create_connection(("127.0.0.1", server.server.port), timeout=30) as plain:
        plain.sendall(text)
        answer = b""
        while chunk := plain.recv(10_000):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 400 " in head
    assert json.loads(body)["error"]["code"] == "invalid_http"


def test_more_texts_than_may_ever_wait_are_refused_for_good(http):
    answer = http.post("/v1/completions", json={**TEXT, "prompt": ["a"] * 30})
    assert answer.status_code == 400
    assert http.post("/v1/completions", json={**TEXT, "n": 5, "max_tokens": 1}).status_code == 200


def test_errors_of_paths_have_the_same_form(http):
    for method, path, status in [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/completions", 405),
        ("DELETE", "/health", 405),
    ]:
        answer = http.request(method, path)
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_after_all_that_it_still_answers(http):
    assert http.get("/health").json()["status"] == "ok"
    assert http.post("/v1/chat/completions", json=CHAT).status_code == 200
