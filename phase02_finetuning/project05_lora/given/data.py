"""What is fine-tuned on: tinyworld's questions with their answers, of which the answers alone are to be learnt.

`questions` is the one place that says where they come from: another source is another iterator there.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch

from shared import tinyworld
from shared.phase01 import IGNORED, Batch, PromptTokenizer, Tokenizer

POOL = 16
"""batches that are drawn at once and sorted by length, so that rows of a batch are about as long"""


class Question(NamedTuple):
    """A prompt, up to where the model has to go on, and the answer with the space before it."""

    prompt: str
    answer: str


class Example(NamedTuple):
    """Ids to be read, and for each the one to be predicted, or IGNORED."""

    tokens: list[int]
    targets: list[int]


def questions(split: str, seed: int, skills: Sequence[str] | None = None) -> Iterator[Question]:
    """Endless questions of a split, the same for the same seed. Raises ValueError for a skill there is not."""
    items = tinyworld.instructions(split, seed, None if skills is None else tuple(skills))
    return (Question(item.query, " " + item.answer) for item in items)


def example(question: Question, tokenizer: Tokenizer[Any]) -> Example:
    """A question as ids, begun and ended by <|endoftext|>; targets are the answer's ids and the end, nothing else."""
    prompts = PromptTokenizer(tokenizer)
    prompt = prompts.encode(question.prompt)
    answer = tokenizer.encode(question.answer, disallowed_special=()) + prompts.start
    tokens = [*prompt, *answer]
    return Example(tokens[:-1], [IGNORED] * (len(prompt) - 1) + answer)


def collate(examples: Sequence[Example]) -> Batch:
    """Rows padded on the right: tokens with 0, targets with IGNORED, so that what is padding counts nowhere."""
    longest = max(len(one.tokens) for one in examples)
    tokens = torch.zeros(len(examples), longest, dtype=torch.long)
    targets = torch.full((len(examples), longest), IGNORED)
    for row, one in enumerate(examples):
        tokens[row, : len(one.tokens)] = torch.tensor(one.tokens)
        targets[row, : len(one.targets)] = torch.tensor(one.targets)
    return {"tokens": tokens, "targets": targets}


class AnswerBatches:
    """Endless batches of questions with answers, the same for the same seed; a checkpoint keeps how many were taken.

    Questions that do not fit into the context are passed over.
    """

    def __init__(
        self,
        tokenizer: Tokenizer[Any],
        batch_size: int,
        context_length: int,
        seed: int = 0,
        skills: Sequence[str] | None = None,
    ):
        self.tokenizer, self.batch_size, self.context_length = tokenizer, batch_size, context_length
        self.seed, self.skills = seed, skills
        self._begin()

    def next(self) -> Batch:
        """{"tokens": (row, time), "targets": (row, time)}, padded, of rows about as long as each other."""
        place = self.number % POOL
        if place == 0 or not self._pool:
            self._pool = self._draw()
        self.number += 1
        return collate(self._pool[place])

    def state_dict(self) -> dict[str, int]:
        """How many batches were taken."""
        return {"number": self.number}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after that many batches: those are drawn again, and left aside."""
        self._begin()
        for _ in range(state["number"] // POOL):
            self._draw()
        self.number = state["number"]
        if self.number % POOL:
            self._pool = self._draw()

    def _begin(self) -> None:
        self.number = self._drawn = 0
        self._pool: list[list[Example]] = []
        self._questions = questions("train", self.seed, self.skills)

    def _draw(self) -> list[list[Example]]:
        """The next POOL batches: questions sorted by length, cut into batches, and these shuffled."""
        made = (example(question, self.tokenizer) for question in self._questions)
        fitting = (one for one in made if len(one.tokens) <= self.context_length)
        found = sorted(islice(fitting, POOL * self.batch_size), key=lambda one: len(one.tokens))
        batches = [found[i : i + self.batch_size] for i in range(0, len(found), self.batch_size)]
        self._drawn += 1
        random.Random(1_000_003 * self.seed + self._drawn).shuffle(batches)
        return batches


def held_out(
    tokenizer: Tokenizer[Any], count: int, context_length: int, skills: Sequence[str] | None = None
) -> list[Batch]:
    """The first `count` questions of the validation split, in batches of at most 32, by length; always the same."""
    made = (example(question, tokenizer) for question in questions("validation", 0, skills))
    fitting = (one for one in made if len(one.tokens) <= context_length)
    found = sorted(islice(fitting, count), key=lambda one: len(one.tokens))
    return [collate(found[i : i + 32]) for i in range(0, len(found), 32)]
