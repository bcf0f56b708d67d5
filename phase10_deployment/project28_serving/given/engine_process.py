"""The engine's process: builds the model and its engines, says that it is ready, and then steps while there is work.

Its one argument is an EngineSettings, as JSON. Commands come in on standard input, a line of JSON each; messages go out
on standard output. When the input ends, as it does when the server dies in whatever way, the process ends too, so that
no orphan keeps a core busy.
"""

import json
import os
import queue
import select
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from phase10_deployment.project28_serving.adapters import EngineCore
from phase10_deployment.project28_serving.given.served import load_served
from phase10_deployment.project28_serving.given.wire import decode, encode
from shared.phase01 import LLM, load_base
from shared.phase02 import load_adapter
from shared.phase04 import DraftProposer, LLMEngine, NGramProposer, SamplingParams


@dataclass
class EngineSettings:
    """What an engine's process is told at its start."""

    model: str = "tiny-chat"
    template: str = ""
    adapters: dict[str, str] = field(default_factory=dict)
    """folders of LoRA adapters, by name"""
    blocks: int = 1024
    adapter_blocks: int = 256
    """blocks of each adapter's engine"""
    block_size: int = 16
    max_sequences: int = 16
    max_tokens: int = 512
    """the budget of a step"""
    chunk: int | None = 256
    max_waiting: int = 10_000
    swap_blocks: int = 0
    draft: str = ""
    """a model that guesses, "ngram" for none but the text itself, "" for no guesses"""
    threads: int = 1


def build(settings: EngineSettings) -> tuple[EngineCore, dict[str, Any]]:
    """The engines, each warm, and what the server must know of them. Raises as the parts do."""
    torch.set_num_threads(settings.threads)
    model, tokenizer, template = load_served(settings.model, settings.template)
    proposer = _proposer(settings, model)
    engines = {"": _engine(settings, model, tokenizer, settings.blocks, proposer)}
    for name, folder in settings.adapters.items():
        load_adapter(model, folder, name)
        engines[name] = _engine(settings, model, tokenizer, settings.adapter_blocks, None)
    core = EngineCore(model, engines)
    for name, engine in engines.items():  # the first step is slow, and none of a client's
        core.switch(name).generate([[0, 0]], SamplingParams(max_tokens=2, temperature=0), salt="warm")
        engine.saved = type(engine.saved)()
    info = {
        "ready": True,
        "pid": os.getpid(),
        "template": template,
        "context_length": model.config.context_length,
        "vocab_size": model.config.vocab_size,
        "capacity": settings.blocks * settings.block_size,
        "block_size": settings.block_size,
        "parameters": model.parameter_count(),
    }
    return core, info


def _engine(settings: EngineSettings, model: LLM, tokenizer: Any, blocks: int, proposer: Any) -> LLMEngine:
    return LLMEngine(
        model, tokenizer, blocks, settings.block_size, settings.max_sequences, settings.max_tokens, settings.chunk,
        proposer=proposer, swap_blocks=settings.swap_blocks, max_waiting=settings.max_waiting,
    )  # fmt: skip


def _proposer(settings: EngineSettings, model: LLM) -> Any:
    if not settings.draft:
        return None
    if settings.draft == "ngram":
        return NGramProposer()
    draft, _ = load_base(settings.draft)
    return DraftProposer(draft, settings.max_sequences)


Take = Callable[[bool], list[dict[str, Any]] | None]
"""the commands that have come; with True, not before there is one; None where no more will come"""


def run(core: EngineCore, take: Take, send: Callable[[bytes], None]) -> None:
    """Take commands and make steps until no more will come; an error that gets out of a step ends it, and is raised."""
    while (commands := take(core.idle)) is not None:
        for command in commands:
            core.take(command)
        message = core.turn()
        if message is not None:
            send(encode(message))


def take_from_queue(waiting: "queue.Queue[dict[str, Any] | None]") -> Take:
    """Commands that a thread puts into a queue; None ends it."""

    def take(wait: bool) -> list[dict[str, Any]] | None:
        found = [waiting.get()] if wait else []
        while not waiting.empty():
            found.append(waiting.get_nowait())
        return None if None in found else [command for command in found if command is not None]

    return take


def take_from_pipe(file: int) -> Take:
    """Commands that come through a pipe, a line each. There is no thread: it would wait for the interpreter's lock."""
    os.set_blocking(file, False)
    rest, ended = b"", False

    def take(wait: bool) -> list[dict[str, Any]] | None:
        nonlocal rest, ended
        found: list[bytes] = []
        while not ended:
            try:
                data = os.read(file, 2**20)
            except BlockingIOError:
                if found or not wait:
                    break
                select.select([file], [], [])
                continue
            ended = not data
            *lines, rest = (rest + data).split(b"\n")
            found += lines
        return None if ended and not found else [decode(line) for line in found]

    return take


def main() -> None:
    """Serve the process's input and output."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the server decides when it ends: it closes our input
        signal.signal(number, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever else prints must not get between the messages
    sys.stdout = sys.stderr

    def send(line: bytes) -> None:
        view = memoryview(line)
        while view:
            view = view[out.write(view) :]

    settings = EngineSettings(**json.loads(sys.argv[1]))
    try:
        core, info = build(settings)
    except Exception as error:  # the server says it, in one line
        send(encode({"fatal": str(error) or type(error).__name__}))
        sys.exit(1)
    try:
        send(encode({**info, "settings": asdict(settings)}))
        run(core, take_from_pipe(0), send)
    except BrokenPipeError:
        pass  # the server has gone
    except Exception as error:
        send(encode({"fatal": f"{type(error).__name__}: {error}"}))
        raise
