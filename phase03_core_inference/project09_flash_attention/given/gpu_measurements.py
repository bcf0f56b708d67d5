"""What the benchmark's gpu preset measures: the Triton kernels against torch's flash kernel, in two to three minutes.

First they must be right, against attention written out in float64. Then a few ways to cut the tiles are tried, on
bfloat16 alone, and the fastest stay for this run. Then both take turns, from 1,024 to 16,384 positions. All shapes have
16,384 positions in all and a width of 2,048, as in the papers, and are causal: half the pairs of positions count.
"""

import math
import time
import traceback
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from phase03_core_inference.project09_flash_attention.flash import flash_attention
from phase03_core_inference.project09_flash_attention.given import triton_launch as launch
from phase03_core_inference.project09_flash_attention.given.triton_launch import Tiles
from shared.measuring.arms import Arm, Report, measure, peak_flops
from shared.measuring.attempts import Attempts

SECONDS = 150  # after these no part is begun
LENGTHS = (1024, 2048, 4096, 8192, 16384)
TUNED_AT = 4096
POSITIONS, WIDTH = 16384, 2048
FLASH = "torch's flash"
PEERS = {FLASH: SDPBackend.FLASH_ATTENTION, "cuDNN": SDPBackend.CUDNN_ATTENTION}
NAMES = {torch.bfloat16: "bfloat16", torch.float16: "float16"}
Case = tuple[int, int, int, int, int, int, bool, int | None]
CASES: dict[torch.dtype, list[Case]] = {  # batch, heads, kv_heads, queries, keys, head size, causal, window
    torch.bfloat16: [
        (2, 4, 4, 1000, 1000, 64, True, None), (2, 4, 4, 1024, 1024, 128, True, None),
        (1, 4, 1, 300, 1025, 64, True, None), (1, 4, 2, 515, 200, 128, True, None),
        (2, 4, 2, 1500, 1500, 128, True, 200), (1, 2, 2, 640, 500, 64, False, None),
        (1, 2, 1, 129, 129, 32, True, 1), (1, 2, 1, 1, 129, 16, True, None),
    ],
    torch.float16: [(2, 4, 4, 1000, 1000, 64, True, None), (2, 4, 4, 777, 777, 128, True, None)],
    torch.float32: [(2, 4, 4, 777, 777, 64, True, None)],
}  # fmt: skip
CANDIDATES: dict[tuple[str, int], list[Tiles]] = {
    ("forward", 64): [
        Tiles(128, 128, 8, 2), Tiles(128, 128, 8, 3), Tiles(128, 64, 4, 3), Tiles(128, 64, 8, 3), Tiles(64, 64, 4, 3),
        Tiles(64, 128, 4, 2), Tiles(128, 64, 4, 4),
    ],
    ("forward", 128): [
        Tiles(128, 128, 8, 2), Tiles(128, 64, 8, 3), Tiles(64, 64, 4, 3), Tiles(64, 128, 4, 2), Tiles(128, 64, 8, 4),
        Tiles(64, 64, 4, 2), Tiles(128, 64, 8, 2),
    ],
    ("key gradient", 64): [
        Tiles(64, 128, 8, 2), Tiles(64, 128, 8, 3), Tiles(64, 64, 4, 2), Tiles(64, 64, 4, 3), Tiles(32, 64, 4, 3),
        Tiles(32, 128, 8, 3),
    ],
    ("key gradient", 128): [
        Tiles(64, 128, 8, 2), Tiles(64, 64, 4, 2), Tiles(32, 128, 8, 3), Tiles(64, 64, 8, 2), Tiles(32, 64, 4, 3),
        Tiles(32, 128, 8, 2),
    ],
    ("query gradient", 64): [
        Tiles(128, 64, 8, 2), Tiles(128, 64, 4, 3), Tiles(128, 128, 8, 2), Tiles(64, 64, 4, 3), Tiles(128, 64, 8, 3),
        Tiles(64, 128, 4, 2),
    ],
    ("query gradient", 128): [
        Tiles(128, 64, 8, 2), Tiles(64, 64, 4, 2), Tiles(128, 32, 8, 3), Tiles(64, 128, 4, 2), Tiles(64, 64, 4, 3),
        Tiles(64, 32, 4, 3),
    ],
}  # fmt: skip


def gpu(report: Report, device: torch.device) -> None:
    """All figures of the gpu preset. Exits with 1 where some are missing, with the others recorded."""
    attempts = Attempts(report, SECONDS)
    measured: dict[str, dict[tuple[str, int, int], dict[str, float]]] = {"forward": {}, "backward": {}}
    peak = 0.0

    def find_peak() -> None:
        nonlocal peak
        peak = peak_flops(torch.bfloat16, device) / 1e12
        say(f"peak: {peak:.0f} TFLOP/s, the fastest bfloat16 product of two large square matrices")

    for dtype, cases in CASES.items():
        attempts.run(f"correctness, {dtype}", lambda it=(dtype, cases): check(*it, device))
    attempts.run("peak", find_peak)
    attempts.run("tiles", lambda: tune(device))
    for dtype in NAMES:
        if f"correctness, {dtype}" in attempts.missing:
            continue  # a fast wrong kernel is no result
        for head in (128, 64):
            for length in LENGTHS:
                name = f"{NAMES[dtype]}, head size {head}, {length:,} positions"
                attempts.run(name, lambda key=(dtype, head, length): compare(*key, device, measured, peak))
    for direction, found in measured.items():
        attempts.run(direction, lambda it=(direction, found): note(report, *it, peak))
    attempts.exit_if_missing()


def say(line: str) -> None:
    """Print a line at once: the machine may be gone before the end."""
    print(line, flush=True)


def sides(length: int, head: int, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """q, k, v and dout for this length."""
    shape = (POSITIONS // length, WIDTH // head, length, head)
    return [torch.randn(shape, dtype=dtype, device=device) for _ in range(4)]


def check(dtype: torch.dtype, cases: Sequence[Case], device: torch.device) -> None:
    """Output and gradients against float64 on this device; raises AssertionError where an error is too large.

    Too large is more than twice the error of the formula computed in this dtype, and more than a thousandth of the
    largest entry; in float32, whose products are made of three TF32 products each, a ten-thousandth.
    """
    torch.manual_seed(0)
    faults = []
    for case in cases:
        *shape, head, causal, window = case
        batch, heads, kv_heads, queries, keys = shape
        made = [(heads, queries), (kv_heads, keys), (kv_heads, keys), (heads, queries)]
        given = [torch.randn(batch, *size, head, device=device).to(dtype) for size in made]
        formula = lambda q, k, v: written_out(q, k, v, causal, window)  # noqa: B023, E731
        exact, plain = run(formula, [x.double() for x in given]), run(formula, given)
        try:
            ours = run(lambda q, k, v: flash_attention(q, k, v, causal, window, "triton"), given)  # noqa: B023
        except Exception as problem:
            traceback.print_exc()
            faults.append(f"{case}: {type(problem).__name__}: {str(problem).splitlines()[:1]}")
            continue
        for name, one, other, right in zip(("out", "dq", "dk", "dv"), ours, plain, exact, strict=True):
            error = (one.double() - right).abs().max().item()
            allowed = 2 * (other.double() - right).abs().max().item()
            allowed = max(allowed, (1e-4 if dtype == torch.float32 else 1e-3) * right.abs().max().item())
            allowed = max(
                allowed, 1e-5
            )  # with a window of 1 a gradient is nothing but what rounding leaves of 0
            if not error <= allowed:
                faults.append(f"{case} {name}: error {error:.2e}, allowed {allowed:.2e}")
    say(f"correctness, {dtype}: {len(cases)} cases, {len(faults)} faults")
    for fault in faults:
        say(f"WRONG, {dtype}: {fault}")
    if faults:
        raise AssertionError(f"{len(faults)} results are wrong")


def run(attend: Callable[[Tensor, Tensor, Tensor], Tensor], given: list[Tensor]) -> list[Tensor]:
    """Output and gradients."""
    q, k, v = (x.detach().clone().requires_grad_() for x in given[:3])
    out = attend(q, k, v)
    return [out.detach(), *torch.autograd.grad(out, (q, k, v), given[3])]


def written_out(q: Tensor, k: Tensor, v: Tensor, causal: bool, window: int | None) -> Tensor:
    """Attention by its formula, in the dtype of the inputs; a query that sees no key gets 0."""
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    queries, keys = q.shape[2], k.shape[2]
    position = torch.arange(queries, device=q.device)[:, None] + keys - queries
    column = torch.arange(keys, device=q.device)
    seen = (column <= position) | (not causal)
    if window:
        seen &= column > position - window
    scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~seen, -1e4)
    return scores.softmax(-1).masked_fill(~seen, 0.0) @ v


def tune(device: torch.device) -> None:
    """Try the candidates of each kernel and head size, and let the fastest be used from here on."""
    kernels = launch.compiled()
    for head in (128, 64):
        q, k, v, dout = sides(TUNED_AT, head, torch.bfloat16, device)
        out, lse = launch.forward(q, k, v, True, None)
        dots = launch.row_dots(out, dout, kernels)
        grads = [torch.empty_like(x) for x in (q, k, v)]
        both = (q, k, v, dout, lse, dots)
        pair = q.shape[0] * WIDTH * TUNED_AT**2  # operations of one causal product, twice half the pairs
        runs: dict[str, tuple[int, Callable[[Tiles], object]]] = {
            "forward": (2, lambda t, x=(q, k, v): launch.forward(*x, True, None, kernels, t)),
            "key gradient": (
                4,
                lambda t, x=both, g=grads: launch.key_gradient(*x, g[1], g[2], True, None, kernels, t),
            ),
            "query gradient": (
                3,
                lambda t, x=both, g=grads: launch.query_gradient(*x, g[0], True, None, kernels, t),
            ),
        }
        for kernel, (products, call) in runs.items():
            times: dict[Tiles, float] = {}
            for tiles in CANDIDATES[kernel, head]:
                try:
                    begin = time.perf_counter()
                    call(tiles)
                    torch.cuda.synchronize()
                    compiling = time.perf_counter() - begin
                    times[tiles] = min(seconds(lambda t=tiles, c=call: c(t)) for _ in range(3))
                    rate = products * pair / times[tiles] / 1e12
                    say(f"{kernel}, head size {head}, {tiles}: {rate:.0f} TFLOP/s (first {compiling:.1f} s)")
                except Exception as problem:
                    message = str(problem).splitlines()
                    say(f"{kernel}, head size {head}, {tiles}: {type(problem).__name__}: {message[:1]}")
            if times:
                launch.HOPPER[kernel, head] = min(times, key=lambda tiles: times[tiles])
                say(f"{kernel}, head size {head}: chosen {launch.HOPPER[kernel, head]}")


def seconds(call: Callable[[], object], calls: int = 10) -> float:
    """Of one call, the device's own time, of several in a row."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(calls):
        call()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / calls / 1000


def compare(
    dtype: torch.dtype, head: int, length: int, device: torch.device,
    measured: dict[str, dict[tuple[str, int, int], dict[str, float]]], peak: float,
) -> None:  # fmt: skip
    """TFLOP/s of both directions, ours and the peers', taking turns; a peer that fails is said and left out."""
    q, k, v, dout = sides(length, head, dtype, device)
    q, k, v = (x.requires_grad_() for x in (q, k, v))
    forward = 2 * q.shape[0] * WIDTH * length**2  # two products over half the pairs, two operations each
    calls = min(max(2, round(10e-3 / (forward / 400e12))), 50)  # some 10 ms, so that launching does not count

    def peer(backend: SDPBackend) -> Tensor:
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(q, k, v, is_causal=True)

    ways: dict[str, Callable[[], Tensor]] = {"ours": lambda: flash_attention(q, k, v, backend="triton")}
    ways |= {name: lambda b=backend: peer(b) for name, backend in PEERS.items()}
    outs: dict[str, Tensor] = {}
    for name, way in ways.items():
        try:
            outs[name] = way()
            torch.autograd.grad(outs[name], (q, k, v), dout, retain_graph=True)
            torch.cuda.synchronize()
        except Exception as problem:
            outs.pop(name, None)
            say(f"{name} fails at {NAMES[dtype]}, {head}, {length}: {str(problem).splitlines()[:1]}")
    if "ours" not in outs:
        raise RuntimeError("our own kernel fails")

    def again(call: Callable[[], object]) -> None:
        for _ in range(calls):
            call()

    def gradients(name: str) -> Callable[[], object]:
        return lambda: torch.autograd.grad(outs[name], (q, k, v), dout, retain_graph=True)

    def forwards(name: str) -> Callable[[], object]:
        def call() -> None:
            with torch.no_grad():
                ways[name]()

        return call

    for direction, make, work in (("forward", forwards, forward), ("backward", gradients, 2.5 * forward)):
        arms = [Arm(name, lambda n=name, m=make: again(m(n)), work=work * calls) for name in outs]
        rates = {
            name: result.throughput / 1e12
            for name, result in measure(arms, repeats=9, seconds=1.0, device=device).items()
        }
        measured[direction][NAMES[dtype], head, length] = rates
        share = f", {rates['ours'] / peak:.0%} of the peak" if peak else ""
        if FLASH in rates:
            share = f": {rates['ours'] / rates[FLASH]:.2f} of torch's flash{share}"
        listed = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
        say(f"{direction}, {NAMES[dtype]}, head size {head}, {length:,}: TFLOP/s {listed}{share}")


def note(
    report: Report, direction: str, found: dict[tuple[str, int, int], dict[str, float]], peak: float
) -> None:
    """The figures of one direction: speed at the longest, the share of torch's over all, and the curves."""
    shares = {key: rates["ours"] / rates[FLASH] for key, rates in found.items() if FLASH in rates}
    if shares:
        worst, best = min(shares, key=lambda key: shares[key]), max(shares, key=lambda key: shares[key])
        report.figure(
            f"GPU: {direction}, share of torch's flash kernel", mean_of_ratios(shares.values()), "", (">=", 0.9),
            note=f"geometric mean of {len(shares)} shapes, causal, bfloat16 and float16, head sizes 64 and 128, "
            f"1,024 to 16,384 positions; lowest {shares[worst]:.2f} ({described(worst)}), "
            f"highest {shares[best]:.2f} ({described(best)})",
        )  # fmt: skip
    for dtype in NAMES.values():
        for head in (64, 128):
            curve = {
                length: rates
                for (name, size, length), rates in found.items()
                if (name, size) == (dtype, head)
            }
            if not curve:
                continue
            longest = max(curve)
            rates = dict(curve[longest])
            ours = rates.pop("ours")
            share = f"; {ours / peak:.0%} of the fastest product's {peak:.0f} TFLOP/s" if peak else ""
            report.figure(
                f"GPU: {direction}, {dtype}, head size {head}", ours, "TFLOP/s", peers=rates,
                note=f"{longest:,} positions, causal{share}",
            )  # fmt: skip
            for arm in ("ours", *PEERS):
                points = [(length, rates[arm]) for length, rates in sorted(curve.items()) if arm in rates]
                if points:
                    x, y = zip(*points, strict=True)
                    name = f"GPU {direction}, {dtype}, {head}: {arm}"
                    report.series(name, x, y, "positions", "TFLOP/s")


def described(key: tuple[str, int, int]) -> str:
    """A shape in words."""
    return f"{key[0]}, {key[1]}, {key[2]:,}"


def mean_of_ratios(ratios: Iterable[float]) -> float:
    """The geometric mean: twice as fast and half as fast make 1."""
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logs) / len(logs))
