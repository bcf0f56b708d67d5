"""Throughput and latency by the number of streams, beside others' servers with the same weights behind the same API."""

import asyncio
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx

from phase10_deployment.project28_serving.given.background import Command, running
from phase10_deployment.project28_serving.given.loading import Loaded, run
from phase10_deployment.project28_serving.given.measurements import MODEL, Offline, Settings, answered
from phase10_deployment.project28_serving.given.served import load_served
from shared.measuring import plot
from shared.measuring.arms import Report
from shared.phase02 import export_chat

OURS = "this server"
VLLM = "LADDER_VLLM_PYTHON"
"""the variable that names a python with vLLM in it, as for project 13's benchmark"""
PATIENCE = 300.0


def by_streams(report: Report, settings: Settings, alone: Offline, server: Command) -> None:
    """One server after the other, ours first, at each number of streams; two pictures lie beside the results."""
    if not settings.streams:
        return
    found = {OURS: _measured(settings, server.url)}
    if settings.peers:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            export_chat(load_served(MODEL), folder)
            for peer, started in peers(folder, settings).items():
                with started as url:
                    found[peer] = _measured(settings, url)
    for count, loaded in found[OURS].items():
        others = {peer: one[count].throughput for peer, one in found.items() if peer != OURS}
        first, between = loaded.percentiles("first"), loaded.percentiles("between")
        note = f"first token p50 {first['p50']:.1f}, p99 {first['p99']:.1f} ms; between p99 {between['p99']:.1f} ms"
        target = (">", max(others.values())) if others else None
        report.figure(f"throughput, {count} streams", loaded.throughput, "tokens/s", target, others, note)
    _draw(report, found)


def _measured(settings: Settings, url: str) -> dict[int, Loaded]:
    """By the number of streams, what came of requests that keep so many busy; a few before them warm up."""
    asyncio.run(run(url, settings.load(99, requests=2, at_once=2)))
    found = {}
    for count in settings.streams:
        load = settings.load(100 + count, requests=min(settings.requests, 8 * count), at_once=count)
        found[count] = answered(asyncio.run(run(url, load)))
    return found


def _draw(report: Report, found: dict[str, dict[int, Loaded]]) -> None:
    """Both curves of each server go into the record and into a picture."""
    pictures = {
        "throughput": ("tokens/s", lambda one: one.throughput),
        "time until the whole text, p99": ("ms", lambda one: one.percentiles("seconds")["p99"]),
    }
    for number, (title, (unit, value)) in enumerate(pictures.items()):
        curves = {}
        for name, by_count in found.items():
            counts, values = list(by_count), [value(one) for one in by_count.values()]
            report.series(f"{title}, {name}", counts, values, "streams", unit)
            curves[name] = (counts, values)
        path = report.path.parent / ("throughput.png", "latency.png")[number]
        plot.lines(
            path, curves, f"{title.capitalize()}, tiny-chat", "streams", unit, log_x=True, log_y=number == 1
        )


# ---- others


def peers(folder: Path, settings: Settings) -> dict[str, AbstractContextManager[str]]:
    """By name, what starts a server of the model in a folder, and gives its address."""
    found: dict[str, AbstractContextManager[str]] = {"transformers, no batching": transformers_server(folder)}
    if os.environ.get(VLLM):
        found["vLLM, float32"] = vllm_server(os.environ[VLLM], folder, settings)
    return found


@contextmanager
def transformers_server(folder: Path) -> Iterator[str]:
    """transformers behind the same API, without streams: each answer comes whole; its address."""
    with running("--folder", str(folder), command="given.peer_server") as server:
        yield server.url


@contextmanager
def vllm_server(python: str, folder: Path, settings: Settings) -> Iterator[str]:
    """vLLM's own server, in an environment of its own, with as many threads as it likes; its address.

    Raises RuntimeError where it ends before it is ready, with the last lines of what it said.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", folder / "vllm.log"
    variables = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LD_PRELOAD")
    }
    variables |= {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    words = [
        "--model", str(folder), "--served-model-name", MODEL, "--dtype", "float32", "--port", str(port),
        "--host", "127.0.0.1", "--max-num-seqs", str(settings.max_sequences), "--disable-log-stats",
    ]  # fmt: skip
    with log.open("wb") as said:
        process = subprocess.Popen(
            [python, "-m", "vllm.entrypoints.openai.api_server", *words], stdout=said, stderr=said, env=variables,
            cwd=folder,
        )  # fmt: skip
    try:
        end = time.monotonic() + PATIENCE
        while not _is_ready(url):
            if process.poll() is not None or time.monotonic() > end:
                last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-12:]
                raise RuntimeError("vLLM did not become ready: " + "\n".join(last))
            time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
