"""The health check: 200 within the time and nothing else is healthy."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from phase10_deployment.project29_docker import healthcheck
from shared.testing import raises


@contextmanager
def server(answer: Callable[[socket.socket, list[bytes]], None]) -> Iterator[tuple[int, list[bytes]]]:
    """A server that reads one request and lets `answer` do the rest: its port, and the requests it has read."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        over = threading.Event()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                    break
                except TimeoutError:
                    if over.is_set():
                        return
            with connection:
                connection.settimeout(5)
                try:
                    requests.append(connection.recv(4096))
                    answer(connection, requests)
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1], requests
        finally:
            over.set()
            thread.join()


def says(*parts: bytes, pause: float = 0.0) -> Callable[[socket.socket, list[bytes]], None]:
    def answer(connection: socket.socket, _: list[bytes]) -> None:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)

    return answer


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.task(6)
@pytest.mark.parametrize(
    "parts",
    [
        (OK,),
        (b"HTTP/1.0 200\r\n\r\n",),
        (b"HT", b"TP/1.1 2", b"00 OK\r", b"\n\r\n"),
        (b"HTTP/1.1 200 OK\n\n",),
    ],
)
def test_status_200_is_healthy_however_it_arrives(parts: tuple[bytes, ...]):
    with server(says(*parts, pause=0.01)) as (port, _):
        assert healthcheck.probe(f"http://127.0.0.1:{port}/health") == ""


@pytest.mark.task(6)
@pytest.mark.parametrize("status", [503, 500, 404, 401, 301, 204, 100])
def test_any_other_status_is_a_reason_that_names_it(status: int):
    with server(says(b"HTTP/1.1 %d Word\r\nLocation: /\r\n\r\n" % status)) as (port, _):
        assert str(status) in healthcheck.probe(f"http://127.0.0.1:{port}/health")


@pytest.mark.task(6)
@pytest.mark.parametrize(
    "parts",
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n",),
        (b"",),
        (b"HTTP/1.1 200 OK",),
        (b"HTTP/1.1\r\n",),
        (b"HTTP/1.1 OK 200\r\n",),
        (b"HTTP/2 200\r\n",),
        (b"x" * 10_000,),
        (b"\xff\xfe\r\n",),
    ],
)
def test_what_is_no_http_is_a_reason(parts: tuple[bytes, ...]):
    with server(says(*parts)) as (port, _):
        assert len(healthcheck.probe(f"http://127.0.0.1:{port}/health")) > 0


@pytest.mark.task(6)
def test_a_line_without_end_is_given_up_before_the_time_is():
    """What sends for ever is no server to wait for: not for the time, and not with all that it sends in memory."""
    with server(says(*[b"x" * 4096] * 4000, pause=0.002)) as (port, _):
        reason = healthcheck.probe(f"http://127.0.0.1:{port}/health", 4.25)
    assert (reason != "", "4.25" in reason) == (True, False)


@pytest.mark.task(6)
def test_a_refused_connection_is_a_reason():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert str(port) in healthcheck.probe(f"http://127.0.0.1:{port}/health")


@pytest.mark.task(6)
def test_a_server_that_never_answers_is_given_up():
    done = threading.Event()

    def waits(*_: object) -> None:
        done.wait(10)

    with server(waits) as (port, _):
        reason = healthcheck.probe(f"http://127.0.0.1:{port}/health", 0.25)
        done.set()
    assert "0.25" in reason


@pytest.mark.task(6)
def test_a_server_that_answers_by_drops_is_given_up_as_well():
    """Each read comes in time; all of them together do not. 400 bytes at 0.02 s apart would be 8 seconds."""
    with server(says(*[b"H"] * 400, pause=0.02)) as (port, _):
        reason = healthcheck.probe(f"http://127.0.0.1:{port}/health", 0.3)
    assert "0.3" in reason


@pytest.mark.task(6)
@pytest.mark.parametrize(
    ("path", "asked"), [("/health", b"/health"), ("", b"/"), ("/ready?deep=1", b"/ready?deep=1")]
)
def test_what_it_asks(path: str, asked: bytes):
    """HTTP/1.1 wants a Host, and without Connection: close the server would wait for more."""
    with server(says(OK)) as (port, requests):
        healthcheck.probe(f"http://127.0.0.1:{port}{path}")
    lines = requests[0].split(b"\r\n")
    assert (lines[0], lines[-2:]) == (b"GET " + asked + b" HTTP/1.1", [b"", b""])
    assert {b"host: 127.0.0.1:%d" % port, b"connection: close"} <= {line.lower() for line in lines}


@pytest.mark.task(6)
def test_a_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch):
    """Containers inherit http_proxy; urllib would then ask the proxy about 127.0.0.1, which is its own."""
    with server(says(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")) as (proxy, _), server(says(OK)) as (port, _):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert healthcheck.probe(f"http://127.0.0.1:{port}/health") == ""


@pytest.mark.task(6)
@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000/health", "https://localhost/health", "http://", "", "ftp://a/b"]
)
def test_another_url_is_an_error(url: str):
    with raises(ValueError, url):
        healthcheck.probe(url)


@pytest.mark.task(6)
def test_without_a_port_it_is_80(monkeypatch: pytest.MonkeyPatch):
    asked: list[object] = []

    def refuse(address: object, *_: object, **__: object) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(socket, "create_connection", refuse)
    healthcheck.probe("http://nowhere.invalid/health")
    assert asked == [("nowhere.invalid", 80)]


def run(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-I", str(Path(healthcheck.__file__)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout


def test_as_a_command_0_is_healthy_and_1_is_not():
    with server(says(OK)) as (port, _):
        assert run(f"http://127.0.0.1:{port}/health", "--seconds", "20") == (0, "")
    code, said = run(f"http://127.0.0.1:{port}/health")
    assert (code, "unhealthy" in said, said.count("\n")) == (1, True, 1)


def test_a_mistake_in_what_was_typed_is_unhealthy_too():
    """Exit code 2 is Docker's own."""
    assert [run("--seconds")[0], run("--seconds", "x")[0], run("nonsense")[0]] == [1, 1, 1]
