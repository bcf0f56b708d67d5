"""Which split a text belongs to.

The first paragraph of a document, and the whole prompt of an item, is hashed; the hash decides the split, whatever
the seed. So no document and no prompt can be in two splits: a generator draws again until its text falls into the
split that it was asked for.
"""

from hashlib import blake2b

SPLITS = ("train", "validation", "test")
# Of 256 hashes: 80% train, 10% validation, 10% test.
_BOUNDS = (205, 231, 256)


def split_of(text: str) -> str:
    """The split of a text, decided by its first paragraph."""
    first = text.split("\n", 1)[0]
    number = blake2b(first.encode(), digest_size=1).digest()[0]
    return next(split for split, bound in zip(SPLITS, _BOUNDS, strict=True) if number < bound)


def in_split(text: str, split: str) -> bool:
    """Whether the text belongs to the split."""
    return split_of(text) == split


def check_split(split: str) -> None:
    """Raises ValueError if there is no such split."""
    if split not in SPLITS:
        raise ValueError(f"there is no split {split!r}; choose one of {', '.join(SPLITS)}")
