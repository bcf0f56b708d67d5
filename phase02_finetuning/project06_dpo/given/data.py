"""Pairs to train on: tinyworld's wishes or a file's, as examples, and their batches, in a new order each pass."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from phase02_finetuning.project06_dpo.given.settings import PreferenceConfig
from phase02_finetuning.project06_dpo.pairs import (
    Pair,
    PairExample,
    collate_pairs,
    read_pairs,
    tokenize_pairs,
)
from phase02_finetuning.project06_dpo.reference_cache import hash_of_pairs
from shared.phase01 import Batch, Tokenizer
from shared.tuning.tinyworld import RULES, Wish, wishes

TINYWORLD = "tinyworld"
ROWS = 32  # pairs that are read at once where nothing is trained


class Pairs(NamedTuple):
    """What is trained on, what is held out, what tells them from others, and how many were too long."""

    train: list[PairExample]
    validation: list[PairExample]
    identity: str
    too_long: int


def as_pair(wish: Wish) -> Pair:
    """A wish of tinyworld as a pair."""
    return Pair(wish.prompt, wish.chosen, wish.rejected, wish.rule)


def drawn_wishes(split: str, count: int, seed: int = 0, rules: Sequence[str] | None = None) -> list[Pair]:
    """So many wishes of a split, by each rule as many as by any other, one after the other."""
    streams: list[Iterator[Wish]] = [wishes(split, seed, rule) for rule in rules or RULES]
    return [as_pair(next(streams[number % len(streams)])) for number in range(count)]


def load_pairs(
    settings: PreferenceConfig, tokenizer: Tokenizer[Any], template: str, context_length: int
) -> Pairs:
    """The pairs that the settings name, those that fit; of a file the last ones are held out.

    Raises PairsError for a broken file, OSError for one that cannot be read, ValueError where too few pairs are left.
    """
    if settings.data == TINYWORLD:
        wanted = drawn_wishes("train", settings.pairs, settings.seed + 1, settings.rules)
        held_out = drawn_wishes("validation", settings.validation_pairs, 0, settings.rules)
    else:
        found = read_pairs(settings.data)
        count = max(1, min(settings.validation_pairs, len(found) // 5))
        wanted, held_out = found[:-count], found[-count:]
    train, kept = tokenize_pairs(wanted, tokenizer, template, context_length)
    validation, also = tokenize_pairs(held_out, tokenizer, template, context_length)
    if not train or not validation:
        raise ValueError(
            f"{settings.data} leaves {len(train)} pairs to train on and {len(validation)} to hold out; "
            f"at least one of each must fit into {context_length} tokens"
        )
    too_long = len(wanted) - len(kept) + len(held_out) - len(also)
    return Pairs(train, validation, hash_of_pairs([*train, *validation])[:16], too_long)


def in_batches(examples: Sequence[PairExample], rows: int = ROWS) -> list[Batch]:
    """All pairs in their order, so many a batch."""
    return [collate_pairs(examples[start : start + rows]) for start in range(0, len(examples), rows)]


class PairBatches:
    """Endless batches of pairs, each with its reference's numbers, where these are known beforehand.

    What batch number n holds depends on n and the seed alone, so a run that goes on needs nothing but the number.
    """

    def __init__(
        self, examples: Sequence[PairExample], reference: Tensor | None, batch_size: int, seed: int = 0
    ):
        if not examples:
            raise ValueError("there is no pair to train on")
        self.examples, self.reference = examples, reference
        self.batch_size, self.seed, self.number = batch_size, seed, 0

    def next(self) -> Batch:
        """{"tokens", "targets": (pair, 2, time)} and, where it is known, "reference": (pair, 2)."""
        first = self.number * self.batch_size
        places = [self._place(first + row) for row in range(self.batch_size)]
        self.number += 1
        batch = collate_pairs([self.examples[place] for place in places])
        if self.reference is not None:
            batch["reference"] = self.reference[torch.tensor(places)]
        return batch

    def _place(self, row: int) -> int:
        which, place = divmod(row, len(self.examples))
        return int(np.random.default_rng([self.seed, which]).permutation(len(self.examples))[place])

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"number": self.number}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after that many batches."""
        self.number = state["number"]


def style_chunk(answers: str, number: int, seed: int, count: int) -> list[tuple[dict[str, str], ...]]:
    """Chunk number 0, 1, 2, … of wishes as conversations: with the chosen answers, or with both in turn."""
    found = []
    for one in islice(wishes("train", seed * 1_000_003 + number + 1), count):
        for text in (one.chosen, one.rejected)[: 2 if answers == "both" else 1]:
            found.append((*one.prompt, {"role": "assistant", "content": text}))
    return found
