"""Cuts text into pieces, which merges never cross: words with the space before them, numbers, runs of signs, spaces.

The patterns are those of GPT-2, GPT-4 (cl100k_base), GPT-4o (o200k_base) and Llama 3.
"""

from collections.abc import Iterator

import regex

# Contractions; letters, numbers or other signs, each with one space before; spaces, of which a run leaves the last
# one to the word that follows.
GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""

# Contractions in any case; any one sign before letters; three digits at most; signs take the line ends after them.
CL100K = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"""
    r"""|\s+\Z|\s*[\r\n]+|\s+(?!\S)|\s+"""
)

# The same, but for spaces after the last line end of the text.
LLAMA3 = CL100K.replace(r"|\s+\Z", "")

# A word ends where a capital follows a small letter, and takes its contraction; accents belong to words.
O200K = "|".join(
    [
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+|\s+(?!\S)|\s+""",
    ]
)

PATTERNS = {"gpt2": GPT2, "cl100k": CL100K, "o200k": O200K, "llama3": LLAMA3}


def check_pattern(pattern: str) -> None:
    """Raises ValueError unless `pattern` is a name in PATTERNS."""
    if pattern not in PATTERNS:
        raise ValueError(f"there is no pattern {pattern!r}; there is {', '.join(PATTERNS)}")


def to_bytes(text: str) -> bytes:
    """The text as UTF-8. What UTF-8 cannot say, half of a surrogate pair, becomes the replacement character U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def split_pieces(data: bytes, pattern: str) -> Iterator[bytes]:
    """The pieces of a UTF-8 text, in order: what the pattern matches, one after the other. Joined, they are the text.

    Each byte that is not part of valid UTF-8 counts as a sign of its own: a character that is neither letter, number
    nor space. `pattern` is a name in PATTERNS; raises ValueError for another, naming it.
    """
    check_pattern(pattern)
    # "surrogateescape" makes of a bad byte a code point that is neither letter nor number nor space, and back again.
    text = data.decode(errors="surrogateescape")
    for match in regex.finditer(PATTERNS[pattern], text):
        yield match[0].encode(errors="surrogateescape")
