"""Short lists of words for exercises."""

from shared.tinyworld.rng import Rng
from shared.tinyworld.words import CATEGORIES

# A word that two categories share by spelling would be no fair member of either.
SINGLE = tuple(word for words in CATEGORIES.values() for word in words if " " not in word)
_BY_KIND = tuple(CATEGORIES.values())


def some_words(rng: Rng, low: int, high: int) -> list[str]:
    """From `low` to `high` different words: all of one category, or of any."""
    pool = rng.choose(_BY_KIND) if rng.chance(0.5) else SINGLE
    return (
        rng.sample(pool, rng.integer(low, high))
        if len(pool) < 30
        else _few(rng, pool, rng.integer(low, high))
    )


def _few(rng: Rng, pool: tuple[str, ...], count: int) -> list[str]:
    """The same from a large pool, which need not be shuffled whole."""
    words: list[str] = []
    while len(words) < count:
        word = rng.choose(pool)
        if word not in words:
            words.append(word)
    return words
