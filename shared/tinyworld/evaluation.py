"""Exact-match evaluation: fixed sets of items, the comparison, and scores by skill and by distance."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from .items import SKILLS, Item, item
from .splits import check_split

# Upper ends of the distance buckets, in words.
BUCKETS = (25, 50, 100, 200, 300, 400)
_SPACE = re.compile(r"\s+")
# The evaluation's own seed, so that training on any usual seed leaves it alone.
_SEED = 2**31


@dataclass(frozen=True, slots=True)
class Score:
    """Correct and asked, over all items, by skill, and by (skill, bucket) for items that have a distance."""

    correct: int
    total: int
    by_skill: dict[str, tuple[int, int]]
    by_distance: dict[str, dict[str, tuple[int, int]]]

    @property
    def accuracy(self) -> float:
        """The share of items that were answered correctly."""
        return self.correct / self.total

    def skill_accuracy(self) -> dict[str, float]:
        """The same for each skill."""
        return {skill: right / asked for skill, (right, asked) in self.by_skill.items()}


def exact_match(prediction: str, answer: str) -> bool:
    """Whether a prediction equals an answer.

    White space at the ends is dropped, and runs of it count as one space; one full stop at the end is dropped; a
    capital first letter counts as a small one. All other letters must agree in case: "MIA" is not "Mia", for an
    instruction may ask for capitals.
    """
    return _normal(prediction) == _normal(answer)


def _normal(text: str) -> str:
    text = _SPACE.sub(" ", text.strip()).removesuffix(".").rstrip()
    if len(text) > 1 and text[1].isupper():
        return text
    return text[:1].lower() + text[1:]


@cache
def _items(split: str, skill: str, count: int) -> tuple[Item, ...]:
    found: dict[str, Item] = {}
    index = last = 0
    while len(found) < count:
        made = item(index, split, _SEED, skill)
        if made.prompt not in found:
            found[made.prompt] = made
            last = index
        index += 1
        if index - last > 3000:
            raise ValueError(
                f"the skill {skill!r} has only about {len(found)} items in {split!r}; ask for fewer"
            )
    return tuple(found.values())


def evaluation(split: str = "test", per_skill: int = 100) -> dict[str, list[Item]]:
    """The fixed items of a split, by skill: always the same ones, no prompt twice, none in another split.

    Raises ValueError if the split does not exist, or a skill has not so many different items.
    """
    check_split(split)
    if per_skill < 1:
        raise ValueError(f"per_skill must be at least 1, but is {per_skill}")
    return {skill: list(_items(split, skill, per_skill)) for skill in SKILLS}


def bucket_of(distance: int) -> str:
    """The name of a distance's bucket: "51-100"."""
    low = 0
    for high in BUCKETS:
        if distance <= high:
            return f"{low}-{high}"
        low = high + 1
    return f"{low}-"


def score(
    items: Sequence[Item] | Mapping[str, Sequence[Item]], predictions: Sequence[str] | Mapping[str, str]
) -> Score:
    """Scores predictions by exact match.

    `items` is a sequence, or what `evaluation` gave. `predictions` is a sequence in the same order (skill by skill),
    or a mapping from prompt to prediction. Raises ValueError if there are no items, or not one prediction for each.
    """
    flat = [i for group in items.values() for i in group] if isinstance(items, Mapping) else list(items)
    if not flat:
        raise ValueError("there are no items to score")
    if isinstance(predictions, Mapping):
        missing = [i.prompt for i in flat if i.prompt not in predictions]
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(flat)} items have no prediction; the first: {missing[0]!r}"
            )
        said = [predictions[i.prompt] for i in flat]
    else:
        said = list(predictions)
        if len(said) != len(flat):
            raise ValueError(f"there are {len(flat)} items but {len(said)} predictions")
    by_skill: dict[str, tuple[int, int]] = {}
    by_distance: dict[str, dict[str, tuple[int, int]]] = {}
    for one, prediction in zip(flat, said, strict=True):
        right = exact_match(prediction, one.answer)
        _add(by_skill, one.skill, right)
        if one.distance is not None:
            _add(by_distance.setdefault(one.skill, {}), bucket_of(one.distance), right)
    for skill, buckets in by_distance.items():
        by_distance[skill] = dict(sorted(buckets.items(), key=lambda pair: int(pair[0].split("-")[0])))
    return Score(sum(right for right, _ in by_skill.values()), len(flat), by_skill, by_distance)


def _add(counts: dict[str, tuple[int, int]], key: str, right: bool) -> None:
    good, asked = counts.get(key, (0, 0))
    counts[key] = (good + right, asked + 1)
