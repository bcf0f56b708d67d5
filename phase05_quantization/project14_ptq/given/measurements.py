"""What the benchmark measures of damage: perplexity, right answers and bytes, for one model after the other."""

import copy
import sys
from dataclasses import replace
from typing import Any

import torch

from phase05_quantization.project14_ptq.activations import quantize_rows
from phase05_quantization.project14_ptq.given.damage import Damage, Test, loss_on, make_test, measure_model
from phase05_quantization.project14_ptq.given.gguf_file import size_of
from phase05_quantization.project14_ptq.given.methods import (
    EMBEDDING,
    METHODS,
    as_floats,
    calibration_tokens,
    clipped,
    quantize_model,
    smooth,
    use_int8,
)
from phase05_quantization.project14_ptq.given.outliers import inject_outliers
from phase05_quantization.project14_ptq.given.peers import library
from phase05_quantization.project14_ptq.given.settings import Settings
from phase05_quantization.project14_ptq.grids import Grid, Quantized
from phase05_quantization.project14_ptq.plan import choose_bits, measure_damage
from phase05_quantization.project14_ptq.quant_linear import model_bytes, quantize_embedding, quantize_linears
from shared.measuring.report import Report
from shared.phase01 import LLM, load_base
from shared.phase02 import quantize_base

HALF = torch.float16
GRIDS = {
    "8 bits a row": Grid(8, "channel", scale_dtype=HALF),
    "4 bits, groups of 64": Grid(4, 64, scale_dtype=HALF),
    "3 bits, groups of 64": Grid(3, 64, scale_dtype=HALF),
    "2 bits, groups of 32": Grid(2, 32, False, HALF),
    "2 bits a row": Grid(2, "channel", False, HALF),
}
MAIN = [
    ("nearest", "8 bits a row"),
    ("nearest", "4 bits, groups of 64"),
    ("gptq", "4 bits, groups of 64"),
    ("nearest", "2 bits, groups of 32"),
    ("clip", "2 bits, groups of 32"),
    ("gptq", "2 bits, groups of 32"),
    ("nearest", "2 bits a row"),
    ("gptq", "2 bits a row"),
]
"""what every preset but smoke measures"""
SMOKE = [("nearest", "4 bits, groups of 64"), ("gptq", "2 bits, groups of 32")]


class Bench:
    """tiny-base, the texts it is measured on, and what it scores in floats."""

    def __init__(self, report: Report, settings: Settings):
        self.report, self.settings = report, settings
        self.model, self.tokenizer = load_base()
        self.test: Test = make_test(self.tokenizer, settings.documents, settings.per_skill)
        self.tokens = calibration_tokens(self.tokenizer, settings.calibration_rows)
        self.before = measure_model(self.model, self.test)
        self.full = sum(one.numel() * 2 for one in self.model.parameters())
        self.items = len(self.test.texts)
        self.curves: dict[str, list[tuple[float, float]]] = {}
        self.note("in floats", self.before, self.full)

    def note(self, name: str, found: Damage, size: int, method: str | None = None) -> None:
        """A model's row in the table: its perplexity and its right answers, each with those in floats."""
        print(f"  {name}: {found.perplexity:.4f}, {found.exact:.1%}, {size / 1e6:.2f} MB", file=sys.stderr)
        floats = {} if name == "in floats" else {"in floats": self.before.perplexity}
        about = f"{size / 1e6:.2f} MB, scales and embedding included"
        self.report.figure(f"perplexity, {name}", found.perplexity, peers=floats, note=about)
        answers = {} if name == "in floats" else {"in floats": 100 * self.before.exact}
        skills = ", ".join(f"{skill} {100 * share:.0f}" for skill, share in found.by_skill.items())
        self.report.figure(
            f"exact match, {name}",
            100 * found.exact,
            "%",
            peers=answers,
            note=f"{self.items} questions: {skills}",
        )
        if method is not None:
            rise = max(1e-5, torch.tensor(found.perplexity / self.before.perplexity).log().item())
            self.curves.setdefault(method, []).append((size / 1e6, rise))

    def quantized(self, method: str, grid: Grid, tokens: torch.Tensor | None = None) -> tuple[Damage, int]:
        """What a method does to the model, and what is left in bytes."""
        model = copy.deepcopy(self.model)
        quantize_model(model, method, grid, self.tokens if tokens is None else tokens)
        size = model_bytes(model)
        return measure_model(as_floats(model), self.test), size

    def loss(self, found: Damage) -> float:
        """The rise of the loss, in nats a token."""
        return torch.tensor(found.perplexity / self.before.perplexity).log().item()


def weights(bench: Bench) -> None:
    """The tables of weights alone: every method, or the main ones."""
    report, tables = bench.report, bench.settings.tables
    chosen = [(method, grid) for grid in GRIDS for method in METHODS] if "all" in tables else MAIN
    if bench.settings.preset == "smoke":
        chosen = SMOKE
    found: dict[tuple[str, str], Damage] = {}
    for method, grid in chosen:
        damage, size = bench.quantized(method, GRIDS[grid])
        found[method, grid] = damage
        bench.note(f"{grid}, {method}", damage, size, method)
        if method == "nearest" and GRIDS[grid].bits in (4, 8):
            bits = GRIDS[grid].bits
            report.figure(
                f"smaller than bfloat16, {bits} bits", bench.full / size, "times",
                (">=", 3.2) if bits == 4 else (">=", 1.95), {"GGUF": bench.full / size_of(bench.model, f"Q{bits}_0")},
                note=f"{grid}, embedding and head 8 bits a row, scales in float16; the whole model, {size:,} bytes",
            )  # fmt: skip
            report.figure(
                f"exact match lost, {bits} bits", 100 * (bench.before.exact - damage.exact), "points", ("<=", 2.0),
                note=f"{grid}, to the nearest code; one standard error of {bench.items} answers is "
                f"{100 * (bench.before.exact * (1 - bench.before.exact) / bench.items) ** 0.5:.1f}",
            )  # fmt: skip
    for grid in ("2 bits, groups of 32", "2 bits a row"):
        if ("nearest", grid) not in found or ("gptq", grid) not in found:
            continue
        rounded, better = found["nearest", grid], found["gptq", grid]
        report.figure(
            f"of what rounding loses GPTQ gets back, {grid}", 1 - bench.loss(better) / bench.loss(rounded),
            "of the loss",
            (">=", 0.5),
            {
                method: 1 - bench.loss(one) / bench.loss(rounded)
                for (method, place), one in found.items() if place == grid and method not in ("gptq", "nearest")
            },
        )  # fmt: skip
    if ("gptq", "2 bits a row") in found:
        report.figure(
            "exact match, 2 bits, GPTQ", 100 * found["gptq", "2 bits a row"].exact, "%", (">=", 45.0),
            {"rounding": 100 * found["nearest", "2 bits a row"].exact, "in floats": 100 * bench.before.exact},
            note="one scale a row",
        )  # fmt: skip
    peer = copy.deepcopy(bench.model)
    quantize_base(peer, double=False)
    quantize_embedding(peer, EMBEDDING)
    size = model_bytes(peer)
    if bench.settings.preset != "smoke":
        bench.note("NF4, blocks of 64 (project 5)", measure_model(peer, bench.test), size, "NF4")


def calibrations(bench: Bench) -> None:
    """GPTQ with other tokens: fewer of them, and random ones."""
    grid = GRIDS["2 bits, groups of 32"]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(bench.model.config.vocab_size, bench.tokens.shape, generator=generator)
    for name, tokens in {
        "1,024 tokens": bench.tokens[:2],
        "4,096 tokens": bench.tokens[:8],
        "random tokens": noise,
    }.items():
        damage, size = bench.quantized("gptq", grid, tokens)
        bench.note(f"2 bits, groups of 32, gptq on {name}", damage, size)


def activations(bench: Bench) -> None:
    """Eight bits for activations too, on the model as it is and with outliers that leave its function unchanged."""
    for factor in (1.0, 60.0, 1000.0):
        for name in ("W8A8", "LLM.int8()", "SmoothQuant and W8A8"):
            model = copy.deepcopy(bench.model)
            inject_outliers(model, factor)
            if name == "SmoothQuant and W8A8":
                smooth(model, bench.tokens)
            use_int8(model, 6.0 if name == "LLM.int8()" else 0.0)
            found = measure_model(model, bench.test)
            shown = "no outliers" if factor == 1 else f"outliers × {factor:,.0f}"
            bench.note(
                f"{name}, {shown}", replace(found, perplexity=min(found.perplexity, 1e6)), model_bytes(model)
            )


def plan(bench: Bench) -> None:
    """Bits a layer within the bytes of three bits a weight, against three bits everywhere."""
    model, choices = copy.deepcopy(bench.model), [2, 3, 4]
    layers = [
        f"blocks.{name}" for name, one in model.blocks.named_modules() if isinstance(one, torch.nn.Linear)
    ]

    def made(linear: torch.nn.Linear, bits: int) -> Quantized:
        return clipped(linear.weight, Grid(bits, 32, False, HALF))

    damage = measure_damage(model, layers, choices, made, loss_on(bench.tokens[:4]))
    size = {
        name: {bits: _size(model.get_submodule(name).weight.shape, bits) for bits in choices}
        for name in layers
    }
    budget = sum(one[3] for one in size.values())
    chosen = choose_bits(damage, size, budget)
    for name, bits in (
        ("3 bits everywhere, clip", dict.fromkeys(layers, 3)),
        ("a plan of 2, 3 and 4 bits, clip", chosen),
    ):
        tried = copy.deepcopy(bench.model)
        quantize_linears(tried, lambda place, linear, bits=bits: made(linear, bits[place]))
        quantize_embedding(tried, EMBEDDING)
        total = model_bytes(tried)
        bench.note(f"{name}, groups of 32", measure_model(as_floats(tried), bench.test), total)


def _size(shape: Any, bits: int) -> int:
    outputs, inputs = shape
    return outputs * (inputs * bits // 8 + 3 * -(-inputs // 32))  # a code each, a scale and a zero a group


def codes(report: Report, model: LLM) -> None:
    """Bytes of codes that differ from those of bitsandbytes, over all of the model's matrices."""
    try:
        functional = library("bitsandbytes.functional")
    except ImportError:
        print("bitsandbytes is left out: it is not installed", file=sys.stderr)
        return
    differ = count = 0
    for weight in (one.detach() for one in model.parameters() if one.ndim == 2):
        theirs, _, _ = functional.int8_vectorwise_quant(weight.half())
        differ += int((quantize_rows(weight.half())[0] != theirs).sum())
        count += weight.numel()
    report.figure(
        "codes that differ from those of bitsandbytes", differ, "bytes", ("==", 0),
        note=f"int8 a row, of {count:,} weights; NF4 is project 5's",
    )  # fmt: skip
