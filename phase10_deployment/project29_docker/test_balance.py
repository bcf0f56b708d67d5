"""nginx before replicas: its configuration is read back; where there is one, it serves, and a replica is killed."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from phase10_deployment.project29_docker.balance import nginx_conf
from phase10_deployment.project29_docker.given import programs, server
from phase10_deployment.project29_docker.given.nginx_tree import Block, block, parse, values
from shared.testing import raises

needs_nginx = pytest.mark.skipif(programs.program("nginx") is None, reason="needs nginx")
TWO = ["server-1:8000", "10.0.0.2:65535"]


def http_block(**settings: object) -> Block:
    return block(parse(nginx_conf(TWO, **settings)), "http")  # pyright: ignore[reportArgumentType]


@pytest.mark.task(9)
def test_it_needs_no_root():
    tree = parse(nginx_conf(TWO, folder="/tmp/here"))
    assert (values(tree, "pid"), values(tree, "error_log"), values(tree, "user")) == (
        [["/tmp/here/nginx.pid"]],
        [["stderr"]],
        [],
    )
    http = block(tree, "http")
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        (path,) = values(http, f"{kind}_temp_path")
        assert path[0].startswith("/tmp/here/")
    assert values(http, "access_log") == [["off"]]


@pytest.mark.task(9)
def test_replicas():
    upstream = block(http_block(), "upstream")
    assert values(upstream, "server") == [
        ["server-1:8000", "max_fails=2", "fail_timeout=5s"], ["10.0.0.2:65535", "max_fails=2", "fail_timeout=5s"],
    ]  # fmt: skip
    assert (values(upstream, "least_conn"), values(upstream, "keepalive")) == ([[]], [["32"]])
    assert [words[1:] for words in values(upstream, "zone")] == [["64k"]]


@pytest.mark.task(9)
def test_the_order_of_least_conn_and_keepalive():
    """nginx takes keepalive only after the way of balancing; before it, it is silently another one's."""
    names = [name for name, *_ in block(http_block(), "upstream").children]
    assert names.index("least_conn") < names.index("keepalive")


@pytest.mark.task(9)
def test_the_server():
    one = block(http_block(listen=8123, largest="7m"), "server")
    assert (values(one, "listen"), values(one, "client_max_body_size")) == ([["8123"]], [["7m"]])
    hidden = {
        path: values(inner, "return")
        for path in ("/metrics", "/debug")
        for inner in [block(one, "location", path)]
    }
    assert hidden == {"/metrics": [["404"]], "/debug": [["404"]]}


@pytest.mark.task(9)
def test_a_stream_is_not_held_back_and_a_connection_is_kept():
    http = http_block(patience=77)
    place = block(block(http, "server"), "location", "/")
    (upstream,) = [one.words[0] for one in http.children if one.name == "upstream"]
    assert values(place, "proxy_pass") == [[f"http://{upstream}"]]
    assert (values(place, "proxy_buffering"), values(place, "proxy_http_version")) == ([["off"]], [["1.1"]])
    assert (values(place, "proxy_read_timeout"), values(place, "proxy_connect_timeout")) == (
        [["77s"]],
        [["2s"]],
    )
    headers = dict(values(place, "proxy_set_header"))
    assert (headers["Connection"], headers["Host"]) == ("", "$host")


@pytest.mark.task(9)
def test_a_request_has_an_id_the_clients_or_a_new_one():
    http = http_block()
    place = block(block(http, "server"), "location", "/")
    headers = dict(values(place, "proxy_set_header"))
    mapped = next(one for one in http.children if one.name == "map")
    assert mapped.words == ["$http_x_request_id", headers["X-Request-Id"]]
    assert {one.name: one.words for one in mapped.children} == {
        "": ["$request_id"],
        "default": ["$http_x_request_id"],
    }


@pytest.mark.task(9)
def test_what_is_tried_again():
    """Not `timeout`: a replica that is slow is loaded, and two would do the work. Not 429: that is for the client."""
    place = block(block(http_block(), "server"), "location", "/")
    (again,) = values(place, "proxy_next_upstream")
    assert (sorted(again), values(place, "proxy_next_upstream_tries")) == (
        ["error", "http_503", "non_idempotent"],
        [["2"]],
    )


@pytest.mark.task(9)
@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a:0",
        "a:65536",
        "a:b",
        "http://a:80",
        "a:80;",
        "a b:80",
        "",
        "a:80 backup",
        "::1:80",
        "a:80\n",
        "a:٨٠",
    ],
)
def test_what_is_no_server_is_an_error(name: str):
    with raises(ValueError, (name, repr(name)[1:-1])):
        nginx_conf(["ok:1", name])


@pytest.mark.task(9)
def test_an_address_in_brackets_is_one():
    assert "server [::1]:80 " in nginx_conf(["[::1]:80"])


@pytest.mark.task(9)
def test_other_mistakes():
    with raises(ValueError, "servers"):
        nginx_conf([])
    with raises(ValueError, "a:1"):
        nginx_conf(["a:1", "b:1", "a:1"])
    for folder in ("/tmp/a b", "/tmp;", ""):
        with raises(ValueError, folder):
            nginx_conf(TWO, folder=folder)


@contextmanager
def two_behind_nginx(folder: Path, *options: str) -> Iterator[tuple[int, list[server.Server]]]:
    """Two stand-ins for servers, a and b, behind nginx: its port, and the two."""
    with ExitStack() as stack:
        replicas = [
            stack.enter_context(server.running(server.stand_in("--name", name, *options))) for name in "ab"
        ]
        port = programs.free_port()
        text = nginx_conf([f"127.0.0.1:{one.port}" for one in replicas], port, str(folder / "nginx"))
        stack.enter_context(programs.nginx(text, folder / "nginx", port))
        yield port, replicas


def chat(port: int, **body: object) -> tuple[int, str, str]:
    """Status, who served it, and the text up to where it ended, cut or not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        answer = connection.getresponse()
        try:
            text = answer.read()
        except http.client.IncompleteRead as cut:
            text = cut.partial
        return answer.status, answer.headers.get("x-served-by", ""), text.decode()
    finally:
        connection.close()


def start(threads: list[threading.Thread]) -> None:
    """Start them, each once nginx knows of those before it: so they are spread evenly."""
    for thread in threads:
        thread.start()
        threading.Event().wait(0.1)


@needs_nginx
@pytest.mark.task(9)
def test_events_arrive_as_they_are_written(tmp_path: Path):
    """The first is read while the replica has 1,000 more to write: 10 seconds."""
    with two_behind_nginx(tmp_path, "--pause", "0.01") as (port, _):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/v1/chat/completions", json.dumps({"max_tokens": 1000}))
        first = connection.getresponse().readline()
        connection.close()
    assert first == b'data: {"choices": [{"index": 0, "delta": {"content": "0 "}}]}\n'


@needs_nginx
@pytest.mark.task(9)
def test_a_replica_that_dies_before_its_first_byte_is_answered_for(tmp_path: Path):
    """Four requests wait at two replicas, two each; one is killed; all four are answered, by the other."""
    with two_behind_nginx(tmp_path) as (port, replicas):
        answers: list[tuple[int, str, str]] = []
        threads = [threading.Thread(target=lambda: answers.append(chat(port, before=1.5))) for _ in range(4)]
        start(threads)
        threading.Event().wait(0.5)
        replicas[0].kill()
        for thread in threads:
            thread.join()
    assert [(status, by, text.rstrip().endswith("[DONE]")) for status, by, text in answers] == [
        (200, "b", True)
    ] * 4


@needs_nginx
@pytest.mark.task(9)
def test_a_stream_that_has_begun_is_cut_and_not_begun_again(tmp_path: Path):
    """What has been sent cannot be taken back: a second replica's tokens after it would be nonsense."""
    with two_behind_nginx(tmp_path, "--pause", "0.02") as (port, replicas):
        answers: list[tuple[int, str, str]] = []
        threads = [
            threading.Thread(target=lambda: answers.append(chat(port, max_tokens=60))) for _ in range(2)
        ]
        start(threads)
        threading.Event().wait(0.5)
        replicas[0].kill()
        for thread in threads:
            thread.join()
        after = [chat(port, max_tokens=2)[:2] for _ in range(6)]
    whole = {by: "[DONE]" in text for _, by, text in answers}
    assert (whole, after) == ({"a": False, "b": True}, [(200, "b")] * 6)
    assert all(text.count('"0 "') == 1 for *_, text in answers)


@needs_nginx
@pytest.mark.task(9)
def test_a_replica_that_drains_gets_nothing_new_and_ends_what_it_has(tmp_path: Path):
    with two_behind_nginx(tmp_path, "--pause", "0.02") as (port, replicas):
        answers: list[tuple[int, str, str]] = []
        threads = [
            threading.Thread(target=lambda: answers.append(chat(port, max_tokens=50))) for _ in range(2)
        ]
        start(threads)
        threading.Event().wait(0.4)
        replicas[0].process.terminate()
        threading.Event().wait(0.1)
        after = [chat(port, max_tokens=2)[:2] for _ in range(6)]
        for thread in threads:
            thread.join()
        code = replicas[0].process.wait(30)
    assert (after, code) == ([(200, "b")] * 6, 0)
    assert sorted((by, "[DONE]" in text) for _, by, text in answers) == [("a", True), ("b", True)]


@needs_nginx
@pytest.mark.task(9)
def test_what_is_not_for_clients_is_not_there(tmp_path: Path):
    with two_behind_nginx(tmp_path) as (port, _):
        found = []
        for path in ("/metrics", "/debug/steps", "/health"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", path)
            found.append(connection.getresponse().status)
            connection.close()
    assert found == [404, 404, 200]
