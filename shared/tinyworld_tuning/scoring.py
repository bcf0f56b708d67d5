"""Scores: what was written is compared with the answers, by skill and by kind, beside what guessing would give."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from shared.tinyworld.evaluation import exact_match

from .exercise import Exercise

Key = TypeVar("Key")
_SO = re.compile(r"\bSo ")


def final_answer(written: str) -> str:
    """What follows the last "So ", or the whole text where there is none; stripped, without the final full stop."""
    return _SO.split(written)[-1].strip().removesuffix(".").rstrip()


def is_right(exercise: Exercise, written: str) -> bool:
    """Whether the final answer is the exercise's, or one of those in `also`.

    As in `tinyworld.exact_match`, white space, one full stop at the end and a capital first letter do not matter.
    In `also` are: a number in digits for one in words and the other way round; an answer with another article or
    none, or without its preposition, where the question asked for a thing or a place; two owners in either order.
    """
    said = final_answer(written)
    return any(exact_match(said, answer) for answer in (exercise.answer, *exercise.also))


@dataclass(frozen=True, slots=True)
class Score:
    """Percentages of right answers by skill and by (skill, kind), and what guesses in the right form would reach."""

    by_skill: dict[str, float]
    by_kind: dict[tuple[str, str], float]
    chance: dict[str, float]
    counts: dict[tuple[str, str], int]
    chance_by_kind: dict[tuple[str, str], float]

    @property
    def average(self) -> float:
        """The mean over skills, in percent: each skill counts the same."""
        return sum(self.by_skill.values()) / len(self.by_skill)

    def above_chance(self) -> dict[str, float]:
        """By skill, how far from guessing (0) to all right (100): below 0 where guesses would do better."""
        return {skill: _above(self.by_skill[skill], self.chance[skill]) for skill in self.by_skill}

    @property
    def average_above_chance(self) -> float:
        """The mean of `above_chance` over skills."""
        return sum(self.above_chance().values()) / len(self.by_skill)

    def table(self, kinds: bool = False) -> str:
        """A table to read: a line for each skill (and each kind of question, if wanted), and the average."""
        above = self.above_chance()
        lines = [f"{'':24} {'asked':>6} {'right':>7} {'chance':>7} {'above':>7}"]
        for skill in self.by_skill:
            asked = sum(count for (name, _), count in self.counts.items() if name == skill)
            lines.append(_line(skill, asked, self.by_skill[skill], self.chance[skill], above[skill]))
            for key in sorted(key for key in self.counts if kinds and key[0] == skill):
                right, chance = self.by_kind[key], self.chance_by_kind[key]
                lines.append(_line(f"  {key[1]}", self.counts[key], right, chance, _above(right, chance)))
        chance = sum(self.chance.values()) / len(self.chance)
        asked = sum(self.counts.values())
        lines.append(_line("average", asked, self.average, chance, self.average_above_chance))
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.table()


def _line(name: str, asked: int, right: float, chance: float, above: float) -> str:
    return f"{name:24} {asked:6} {right:7.1f} {chance:7.1f} {above:7.1f}"


def _above(right: float, chance: float) -> float:
    return 100 * (right - chance) / (100 - chance)


def score(exercises: Sequence[Exercise], written: Sequence[str]) -> Score:
    """Scores what was written to each exercise, in the same order.

    Raises ValueError if there are no exercises, or not one text for each.
    """
    if not exercises:
        raise ValueError("there are no exercises to score")
    if len(exercises) != len(written):
        raise ValueError(f"there are {len(exercises)} exercises but {len(written)} written answers")
    right = [100.0 * is_right(one, text) for one, text in zip(exercises, written, strict=True)]
    chance = [100.0 * one.chance for one in exercises]
    skills = [one.skill for one in exercises]
    kinds = [(one.skill, one.kind) for one in exercises]
    return Score(
        _means(skills, right), _means(kinds, right), _means(skills, chance),
        {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}, _means(kinds, chance),
    )  # fmt: skip


def _means(keys: Sequence[Key], values: Sequence[float]) -> dict[Key, float]:
    groups: dict[Key, list[float]] = {}
    for key, value in zip(keys, values, strict=True):
        groups.setdefault(key, []).append(value)
    return {key: sum(group) / len(group) for key, group in groups.items()}
