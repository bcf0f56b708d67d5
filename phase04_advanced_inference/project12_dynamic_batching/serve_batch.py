"""Answer a dozen prompts at once: ladder run 12 serve_batch"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from phase04_advanced_inference.project12_dynamic_batching.engine import Engine
from phase04_advanced_inference.project12_dynamic_batching.given.recorder import Recorder
from phase04_advanced_inference.project12_dynamic_batching.given.serving import Arrival, Served, serve
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.runner import Runner
from phase04_advanced_inference.project12_dynamic_batching.scheduler import Scheduler
from phase04_advanced_inference.project12_dynamic_batching.static_batching import StaticBatcher
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message, printable
from shared.device import set_threads
from shared.options import run_command
from shared.phase01 import LLM, PromptTokenizer, SamplingParams, load_base
from shared.phase03 import DecodeStep, KVCache

PROMPTS = [
    ("Once upon a time", 120),
    ("Question: Mia has 4 marbles and finds 6 more. How many marbles does Mia have now?\\nAnswer:", 8),
    ("It was a foggy day.", 40),
    ("Question: What is the opposite of hot?\\nAnswer:", 8),
    ("One morning Tara went to the park with Ben.", 90),
    ("The cat", 16),
    ("Question: Which is bigger, a mouse or a horse?\\nAnswer:", 8),
    ("Leo had a red kite.", 60),
    ("Lucy and Max lived in a house by the sea. Every day they", 24),
    ("There was a girl named Nina.", 150),
    ('\\"What is that?\\" asked Finn.', 30),
    ("In the afternoon", 12),
]
"""a dozen, with how many tokens each may have"""


def make_engine(
    model: LLM,
    continuous: bool,
    rows: int,
    budget: int,
    chunk: int | None,
    threads: int,
    recorder: Recorder | None = None,
) -> Engine:
    """An engine with the same runner for either way of batching."""
    config, weight = model.config, model.embedding.weight
    memory = Rows(rows, config.context_length)
    cache = KVCache(config, rows, dtype=weight.dtype)
    batcher = Scheduler(memory, rows, budget, chunk=chunk) if continuous else StaticBatcher(memory, rows)
    return Engine(batcher, Runner(model, cache, memory, DecodeStep(model, threads)), recorder=recorder)


def main(
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="Text to go on from; give it again for more. Without any, a dozen.", show_default=False
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="The model's name.")] = "tiny-base",
    max_tokens: Annotated[int, typer.Option(help="The most tokens after each --prompt.")] = 60,
    temperature: Annotated[float, typer.Option(help="0 is greedy; below 1 bolder, above 1 wilder.")] = 0.7,
    seed: Annotated[int, typer.Option(help="The first prompt's; the others' follow.")] = 0,
    rows: Annotated[int, typer.Option(help="The most texts at a time.")] = 4,
    budget: Annotated[int, typer.Option(help="The most tokens in a step.")] = 64,
    chunk: Annotated[
        int | None, typer.Option(help="The most tokens of one text in a step.", show_default="whole prompts")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            help="A folder for static.jsonl and continuous.jsonl, to be drawn.", show_default="none"
        ),
    ] = None,
) -> None:
    r"""Answer prompts through the engine by static and by continuous batching, and compare.

    In --prompt, \n is a new line.
    """
    with exits_with_message(Console(stderr=True), ValueError, ArtifactError, CheckpointError):
        asked = [(text, max_tokens) for text in prompt] if prompt else PROMPTS
        threads = set_threads()
        llm, bare = load_base(model)
        tokenizer = PromptTokenizer(bare)
        texts = [text.replace("\\n", "\n").replace('\\"', '"') for text, _ in asked]
        arrivals = [
            Arrival(
                0.0,
                tokenizer.encode(text),
                SamplingParams(most, temperature, stop_ids=tuple(tokenizer.start), seed=seed + i),
            )
            for i, (text, (_, most)) in enumerate(zip(texts, asked, strict=True))
        ]  # fmt: skip
        if record is not None:
            record.mkdir(parents=True, exist_ok=True)
        served: dict[str, Served] = {}
        for name in ("static", "continuous"):
            # A little before the clock starts, so that neither pays for what is done once, as compiling.
            serve(make_engine(llm, name == "continuous", rows, budget, chunk, threads), arrivals[:1])
            with Recorder(record and record / f"{name}.jsonl") as recorder:
                served[name] = serve(
                    make_engine(llm, name == "continuous", rows, budget, chunk, threads, recorder), arrivals
                )
        _show(texts, [tokenizer.decode(text) for text in served["continuous"].texts], served)


def _show(prompts: Sequence[str], answers: Sequence[str], served: dict[str, Served]) -> None:
    """Print the texts, and on stderr what either way took."""
    for prompt, answer in zip(prompts, answers, strict=True):
        print(f"{'─' * 40}\n{printable(prompt + answer)}")
    table = Table("batching", "steps", "tokens/s", "first token, ms (median, 95%)", "whole answer, ms")
    for name, one in served.items():
        found = one.latency.summary((0.5, 0.95))
        cells = [
            ", ".join(f"{1000 * seconds:.0f}" for seconds in found[part].values()) if part in found else ""
            for part in ("first_token", "end_to_end")
        ]
        table.add_row(name, f"{one.steps:,}", f"{one.written / one.seconds:,.0f}", *cells)
    Console(stderr=True).print(table)
    same = served["static"].texts == served["continuous"].texts
    said = (
        "the same texts" if same else "not all the same texts: a choice was so close that rounding decided it"
    )
    ratio = served["static"].steps / max(1, served["continuous"].steps)
    print(f"continuous batching took {ratio:.2f} times fewer steps, for {said}", file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
