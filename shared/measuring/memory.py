"""The most memory that a piece of work takes, and whether the process keeps what it frees."""

import ctypes
import gc
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's numbers for what mallopt sets
INTERVAL = 0.001  # seconds between two looks at the process, where there is no exact count


def peak_memory(run: Callable[[], object], device: torch.device | str = "cpu") -> int:
    """Bytes at the peak of `run()` above the bytes held before it.

    On a CUDA GPU these are torch's allocations. On a CPU it is the growth of the process (resident memory):
    exact on Linux, by looking a thousand times a second elsewhere. Small figures mean little: memory that the
    process freed before, and the allocator kept, does not show as growth.
    """
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    _return_free_memory()
    if _reset_peak():
        before = _status("VmRSS")
        run()
        return max(0, _status("VmHWM") - before)
    return _sampled(run)


def _sampled(run: Callable[[], object]) -> int:
    process = psutil.Process()
    before = peak = process.memory_info().rss
    done = threading.Event()

    def look() -> None:
        nonlocal peak
        while not done.wait(INTERVAL):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        run()
        peak = max(peak, process.memory_info().rss)
    finally:
        done.set()
        watcher.join()
    return peak - before


def _return_free_memory() -> None:
    """Give back what the allocator keeps for later, so that using it again shows as growth."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
        if trim is not None:
            trim(ctypes.c_size_t(0))


def _reset_peak() -> bool:
    """Make Linux's own high-water mark of the process start again; False where that cannot be done."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return _status("VmHWM") > 0
    except (OSError, ValueError):
        return False


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/self/status has no {field}")


def keep_freed_memory() -> bool:
    """Let this process keep what it frees for its next allocations; False where the C library has no such switch.

    glibc gives a large block back to the system at once and asks for it anew: each time the system clears it, page by
    page. A training step frees and asks for hundreds of MB; on two cores that can cost a fifth of its time. What is
    kept is at most what was in use at once. Blocks above 32 MB are always given back.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 32 * 2**20)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
