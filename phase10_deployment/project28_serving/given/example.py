"""A small model and what is needed to serve it, links that record, and an example for `ladder trace 28`."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any

import torch

from phase10_deployment.project28_serving.adapters import EngineCore
from phase10_deployment.project28_serving.async_engine import AsyncEngine
from phase10_deployment.project28_serving.given.requests import Request
from phase10_deployment.project28_serving.given.served import Served
from phase10_deployment.project28_serving.given.wire import Piece, decode, encode
from phase10_deployment.project28_serving.protocol import parse_chat
from phase10_deployment.project28_serving.stream import Head, sse_events
from shared import tinyworld
from shared.phase01 import LLM, ByteBPE, Config, Tokenizer
from shared.phase02 import CONTROL, ChatModel, publish_chat
from shared.phase04 import LLMEngine

TINY = Config(
    vocab_size=295, context_length=160, layers=2, heads=4, kv_heads=2, dim=32, hidden_dim=48, head_dim=8
)


@cache
def small_tokenizer() -> Tokenizer[Any]:
    """A byte-level BPE of 290 tokens, trained on tinyworld, with tinyworld's control tokens after them."""
    model = ByteBPE.train([tinyworld.text("train", 0, 20_000)], 290, "gpt2", native=False)
    return Tokenizer(model, {name: 290 + number for number, name in enumerate(CONTROL["tinyworld"])})


def random_model(config: Config = TINY, dtype: torch.dtype = torch.float32, seed: int = 0) -> LLM:
    """A model with all weights random; the same at every call."""
    generator = torch.Generator().manual_seed(seed)
    model = LLM(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            mean = 1.0 if parameter.ndim == 1 else 0.0
            parameter.copy_(mean + 0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def make_served(**changes: Any) -> Served:
    """What is to be known of the small model."""
    fields: dict[str, Any] = {
        "name": "tiny", "tokenizer": small_tokenizer(), "template": "tinyworld", "context_length": 160,
        "vocab_size": 295, "capacity": 1024, "adapters": ("poet",), **changes,
    }  # fmt: skip
    return Served(**fields)


def make_engine(model: LLM, blocks: int = 64, **settings: Any) -> LLMEngine:
    """An LLMEngine for the small model."""
    chosen = {"block_size": 4, "max_sequences": 4, "max_tokens": 64, "compiled": False, **settings}
    return LLMEngine(model, small_tokenizer(), blocks, **chosen)


def publish_small(name: str = "small") -> None:
    """The small model among the learner's own, for a server to find by its name."""
    publish_chat(name, ChatModel(random_model(), small_tokenizer(), "tinyworld"), {"data": "none"})


class RecordingLink:
    """A link to no engine: what is sent is kept, what comes back is what a test puts in; `end` ends it."""

    def __init__(self):
        self.sent: list[dict[str, Any]] = []
        self.inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def send(self, command: Mapping[str, Any], /) -> None:
        """Keep it."""
        self.sent.append(dict(command))

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """What was put in."""
        while (message := await self.inbox.get()) is not None:
            yield message

    def end(self) -> None:
        """The engine ends."""
        self.inbox.put_nowait(None)

    async def close(self, patience: float = 5.0) -> int | None:
        """Nothing to close."""
        return 0


class CoreLink(RecordingLink):
    """A link to an EngineCore in this very thread: each command is followed by the steps that it takes."""

    def __init__(self, core: EngineCore):
        super().__init__()
        self.core = core
        self.pending: asyncio.Task[None] | None = None

    def send(self, command: Mapping[str, Any], /) -> None:
        """Over the wire, as bytes, and let the core work."""
        super().send(command)
        self.core.take(decode(encode(command)))
        if self.pending is None or self.pending.done():
            self.pending = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while not self.core.idle:
            message = self.core.turn()
            assert message is not None
            self.inbox.put_nowait(decode(encode(message)))
            await asyncio.sleep(0)


def piece(
    index: int = 0, text: str = "", tokens: list[int] | None = None, reason: str | None = None
) -> Piece:
    """A piece of a text."""
    return Piece(index, text, tokens or [], reason)


def events_of(data: bytes) -> list[Any]:
    """The objects of a stream's events; "[DONE]" as it is. Raises AssertionError for what is no event."""
    assert data.endswith(b"\n\n")
    found = []
    for event in data.split(b"\n\n")[:-1]:
        assert event.startswith(b"data: ")
        content = event.removeprefix(b"data: ")
        found.append("[DONE]" if content == b"[DONE]" else json.loads(content))
    return found


def streamed_text(events: list[Any], index: int = 0) -> str:
    """The text of a choice in a stream, put together as a client does."""
    found = ""
    for event in events:
        for choice in event["choices"] if isinstance(event, dict) and "choices" in event else ():
            if choice["index"] == index:
                found += choice["delta"].get("content", "") if "delta" in choice else choice["text"]
    return found


def trace_example() -> str:
    """A chat, from its body to its stream, by the small model in this thread."""
    return asyncio.run(_chat())


async def _chat() -> str:
    model, served = random_model(), make_served()
    engine = AsyncEngine(CoreLink(EngineCore(model, {"": make_engine(model)})))
    running = asyncio.create_task(engine.run())
    content = {"messages": [{"role": "user", "content": "Who?"}], "max_tokens": 6, "temperature": 0}
    request: Request = parse_chat(json.dumps(content).encode(), served)
    head = Head("chatcmpl-1", 0, served.name, chat=True)
    data = b""
    async for event in sse_events(engine.generate(request.asks()), head, 1, dict):
        data += event
    running.cancel()
    return streamed_text(events_of(data))
