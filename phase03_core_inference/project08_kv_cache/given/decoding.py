"""What the benchmark measures of decoding, beside the limit that memory sets, read in the same run."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from phase03_core_inference.project08_kv_cache.decode_attention import DecodeAttention
from phase03_core_inference.project08_kv_cache.decode_step import DecodeStep
from phase03_core_inference.project08_kv_cache.generation import Step, step
from phase03_core_inference.project08_kv_cache.given.gain import NAMES, Settings, filled
from phase03_core_inference.project08_kv_cache.given.kernels import library
from phase03_core_inference.project08_kv_cache.given.peers import Transformers
from phase03_core_inference.project08_kv_cache.kv_cache import KVCache
from phase03_core_inference.project08_kv_cache.linear import OwnLinear, product_source, use_own_products
from phase03_core_inference.project08_kv_cache.memory import bytes_per_token, tokens_per_second, weight_bytes
from shared.measuring.arms import Arm, Measurement, Report, measure
from shared.phase01 import LLM


def products_alone(report: Report, settings: Settings) -> None:
    """All the model's products, and nothing else, beside a streaming read of the same bytes."""
    stream = _stream()
    for dtype, name in NAMES.items():
        model = settings.model(dtype)
        linears = [part for part in model.modules() if isinstance(part, torch.nn.Linear)]
        own: list[torch.nn.Module] = [OwnLinear(linear) for linear in linears]
        seconds, size = {}, weight_bytes(model)
        for rows in (1, 8, 32):
            by_width = {
                linear.in_features: torch.randn(rows, linear.in_features).to(dtype) for linear in linears
            }
            inputs = [by_width[linear.in_features] for linear in linears]
            arms = [
                Arm("ours", partial(_all_of, own, inputs)),
                Arm("torch", partial(_all_of, linears, inputs)),
                Arm("memory alone", stream(size)),
                Arm("arithmetic alone", partial(_in_cache, settings, dtype, rows, size // dtype.itemsize)),
            ]
            measured = measure(arms, check=_same_products, repeats=3 * settings.repeats, warmup=0)
            seconds[rows] = measured["ours"].seconds
            speed = 2 * rows * size / dtype.itemsize / measured["arithmetic alone"].seconds
            report.figure(
                f"products of a step, {rows} row{'s' if rows > 1 else ''}, {name}", 1000 * seconds[rows], "ms",
                peers={arm: 1000 * one.seconds for arm, one in measured.items() if arm != "ours"},
                note="memory alone: a streaming read of the same bytes; arithmetic alone: as many products of weights "
                f"that stay in the processor's cache, {speed / 1e9:.0f} GFLOP/s",
            )  # fmt: skip
            if rows == 1:
                limit = measured["memory alone"].seconds
                report.figure(
                    f"share of the memory limit, product alone, {name}", limit / seconds[rows], "", (">=", 0.9),
                    {"torch": limit / measured["torch"].seconds},
                    note=f"a streaming read of the same {size / 1e6:,.0f} MB in the same run, four streams",
                )  # fmt: skip
        report.figure(
            f"8 rows cost, {name}", seconds[8] / seconds[1], "times one", ("<=", 1.1) if name == "bfloat16" else None,
            note="products alone; they cannot cost less than arithmetic alone takes",
        )  # fmt: skip


@torch.inference_mode()
def _all_of(layers: Sequence[torch.nn.Module], inputs: Sequence[Tensor]) -> list[Tensor]:
    return [layer(x) for layer, x in zip(layers, inputs, strict=True)]


def _in_cache(settings: Settings, dtype: torch.dtype, rows: int, weights: int) -> Tensor:
    """Our product as often as it takes to multiply so many weights, always with the same few."""
    found = library("product", product_source())
    assert found is not None  # measuring has begun with a streaming read, which is C++
    few, dim = 256, settings.dim
    w, x, y = torch.ones(few, dim, dtype=dtype), torch.ones(rows, dim, dtype=dtype), torch.empty(rows, few)
    for _ in range(max(1, weights // w.numel())):
        found[f"product_{NAMES[dtype]}"](w.data_ptr(), x.data_ptr(), y.data_ptr(), rows, few, dim, 1)
    return y


def _same_products(out: Mapping[str, list[Tensor]]) -> None:
    for ours, theirs in zip(out["ours"], out["torch"], strict=True):
        error = ((ours - theirs).float().norm() / theirs.float().norm()).item()
        if error > 0.01:
            raise AssertionError(f"a product differs from torch's by {error:.1%}")


def _stream() -> Callable[[int], Callable[[], object]]:
    """What makes a streaming read of so many bytes, with as many threads as torch has now."""
    found = library("frame")
    if found is None:
        raise RuntimeError("the benchmark measures kernels in C++, and there is no compiler")
    read = found["stream_read"]

    def make(size: int) -> Callable[[], object]:
        bytes_ = torch.ones(size // 4)
        threads = torch.get_num_threads()
        return lambda: read(bytes_.data_ptr(), bytes_.numel(), threads)

    return make


def decoding(report: Report, settings: Settings, threads: int, folder: Path) -> None:
    """Decoding at 1, 8 and 32 rows: our step, transformers', and what memory allows, in turns."""
    torch.set_num_threads(threads)
    plural = "s" if threads > 1 else ""
    for dtype, name in NAMES.items():
        model = settings.model(dtype)
        theirs = Transformers(model, folder / f"{name}-{threads}", dtype)
        for rows in (1, 8, 32):
            count = max(1, settings.steps // {1: 1, 8: 2, 32: 4}[rows])
            measured = _decode_arms(settings, model, theirs, rows, count, threads, dtype)
            ours, peers = measured["ours"], {"transformers": measured["transformers"].throughput}
            if rows == 1:
                peers |= {arm: measured[arm].throughput for arm in ("modules, own products", "modules")}
            batch = f"batch {rows}, {name}, {threads} thread{plural}"
            large = rows == 32 and name == "bfloat16" and threads == 2
            report.figure(
                batch, ours.throughput, "tokens/s", (">=", 700.0) if large else None, peers,
                note=f"{count} steps a run, spread over 16 to 144 tokens; the fastest run "
                f"{rows * count / min(ours.times):,.0f} tokens/s",
            )  # fmt: skip
            if rows == 1:
                target = {"float32": 0.9, "bfloat16": 0.85}[name] if threads == 1 else None
                stream, size = measured["stream"], _step_bytes(settings, model, 1, dtype)
                speed = size * count / stream.seconds
                limit = tokens_per_second(speed, weight_bytes(model), size - weight_bytes(model))
                report.figure(
                    f"share of the memory limit, {name}, {threads} thread{plural}", stream.seconds / ours.seconds, "",
                    (">=", target) if target else None,
                    {arm: stream.seconds / measured[arm].seconds for arm in peers},
                    note=f"a streaming read of the same bytes in the same run: {speed / 1e9:.1f} GB/s, so at most "
                    f"{limit:.1f} tokens/s; by the fastest runs {min(stream.times) / min(ours.times):.2f}",
                )  # fmt: skip


def _step_bytes(settings: Settings, model: LLM, rows: int, dtype: torch.dtype) -> int:
    """What a step reads at 80 tokens, the middle of those measured."""
    return weight_bytes(model) + rows * _middle(settings) * bytes_per_token(model.config, dtype)


def _middle(settings: Settings) -> int:
    return (16 + _longest(settings)) // 2


def _longest(settings: Settings) -> int:
    return min(144, settings.context_length - 1)


def _decode_arms(
    settings: Settings,
    model: LLM,
    theirs: Transformers,
    rows: int,
    count: int,
    threads: int,
    dtype: torch.dtype,
) -> dict[str, Measurement]:
    longest = _longest(settings)
    places = [
        longest - i * (longest - 16) // count for i in range(count)
    ]  # from the longest down: rewinding only
    config, start = model.config, filled(model, rows, longest, dtype)
    tokens = [[5]] * rows
    prompt = torch.randint(config.vocab_size, (1, longest), generator=torch.Generator().manual_seed(1))

    def steps(read: Step, cache: KVCache) -> Tensor:
        logits = []
        for place in places:
            for row in range(rows):
                cache.rewind(row, place)
            logits.append(read(cache, tokens))
        return torch.stack(logits)

    def refill(cache: KVCache) -> KVCache:
        cache.lengths = [longest] * rows  # rewinding erases nothing but the place that each step writes anew
        return cache

    def their_steps(_: object) -> Tensor:
        logits = []
        for place in places:
            theirs.rewind(place)
            logits.append(theirs.step(torch.full((rows, 1), 5)))
        return torch.stack(logits)

    arms = [
        Arm("ours", partial(steps, DecodeStep(model, threads)), partial(refill, start), rows * count),
        Arm("transformers", their_steps, lambda: theirs.read(prompt, rows), rows * count),
    ]
    if rows == 1:
        own = settings.model(dtype)
        use_own_products(own, threads)
        attended = filled(model, rows, longest, dtype)
        attended.decode = DecodeAttention(attended, threads)
        read = _stream()(_step_bytes(settings, model, rows, dtype))
        arms += [
            Arm("modules, own products", partial(steps, partial(step, own)), partial(refill, attended), rows * count),
            Arm("modules", partial(steps, partial(step, model)), partial(refill, filled(model, rows, longest, dtype)),
                rows * count),
            Arm("stream", lambda: [read() for _ in range(count)]),
        ]  # fmt: skip
    return measure(arms, check=partial(_same_logits, dtype), warmup=0, repeats=settings.repeats)


def _same_logits(dtype: torch.dtype, out: Mapping[str, Tensor]) -> None:
    """Raises AssertionError unless all ways give the same logits, but for what the format cannot hold."""
    for arm, logits in out.items():
        if arm == "stream":
            continue
        error = ((out["ours"] - logits).float().norm() / logits.float().norm()).item()
        if error > (1e-4 if dtype == torch.float32 else 0.05):
            raise AssertionError(f"our logits differ from those of {arm} by {error:.2%}")


def first_token(report: Report, settings: Settings, folder: Path) -> None:
    """The time to the first token of a long prompt, against transformers."""
    for dtype, name in NAMES.items():
        model = settings.model(dtype)
        theirs = Transformers(model, folder / f"first-{name}", dtype)
        prompt = torch.randint(settings.vocab_size, (1, settings.first_prompt))

        def ours(model: LLM = model, prompt: Tensor = prompt, dtype: torch.dtype = dtype) -> Tensor:
            return step(
                model, KVCache(model.config, capacity=settings.first_prompt, dtype=dtype), prompt.tolist()
            )

        arms = [Arm("ours", ours), Arm("transformers", partial(theirs.read, prompt))]
        measured = measure(arms, check=partial(_same_logits, dtype), warmup=0, repeats=settings.repeats)
        threads = torch.get_num_threads()
        report.figure(
            f"time to the first token, prompt of {settings.first_prompt}, {name}", 1000 * measured["ours"].seconds,
            "ms", peers={"transformers": 1000 * measured["transformers"].seconds},
            note=f"torch's products and attention in both; threads: {threads}",
        )  # fmt: skip
