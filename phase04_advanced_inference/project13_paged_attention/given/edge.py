"""Whether a kernel stays within its arrays: who touches memory that nobody may touch is ended at once.

So another process makes the call, a fork of this one.
"""

import ctypes
import faulthandler
import mmap
import os
import warnings
from collections.abc import Callable, Collection

import torch
from torch import Tensor

PAGE = mmap.PAGESIZE


class Guarded:
    """A copy of a tensor's numbers whose last byte is the last of its page; nobody may touch the page behind it.

    `forbidden` are parts of it that nobody may touch either: pairs of the first byte and the one behind the last. Only
    whole pages can be forbidden; what is less is left alone. The memory is there as long as this object is.
    """

    def __init__(self, content: Tensor, forbidden: Collection[tuple[int, int]] = ()):
        data = content.contiguous().view(torch.uint8).numpy().tobytes()
        size = (len(data) + PAGE - 1) // PAGE * PAGE
        self.room = mmap.mmap(-1, size + PAGE)
        begin = ctypes.addressof(ctypes.c_char.from_buffer(self.room))
        self.address = begin + size - len(data)
        ctypes.memmove(self.address, data, len(data))
        _forbid(begin + size, PAGE)
        for first, end in forbidden:
            low = (self.address + first + PAGE - 1) // PAGE * PAGE
            high = (self.address + end) // PAGE * PAGE
            if low < high:
                _forbid(low, high - low)


def _forbid(address: int, size: int) -> None:
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if protect(address, size, 0):
        raise OSError(ctypes.get_errno(), "mprotect failed")


def stays_inside(call: Callable[[], object]) -> bool:
    """Make the call in a fork of this process; False if it was ended for touching what it may not.

    Raises RuntimeError where the call itself raised.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # Python's, of a fork beside threads: it makes one call
        child = os.fork()
    if not child:
        faulthandler.disable()
        code = 1
        try:
            call()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("the call raised an error, in the process that made it")
    return os.WIFEXITED(status)
