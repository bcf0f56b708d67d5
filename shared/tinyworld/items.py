"""Instructions with exactly checkable answers: the items of every skill."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import skills_lists, skills_reading, skills_words
from .rng import Rng
from .splits import check_split, in_split

# A skill makes (prompt, answer, distance); the distance is None where it means nothing.
Make = Callable[[Rng, str], tuple[str, str, int | None]]

_MAKERS: dict[str, Make] = {
    "recall": skills_reading.recall,
    "retrieval": skills_reading.retrieval,
    "state": skills_reading.state,
    "yes_no": skills_reading.yes_no,
    "counting": skills_lists.counting,
    "sorting": skills_lists.sorting,
    "sums": skills_lists.sums,
    "comparison": skills_lists.comparison,
    "sequence": skills_lists.sequence,
    "copying": skills_lists.copying,
    "format": skills_words.formatting,
    "rewriting": skills_words.rewriting,
    "opposites": skills_words.opposites,
    "categories": skills_words.categories,
}
SKILLS = tuple(_MAKERS)


@dataclass(frozen=True, slots=True)
class Item:
    """An instruction. `distance`: words from the end of what answers it to the end of the prompt, or None."""

    skill: str
    prompt: str
    answer: str
    distance: int | None
    split: str

    @property
    def text(self) -> str:
        """The item as plain text: "Question: ...", a new line, "Answer: ..."."""
        return f"Question: {self.prompt}\nAnswer: {self.answer}"

    @property
    def query(self) -> str:
        """The text up to where a model has to go on: "Question: ...", a new line, "Answer:"."""
        return f"Question: {self.prompt}\nAnswer:"


def item(index: int, split: str = "train", seed: int = 0, skill: str | None = None) -> Item:
    """Item number `index` of a split and seed; of any skill, or of the one named."""
    rng = Rng("item", seed, split, index, skill or "")
    return draw_item(rng, split, skill or rng.choose(SKILLS))


def draw_item(rng: Rng, split: str, skill: str) -> Item:
    """An item of this skill, whose prompt belongs to the split: draws until one does."""
    while True:
        prompt, answer, distance = _MAKERS[skill](rng, split)
        if in_split(prompt, split):
            return Item(skill, prompt, answer, distance, split)


def check_skills(skills: tuple[str, ...] | list[str]) -> None:
    """Raises ValueError if one of the skills does not exist, or none is named."""
    for skill in skills:
        if skill not in SKILLS:
            raise ValueError(f"there is no skill {skill!r}; choose from {', '.join(SKILLS)}")
    if not skills:
        raise ValueError(f"no skill is named; choose from {', '.join(SKILLS)}")


def instructions(
    split: str = "train", seed: int = 0, skills: tuple[str, ...] | list[str] | None = None
) -> Iterator[Item]:
    """Endless items of a split, their skills drawn at random from `skills` (all of them if None).

    Raises ValueError if the split or a skill does not exist.
    """
    check_split(split)
    wanted = SKILLS if skills is None else tuple(skills)
    check_skills(wanted)

    def stream() -> Iterator[Item]:
        index = 0
        while True:
            skill = Rng("skill", seed, split, index).choose(wanted)
            yield item(index, split, seed, skill)
            index += 1

    return stream()
