"""Answer prompts that begin alike, all at once, and see what each part of the engine saves: ladder run 13 answer"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from phase04_advanced_inference.project11_speculative_decoding.draft_model import DraftProposer
from phase04_advanced_inference.project13_paged_attention.given.block_recorder import BlockRecorder
from phase04_advanced_inference.project13_paged_attention.given.results import Result
from phase04_advanced_inference.project13_paged_attention.llm_engine import LLMEngine, Saved
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message, printable
from shared.device import set_threads
from shared.options import run_command
from shared.phase01 import LLM, PromptTokenizer, load_base
from shared.phase03 import DecodeStep

PREFIX = (
    "One morning Tara went to the park with Ben. They had a red kite and a small dog named Max. The sun was warm, and "
    "the grass was green. Tara ran with the kite, and Ben ran after her. Then the wind took the kite, and it flew over "
    "the trees."
)
"""what all prompts begin with, where they are not given"""
ENDINGS = [
    " Tara was",
    " Ben said,",
    " Max the dog",
    " In the afternoon",
    ' "Do not be sad,"',
    " The kite",
    " A bird",
    " They looked",
    " Then it began to rain",
    " An old man",
    " When they came home",
    " The next day",
]


@dataclass
class Run:
    """One way to answer all prompts."""

    results: list[Result]
    steps: int
    seconds: float
    saved: Saved

    @property
    def written(self) -> int:
        """Tokens, of all texts."""
        return sum(len(one.tokens) for result in self.results for one in result.completions)


def answer(
    model: LLM,
    tokenizer: PromptTokenizer,
    prompts: list[str],
    params: SamplingParams,
    places: int,
    share: bool,
    draft: LLM | None,
    blocks: int,
    threads: int,
    recorder: BlockRecorder | None = None,
) -> Run:
    """All prompts through an engine of their own, at most `places` at a time."""
    proposer = None if draft is None else DraftProposer(draft, places, DecodeStep(draft, threads))
    engine = LLMEngine(
        model, tokenizer, blocks, max_sequences=places, max_tokens=max(64, 8 * places), chunk=64, proposer=proposer,
        guesses=3, recorder=recorder,
    )  # fmt: skip
    begin = time.perf_counter()
    # A salt of its own keeps each text's blocks apart: nothing is shared.
    keys = [engine.add(prompt, params, salt="" if share else str(i)) for i, prompt in enumerate(prompts)]
    while engine.requests:
        engine.step()
    seconds = time.perf_counter() - begin
    return Run([engine.results[key] for key in keys], engine.engine.steps, seconds, engine.saved)


def main(
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="Text to go on from; give it again for more. Without any, a dozen that begin alike.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="The model's name.")] = "tiny-base",
    draft: Annotated[str, typer.Option(help="The name of the model that guesses.")] = "tiny-draft",
    max_tokens: Annotated[int, typer.Option(help="The most tokens after each prompt.")] = 40,
    temperature: Annotated[float, typer.Option(help="0 is greedy; below 1 bolder, above 1 wilder.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The first prompt's and all others'.")] = 0,
    places: Annotated[int, typer.Option(help="The most texts at a time.")] = 8,
    blocks: Annotated[int, typer.Option(help="Blocks of 16 tokens in the pool.")] = 128,
    record: Annotated[
        Path | None, typer.Option(help="Record the last way to this file, to be drawn.", show_default="none")
    ] = None,
) -> None:
    r"""Answer prompts one by one, in company, with their common beginning shared, and with guesses; and compare.

    In --prompt, \n is a new line.
    """
    with exits_with_message(Console(stderr=True), ValueError, ArtifactError, CheckpointError):
        threads = set_threads()
        target, bare = load_base(model)
        guesser, _ = load_base(draft)
        tokenizer = PromptTokenizer(bare)
        texts = [text.replace("\\n", "\n") for text in prompt or [PREFIX + ending for ending in ENDINGS]]
        params = SamplingParams(max_tokens, temperature, stop_ids=tuple(tokenizer.start), seed=seed)
        ways = {
            "one by one": (1, False, None),
            "in company": (places, False, None),
            "and a shared beginning": (places, True, None),
            "and guesses": (places, True, guesser),
        }
        for (
            _,
            share,
            guesses,
        ) in ways.values():  # before the clock starts, so that nobody pays for what is done once
            answer(target, tokenizer, texts[:1], SamplingParams(2), 1, share, guesses, blocks, threads)
        runs = {}
        for name, (many, share, guesses) in ways.items():
            recorder = BlockRecorder(record) if name == "and guesses" and record is not None else None
            try:
                runs[name] = answer(
                    target, tokenizer, texts, params, many, share, guesses, blocks, threads, recorder
                )
            finally:
                if recorder is not None:
                    recorder.close()
        _show(texts, runs)


def common_beginning(texts: list[str]) -> str:
    """What all texts begin with."""
    shortest = min(texts, key=len)
    count = next(
        (i for i, letter in enumerate(shortest) if any(text[i] != letter for text in texts)), len(shortest)
    )
    return shortest[:count]


def _show(prompts: list[str], runs: dict[str, Run]) -> None:
    """Print what all prompts begin with, and each with its text; and on stderr what each way took and saved."""
    beginning = common_beginning(prompts) if len(prompts) > 1 else ""
    print(printable(beginning))
    for prompt, result in zip(prompts, runs["and guesses"].results, strict=True):
        print(
            f"{'─' * 40}\n{'…' if beginning else ''}{printable(prompt[len(beginning) :])}│{printable(result.text)}"
        )
    table = Table("", "steps", "tokens computed of prompts", "tokens/s", "seconds")
    for name, run in runs.items():
        prompts_total = run.saved.prompts.total
        computed = prompts_total.queried - prompts_total.hit
        table.add_row(name, f"{run.steps:,}", f"{computed:,}", f"{run.written / run.seconds:,.0f}",
        f"{run.seconds:.2f}")  # fmt: skip
    console = Console(stderr=True)
    console.print(table)
    alone, company, shared, guessed = runs.values()
    hits = shared.saved.prompts.total
    name, best = max(runs.items(), key=lambda one: one[1].written / one[1].seconds)
    faster = best.written / best.seconds * alone.seconds / max(1, alone.written)
    texts = {tuple(result.text for result in run.results) for run in runs.values()}
    same = (
        "all the same texts"
        if len(texts) == 1
        else "not all the same texts: some choice was close, or drawn with guesses"
    )
    print(
        f"continuous batching: {alone.steps / company.steps:.1f} times fewer steps\n"
        f"shared prefix: {hits.hit:,} of {hits.queried:,} tokens of prompts were in blocks already ({hits.rate:.0%})\n"
        f"speculation: of {guessed.saved.guessed:,} guesses {guessed.saved.accepted:,} stayed, "
        f"{shared.steps / guessed.steps:.1f} times fewer steps\n"
        f"the fastest: {name}, {faster:.1f} times as fast as one by one; {same}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_command(main)
