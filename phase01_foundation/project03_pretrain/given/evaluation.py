"""The tasks that a model is evaluated on: each prints its table and returns its figures."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain import error_analysis
from phase01_foundation.project03_pretrain.given import blimp, multiple_choice
from phase01_foundation.project03_pretrain.given.encoding import bos_ids, encode
from phase01_foundation.project03_pretrain.given.skills import skill_scores
from phase01_foundation.project03_pretrain.model import LLM, torch_attention
from phase01_foundation.project03_pretrain.scoring import perplexity
from shared import tinyworld

TASKS = ("perplexity", "skills", "blimp", "hellaswag", "arc_easy")
DOCUMENTS = 300  # for perplexity, unless there is a limit
PER_SKILL = 100  # items, likewise


def evaluate(
    model: LLM, tokenizer: Tokenizer[Any], task: str, limit: int | None, dtype: torch.dtype, console: Console
) -> dict[str, Any]:
    """Run one of TASKS, print its table, and return its figures. `limit` None is its usual size, mostly all of it."""
    if task == "perplexity":
        return _perplexity(model, tokenizer, limit or DOCUMENTS, dtype, console)
    if task == "skills":
        return _skills(model, tokenizer, limit or PER_SKILL, dtype, console)
    if task == "blimp":
        return _blimp(model, tokenizer, limit, dtype, console)
    load = multiple_choice.load_hellaswag if task == "hellaswag" else multiple_choice.load_arc_easy
    return _multiple_choice(model, tokenizer, load()[:limit], task, dtype, console)


def _perplexity(
    model: LLM, tokenizer: Tokenizer[Any], documents: int, dtype: torch.dtype, console: Console
) -> dict[str, Any]:
    texts = [tinyworld.document(index, "test").text for index in range(documents)]
    ids = [id for text in texts for id in bos_ids(tokenizer) + encode(tokenizer, text)]
    words, size = (
        sum(counts) for counts in zip(*((len(t.split()), len(t.encode())) for t in texts), strict=True)
    )
    # Every token with half a context before it, or all that there is: few texts begin where a window does.
    stride = max(1, model.config.context_length // 2)
    found = perplexity(model, ids, stride, words=words, bytes=size, dtype=dtype, attend=torch_attention)
    figures = {
        "loss": _finite(found.loss),
        "per_token": _finite(found.per_token),
        "per_word": _finite(found.per_word),
        "bits_per_byte": _finite(found.bits_per_byte),
        "tokens": found.tokens,
    }
    rows = {
        "loss, nats a token": f"{found.loss:.4f}",
        "perplexity a token": f"{found.per_token:.3f}",
        "perplexity a word": f"{found.per_word:.2f}",
        "bits a byte": f"{found.bits_per_byte:.4f}",
    }
    title = f"perplexity: {documents} documents of tinyworld's test split, {found.tokens:,} tokens"
    _print(console, title, ("figure", "value"), rows)
    return figures


def _finite(figure: float | None) -> float | None:
    """None for what JSON has no word for."""
    return figure if figure is not None and math.isfinite(figure) else None


def _skills(
    model: LLM, tokenizer: Tokenizer[Any], per_skill: int, dtype: torch.dtype, console: Console
) -> dict[str, Any]:
    score, items, predictions = skill_scores(model, tokenizer, "test", per_skill, dtype=dtype)
    failures = error_analysis.analyse(items, predictions)
    rows = {skill: f"{right}/{asked}" for skill, (right, asked) in score.by_skill.items()}
    title = f"tinyworld's skills: {score.accuracy:.1%} of {score.total} answers match exactly"
    _print(console, title, ("skill", "right"), rows)
    if failures:
        console.print(error_analysis.table(failures, len(items)))
    counts = {
        name: sum(failure.category == name for failure in failures) for name in error_analysis.CATEGORIES
    }
    return {
        "accuracy": score.accuracy,
        "by_skill": score.skill_accuracy(),
        "by_distance": {
            skill: {bucket: right / asked for bucket, (right, asked) in buckets.items()}
            for skill, buckets in score.by_distance.items()
        },
        "failures": {name: count for name, count in counts.items() if count},
        "items": score.total,
    }


def _blimp(
    model: LLM, tokenizer: Tokenizer[Any], per_paradigm: int | None, dtype: torch.dtype, console: Console
) -> dict[str, Any]:
    score = blimp.blimp(model, tokenizer, per_paradigm=per_paradigm, dtype=dtype)
    pairs = sum(asked for _, asked in score.by_paradigm.values())
    title = f"BLiMP: {score.accuracy:.1%} of {pairs:,} pairs; chance is {blimp.CHANCE:.0%}"
    _print(
        console, title, ("phenomenon", "right"), {term: f"{one:.1%}" for term, one in score.by_term.items()}
    )
    by_paradigm = {name: right / asked for name, (right, asked) in score.by_paradigm.items()}
    return {
        "accuracy": score.accuracy,
        "chance": blimp.CHANCE,
        "by_term": score.by_term,
        "by_paradigm": by_paradigm,
        "pairs": pairs,
    }


def _multiple_choice(
    model: LLM,
    tokenizer: Tokenizer[Any],
    questions: list[multiple_choice.Question],
    task: str,
    dtype: torch.dtype,
    console: Console,
) -> dict[str, Any]:
    found = multiple_choice.accuracy(model, tokenizer, questions, dtype=dtype)
    rows = {
        name: f"{share:.1%}" + ("" if error is None else f" ± {error:.1%}")
        for name, share, error in (
            ("acc", found.acc, found.stderr),
            ("acc_norm", found.acc_norm, found.stderr_norm),
        )
    }
    title = f"{task}: {found.count:,} questions; chance is {found.chance:.1%}, ± one standard error"
    _print(console, title, ("figure", "value"), rows)
    return dict(vars(found))


def _print(console: Console, title: str, headings: tuple[str, str], rows: Mapping[str, str]) -> None:
    made = Table()
    made.add_column(headings[0])
    made.add_column(headings[1], justify="right")
    for row in rows.items():
        made.add_row(*row)
    console.print(
        title, soft_wrap=True, highlight=False
    )  # as a table's own title, it would wrap at its width
    console.print(made)
