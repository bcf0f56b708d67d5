"""Large pages for the blocks' memory, where Linux gives them to who asks.

A processor keeps the addresses of some thousand pages at hand. Of pages of 4 kB that is less than a store has, and
blocks in no order miss it nearly every time; of pages of 2 MB it is more than enough.
"""

import ctypes
import mmap
import sys
from collections.abc import Iterable

from torch import Tensor

LARGE = 2 * 2**20


def use_huge_pages(buffers: Iterable[Tensor]) -> bool:
    """Ask for large pages for tensors on a CPU, [*store.keys, *store.values], that nothing was written to yet.

    Returns whether all was granted. It is a wish: where it is not granted, or there is no Linux, everything is as
    before. A buffer without a whole large page is left alone.
    """
    granted = sys.platform == "linux"
    for buffer in buffers:
        if sys.platform != "linux" or buffer.device.type != "cpu" or buffer.nbytes < LARGE:
            granted = False
            continue
        begin = -(-buffer.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        size = (buffer.data_ptr() + buffer.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE - begin
        advise = ctypes.CDLL(None).madvise
        advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        granted &= not advise(begin, size, mmap.MADV_HUGEPAGE)
    return granted
