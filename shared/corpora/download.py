"""One file over the network, checked against a pinned checksum, with no long wait for a dead network."""

import hashlib
import os
import queue
import threading
import time
import urllib.request

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

FIRST_BYTE = 4.5  # seconds from the start of the attempt, name look-up included, to the first byte
STALL = 20.0  # seconds that a transfer under way may stand still
GIVE_UP = 60.0  # seconds of silence after which the receiving thread ends, long abandoned
CHUNK = 1 << 16


class DownloadError(Exception):
    """A file could not be had from the network, or is not the file that was pinned."""


def fetch(url: str, size: int, sha256: str) -> bytes:
    """Download a file of exactly `size` bytes with that checksum, with a progress bar on stderr.

    Raises DownloadError at once when LADDER_OFFLINE is set, after at most 5 s when nothing comes, after 20 s
    when a transfer stands still, and when the bytes are not the pinned ones.
    """
    chunks = _start(url)
    content = bytearray()
    deadline = time.monotonic() + FIRST_BYTE
    with progress_bar() as progress:
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
    _next(_start(url), time.monotonic() + FIRST_BYTE, begun=False)


def progress_bar() -> Progress:
    """A bar on stderr that counts bytes and goes when it is done; none where stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _start(url: str) -> "queue.Queue[bytes | Exception]":
    """Begin to receive. Raises DownloadError when LADDER_OFFLINE is set."""
    if os.environ.get("LADDER_OFFLINE", "0") not in ("", "0"):
        raise DownloadError("LADDER_OFFLINE is set")
    chunks: queue.Queue[bytes | Exception] = queue.Queue()
    # In a thread, because a name look-up that hangs obeys no timeout; a daemon, not to hold up the exit.
    threading.Thread(target=_receive, args=(url, chunks), daemon=True).start()
    return chunks


def _next(chunks: "queue.Queue[bytes | Exception]", deadline: float, begun: bool) -> bytes:
    """The next bytes, empty at the end."""
    try:
        chunk = chunks.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        what = f"the transfer stood still for {STALL:.0f} s" if begun else f"no answer in {FIRST_BYTE:g} s"
        raise DownloadError(what) from None
    if isinstance(chunk, Exception):
        raise DownloadError(str(getattr(chunk, "reason", chunk)) or type(chunk).__name__)
    return chunk


def _receive(url: str, chunks: "queue.Queue[bytes | Exception]") -> None:
    try:
        with urllib.request.urlopen(url, timeout=GIVE_UP) as response:
            while chunk := response.read1(CHUNK):
                chunks.put(chunk)
        chunks.put(b"")
    except Exception as problem:  # whatever it is, the other thread is to hear of it
        chunks.put(problem)
