"""A request's body, whole and in time; and whether its client is still there."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request

from phase10_deployment.project28_serving.given.errors import ApiError
from phase10_deployment.project28_serving.given.state import State

T = TypeVar("T")


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


async def read_body(request: Request, state: State) -> bytes:
    """The body. Raises ApiError where it is of another type than JSON or compressed (415), too large (413), or does
    not come in time (408).
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(f"the content type is application/json, not {kind[:60]!r}", status=415)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise ApiError("the body may not be compressed", status=415)
    most = state.options.largest_body
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > most:
        raise ApiError(f"the body may have {most:,} bytes", status=413)
    found = bytearray()
    try:
        async with asyncio.timeout(state.options.body_seconds):
            async for chunk in request.stream():
                found += chunk
                if len(found) > most:
                    raise ApiError(f"the body may have {most:,} bytes", status=413)
    except TimeoutError:
        raise ApiError("the body did not come in time", status=408) from None
    return bytes(found)


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """What `work` gives. Raises ClientGoneError where the client goes away before: a plain route is never told."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGoneError
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
