"""A client that costs next to nothing, for measuring: it must not take the time that it measures.

A connection a request, as HTTP/1.1 has it; of a stream the lines that begin with "data: ", when they come.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 600.0


@dataclass
class Exchange:
    """A request and what came of it; times in seconds since it was sent."""

    status: int = 0
    """0: there was no answer"""
    content: Any = None
    """the body, as JSON; of a stream the last event that was no [DONE]"""
    first: float = 0.0
    """until the first event with a text, or the body, came"""
    events: list[float] = field(default_factory=list)
    """when events with a text came"""
    tokens: int = 0
    """tokens that were written, by the answer's own count"""
    prompt: int = 0
    """and those of the prompt"""
    seconds: float = 0.0
    """until its end"""
    done: bool = False
    """whether a stream ended with [DONE], or the body was whole"""
    left: bool = False
    """whether we went away before its end"""
    retry_after: str = ""


async def ask(
    url: str, path: str, body: Mapping[str, Any], key: str = "", leave_after: int | None = None
) -> Exchange:
    """Send a request, and read the answer to its end, or, for a stream, until so many events have come.

    With `leave_after` 0 it goes away as soon as the request is sent.
    """
    parts, found = urlsplit(url), Exchange()
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\nconnection: close\r\n"
    head += f"authorization: Bearer {key}\r\n" if key else ""
    head += f"content-length: {len(content)}\r\n\r\n"
    start = time.perf_counter()
    writer = None
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**22)
            writer.write(head.encode() + content)
            await writer.drain()
            if leave_after == 0:
                found.left = True
                return found
            await _read(reader, found, start, leave_after)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
        pass  # what is not `done` has failed
    finally:
        found.seconds = time.perf_counter() - start
        if writer is not None:
            writer.close()
    return found


async def _read(reader: asyncio.StreamReader, found: Exchange, start: float, leave_after: int | None) -> None:
    found.status = int((await reader.readline()).split()[1])
    headers = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    found.retry_after = headers.get("retry-after", "")
    if not headers.get("content-type", "").startswith("text/event-stream"):
        data = await reader.readexactly(int(headers["content-length"]))
        found.first = time.perf_counter() - start
        found.content, found.done = json.loads(data), True
        _count(found, found.content.get("usage"))
        return
    while line := await reader.readline():
        if not line.startswith(b"data: "):
            continue
        if line.startswith(b"data: [DONE]"):
            found.done = True
            return
        now = time.perf_counter() - start
        found.content = event = json.loads(line[6:])
        _count(found, event.get("usage"))
        if any(
            choice.get("text") or choice.get("delta", {}).get("content")
            for choice in event.get("choices", ())
        ):
            found.first = found.first or now
            found.events.append(now)
            if leave_after is not None and len(found.events) >= leave_after:
                found.left = True
                return


def _count(found: Exchange, usage: Mapping[str, Any] | None) -> None:
    if usage:
        found.tokens, found.prompt = usage["completion_tokens"], usage["prompt_tokens"]
