"""The commands: they start, say so, drain, and tell what is wrong in one line."""

import json
import os
import re
import signal
import threading
import time

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from phase10_deployment.project28_serving import keys, serve
from phase10_deployment.project28_serving.given.background import Command, running
from phase10_deployment.project28_serving.given.example import events_of, publish_small
from phase10_deployment.project28_serving.given.key_file import read_keys
from phase10_deployment.project28_serving.limits import hash_key
from shared.testing import raises

LONG = {"prompt": "a", "max_tokens": 120, "ignore_eos": True, "stream": True}


@pytest.fixture(scope="module", autouse=True)
def small(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LADDER_WORK", str(tmp_path_factory.mktemp("work")))
        patch.setenv("LADDER_OFFLINE", "1")
        publish_small()
        yield


def words(*more):
    return ["--model", "small", "--port", "0", "--max-sequences", "4", "--blocks", "128", *more]


def engine_of(command):
    """The engine's process."""
    (child,) = psutil.Process(command.process.pid).children()
    return child


def run(module, *more):
    app = serve.typer.Typer()
    app.command()(module.main)
    return CliRunner().invoke(app, list(more))


def test_sigterm_drains_and_leaves_no_orphan(tmp_path):
    file = tmp_path / "keys.txt"
    key = run(keys, "--owner", "ada", "--file", str(file)).output.strip()
    with running(*words("--api-keys", str(file), "--mine"), log=tmp_path / "log") as server:
        assert any(re.search(r"project 13 .*the reference|project 13 .*yours", line) for line in server.lines)
        assert re.fullmatch(r"serving small on http://127\.0\.0\.1:\d+", server.lines[-1])
        child = engine_of(server)
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=60) as http:
            assert http.get("/ready").status_code == 200
            begun, data, late = threading.Event(), [], []

            def stream():
                with httpx.stream(
                    "POST", f"{server.url}/v1/completions", json=LONG, headers=headers, timeout=60
                ) as answer:
                    for chunk in answer.iter_bytes():
                        data.append(chunk)
                        begun.set()

            reader = threading.Thread(target=stream)
            reader.start()
            assert begun.wait(60)
            server.process.send_signal(signal.SIGTERM)
            while reader.is_alive():
                try:
                    late.append(http.get("/ready").status_code)
                    if late[-1] == 503:
                        answer = http.post("/v1/completions", json=LONG)
                        late.append(
                            (
                                answer.status_code,
                                answer.json()["error"]["code"],
                                answer.headers["retry-after"],
                            )
                        )
                except httpx.HTTPError:
                    break
            reader.join(60)
        events = events_of(b"".join(data))
        assert events[-1] == "[DONE]"
        assert events[-2]["choices"][0]["finish_reason"] == "length"
        assert (503, "draining", "1") in late or late.count(200) == len(late)
        assert server.process.wait(60) == 0
        child.wait(20)
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert key not in log
    assert hash_key(key) not in log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {"draining", "stopped", "request"} <= {line["event"] for line in lines}
    assert not any("prompts" in line for line in lines)
    assert {line["key"] for line in lines if line["event"] == "request"} >= {"ada"}


def test_when_the_engine_dies_all_hear_it_and_the_exit_code_says_so(tmp_path):
    with running(*words("--log-prompts"), log=tmp_path / "log") as server:
        child, data, statuses = engine_of(server), [], []
        with httpx.Client(base_url=server.url, timeout=60) as http:
            with http.stream("POST", "/v1/completions", json=LONG) as answer:
                for chunk in answer.iter_bytes():
                    if not data:
                        os.kill(child.pid, signal.SIGKILL)
                    data.append(chunk)
            events = events_of(b"".join(data))
            assert events[-1] == "[DONE]"
            assert (
                events[-2].get("error", {}).get("code") == "engine_dead"
                or events[-2]["choices"][0]["finish_reason"]
            )
            try:
                for _ in range(200):
                    statuses.append(http.get("/health").status_code)
                    if statuses[-1] == 503:
                        answer = http.post("/v1/completions", json=LONG)
                        statuses.append((answer.status_code, answer.json()["error"]["code"]))
                        break
                    time.sleep(0.01)
            except httpx.HTTPError:
                pass
        assert (503, "engine_dead") in statuses
        assert server.process.wait(60) == 1
    lines = [
        json.loads(line)
        for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()
        if line[0] == "{"
    ]
    assert any(line.get("prompts") == ["<|endoftext|>a"] for line in lines)


def test_when_the_server_is_killed_the_engine_ends_too():
    with running(*words()) as server:
        child = engine_of(server)
        server.process.kill()
        child.wait(30)
        assert not child.is_running()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--model", "nobody"), "nobody"),
        (("--adapter", "poet"), "NAME=FOLDER"),
        (("--adapter", "poet=/nowhere"), "nowhere"),
        (("--api-keys", "/nowhere/keys"), "No such file"),
        (("--template", "vicuna"), "vicuna"),
        (("--blocks", "0"), "block"),
    ],
)
def test_what_cannot_be_is_one_line(more, said):
    done = run(serve, *words(*more))
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def test_a_command_that_cannot_start_says_what_it_said():
    with pytest.raises(RuntimeError):
        Command("--model", "nobody")


def test_keys_are_shown_once_and_their_hashes_kept(tmp_path):
    file = tmp_path / "keys.txt"
    made = [run(keys, "--owner", owner, "--file", str(file)).output.strip() for owner in ("ada", "bob")]
    assert len(set(made)) == 2
    assert all(len(key) > 40 for key in made)
    assert read_keys(file) == {"ada": hash_key(made[0]), "bob": hash_key(made[1])}
    assert file.stat().st_mode & 0o077 == 0
    assert not any(key in file.read_text(encoding="utf-8") for key in made)
    again = run(keys, "--owner", "ada", "--file", str(file))
    assert again.exit_code == 2
    assert run(keys, "--owner", "a b", "--file", str(file)).exit_code == 2
    assert len(read_keys(file)) == 2


@pytest.mark.parametrize("text", ["", "ada", "ada:sha256:abc", "ada:" + "a" * 64, "a b:sha256:" + "a" * 64])
def test_a_broken_file_of_keys_is_not_shown(tmp_path, text):
    file = tmp_path / "keys.txt"
    file.write_text(f"# keys\n\n{text}\n", encoding="utf-8")
    with raises(ValueError, str(file)) as caught:
        read_keys(file)
    assert "a" * 64 not in str(caught.value)


def test_a_name_that_comes_twice_is_no_second_key(tmp_path):
    file = tmp_path / "keys.txt"
    file.write_text(f"ada:sha256:{'a' * 64}\nada:sha256:{'b' * 64}\n", encoding="utf-8")
    with raises(ValueError, "ada", 2):
        read_keys(file)
