"""Write with the cache: ladder run 8 generate --prompt "Once upon a time" """

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

import torch
import typer
from rich.console import Console

from phase03_core_inference.project08_kv_cache.decode_step import DecodeStep
from phase03_core_inference.project08_kv_cache.generation import stream_tokens
from phase03_core_inference.project08_kv_cache.given.kernels import FORMATS, WIDTHS
from phase03_core_inference.project08_kv_cache.given.text import stream_text
from phase03_core_inference.project08_kv_cache.kv_cache import KVCache
from phase03_core_inference.project08_kv_cache.window import SlidingWindowCache
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message, printable
from shared.device import DTYPES, pick_device, set_threads
from shared.options import run_command
from shared.phase01 import LLM, PromptTokenizer, SamplingParams, generate, load_base, torch_attention


def with_cache(
    model: LLM,
    tokenizer: PromptTokenizer,
    prompts: Sequence[str],
    params: SamplingParams,
    window: int | None = None,
    kernels: bool = True,
    threads: int = 1,
) -> Iterator[tuple[int, str]]:
    """Pieces of text as project 1's `stream` yields them, from a cache: all of the text, or the last `window` tokens.

    With `kernels`, a whole step is one call of C++ where the model's heads, dtype and device allow it. Raises
    ValueError, before any work, for a prompt that the model cannot start from, and for a window that does not fit.
    """
    weight, config = model.embedding.weight, model.config
    ids = [tokenizer.encode(prompt) for prompt in prompts]
    cache = KVCache(config, len(ids), dtype=weight.dtype, device=weight.device)
    if window is not None:
        cache = SlidingWindowCache(config, window, len(ids), weight.dtype, weight.device)
    made_for = weight.device.type == "cpu" and weight.dtype in FORMATS and config.head_width in WIDTHS
    decode = DecodeStep(model, threads) if kernels and made_for else None
    ended: set[int] = set()
    tokens = stream_tokens(model, ids, params, cache, decode, ended)
    return stream_text(tokens, tokenizer.decode, len(ids), params.stop, ended)


def main(
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="Text to go on from; give it again for more. Without any, the model begins a text.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="The model's name.")] = "tiny-base",
    max_tokens: Annotated[
        int, typer.Option(help="The most tokens to write; less where the model's context ends before.")
    ] = 400,
    temperature: Annotated[float, typer.Option(help="0 is greedy; below 1 bolder, above 1 wilder.")] = 0.7,
    top_k: Annotated[int, typer.Option(help="Choose among the k likeliest only; 0 is all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Choose among the likeliest that make up this share.")] = 1.0,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1: used tokens become rarer.")] = 1.0,
    stop: Annotated[
        list[str] | None,
        typer.Option(help="End before this text; give it again for more.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = 0,
    window: Annotated[
        int | None,
        typer.Option(
            help="Keep only so many tokens, in a ring; the text has no end then.", show_default="all"
        ),
    ] = None,
    kernels: Annotated[bool, typer.Option(help="A whole step in C++, where that fits the model.")] = True,
    compare: Annotated[bool, typer.Option(help="Write it again without the cache, and compare.")] = True,
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "cpu",
) -> None:
    """Write with the KV cache, then say how much faster that was than without it.

    One prompt is streamed; several are written side by side, at once. In --prompt and --stop, \\n is a new line.
    """
    with exits_with_message(Console(stderr=True), ValueError, ArtifactError, CheckpointError):
        prompts = [text.replace("\\n", "\n") for text in prompt or [""]]
        stops = tuple(text.replace("\\n", "\n") for text in stop or [])
        place = pick_device(device)
        if dtype not in DTYPES:
            raise ValueError(f"unknown dtype {dtype!r}; use {', '.join(DTYPES)}")
        threads = set_threads()
        llm, bare = load_base(model, DTYPES[dtype])
        llm.to(place)
        tokenizer = PromptTokenizer(bare)
        params = SamplingParams(
            max_tokens, temperature, top_k, top_p, repetition_penalty, stops, tuple(tokenizer.start), seed
        )
        # A little of both before the clock starts, so that neither pays for what is done once, as compiling.
        list(with_cache(llm, tokenizer, prompts, replace(params, max_tokens=2), window, kernels, threads))
        with torch.inference_mode():
            llm(torch.tensor([[0]], device=place), attend=torch_attention)
        begin = time.perf_counter()
        pieces = with_cache(llm, tokenizer, prompts, params, window, kernels, threads)
        texts = _show(prompts, pieces)
        cached = time.perf_counter() - begin
        if compare and window is None:
            _compare(llm, tokenizer, prompts, params, texts, cached)


def _show(prompts: Sequence[str], pieces: Iterator[tuple[int, str]]) -> list[str]:
    """Print the prompts with what follows them, one as it comes, several when all are done; returns what follows."""
    texts, first = [""] * len(prompts), next(pieces, None)  # an error comes before anything is printed
    if len(prompts) == 1:
        print(printable(prompts[0]), end="", flush=True)
    while first is not None:
        i, piece = first
        texts[i] += piece
        if len(prompts) == 1:
            print(printable(piece), end="", flush=True)
        first = next(pieces, None)
    if len(prompts) == 1:
        print()
    else:
        for prompt, text in zip(prompts, texts, strict=True):
            print(f"{'─' * 40}\n{printable(prompt + text)}")
    return texts


def _compare(
    model: LLM,
    tokenizer: PromptTokenizer,
    prompts: Sequence[str],
    params: SamplingParams,
    texts: Sequence[str],
    cached: float,
) -> None:
    """Write it all again without the cache, and say on stderr how long either took, and whether the texts are one."""
    begin = time.perf_counter()
    # Without a cache a text goes on beyond the context, by its last tokens; compared is what both have.
    again = generate(model, tokenizer, prompts, params, torch_attention)
    without = time.perf_counter() - begin
    same = all(long.startswith(text) for text, long in zip(texts, again, strict=True))
    said = "the same text" if same else "not the same text: a choice was so close that rounding decided it"
    print(
        f"with the cache {cached:.2f} s, without it {without:.2f} s: {without / cached:.1f} times as fast, {said}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_command(main)
