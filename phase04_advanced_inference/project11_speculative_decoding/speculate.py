"""Write with guesses, and see which stayed: ladder run 11 speculate --prompt "Once upon a time" """

import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from phase04_advanced_inference.project11_speculative_decoding.adaptive import AdaptiveLength
from phase04_advanced_inference.project11_speculative_decoding.draft_model import DraftProposer
from phase04_advanced_inference.project11_speculative_decoding.expected import (
    acceptance_rate,
    expected_tokens,
)
from phase04_advanced_inference.project11_speculative_decoding.given.heads import load_heads
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Proposer
from phase04_advanced_inference.project11_speculative_decoding.mtp import MTPProposer
from phase04_advanced_inference.project11_speculative_decoding.ngram import NGramProposer
from phase04_advanced_inference.project11_speculative_decoding.speculation import Written, speculate
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message, printable
from shared.device import set_threads
from shared.options import run_command
from shared.phase01 import LLM, PromptTokenizer, SamplingParams, load_base
from shared.phase03 import generate_tokens, use_own_products

PROPOSERS = ("draft", "ngram", "heads")
GUESS_COST = 0.2
"""what a guess of a model costs, in passes of the target, for the adaptive length"""


def make_proposer(kind: str, model: LLM, vocab_size: int, draft: str, heads: str) -> Proposer:
    """A proposer by its kind. Raises ValueError for an unknown one, and for a draft model with other tokens."""
    if kind not in PROPOSERS:
        raise ValueError(f"unknown proposer {kind!r}; use {', '.join(PROPOSERS)}")
    if kind == "ngram":
        return NGramProposer()
    if kind == "heads":
        return MTPProposer(model, load_heads(heads, model))
    small, tokenizer = load_base(draft)
    if tokenizer.vocab_size != vocab_size:
        raise ValueError(f"{draft} knows {tokenizer.vocab_size} tokens, and the target {vocab_size}")
    use_own_products(small)
    return DraftProposer(small)


def pieces(tokens: Sequence[int], decode: Callable[[list[int]], str]) -> list[str]:
    """The text of each token; of a character that takes several tokens, with the last of them."""
    texts = [""]
    for end in range(1, len(tokens) + 1):
        text = decode(list(tokens[:end]))
        texts.append(texts[-1] if text.endswith("�") else text)
    return [after[len(before) :] for before, after in pairwise(texts)]


def show(written: Sequence[Written], decode: Callable[[list[int]], str], marks: bool) -> Text:
    """The text: guesses that stayed in colour, or with `marks` in brackets; the target's own tokens plain."""
    stayed = [i < one.accepted for one in written for i in range(len(one.tokens))]
    tokens = [token for one in written for token in one.tokens]
    text, inside = Text(), False
    for piece, guess in zip(pieces(tokens, decode), stayed, strict=True):
        if marks and guess != inside:
            text.append("[" if guess else "]")
        inside = guess
        text.append(printable(piece), style="green" if guess else None)
    return text.append("]") if marks and inside else text


def summary(written: Sequence[Written], count: int) -> str:
    """What the guesses were worth, in a line."""
    tokens, judged = sum(len(one.tokens) for one in written), [(one.guessed, one.accepted) for one in written]
    guessed, accepted = (sum(column) for column in zip(*judged, strict=True))
    rate = acceptance_rate(judged)
    said = f"{tokens} tokens in {len(written)} passes, {tokens / len(written):.2f} a pass"
    if not guessed:
        return f"{said}; nothing was guessed"
    formula = f"; at this rate the formula says {expected_tokens(rate, count):.2f}" if count else ""
    return f"{said}; of {guessed} guesses {accepted} stayed, of those judged {rate:.0%}{formula}"


def main(
    prompt: Annotated[str, typer.Option(help="Text to go on from; \\n is a new line.")] = "Once upon a time",
    proposer: Annotated[str, typer.Option(help="Who guesses: draft, ngram or heads.")] = "draft",
    count: Annotated[int, typer.Option(help="Guesses a pass; 0 lets the text decide (adaptive).")] = 4,
    model: Annotated[str, typer.Option(help="The target's name.")] = "tiny-base",
    draft: Annotated[str, typer.Option(help="The draft model's name.")] = "tiny-draft",
    heads: Annotated[str, typer.Option(help="The heads' name.")] = "tiny-heads",
    max_tokens: Annotated[int, typer.Option(help="The most tokens to write.")] = 200,
    temperature: Annotated[float, typer.Option(help="0 is greedy; below 1 bolder, above 1 wilder.")] = 0.0,
    top_k: Annotated[int, typer.Option(help="Choose among the k likeliest only; 0 is all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Choose among the likeliest that make up this share.")] = 1.0,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1: used tokens become rarer.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = 0,
    marks: Annotated[
        bool, typer.Option(help="Guesses that stayed in brackets, for a page without colours.")
    ] = False,
) -> None:
    """Write a text with guesses: those that stayed are green, the target's own tokens plain; then what it saved."""
    with exits_with_message(Console(stderr=True), ValueError, ArtifactError, CheckpointError):
        set_threads()
        target, bare = load_base(model)
        use_own_products(target)  # for torch's, two rows cost much more than one
        tokenizer = PromptTokenizer(bare)
        params = SamplingParams(
            max_tokens, temperature, top_k, top_p, repetition_penalty, (), tuple(tokenizer.start), seed
        )
        if count < 0:
            raise ValueError(f"guesses a pass are 0 (adaptive) or more, not {count}")
        proposes = make_proposer(proposer, target, bare.vocab_size, draft, heads)
        text = prompt.replace("\\n", "\n")
        ids = tokenizer.encode(text)
        lengths = count or AdaptiveLength(0.0 if proposer == "ngram" else GUESS_COST, 0.05)
        list(speculate(target, [ids], params, proposes, 1))  # before the clock starts
        begin = time.perf_counter()
        written = list(speculate(target, [ids], params, proposes, lengths))
        guessed = time.perf_counter() - begin
        begin = time.perf_counter()
        plain = generate_tokens(target, [ids], params)[0]
        alone = time.perf_counter() - begin
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(printable(text)), show(written, tokenizer.decode, marks), sep="")
    tokens = [token for one in written for token in one.tokens]
    if temperature:
        same = "another text, drawn from the same distribution"
    else:
        same = (
            "the same text"
            if tokens == plain
            else "not the same text: a choice was so close that rounding decided it"
        )
    per_token = [seconds / max(1, len(made)) for seconds, made in ((guessed, tokens), (alone, plain))]
    print(
        f"{summary(written, count)}\nwith guesses {guessed:.2f} s, without {alone:.2f} s: "
        f"{per_token[1] / per_token[0]:.1f} times as fast, {same}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_command(main)
