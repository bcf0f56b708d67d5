"""What is checked of a real image: what lies in it, how it starts, what it may do, and how it ends."""

import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phase10_deployment.project29_docker.given import sealed
from phase10_deployment.project29_docker.given.server import WARM

TOOLS = ("gcc", "g++", "cc", "c++", "clang", "ld", "as", "make", "pip", "pip3", "git", "curl", "wget")


@dataclass(frozen=True)
class Config:
    """What an image says of how it is run."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    user: str
    healthcheck: tuple[str, ...]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Config":
        """From the config of an image, as Docker writes it."""
        environment = dict(one.partition("=")[::2] for one in config.get("Env", []))
        command = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
        check = (config.get("Healthcheck") or {}).get("Test", [])
        return cls(tuple(command), environment, config.get("User", ""), tuple(check[1:]))


def tools(root: Path) -> list[str]:
    """The compilers, pips and downloaders that lie where a PATH looks."""
    places = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "opt/venv/bin")
    return [f"/{place}/{name}" for place in places for name in TOOLS if os.path.lexists(root / place / name)]


class Running:
    """An image's server, sealed: started, ready, asked, ended."""

    def __init__(self, root: Path, config: Config, options: Sequence[str] = ()) -> None:
        environment = {**config.environment}
        command = [*_without_address(config.command), "--host", "127.0.0.1", "--port", "0", *options]
        start = time.perf_counter()
        self.outer = sealed.start(
            root, command, environment, config.user, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.log: list[str] = []
        assert self.outer.stdout is not None
        assert self.outer.stderr is not None
        threading.Thread(target=self.log.extend, args=(self.outer.stderr,), daemon=True).start()
        timer = threading.Timer(WARM, self.outer.kill)
        timer.start()
        found = None
        for line in self.outer.stdout:
            if found := re.match(r"serving \S+ on http://\S+:(\d+)", line):
                break
        timer.cancel()
        if found is None:
            self.outer.wait()
            time.sleep(0.2)
            raise OSError(f"the server in the image did not start: {''.join(self.log)[-2000:]}")
        self.seconds = time.perf_counter() - start
        self.port = int(found[1])
        self.one = sealed.process_one(self.outer)

    def get(self, path: str) -> int:
        """The status of a GET."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def stream(self, model: str, tokens: int) -> http.client.HTTPResponse:
        """A chat's stream, with so many tokens to come."""
        body = {"model": model, "messages": [{"role": "user", "content": "Tell a story."}], "stream": True}
        body |= {"max_tokens": tokens, "min_tokens": tokens, "ignore_eos": True}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(
            "POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
        )
        return connection.getresponse()

    def terminate(self) -> None:
        """SIGTERM to process 1, as `docker stop` sends it."""
        os.kill(self.one, signal.SIGTERM)

    def wait(self, seconds: float = 90.0) -> int:
        """Its exit code. Kills it, and raises TimeoutExpired, where it does not end."""
        try:
            return self.outer.wait(seconds)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it and all in it."""
        if self.outer.poll() is None:
            self.outer.kill()
            self.outer.wait()


def _without_address(command: Sequence[str]) -> list[str]:
    words, made = list(command), []
    while words:
        if words[0] in ("--host", "--port"):
            words = words[2:]
        else:
            made.append(words.pop(0))
    return made


def memory(pid: int) -> int:
    """The bytes that a process and all below it hold (PSS: what they share counts once)."""
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text(encoding="utf-8")
            waiting += map(int, Path(f"/proc/{one}/task/{one}/children").read_text(encoding="utf-8").split())
        except OSError:
            continue
        total += sum(1024 * int(kb) for kb in re.findall(r"^Pss:\s+(\d+)", text, re.MULTILINE))
    return total


def try_to_write(root: Path, config: Config) -> dict[str, bool]:
    """Which places the image's user can write to, in a sealed root."""
    code = (
        "import json, os\n"
        "def can(place):\n"
        "    try:\n"
        "        open(os.path.join(place, 'written'), 'w').close()\n"
        "        return True\n"
        "    except OSError:\n"
        "        return False\n"
        "print(json.dumps({place: can(place) for place in ('/', '/app', '/data', '/opt/venv', '/etc', '/tmp')}))"
    )
    command = [*config.command[: config.command.index("--") + 1], "python", "-I", "-c", code]
    process = sealed.start(root, command, config.environment, config.user, stdout=subprocess.PIPE)
    out, _ = process.communicate(timeout=60)
    return json.loads(out)


def end_with_a_stream_open(running: Running, model: str = "tiny-chat", tokens: int = 200) -> dict[str, Any]:
    """SIGTERM while a stream is being written: what comes of the stream, of new requests, and of the process."""
    answer = running.stream(model, tokens)
    first = answer.readline()
    running.terminate()
    refused: list[int] = []
    end = time.monotonic() + 10
    while not refused and time.monotonic() < end:
        try:
            if (status := running.get("/ready")) != 200:
                refused.append(status)
        except OSError:
            refused.append(0)  # it listens no more
    rest = answer.read()
    code = running.wait()
    lines = (first + rest).splitlines()
    events = [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]
    text = "".join(
        (event["choices"][0]["delta"].get("content") or "") for event in events if event["choices"]
    )
    return {
        "exit code": code,
        "whole stream": lines[-2:] and b"data: [DONE]" in lines,
        "events": len(events),
        "characters": len(text),
        "status of new requests": refused[0] if refused else 200,
    }
