"""Measuring: arms that take turns, medians and their spread, and the machine's own limits.

    arms = [Arm("torch", lambda: torch_way(x)), Arm("ours", lambda: our_way(x))]
    measured = measure(arms, check=lambda out: torch.testing.assert_close(out["ours"], out["torch"]))
    print(measured["torch"].seconds / measured["ours"].seconds)

`Report` keeps what a benchmark finds.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from shared.measuring.memory import peak_memory
from shared.measuring.report import Report

__all__ = ["Arm", "Measurement", "Report", "measure", "memory_bandwidth", "peak_flops", "synchronize"]

MINIMUM_ROUNDS = 3  # of the timing, even when the time for it is used up: fewer have no spread


@dataclass(frozen=True)
class Arm:
    """One of the things that are compared.

    `setup` is called before every run and not timed; what it returns is passed to `run`. `work` is how many
    `unit`s one run does, for the throughput; 0 means that it is of no interest.
    """

    name: str
    run: Callable[..., object]
    setup: Callable[[], object] | None = None
    work: float = 0.0
    unit: str = "tokens"


@dataclass(frozen=True)
class Measurement:
    """What was measured of one arm: times in seconds, memory in bytes."""

    name: str
    seconds: float  # median
    spread: float  # interquartile range
    times: tuple[float, ...]
    memory: int  # at the peak, above what was held before
    throughput: float  # units per second at the median; 0 without work
    unit: str

    def __str__(self) -> str:
        rate = f", {self.throughput:,.0f} {self.unit}/s" if self.throughput else ""
        return f"{self.name}: {1000 * self.seconds:.3g} ms ± {1000 * self.spread / 2:.2g}{rate}"


def measure(
    arms: Sequence[Arm],
    check: Callable[[Mapping[str, Any]], object] | None = None,
    *,
    warmup: int = 1,
    repeats: int = 9,
    seconds: float = 30.0,
    device: torch.device | str = "cpu",
) -> dict[str, Measurement]:
    """Measure arms side by side, by name.

    First every arm runs once and `check` gets the outputs by name; it raises when they are not right, and
    then nothing is timed. After `warmup` more runs of each come `repeats` rounds. In a round every arm runs
    once, and each round begins with another arm, so that a machine that grows hot or busy slows all of them
    alike. No round begins after `seconds` of timing, save the first three. The memory is measured in one more
    run, untimed.

    Raises ValueError for no arms, two of one name, or numbers out of range.
    """
    _check_arguments(arms, warmup, repeats, seconds)
    device = torch.device(device)
    outputs = {arm.name: _once(arm, device)[0] for arm in arms}
    if check is not None:
        check(outputs)
    del outputs  # or they would count as memory held

    for arm in arms:
        for _ in range(warmup):
            _once(arm, device)
    times: dict[str, list[float]] = {arm.name: [] for arm in arms}
    start = time.perf_counter()
    for round_ in range(repeats):
        if round_ >= MINIMUM_ROUNDS and time.perf_counter() - start > seconds:
            break
        first = round_ % len(arms)
        for arm in [*arms[first:], *arms[:first]]:
            times[arm.name].append(_once(arm, device)[1])
    return {arm.name: _summary(arm, times[arm.name], device) for arm in arms}


def _check_arguments(arms: Sequence[Arm], warmup: int, repeats: int, seconds: float) -> None:
    names = [arm.name for arm in arms]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"the arms must be at least one, each with a name of its own, not {names}")
    if warmup < 0 or repeats < 1 or seconds < 0:
        raise ValueError(
            f"warmup and seconds must be 0 or more, repeats 1 or more, not {warmup}, {seconds} and {repeats}"
        )


def _once(arm: Arm, device: torch.device) -> tuple[object, float]:
    """One run: its output, and its seconds."""
    arguments = [] if arm.setup is None else [arm.setup()]
    synchronize(device)
    start = time.perf_counter()
    output = arm.run(*arguments)
    synchronize(device)
    return output, time.perf_counter() - start


def _summary(arm: Arm, times: list[float], device: torch.device) -> Measurement:
    arguments = [] if arm.setup is None else [arm.setup()]
    memory = peak_memory(lambda: arm.run(*arguments), device)
    median = statistics.median(times)
    low, _, high = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else [median] * 3
    rate = arm.work / median if median else 0.0
    return Measurement(arm.name, median, high - low, tuple(times), memory, rate, arm.unit)


def synchronize(device: torch.device | str) -> None:
    """Wait until the device has done what it was given; a CPU always has."""
    if torch.device(device).type != "cpu":
        torch.accelerator.synchronize(torch.device(device))


def peak_flops(
    dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu", size: int | None = None
) -> float:
    """Operations per second of the fastest of ten matrix products: the limit for what consists of such.

    With the threads set now; the matrices are size × size, by default 1024 on a CPU and 8192 on a GPU.
    """
    size = size or (1024 if torch.device(device).type == "cpu" else 8192)
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    return 2 * size**3 / _fastest(lambda: a @ b, device)


def memory_bandwidth(device: torch.device | str = "cpu", megabytes: int = 256) -> float:
    """Bytes per second, read and written together, of the fastest of ten large copies."""
    source = torch.ones(megabytes * 2**20 // 4, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _fastest(lambda: target.copy_(source), device)


def _fastest(run: Callable[[], object], device: torch.device | str) -> float:
    arm = Arm("limit", run)
    return min(_once(arm, torch.device(device))[1] for _ in range(11))  # the first one warms up
