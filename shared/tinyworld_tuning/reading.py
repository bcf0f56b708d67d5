"""Stories to read through before a question: their sentences, and pieces of a wanted length."""

import re

from shared.tinyworld.rng import Rng
from shared.tinyworld.stories import story

_SENTENCE = re.compile(r"(?<=[.!?])[ \n]|(?<=[.!?]\")[ \n](?=[A-Z\"])")


def sentences(text: str) -> list[str]:
    """The sentences of a story."""
    return _SENTENCE.split(text)


def filler(rng: Rng, split: str, size: int) -> str:
    """Sentences of stories of this split, at most `size` words and nearly so many."""
    out: list[str] = []
    count = 0
    while count < size - 12:
        for sentence in sentences(story(rng, split).text):
            words = len(sentence.split())
            if count + words > size:
                return " ".join(out)
            out.append(sentence)
            count += words
    return " ".join(out)
