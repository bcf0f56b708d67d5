"""The machine: which device and number format to use, seeds, threads, and a description for the records."""

import platform
import random
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import psutil
import torch

from shared.machine import cores, cpu_name

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" takes a CUDA GPU, else Apple's, else the CPU.

    Raises ValueError for a name torch does not know and for a device this machine does not have.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device {name!r}; use auto, cpu, cuda, cuda:<number> or mps") from None
    if device.type not in _available():
        raise ValueError(
            f"this machine has no {device.type} device that torch can use; it has {_available()}"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"there is no {name}; there are {torch.cuda.device_count()} GPUs, counted from 0")
    return device


def _available() -> list[str]:
    gpus = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return ["cpu", *(kind for kind, there in gpus.items() if there)]


def pick_dtype(name: str = "auto", device: torch.device | str = "cpu") -> torch.dtype:
    """The number format for matrix products: float32, bfloat16, float16 or "auto".

    "auto" takes bfloat16 where the device has instructions for it (AVX512-BF16 or AMX on a CPU, Ampere or
    newer on a GPU), else float32: without them bfloat16 is slower, not faster. Raises ValueError for another
    name.
    """
    if name == "auto":
        return torch.bfloat16 if _has_bfloat16(torch.device(device)) else torch.float32
    if name not in DTYPES:
        raise ValueError(f"unknown dtype {name!r}; use auto, {', '.join(DTYPES)}")
    return DTYPES[name]


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        abilities = torch.cpu.get_capabilities()
        return any(bool(abilities.get(name)) for name in ("avx512_bf16", "amx_bf16"))
    return False


def autocast(device: torch.device | str, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Run matrix products in `dtype` inside the block, and the rest in float32; float32 changes nothing."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=dtype)


class OutOfMemoryError(MemoryError):
    """The work does not fit into the memory of its device; the message says how much was asked for, and what to do."""


NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "status_alloc_failed")
"""what torch's errors say, for several of which it has no class of their own: CUDA, a CPU, Windows, cuBLAS"""


@contextmanager
def explains_out_of_memory(device: torch.device | str, advice: str) -> Iterator[None]:
    """Inside, any error that means "out of memory" becomes an OutOfMemoryError of one line, which ends in `advice`."""
    try:
        yield
    except OutOfMemoryError:  # explained already, nearer to what asked for it
        raise
    except (MemoryError, RuntimeError) as problem:
        text = str(problem)
        known = isinstance(problem, MemoryError | torch.OutOfMemoryError)
        if not known and not any(words in text.lower() for words in NO_MEMORY):
            raise
        raise OutOfMemoryError(f"out of memory on {device}{_asked_for(text)}; {advice}") from problem


def _asked_for(text: str) -> str:
    """What torch or numpy could not have: "tried to allocate 20.00 GiB", "... 400000 bytes"."""
    found = re.search(r"allocate (\d[\d.,]*) ?(bytes|[KMGT]?i?B)\b", text)
    if not found:
        return ""
    amount, unit = found.groups()
    if unit == "bytes":
        return f": {int(amount) / 2**30:,.2f} GiB more were asked for"
    return f": {amount} {unit} more were asked for"


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python's, numpy's and torch's generators, and give a CPU generator of its own with that seed.

    Raises ValueError outside 0 to 2**32 - 1, the range that numpy takes.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"the seed must be from 0 to {2**32 - 1}, not {seed}")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries still draw from this one
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def set_threads(count: int = 0) -> int:
    """Let torch use this many threads, 0 for one a core; returns the number set.

    More threads than cores only wait for each other, so there are never more. Raises ValueError below 0.
    """
    if count < 0:
        raise ValueError(f"threads must be 1 or more, or 0 for one a core, not {count}")
    torch.set_num_threads(min(count or cores(), cores()))
    return torch.get_num_threads()


def describe(device: torch.device | str = "cpu") -> dict[str, str | int | float]:
    """What the measurements of this machine have to be read with; `memory` is in GiB."""
    facts: dict[str, str | int | float] = {
        "cpu": cpu_name(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "memory": round(psutil.virtual_memory().total / 2**30, 1),
        "os": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    name = str(facts["cpu"])
    if torch.device(device).type == "cuda":
        name = torch.cuda.get_device_name(device)
        facts["gpu_memory"] = round(torch.cuda.get_device_properties(device).total_memory / 2**30, 1)
    elif torch.device(device).type == "mps":
        name = f"{name} GPU"
    return {"device": name, **facts}


def slug(device: torch.device | str = "cpu") -> str:
    """The machine in a file name: "amd-epyc-2-cores", "nvidia-h100-80gb-hbm3"."""
    name = str(describe(device)["device"])
    if torch.device(device).type == "cpu":
        # Drop what says nothing more: marks, the clock, the socket's core count, the built-in graphics.
        marks = r"\((r|tm)\)|\bcpu\b|@.*|\b(\w+|\d+)-core processor\b|\bprocessor\b|\bwith radeon.*"
        name = f"{re.sub(marks, ' ', name, flags=re.IGNORECASE)} {cores()} core{'s' * (cores() > 1)}"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
