"""Trains any of the three kinds of tokenizer from texts that are taken one at a time."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project02_tokenizer.bpe import PIECE_LIMIT, count_pieces
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.given.byte_level import BYTES
from phase01_foundation.project02_tokenizer.pretokenize import check_pattern
from phase01_foundation.project02_tokenizer.special import split_special
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project02_tokenizer.words import WordTokenizer

KINDS = ("char", "word", "bpe")


def train_tokenizer(
    texts: Iterable[str],
    kind: str = "bpe",
    vocab_size: int | None = None,
    special_tokens: Sequence[str] = (),
    pattern: str = "gpt2",
    least: int = 2,
    piece_limit: int = PIECE_LIMIT,
) -> Tokenizer[Any]:
    """A tokenizer of a kind, "char", "word" or "bpe", from texts.

    `vocab_size` counts the special tokens, whose ids come last. Characters take no vocab_size: all that occur are in
    it. Special tokens inside the texts are left out, so that no part of one is learnt. Memory grows with the number
    of different pieces, up to `piece_limit`, and not with the length of the texts. Raises ValueError for a kind, a
    size or a limit that cannot be.
    """
    check_settings(kind, vocab_size, special_tokens, pattern, least)
    ordinary = _ordinary_parts(texts, special_tokens)
    if vocab_size is None:
        characters: set[str] = set()
        for text in ordinary:
            characters.update(text)
        model = CharTokenizer.from_text("".join(characters))
    elif kind == "word":
        counts = count_pieces(ordinary, limit=piece_limit)
        model = WordTokenizer.from_counts(counts, vocab_size - len(special_tokens))
    else:
        model = ByteBPE.train(ordinary, vocab_size - len(special_tokens), pattern, least, piece_limit)
    return Tokenizer(model, {name: model.vocab_size + i for i, name in enumerate(special_tokens)})


def check_settings(
    kind: str, vocab_size: int | None, special_tokens: Sequence[str], pattern: str, least: int
) -> None:
    """Raises ValueError for what `train_tokenizer` cannot follow."""
    if kind not in KINDS:
        raise ValueError(f"there is no kind {kind!r} of tokenizer; there is {', '.join(KINDS)}")
    if len(set(special_tokens)) < len(special_tokens) or "" in special_tokens:
        raise ValueError(
            f"special tokens must be different and not empty: {', '.join(map(repr, special_tokens))}"
        )
    check_pattern(pattern)
    if least < 1:
        raise ValueError(f"least must be at least 1, not {least}")
    if kind == "char":
        if vocab_size is not None:
            raise ValueError("characters take no vocab_size: all that occur are in it")
        return
    fewest = len(special_tokens) + (len(BYTES) if kind == "bpe" else 2)
    what = "the 256 bytes" if kind == "bpe" else "a word, <unk>"
    if vocab_size is None or vocab_size < fewest:
        raise ValueError(
            f"vocab_size must be at least {fewest}, {what} and {len(special_tokens)} special tokens, not {vocab_size}"
        )


def _ordinary_parts(texts: Iterable[str], special_tokens: Sequence[str]) -> Iterator[str]:
    for text in texts:
        yield from (part for part in split_special(text, special_tokens) if part not in special_tokens)
