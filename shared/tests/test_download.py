import hashlib
import itertools
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from shared.corpora import download
from shared.corpora.download import DownloadError, fetch, reach

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.delenv("LADDER_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server(request):
    """A web server on this machine: /whole, /half (then silence), /silent, /longer, and 404 for the rest."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/silent":
                over.wait(30)
                return
            if self.path not in ("/whole", "/half", "/longer"):
                self.send_error(404)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path == "/half" else CONTENT)
            if self.path == "/half":
                over.wait(30)
            if self.path == "/longer":
                self.wfile.write(CONTENT)

        def log_message(self, format, *args):
            pass

    running = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    # Not with yield: the type checker's wrapper hides from pytest that a fixture is a generator.
    for stop in (running.server_close, thread.join, running.shutdown, over.set):  # called in reverse
        request.addfinalizer(stop)  # noqa: PT021
    return f"http://127.0.0.1:{running.server_port}"


def test_a_file_arrives_whole(server):
    assert fetch(f"{server}/whole", len(CONTENT), SHA256) == CONTENT


@pytest.mark.parametrize(
    ("path", "size", "sha256", "words"),
    [
        ("missing", len(CONTENT), SHA256, "Not Found"),
        (
            "whole",
            len(CONTENT),
            "0" * 64,
            f"is not the file it was: expected sha256 {'0' * 64}, .* found {SHA256}",
        ),
        ("longer", len(CONTENT), SHA256, "is not the file it was"),
    ],
)
def test_what_is_not_the_pinned_file_is_refused(server, path, size, sha256, words):
    with pytest.raises(DownloadError, match=words):
        fetch(f"{server}/{path}", size, sha256)


def test_a_connection_on_which_nothing_comes(server, monkeypatch):
    monkeypatch.setattr(download, "FIRST_BYTE", 0.2)
    with pytest.raises(DownloadError, match=r"no answer in 0\.2 s"):
        fetch(f"{server}/silent", len(CONTENT), SHA256)


def test_a_transfer_that_stands_still(server, monkeypatch):
    monkeypatch.setattr(download, "STALL", 0.2)
    with pytest.raises(DownloadError, match="the transfer stood still for 0 s"):
        fetch(f"{server}/half", len(CONTENT), SHA256)


def test_a_name_lookup_that_hangs(monkeypatch):
    over = threading.Event()

    def hang(*_, **__):
        over.wait(30)
        raise OSError

    monkeypatch.setattr(download, "FIRST_BYTE", 0.1)
    monkeypatch.setattr(download.urllib.request, "urlopen", hang)
    with pytest.raises(DownloadError, match="no answer"):
        fetch("http://example.invalid/x", 1, SHA256)
    over.set()


@pytest.mark.parametrize(
    ("problem", "words"), [(OSError("unreachable"), "unreachable"), (TimeoutError(), "TimeoutError")]
)
def test_no_network(monkeypatch, problem, words):
    def fail(*_, **__):
        raise problem

    monkeypatch.setattr(download.urllib.request, "urlopen", fail)
    with pytest.raises(DownloadError, match=words):
        fetch("http://example.invalid/x", 1, SHA256)


def test_offline_is_not_even_tried(monkeypatch):
    monkeypatch.setattr(download.urllib.request, "urlopen", lambda *_, **__: pytest.fail("tried"))
    monkeypatch.setenv("LADDER_OFFLINE", "1")
    with pytest.raises(DownloadError, match="LADDER_OFFLINE is set"):
        fetch("http://example.invalid/x", 1, SHA256)
    with pytest.raises(DownloadError, match="LADDER_OFFLINE is set"):
        reach("http://example.invalid/x")


def test_waiting_for_a_dead_network_takes_five_seconds_at_most():
    assert download.FIRST_BYTE <= 5


def test_a_server_that_answers_is_reached(server):
    reach(f"{server}/longer")
    with pytest.raises(DownloadError, match="Not Found"):
        reach(f"{server}/missing")


def test_a_server_that_is_silent_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(download, "FIRST_BYTE", 0.2)
    with pytest.raises(DownloadError, match=r"no answer in 0\.2 s"):
        reach(f"{server}/silent")


@pytest.mark.parametrize("way", ["fetch", "reach", "nobody reads"])
def test_who_has_given_up_receives_no_more(monkeypatch, way):
    threads = set(threading.enumerate())
    reads = itertools.count()
    full = threading.Event()

    class Endless:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read1(self, size):
            if next(reads) == download.WAITING:
                full.set()  # this chunk finds no room, unless somebody reads
            return b"x" * size

    monkeypatch.setattr(download.urllib.request, "urlopen", lambda *_, **__: Endless())
    if way == "fetch":
        with pytest.raises(DownloadError, match="is not the file it was"):
            fetch("http://example.invalid/x", 10, SHA256)
    elif way == "reach":
        reach("http://example.invalid/x")
    else:
        with download._receiving("http://example.invalid/x") as chunks:
            assert full.wait(30)
            assert chunks.full()
    for thread in set(threading.enumerate()) - threads:
        thread.join(30)
        assert not thread.is_alive()
    assert next(reads) <= 2 * download.WAITING
