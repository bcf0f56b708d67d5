"""Exercises with one checkable answer: drawn without end from a seed, or fixed for an evaluation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from shared.tinyworld.rng import Rng
from shared.tinyworld.splits import check_split, in_split

from . import (
    skill_categories,
    skill_comparison,
    skill_copying,
    skill_counting,
    skill_format,
    skill_opposites,
    skill_recall,
    skill_retrieval,
    skill_rewriting,
    skill_sequence,
    skill_sorting,
    skill_state,
    skill_sums,
    skill_yes_no,
)
from .courtesies import mannered
from .kind import PHRASINGS, Kind

KINDS: dict[str, tuple[Kind, ...]] = {
    "recall": skill_recall.KINDS,
    "retrieval": skill_retrieval.KINDS,
    "state": skill_state.KINDS,
    "yes_no": skill_yes_no.KINDS,
    "counting": skill_counting.KINDS,
    "sorting": skill_sorting.KINDS,
    "sums": skill_sums.KINDS,
    "comparison": skill_comparison.KINDS,
    "sequence": skill_sequence.KINDS,
    "copying": skill_copying.KINDS,
    "format": skill_format.KINDS,
    "rewriting": skill_rewriting.KINDS,
    "opposites": skill_opposites.KINDS,
    "categories": skill_categories.KINDS,
}
SKILLS = tuple(KINDS)
# The skills whose steps are written out; in the others, the answer comes at once.
WORKED = ("retrieval", "state", "yes_no", "counting", "sorting", "sums", "comparison", "sequence")
# The skills in whose prompts each letter and mark counts.
EXACT = ("copying", "format", "rewriting")

# The evaluation's own seed, so that training on any usual seed leaves it alone.
_EVALUATION_SEED = 2**31
_TRIES = 20_000


@dataclass(frozen=True, slots=True)
class Exercise:
    """A question with its answer.

    `kind` is finer than `skill`. `prompt` is all that the user says, a story included. `worked` has the steps and
    ends in "So" and the answer; where a skill needs no steps it is the answer. `phrasing` names the wording, such as
    "sums/add/train/07". `chance` is how often a guess in the right form is right. `also` holds other right answers.
    `target` is what is to be written: `worked` if the exercise was drawn so, else `answer`.
    """

    skill: str
    kind: str
    prompt: str
    answer: str
    worked: str
    phrasing: str
    chance: float
    also: tuple[str, ...]
    target: str
    split: str

    def text(self, worked: bool | None = None) -> str:
        """The exercise as plain text: "Question: ...", a new line, "Answer: ..."; with steps or without.

        Where `worked` is None, the answer is `target`.
        """
        written = self.target if worked is None else self.worked if worked else self.answer
        return f"{self.query} {written}"

    @property
    def query(self) -> str:
        """The text up to where a model has to go on."""
        return f"Question: {self.prompt}\nAnswer:"

    @property
    def messages(self) -> tuple[dict[str, str], ...]:
        """The exercise as a talk of two turns; the answer is `target`."""
        return ({"role": "user", "content": self.prompt}, {"role": "assistant", "content": self.target})


def exercise(
    index: int,
    split: str = "train",
    seed: int = 0,
    skill: str | None = None,
    phrasings: str = "train",
    worked: bool = False,
) -> Exercise:
    """Exercise number `index` of a split and seed; of any skill, or of the one named."""
    rng = Rng("exercise", seed, split, index, skill or "", phrasings)
    return draw(rng, split, skill or rng.choose(SKILLS), phrasings, worked)


def draw(rng: Rng, split: str, skill: str, phrasings: str, worked: bool) -> Exercise:
    """An exercise of this skill that belongs to the split: draws until one does.

    What is asked decides the split, not the words: no phrasing brings an exercise of one split into another.
    In the phrasings of training, one prompt in three has a manner: a greeting before it, no mark at its end.
    """
    kind = rng.weighted([(kind, kind.weight) for kind in KINDS[skill]])
    made = kind.make(rng, split)
    while not in_split(made.key, split):
        made = kind.make(rng, split)
    templates = kind.wordings[phrasings]
    number = rng.integer(0, len(templates) - 1)
    prompt = templates[number].format(**made.fills)
    if phrasings == PHRASINGS[0]:
        prompt = mannered(rng, prompt, templates[number], skill in EXACT)
    steps = f"{made.steps}. So {made.answer}" if made.steps else made.answer
    return Exercise(
        skill,
        made.fills.get("kind", kind.name),
        prompt,
        made.answer,
        steps,
        f"{skill}/{kind.name}/{phrasings}/{number:02}",
        made.chance,
        made.also,
        steps if worked else made.answer,
        split,
    )


def check_skills(skills: Sequence[str]) -> None:
    """Raises ValueError if one of the skills does not exist, or none is named."""
    for skill in skills:
        if skill not in SKILLS:
            raise ValueError(f"there is no skill {skill!r}; choose from {', '.join(SKILLS)}")
    if not skills:
        raise ValueError(f"no skill is named; choose from {', '.join(SKILLS)}")


def check_phrasings(phrasings: str) -> None:
    """Raises ValueError if there are no such phrasings."""
    if phrasings not in PHRASINGS:
        raise ValueError(f"there are no {phrasings!r} phrasings; choose from {', '.join(PHRASINGS)}")


def exercises(
    split: str = "train",
    seed: int = 0,
    skills: Sequence[str] | None = None,
    phrasings: str = "train",
    worked: bool = False,
) -> Iterator[Exercise]:
    """Endless exercises of a split, their skills drawn at random from `skills` (all of them if None).

    A skill named twice comes twice as often. With `worked`, what is to be written (`target`) has the steps of the
    skills in WORKED. Raises ValueError if the split, a skill or the phrasings do not exist.
    """
    check_split(split)
    check_phrasings(phrasings)
    wanted = SKILLS if skills is None else (skills,) if isinstance(skills, str) else tuple(skills)
    check_skills(wanted)

    def stream() -> Iterator[Exercise]:
        index = 0
        while True:
            skill = Rng("which skill", seed, split, index).choose(wanted)
            yield exercise(index, split, seed, skill, phrasings, worked)
            index += 1

    return stream()


def evaluation(split: str = "test", per_skill: int = 60, phrasings: str = "train") -> list[Exercise]:
    """The fixed exercises of a split, skill by skill: always the same ones, no prompt twice.

    A larger `per_skill` adds to each skill's. Raises ValueError if the split or the phrasings do not exist, or a
    skill has not so many different exercises.
    """
    check_split(split)
    check_phrasings(phrasings)
    if per_skill < 1:
        raise ValueError(f"per_skill must be at least 1, but is {per_skill}")
    return [one for skill in SKILLS for one in _fixed(split, skill, per_skill, phrasings)]


@cache
def _fixed(split: str, skill: str, count: int, phrasings: str) -> tuple[Exercise, ...]:
    found: dict[str, Exercise] = {}
    index = last = 0
    while len(found) < count:
        made = exercise(index, split, _EVALUATION_SEED, skill, phrasings)
        if made.prompt not in found:
            found[made.prompt] = made
            last = index
        index += 1
        if index - last > _TRIES:
            raise ValueError(
                f"the skill {skill!r} has only about {len(found)} exercises in {split!r} with {phrasings!r} "
                "phrasings; ask for fewer"
            )
    return tuple(found.values())
