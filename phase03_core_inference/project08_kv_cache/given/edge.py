"""Whether a kernel stays within its arrays: each ends where a page of memory begins that nobody may touch.

Who touches it is ended at once, so a process of its own makes the call: it runs this text, which needs no torch.
"""

import ctypes
import mmap
import subprocess
import sys
from ctypes import c_char, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path


def stays_inside(library: ctypes.CDLL, name: str, *arguments: bytes | int) -> bool:
    """Call a C function in another process; False if it reads or writes beyond an array.

    Bytes are arrays, of which the function gets the addresses; numbers are int64. Raises RuntimeError, with what Python
    said, where the call could not be made.
    """
    words = [f"array:{value.hex()}" if isinstance(value, bytes) else f"number:{value}" for value in arguments]
    text = Path(__file__).read_text(encoding="utf-8") + "\nmain()\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", text, library._name, name, *words], capture_output=True, check=False
    )
    if done.returncode > 0:
        raise RuntimeError(done.stderr.decode("utf-8", "replace"))
    return done.returncode == 0  # ended by a signal, it is negative


def _at_the_edge(content: bytes) -> c_void_p:
    """The address of an array whose last byte is the last of its page."""
    size = (len(content) + mmap.PAGESIZE - 1) // mmap.PAGESIZE * mmap.PAGESIZE
    room = mmap.mmap(-1, size + mmap.PAGESIZE)
    begin = ctypes.addressof(c_char.from_buffer(room))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [c_void_p, c_size_t, c_int]
    if protect(begin + size, mmap.PAGESIZE, 0):
        raise OSError(ctypes.get_errno(), "mprotect failed")
    ctypes.memmove(begin + size - len(content), content, len(content))
    _rooms.append(room)
    return c_void_p(begin + size - len(content))


_rooms: list[mmap.mmap] = []  # they stay until the process ends


def main() -> None:
    """Make the call that the command line describes."""
    path, name, *words = sys.argv[1:]
    arguments: list[c_void_p | c_int64] = []
    for word in words:
        kind, _, value = word.partition(":")
        arguments.append(_at_the_edge(bytes.fromhex(value)) if kind == "array" else c_int64(int(value)))
    function = ctypes.CDLL(path)[name]
    function.restype = None
    function(*arguments)
