"""What the benchmark measures on a GPU: attention over blocks, whole decoding steps, and a whole workload.

Everything is held against what memory delivers, by a copy in the same run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project12_dynamic_batching.given.workload import Request as Lengths
from phase04_advanced_inference.project13_paged_attention.given.cuda_graphs import SIZES, GraphDecode
from phase04_advanced_inference.project13_paged_attention.given.example import (
    WIDE,
    random_model,
    shuffled_tables,
)
from phase04_advanced_inference.project13_paged_attention.given.fused_step import FusedForward
from phase04_advanced_inference.project13_paged_attention.given.gpu_attention import (
    by_torch,
    close,
    in_blocks,
    replayed,
    through,
)
from phase04_advanced_inference.project13_paged_attention.given.on_gpu import on_gpu
from phase04_advanced_inference.project13_paged_attention.given.paged_launch import TritonDecode
from phase04_advanced_inference.project13_paged_attention.given.small import make_engine
from phase04_advanced_inference.project13_paged_attention.given.workload import (
    Numbers,
    WorkloadSettings,
    said,
    through_engine,
)
from phase04_advanced_inference.project13_paged_attention.llm_engine import LLMEngine
from phase04_advanced_inference.project13_paged_attention.paged_attention import PagedStep
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from shared.measuring.arms import Arm, Report, measure, memory_bandwidth
from shared.phase01 import LLM, Config

SHAPES = {
    "124M": Config(50_257, 4096, 12, 12, 12, 768, 2048, tied_embeddings=True),
    "1.2B": Config(128_256, 4096, 16, 32, 8, 2048, 8192, tied_embeddings=True),
}
"""Llamas of the shapes of GPT-2 small and of Llama 3.2 1B"""
WARPS = (1, 2, 4)


@dataclass
class GpuSettings:
    """How much of it."""

    seconds: float = 200.0
    """after so many no further part is begun"""
    models: tuple[str, ...] = ("124M", "1.2B")
    batches: tuple[int, ...] = (1, 8, 32, 128)
    held: int = 512
    """tokens that each text of a step holds"""
    block_size: int = 32
    block_sizes: tuple[int, ...] = (16, 32, 64)
    shapes: tuple[tuple[int, int], ...] = ((1, 4096), (32, 1024), (128, 1024))
    """texts, and how many tokens each holds, for attention alone"""
    repeats: int = 15
    texts: int = 24
    """that a GPU and a CPU must write alike"""
    tokens: int = 30
    """of each of these"""
    workload: WorkloadSettings = field(
        default_factory=lambda: WorkloadSettings(
            prompt=128, shared=512, answer=128, longest=512, size=128, budget=2048, memory=2**17
        )
    )


@torch.no_grad()
def shaped(config: Config, dtype: torch.dtype, device: torch.device) -> LLM:
    """A model with random weights, made on the device."""
    with device:
        torch.manual_seed(0)
        model = LLM(config)
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.02)
    return model.to(dtype).eval()


class Gpu:
    """The parts, one after the other; what the first finds out, the others go by."""

    def __init__(
        self, report: Report, settings: GpuSettings, device: torch.device, kernels: Mapping | None = None
    ):
        """`kernels` is for tests on a CPU: those of attention and of the fused step, by "paged" and "fused"."""
        self.report, self.settings, self.device = report, settings, device
        self.kernels = dict(kernels or {"paged": None, "fused": None})
        megabytes = 1024 if device.type == "cuda" else 1
        self.bandwidth = memory_bandwidth(device, megabytes)
        self.warps: dict[str, int] = {}
        """by model: the best number of warps in a program of the attention kernel"""
        # Triton's interpreter is not to be trusted with bfloat16.
        self.dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        report.figure(
            "what memory delivers", self.bandwidth / 1e9, "GB/s", note="a copy, bytes read and bytes written"
        )

    def parts(self) -> list[tuple[str, Callable[[], None]]]:
        """Names and parts, the most important first."""
        settings = self.settings
        return [
            ("the same texts as on a CPU", self.texts),
            ("attention over blocks", self.attention),
            *((f"decoding steps, {name}", partial(self.steps, name)) for name in settings.models),
            *((f"the workload, {name}", partial(self.workload, name)) for name in settings.models),
        ]

    def texts(self) -> None:
        """Raises AssertionError unless a GPU writes the texts of a CPU, in float32, with graphs, without, and fused."""
        params = SamplingParams(max_tokens=self.settings.tokens, temperature=0)
        prompts = [[(3 * i + j) % 29 for j in range(1 + i % 11)] for i in range(self.settings.texts)]
        model = random_model(WIDE[0], torch.float32)
        expected = [one.completions[0].tokens for one in make_engine(model).generate(prompts, params)]
        moved = random_model(WIDE[0], torch.float32).to(self.device)
        fused = FusedForward(moved, self.kernels["fused"])
        for name, graphs, forward in (
            ("kernel after kernel", False, None),
            ("graphs", True, None),
            ("graphs, fused", True, fused),
        ):
            engine = make_engine(moved, max_sequences=8, max_tokens=32)
            on_gpu(engine, graphs, self.kernels["paged"], (1, 2, 4, 8, 16), forward=forward)
            found = [one.completions[0].tokens for one in engine.generate(prompts, params)]
            if found != expected:
                raise AssertionError(f"a GPU ({name}) writes other texts than a CPU")
        self.report.figure(
            "texts written alike on a GPU and on a CPU", len(prompts), "texts", ("==", len(prompts)),
            note="float32, a small model; kernel after kernel, by graphs, and by graphs of fused kernels",
        )  # fmt: skip

    def attention(self) -> None:
        """Attention alone, one query a text, bfloat16: share of the bandwidth, beside torch over one stretch.

        Sizes of blocks and numbers of warps are tried out; the best number of warps at the engine's block size, over
        the last shape, is taken for what comes after. The first model is measured at all shapes, others at the last.
        """
        shapes = self.settings.shapes
        for name in self.settings.models:
            for texts, length in shapes if name == self.settings.models[0] else shapes[-1:]:
                self._attention(name, texts, length)

    def _attention(self, model: str, texts: int, length: int) -> None:
        config = SHAPES[model]
        settings, dtype = self.settings, self.dtype
        heads, kv_heads, width = config.heads, config.kv_heads, config.head_width
        nbytes = 2 * texts * length * kv_heads * width * dtype.itemsize
        layers = max(1, min(12, 3 * 2**30 // nbytes))  # more than any cache of the GPU holds
        torch.manual_seed(0)
        with self.device:
            q = torch.randn(texts, heads, width).to(dtype)
            stretch = [torch.randn(2, texts, kv_heads, length, width).to(dtype) for _ in range(layers)]
        arms, sizes = [], {}
        for size in settings.block_sizes:
            num_blocks = texts * -(-length // size)
            tables = shuffled_tables([length] * texts, size, num_blocks)
            order = torch.tensor(tables, dtype=torch.int32, device=self.device)
            held = torch.full((texts,), length, dtype=torch.int32, device=self.device)
            data = [[in_blocks(part, order, size) for part in both] for both in stretch]
            store = BlockStore(config, 1, size, dtype, self.device)
            for warps in WARPS:
                decode = TritonDecode(store, self.kernels["paged"], warps)
                work = partial(through, q, data, order, held, size, decode.kernels, warps)
                sizes[name := f"blocks of {size}, warps: {warps}"] = size, warps
                arms.append(Arm(name, replayed(work, self.device)))
        arms.append(Arm("torch, one stretch", replayed(partial(by_torch, q, stretch), self.device)))
        found = measure(arms, check=close, repeats=settings.repeats, device=self.device, seconds=10)
        shares = {name: layers * nbytes / min(one.times) / self.bandwidth for name, one in found.items()}
        ours = {
            name: share for name, share in shares.items() if sizes.get(name, (0,))[0] == settings.block_size
        }
        best = max(ours, key=lambda name: ours[name])
        self.warps[model] = sizes[best][1]
        self.report.figure(
            f"paged attention, {model}, {texts} × {length:,} tokens, bfloat16, share of bandwidth", shares.pop(best),
            "of a copy's bytes/s", None, shares,
            note=f"{best}, in no order, by a graph, the fastest of {settings.repeats}: "
            f"{1e6 * min(found[best].times) / layers:,.1f} µs a layer for {nbytes / 2**20:,.0f} MiB",
        )  # fmt: skip

    def steps(self, name: str) -> None:
        """A whole decoding step in bfloat16, the likeliest tokens brought to the CPU: with graphs and without."""
        config = SHAPES[name]
        model = shaped(config, self.dtype, self.device)
        fused = FusedForward(model, self.kernels["fused"])
        weights = sum(parameter.nbytes for parameter in model.parameters())
        for batch in self.settings.batches:
            arms = self._step_arms(name, model, fused, batch)
            found = measure(
                arms, warmup=3, repeats=self.settings.repeats, device=self.device, seconds=6
            )  # fmt: skip
            each = 2 * config.layers * config.kv_heads * config.head_width * 2
            limit = self.bandwidth / (weights + batch * self.settings.held * each)
            rates = {arm: one.throughput for arm, one in found.items()}
            ours = rates.pop("graphs, fused")
            self.report.figure(
                f"whole step, {name}, batch {batch}, bfloat16, GPU", ours, "tokens/s",
                (">", max(rates.values())), rates,
                note=f"{1000 * batch / ours:.3g} ms, after {self.settings.held} tokens each, tables and tokens from "
                "Python and the likeliest back to it included",
            )  # fmt: skip
            self.report.figure(
                f"share of the bandwidth limit, {name}, batch {batch}, bfloat16, GPU", ours / (batch * limit), "",
                peers={arm: rate / (batch * limit) for arm, rate in rates.items()},
                note=f"weights and held keys and values read once would take {1000 / limit:.3g} ms",
            )  # fmt: skip

    def _step_arms(self, name: str, model: LLM, fused: FusedForward, batch: int) -> list[Arm]:
        settings, config = self.settings, model.config
        held, size = settings.held, settings.block_size
        tables = shuffled_tables([held + 1] * batch, size, batch * (held // size + 1))
        store = BlockStore(
            config, batch * (held // size + 1), size, model.embedding.weight.dtype, self.device
        )
        for buffer in [*store.keys, *store.values]:
            buffer.normal_()
        step = PagedStep([1] * batch, [held] * batch, tables)
        tokens = [(5 + 7 * text) % config.vocab_size for text in range(batch)]

        def once(decode: GraphDecode) -> list[int]:
            return decode(store, step, tokens).argmax(-1).tolist()

        make = partial(
            GraphDecode, model, store, (batch,), kernels=self.kernels["paged"], warps=self.warps.get(name, 4)
        )
        decodes = {
            "graphs, fused": make(forward=fused),
            "graphs": make(),
            "kernel after kernel": make(graphs=False),
            "kernel after kernel, fused": make(graphs=False, forward=fused),
        }
        _same_logits({way: decode(store, step, tokens).clone() for way, decode in decodes.items()})
        return [Arm(way, partial(once, decode), work=batch) for way, decode in decodes.items()]

    def workload(self, name: str) -> None:
        """All requests of the workload through LLMEngine, with graphs of fused kernels, with graphs, and without."""
        settings = self.settings.workload
        model = shaped(SHAPES[name], self.dtype, self.device)
        fused = FusedForward(model, self.kernels["fused"])
        ways = {
            "graphs, fused": (True, fused),
            "graphs": (True, None),
            "kernel after kernel": (False, None),
        }
        config = model.config

        def words(one: Lengths, number: int) -> list[int]:
            draw = torch.Generator().manual_seed(number)
            return torch.randint(config.vocab_size, (one.prompt,), generator=draw).tolist()

        asked = settings.draw(words)
        rates, texts, first = {}, {}, {}
        for way in [
            *ways,
            *ways,
        ]:  # twice, since whoever comes first pays for what is made once for each shape
            graphs, forward = ways[way]
            served = through_engine(self._engine(name, model, graphs, forward), asked)
            if way not in first or served.rate > first[way].rate:
                rates[way], texts[way], first[way] = served.rate, served.texts, served
        ours = rates.pop(way := "graphs, fused")
        differ = sum(a != b for a, b in zip(texts["graphs"], texts["kernel after kernel"], strict=True))
        read = sum(len(one.prompt) for one in asked)
        self.report.figure(
            f"workload, {name}, bfloat16, GPU", ours, "tokens/s", peers=rates,
            note=f"{said(asked)}; {settings.size} places, {settings.budget} tokens a step; {first[way].hit:,} of "
            f"{read:,} tokens of prompts were cached; first token after {first[way].first_token(0.5):,.0f} ms (half of "
            f"them) and {first[way].first_token(0.95):,.0f} ms (95%); with graphs and without, {differ} texts differ",
        )  # fmt: skip

    def _engine(self, name: str, model: LLM, graphs: bool, forward: FusedForward | None) -> LLMEngine:
        """One that has its graphs already."""
        settings, size = self.settings.workload, self.settings.block_size
        made = LLMEngine(model, Numbers(), settings.memory // size, size, settings.size, settings.budget)
        sizes = [one for one in SIZES if one <= max(SIZES[0], settings.size)]
        engine = on_gpu(made, graphs, self.kernels["paged"], sizes, self.warps.get(name, 4), forward)
        decode = engine.runner.decode
        assert isinstance(decode, GraphDecode)
        decode.warm()
        return engine


def _same_logits(out: Mapping[str, Tensor]) -> None:
    """Raises AssertionError unless all give the logits of the modules, kernel after kernel, but for rounding."""
    expected = out["kernel after kernel"]
    for name, found in out.items():
        error = ((found - expected).norm() / expected.norm()).item()
        if not error < 0.1:
            raise AssertionError(f"a step by {name} differs from one kernel after kernel by {error:.2%}")
