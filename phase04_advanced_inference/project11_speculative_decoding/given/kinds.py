"""What the benchmark shows first: the same texts as without guesses; then how many guesses stay, by kind of text."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from phase04_advanced_inference.project11_speculative_decoding.draft_model import DraftProposer
from phase04_advanced_inference.project11_speculative_decoding.expected import (
    acceptance_rate,
    expected_tokens,
)
from phase04_advanced_inference.project11_speculative_decoding.given import texts
from phase04_advanced_inference.project11_speculative_decoding.given.example import (
    random_model,
    random_prompts,
    resembling,
)
from phase04_advanced_inference.project11_speculative_decoding.given.heads import load_heads
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Proposer
from phase04_advanced_inference.project11_speculative_decoding.mtp import MTPHeads, MTPProposer
from phase04_advanced_inference.project11_speculative_decoding.ngram import NGramProposer
from phase04_advanced_inference.project11_speculative_decoding.speculation import Written, speculate
from shared.measuring.arms import Report
from shared.phase01 import LLM, SamplingParams, Tokenizer, load_base
from shared.phase03 import generate_tokens

COUNT = 4
"""guesses a pass, where not said otherwise"""


@dataclass
class Settings:
    """What a preset in configs/ sets."""

    prompts: int = 200
    """how many random prompts must be written alike with guesses and without"""
    stories: int = 24
    """how many stories are written, and as many quotations"""
    tokens: int = 120
    """of each of these"""
    per_skill: int = 12
    """how many questions of each skill"""
    curve: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    """guesses a pass, for the curve of tokens a pass"""
    counts: tuple[int, ...] = (2, 4, 6, 8)
    """guesses a pass whose speed is measured"""
    texts: int = 4
    """stories written for the speed, one after the other"""
    text_tokens: int = 64
    batches: tuple[int, ...] = (1, 2, 4, 8, 16)
    """how many stories are written at once, to see from where on guessing loses"""
    batch_tokens: int = 40
    grown: tuple[int, int, int, int] = (768, 12, 12, 3072)
    """tiny-base grown: dim, heads, layers, hidden_dim"""
    formats: tuple[str, ...] = ("float32", "bfloat16")
    repeats: int = 3
    peers: bool = True
    """measure transformers' assisted generation too, where it is installed"""
    preset: str = "cpu"


def equality(report: Report, settings: Settings) -> None:
    """Raises AssertionError unless all proposers leave project 8's greedy texts as they are, in float64."""
    model = random_model()
    params = SamplingParams(max_tokens=16, temperature=0)
    prompts = random_prompts(settings.prompts)
    written = 0
    while written < len(prompts):
        batch = prompts[written : written + 1 + written % 5]
        written += len(batch)
        expected = generate_tokens(model, batch, params)
        proposers: list[Proposer] = [
            NGramProposer(),
            DraftProposer(resembling(model), len(batch)),
            MTPProposer(model, MTPHeads(model.config.dim, 3).double()),
        ]
        for proposer in proposers:
            if by_text(speculate(model, batch, params, proposer, 1 + written % 6), len(batch)) != expected:
                raise AssertionError(f"with guesses of {type(proposer).__name__}, {batch} go on otherwise")
    report.figure(
        "random prompts written alike with guesses and without", written, "prompts", ("==", settings.prompts),
        note="float64, greedy, alone and in batches; guesses of a draft model, of n-grams and of untrained heads",
    )  # fmt: skip


def by_text(written: Any, count: int) -> list[list[int]]:
    """What was written of each of so many texts."""
    found: list[list[int]] = [[] for _ in range(count)]
    for one in written:
        found[one.index] += one.tokens
    return found


@dataclass(frozen=True)
class Kind:
    """A kind of text: how it begins, where it ends, how long it may be."""

    prompts: list[list[int]]
    ends: tuple[int, ...]
    tokens: int


def kinds(tokenizer: Tokenizer[Any], settings: Settings) -> dict[str, Kind]:
    """Stories, quotations, and the skills' questions."""
    ends, answer_ends = texts.story_ends(tokenizer), texts.answer_ends(tokenizer)
    found = {
        "stories": Kind(texts.stories(tokenizer, settings.stories), ends, settings.tokens),
        "quotations": Kind(texts.quotations(tokenizer, settings.stories), ends, 48),
    }
    for skill, prompts in texts.questions(tokenizer, settings.per_skill).items():
        found[skill] = Kind(prompts, answer_ends, 32)
    return found


def write(model: LLM, kind: Kind, proposer: Proposer, count: int = COUNT, rows: int = 8) -> list[Written]:
    """All texts of a kind, greedy, some rows at a time; what each pass has written."""
    params = SamplingParams(kind.tokens, 0.0, stop_ids=kind.ends)
    return [
        one
        for begin in range(0, len(kind.prompts), rows)
        for one in speculate(model, kind.prompts[begin : begin + rows], params, proposer, count)
    ]


def rate(written: Sequence[Written]) -> float:
    """The rate of acceptance."""
    return acceptance_rate((one.guessed, one.accepted) for one in written)


def tokens_a_pass(written: Sequence[Written]) -> float:
    """The mean over all passes, those too that an end has cut. The end counts as a token: without guesses it is 1."""
    return fmean(len(one.tokens) + (len(one.tokens) <= one.accepted) for one in written)


def acceptance(report: Report, settings: Settings) -> None:
    """Tokens a pass by kind of text and by who guesses, with the formula beside; and the curve over k on stories."""
    model, tokenizer = load_base("tiny-base")
    draft, _ = load_base("tiny-draft")
    heads = MTPProposer(model, load_heads("tiny-heads", model))
    found = kinds(tokenizer, settings)
    for name, kind in found.items():
        guessed = write(model, kind, DraftProposer(draft, 8))
        others = {"n-grams": write(model, kind, NGramProposer()), "heads": write(model, kind, heads)}
        peers = {"the formula": expected_tokens(rate(guessed), COUNT)}
        peers |= {other: tokens_a_pass(written) for other, written in others.items()}
        rates = ", ".join(f"{other} {rate(written):.2f}" for other, written in others.items())
        report.figure(
            f"tokens a pass, {name}", tokens_a_pass(guessed), "tokens", peers=peers,
            note=f"k = {COUNT}, guesses of tiny-draft: rate of acceptance {rate(guessed):.2f}, {rates}; "
            f"{sum(len(one.tokens) for one in guessed) / len(kind.prompts):.0f} tokens a text",
        )  # fmt: skip
    curve(report, settings, model, draft, heads, found["stories"])


def curve(
    report: Report, settings: Settings, model: LLM, draft: LLM, heads: MTPProposer, stories: Kind
) -> None:
    """Tokens a pass over k on stories: measured, and by the formula from the rate over all k."""
    by_heads = f"{heads.heads.count} heads"
    ways = {"draft model": DraftProposer(draft, 8), by_heads: heads, "n-grams": NGramProposer()}
    measured = {
        name: [write(model, stories, way, count) for count in settings.curve] for name, way in ways.items()
    }
    full = [
        [one for one in written if one.guessed == count]
        for count, written in zip(settings.curve, measured["draft model"], strict=True)
    ]
    alpha = rate([one for written in full for one in written])
    tokens = [fmean(one.accepted + 1 for one in written) for written in full]
    formula = [expected_tokens(alpha, count) for count in settings.curve]
    furthest = max(abs(a / b - 1) for a, b in zip(tokens, formula, strict=True))
    report.figure(
        "tokens a pass beside the formula, stories", 100 * furthest, "% at most", ("<=", 5.0),
        note=f"k = {', '.join(map(str, settings.curve))}, one rate of {alpha:.3f} for all; passes with k guesses",
    )  # fmt: skip
    report.series("the formula", settings.curve, formula, "guesses a pass", "tokens a pass")
    report.series("draft model", settings.curve, tokens, "guesses a pass", "tokens a pass")
    for name in (by_heads, "n-grams"):
        means = [tokens_a_pass(written) for written in measured[name]]
        report.series(name, settings.curve, means, "guesses a pass", "tokens a pass")
