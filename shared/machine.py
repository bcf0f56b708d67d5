"""The processor: its name, and how many of its cores are ours. Nothing here loads torch."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path


def cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def cpu_name() -> str:
    """The processor's model as its maker calls it, else its architecture."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        text = listing.read_text(encoding="utf-8", errors="replace")
        match = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
        return match[1].strip() if match else platform.machine()
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine()


def abilities() -> list[str]:
    """What this processor can do that changes results or which kernels run, sorted: avx512f, amx_tile and such."""
    telling = re.compile(r"avx|amx|fma|f16c|sve|bf16|i8mm|asimd")
    listing = Path("/proc/cpuinfo")
    if not listing.is_file():
        return []
    text = listing.read_text(encoding="utf-8", errors="replace")
    match = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return sorted(word for word in (match[1].split() if match else []) if telling.search(word))
