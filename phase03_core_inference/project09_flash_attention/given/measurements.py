"""What the benchmark measures on a CPU: speed against torch and the formula, memory, a whole prefill, and training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from phase03_core_inference.project09_flash_attention.flash import attend, flash_attention
from phase03_core_inference.project09_flash_attention.given.attention_written_out import attention_written_out
from shared import tinyworld
from shared.measuring.arms import Arm, Measurement, Report, measure
from shared.measuring.memory import peak_memory
from shared.phase01 import LLM, Config, causal_attention, load_base, torch_attention

DIM = 64
WRITTEN_UP_TO = 4096  # longer, the matrices of attention written out take gigabytes
OURS, TORCH, WRITTEN = "ours", "torch's fused attention", "written out"
WAYS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    OURS: flash_attention,
    TORCH: lambda q, k, v: scaled_dot_product_attention(q, k, v, is_causal=True),
    WRITTEN: lambda q, k, v: attention_written_out(q, k, v)[0],
}


@dataclass
class Settings:
    """What a preset in configs/ sets."""

    lengths: list[int] = field(default_factory=lambda: [512, 1024, 2048, 4096, 8192])
    """positions of a text, for speed"""
    heads: int = 12
    """a third of them from 4,096 positions on"""
    bfloat16_at: list[int] = field(default_factory=lambda: [1024])
    """positions at which bfloat16 is measured too"""
    memory_lengths: list[int] = field(default_factory=lambda: [512, 1024, 2048, 4096, 8192, 16384])
    """positions of a text, for memory"""
    prefill: list[int] = field(default_factory=lambda: [1024])
    """prompts for a whole model of the 124M shape, in tokens"""
    layers: int = 12
    """of that model"""
    steps: int = 5
    """of training, for the comparison of losses"""
    seconds: float = 3.0
    """how long the arms of one figure take turns, at most; at least three rounds"""
    preset: str = "cpu"


def measure_speed(report: Report, settings: Settings) -> None:
    """Forward, and forward with backward, at every length: ours, torch's, and written out where that fits."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for dtype, lengths in (
        (torch.float32, settings.lengths),
        (torch.bfloat16, settings.bfloat16_at),
    ):
        for length in lengths:
            heads = max(1, settings.heads // 3) if length >= 4096 else settings.heads
            sides = [torch.randn(1, heads, length, DIM).to(dtype) for _ in range(4)]
            for name, both in (("forward", False), ("forward and backward", True)):
                found = measure(
                    [
                        Arm(way, lambda w=WAYS[way], b=both, s=sides: run(w, s, b))
                        for way in WAYS
                        if way != WRITTEN or length <= WRITTEN_UP_TO
                    ],
                    check=lambda out, d=dtype: check_equal(out, d),
                    repeats=15,
                    seconds=settings.seconds,
                )
                kind = "" if dtype == torch.float32 else ", bfloat16"
                note_speed(report, f"{name}, {length:,} positions{kind}", found, heads)
                for way, result in found.items():
                    if not kind:
                        curves.setdefault(f"{name}: {way}", []).append((length, 1000 * result.seconds))
    for name, points in curves.items():
        x, y = zip(*points, strict=True)
        report.series(name, x, y, "positions", "ms")


def run(way: Callable[[Tensor, Tensor, Tensor], Tensor], sides: list[Tensor], both: bool) -> list[Tensor]:
    """The output, and the gradients if wanted."""
    q, k, v = (x.detach().requires_grad_(both) for x in sides[:3])
    out = way(q, k, v)
    return [out.detach(), *(torch.autograd.grad(out, (q, k, v), sides[3]) if both else ())]


def check_equal(outputs: Mapping[str, list[Tensor]], dtype: torch.dtype) -> None:
    """Raises AssertionError unless all ways give the same, but for the last digits of the dtype."""
    close = 2e-2 if dtype == torch.bfloat16 else 2e-5
    for way, results in outputs.items():
        for one, other in zip(results, outputs[TORCH], strict=True):
            error = (one.double() - other.double()).abs().max() / other.double().abs().max()
            if not error < close:
                raise AssertionError(f"{way} and {TORCH} differ by {error:.1e}")


def note_speed(report: Report, name: str, found: Mapping[str, Measurement], heads: int) -> None:
    """The time of ours beside the others', and how many times as fast as each."""
    ours = found[OURS]
    peers = {way: 1000 * result.seconds for way, result in found.items() if way != OURS}
    note = f"{heads} heads of {DIM}, causal, medians of {len(ours.times)} rounds in turns"
    report.figure(name, 1000 * ours.seconds, "ms", peers=peers, note=note)
    # Of each round by itself: a busy moment slows both.
    targets = {"forward, 1,024 positions": 1.3, "forward and backward, 1,024 positions": 1.5}
    if torch.cpu.get_capabilities().get("avx512_bf16"):  # elsewhere it computes in float32
        targets["forward, 1,024 positions, bfloat16"] = 2.0
    goal = (">=", targets[name]) if name in targets else None
    report.figure(f"{name}: times torch's", ratio(found[TORCH], ours), "times", goal, note=note)
    if WRITTEN in found:
        report.figure(f"{name}: times written out", ratio(found[WRITTEN], ours), "times", note=note)


def ratio(slow: Measurement, fast: Measurement) -> float:
    """The median over rounds of how many times as long one took."""
    ratios = sorted(a / b for a, b in zip(slow.times, fast.times, strict=True))
    return ratios[len(ratios) // 2]


def measure_memory(report: Report, settings: Settings) -> None:
    """Memory above the inputs, forward and with backward, as the text grows, and as what power of the length."""
    heads = max(1, settings.heads // 3)
    for name, both in (("forward", False), ("forward and backward", True)):
        curves: dict[str, list[tuple[int, int]]] = {way: [] for way in WAYS}
        for length in settings.memory_lengths[
            : -1 if both else None
        ]:  # the longest would take a quarter of a minute
            sides = [torch.randn(1, heads, length, DIM) for _ in range(4)]
            for way, call in WAYS.items():
                if way == WRITTEN and length > WRITTEN_UP_TO:
                    continue
                run(call, [x[:, :, :64] for x in sides], both)  # what is loaded once is not this length's
                taken = peak_memory(lambda c=call, s=sides, b=both: run(c, s, b))
                curves[way].append((length, taken))
        for way, points in curves.items():
            x, y = zip(*points, strict=True)
            report.series(f"memory, {name}: {way}", x, [taken / 2**20 for taken in y], "positions", "MiB")
        longest = curves[OURS][-1][0]
        shared = max(length for length, _ in curves[WRITTEN])
        at = {way: dict(points) for way, points in curves.items()}
        note = f"{heads} heads of {DIM}, float32; growth of the process above what it held with the inputs"
        report.figure(
            f"memory, {name}, {longest:,} positions", at[OURS][longest] / 2**20, "MiB",
            peers={TORCH: at[TORCH][longest] / 2**20}, note=note,
        )  # fmt: skip
        if at[OURS][shared]:
            report.figure(
                f"memory, {name}, {shared:,} positions: times less than written out",
                at[WRITTEN][shared] / at[OURS][shared], "times", (">=", 8), note=note,
            )  # fmt: skip
        report.figure(
            f"memory, {name}: power of the length", power(curves[OURS]), "", ("<=", 1.2),
            peers={TORCH: power(curves[TORCH]), WRITTEN: power(curves[WRITTEN])},
            note="1 is linear, 2 the matrix; least squares of log bytes on log positions, over the three longest",
        )  # fmt: skip


def power(points: list[tuple[int, int]]) -> float:
    """The exponent p of bytes ~ length^p, of the last three points."""
    x, y = torch.tensor(points[-3:], dtype=torch.float64).clamp(min=1).log().T
    x, y = x - x.mean(), y - y.mean()
    return (x @ y / (x @ x)).item()


def measure_prefill(report: Report, settings: Settings) -> None:
    """The logits after a whole prompt, by a model of the 124M shape, random weights: how little attention is of it."""
    torch.manual_seed(0)
    width = 768 if settings.layers > 1 else 64
    shape = Config(
        vocab_size=50257 if settings.layers > 1 else 300, context_length=max(settings.prefill), layers=settings.layers,
        heads=width // DIM, kv_heads=width // DIM, dim=width, hidden_dim=2048 if settings.layers > 1 else 128,
        tied_embeddings=True,
    )  # fmt: skip
    model = LLM(shape).eval()
    for length in settings.prefill:
        tokens = torch.randint(shape.vocab_size, (1, length))

        def logits(way: Callable[..., Tensor], tokens: Tensor = tokens) -> Tensor:
            with torch.no_grad():
                return model.logits(model.hidden(tokens, attend=way)[:, -1:])

        ways = {OURS: attend, TORCH: torch_attention, WRITTEN: causal_attention}
        arms = [Arm(name, lambda w=way: logits(w)) for name, way in ways.items()]
        found = measure(
            arms, check=lambda out: check_equal({name: [x] for name, x in out.items()}, torch.float32),
            warmup=0, repeats=3, seconds=settings.seconds,
        )  # fmt: skip
        note = f"{model.parameter_count():,} parameters, random, float32: most of the time goes to products of weights"
        report.figure(
            f"prefill, {length:,} tokens", 1000 * found[OURS].seconds, "ms",
            peers={name: 1000 * found[name].seconds for name in (TORCH, WRITTEN)}, note=note,
        )  # fmt: skip
        for name, title in ((TORCH, "torch's"), (WRITTEN, "written out")):
            report.figure(
                f"prefill, {length:,} tokens: times {title}",
                ratio(found[name], found[OURS]),
                "times",
                note=note,
            )


def measure_training(report: Report, settings: Settings) -> None:
    """Some steps of tiny-base on new text, with our attention and torch's: how far apart the losses ever are."""
    model, tokenizer = load_base("tiny-base")
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    length = model.config.context_length
    ids = torch.tensor(
        tokenizer.encode(tinyworld.text("validation", characters=40_000), disallowed_special=())
    )
    rows = ids[: (len(ids) - 1) // length * length + 1]
    inputs, targets = rows[:-1].view(-1, length)[:4], rows[1:].view(-1, length)[:4]

    def losses(way: Callable[..., Tensor]) -> list[float]:
        model.load_state_dict(start)
        model.train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        found = []
        for _ in range(settings.steps):
            loss = model(inputs, attend=way, targets=targets) / targets.numel()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    torch.manual_seed(0)
    ours = losses(attend)
    torch.manual_seed(0)
    torchs = losses(torch_attention)
    apart = max(abs(one - other) for one, other in zip(ours, torchs, strict=True))
    report.figure(
        "training tiny-base: largest difference of losses", apart, "nats", ("<=", 1e-3),
        note=f"{settings.steps} steps of AdamW on {inputs.numel():,} tokens, float32: from {ours[0]:.4f} to "
        f"{ours[-1]:.4f} with ours, to {torchs[-1]:.4f} with torch's",
    )  # fmt: skip
