"""One file over the network, checked against a pinned checksum, with no long wait for a dead network."""

import hashlib
import os
import queue
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

FIRST_BYTE = 4.5  # seconds from the start of the attempt, name look-up included, to the first byte
STALL = 20.0  # seconds that a transfer under way may stand still
GIVE_UP = 60.0  # seconds of silence after which the receiving thread ends, long abandoned
CHUNK = 1 << 16
WAITING = 64  # chunks that may lie between the thread that receives and the one that reads

Chunks = queue.Queue[bytes | Exception]


class DownloadError(Exception):
    """A file could not be had from the network, or is not the file that was pinned."""


def fetch(url: str, size: int, sha256: str) -> bytes:
    """Download a file of exactly `size` bytes with that checksum, with a progress bar on stderr.

    Raises DownloadError at once when LADDER_OFFLINE is set, after at most 5 s when nothing comes, after 20 s
    when a transfer stands still, and when the bytes are not the pinned ones.
    """
    content = bytearray()
    with _receiving(url) as chunks, progress_bar() as progress:
        deadline = time.monotonic() + FIRST_BYTE
        task = progress.add_task(f"downloading {url.rsplit('/', 1)[-1]}", total=size)
        while len(content) <= size:
            chunk = _next(chunks, deadline, bool(content))
            if not chunk:
                break
            content += chunk
            deadline = time.monotonic() + STALL
            progress.update(task, completed=len(content))
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DownloadError(
            f"{url} is not the file it was: expected sha256 {sha256}, {size:,} bytes; found {found}"
        )
    return bytes(content)


def reach(url: str) -> None:
    """Returns once the server has answered. Raises DownloadError as `fetch` does: after at most 5 s of silence."""
    with _receiving(url) as chunks:
        _next(chunks, time.monotonic() + FIRST_BYTE, begun=False)


def progress_bar() -> Progress:
    """A bar on stderr that counts bytes and goes when it is done; none where stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def _receiving(url: str) -> Iterator[Chunks]:
    """What arrives, as long as the block lasts. Raises DownloadError when LADDER_OFFLINE is set."""
    if os.environ.get("LADDER_OFFLINE", "0") not in ("", "0"):
        raise DownloadError("LADDER_OFFLINE is set")
    chunks: Chunks = queue.Queue(WAITING)
    over = threading.Event()
    # In a thread, because a name look-up that hangs obeys no timeout; a daemon, not to hold up the exit.
    threading.Thread(target=_receive, args=(url, chunks, over), daemon=True).start()
    try:
        yield chunks
    finally:
        over.set()


def _next(chunks: Chunks, deadline: float, begun: bool) -> bytes:
    """The next bytes, empty at the end."""
    try:
        chunk = chunks.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        what = f"the transfer stood still for {STALL:.0f} s" if begun else f"no answer in {FIRST_BYTE:g} s"
        raise DownloadError(what) from None
    if isinstance(chunk, Exception):
        raise DownloadError(str(getattr(chunk, "reason", chunk)) or type(chunk).__name__)
    return chunk


def _receive(url: str, chunks: Chunks, over: threading.Event) -> None:
    try:
        with urllib.request.urlopen(url, timeout=GIVE_UP) as response:
            while not over.is_set() and (chunk := response.read1(CHUNK)):
                _put(chunk, chunks, over)
        _put(b"", chunks, over)
    except Exception as problem:  # whatever it is, the other thread is to hear of it
        _put(problem, chunks, over)


def _put(chunk: bytes | Exception, chunks: Chunks, over: threading.Event) -> None:
    """Wait for room, as long as anybody reads."""
    while not over.is_set():
        try:
            chunks.put(chunk, timeout=0.1)
        except queue.Full:
            continue
        return
