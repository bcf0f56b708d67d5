"""Documents for pre-training: the mixture, one document by its number, endless streams, and a text of a given size.

The mixture, in shares of the text: about 70% stories, 10% dialogues, 8% facts, 8% items with their answers and 4%
sums. Documents of short kinds are drawn more often than their share, since they are shorter.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .dialogues import draw_dialogue
from .facts import facts_text
from .items import SKILLS, draw_item
from .questions import Question, questions
from .rng import Rng
from .splits import check_split, in_split
from .stories import story
from .sums import sums_text

# Kind and how often it is drawn: its share of the text divided by its usual length.
WEIGHTS = (
    ("story", 70 / 800),
    ("dialogue", 10 / 400),
    ("facts", 8 / 500),
    ("items", 8 / 500),
    ("sums", 4 / 400),
)
KINDS = tuple(kind for kind, _ in WEIGHTS)
# The long skills come alone; of the short ones, a document has several.
_LONG = ("retrieval", "state")

# Every character that occurs, besides the newline.
ALPHABET = "\n !\"',-.0123456789:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Document:
    """A text for pre-training. Stories carry their schemas, the log of their events, and questions with answers."""

    text: str
    kind: str
    split: str
    schemas: tuple[str, ...] = ()
    events: tuple[tuple[str, ...], ...] = ()

    @property
    def questions(self) -> list[Question]:
        """What can be asked about a story (of other kinds: nothing)."""
        return questions(self.events, self.text)


def document(
    index: int, split: str = "train", seed: int = 0, kinds: tuple[str, ...] | None = None
) -> Document:
    """Document number `index` of a split and seed: it does not depend on the documents before it."""
    rng = Rng("document", seed, split, index)
    weights = WEIGHTS if kinds is None else [(kind, weight) for kind, weight in WEIGHTS if kind in kinds]
    kind = rng.weighted(weights)
    if kind == "story":
        told = story(rng, split)
        return Document(told.text, kind, split, told.schemas, told.events)
    return Document(_other(kind, rng, split), kind, split)


def _other(kind: str, rng: Rng, split: str) -> str:
    if kind == "dialogue":
        return draw_dialogue(rng, split).text
    if kind == "items":
        first = draw_item(rng, split, rng.choose(SKILLS))
        if first.skill in _LONG:
            return first.text
        short = tuple(skill for skill in SKILLS if skill not in _LONG)
        more = [draw_item(rng, split, rng.choose(short)) for _ in range(rng.integer(3, 6))]
        return "\n".join(item.text for item in (first, *more))
    while True:
        text = facts_text(rng) if kind == "facts" else sums_text(rng)
        if in_split(text, split):
            return text


def documents(
    split: str = "train", seed: int = 0, kinds: tuple[str, ...] | list[str] | None = None
) -> Iterator[Document]:
    """Endless documents of a split, of all kinds in the mixture's shares or of `kinds` only.

    Raises ValueError if the split or a kind does not exist.
    """
    check_split(split)
    wanted = None if kinds is None else tuple(kinds)
    for kind in wanted if wanted is not None else ():
        if kind not in KINDS:
            raise ValueError(f"there is no kind of document {kind!r}; choose from {', '.join(KINDS)}")
    if wanted == ():
        raise ValueError(f"no kind of document is named; choose from {', '.join(KINDS)}")

    def stream() -> Iterator[Document]:
        index = 0
        while True:
            yield document(index, split, seed, wanted)
            index += 1

    return stream()


def text(split: str = "train", seed: int = 0, characters: int = 1_000_000) -> str:
    """The pre-training text: whole documents with a blank line between them, at most `characters` long.

    The text of a smaller size is a prefix of that of a larger one. Raises ValueError if the split does not exist or
    the size is negative.
    """
    if characters < 0:
        raise ValueError(f"the number of characters must not be negative, but is {characters}")
    parts: list[str] = []
    size = -2
    for made in documents(split, seed):
        size += len(made.text) + 2
        if size > characters:
            return "\n\n".join(parts)
        parts.append(made.text)
    raise AssertionError("documents never end")
