"""What a skill's file gives: kinds of questions, each with its maker and its phrasings."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.tinyworld.rng import Rng

PHRASINGS = ("train", "held_out", "foreign")


@dataclass(frozen=True, slots=True)
class Made:
    """One exercise before it is put into words.

    `key` is what identifies it whatever the words: it decides the split. `fills` goes into a phrasing's marks.
    `steps` lead to the answer ("" where none are written out). `chance` is how often a guess in the right form is
    right. `also` holds other answers that are right.
    """

    key: str
    fills: dict[str, str]
    answer: str
    chance: float
    steps: str = ""
    also: tuple[str, ...] = ()


# Takes random choices and the split (stories are made for one), and gives an exercise of any split.
Make = Callable[[Rng, str], Made]


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of question within a skill. `wordings`: templates for each of PHRASINGS. `weight`: how often."""

    name: str
    make: Make
    wordings: dict[str, tuple[str, ...]]
    weight: float = 1.0


def wordings(train: str, held_out: str, foreign: str) -> dict[str, tuple[str, ...]]:
    """Templates from texts that hold one a line, with {marks} to fill; "/" is a new line of the prompt."""
    return {
        name: tuple(line.strip().replace("/", "\n") for line in text.strip().splitlines())
        for name, text in zip(PHRASINGS, (train, held_out, foreign), strict=True)
    }
