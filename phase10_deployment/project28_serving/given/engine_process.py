"""The engine's process: builds the model and its engines, says that it is ready, and then steps while there is work.

    python -m phase10_deployment.project28_serving.given.engine_process '{"model": "tiny-chat", …}'

Commands come in on standard input, a line of JSON each; messages go out on standard output. When the input ends, as it
does when the server dies in whatever way, the process ends too: no orphan keeps a core busy.
"""

import json
import os
import queue
import signal
import sys
import threading
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


def run(
    core: EngineCore, commands: "queue.Queue[dict[str, Any] | None]", send: Callable[[bytes], None]
) -> None:
    """Take commands and make steps until a command is None; an error that gets out of a step ends it, and is raised."""
    while True:
        waiting = [commands.get()] if core.idle else []
        while not commands.empty():
            waiting.append(commands.get_nowait())
        for command in waiting:
            if command is None:
                return
            core.take(command)
        message = core.turn()
        if message is not None:
            send(encode(message))


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
        commands: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=_read, args=(commands,), daemon=True).start()
        run(core, commands, send)
    except BrokenPipeError:
        pass  # the server has gone
    except Exception as error:
        send(encode({"fatal": f"{type(error).__name__}: {error}"}))
        raise


def _read(commands: "queue.Queue[dict[str, Any] | None]") -> None:
    for line in sys.stdin.buffer:
        commands.put(decode(line))
    commands.put(None)


if __name__ == "__main__":
    main()
