"""A regular expression asked two things of the bytes so far: are they a match, and can they be the beginning of one?

The `regex` module answers both: a partial match is one that the text's end has cut off. Bytes may end in the middle of
a character; then they begin a match if some character that goes on from there does.
"""

from functools import cached_property, lru_cache
from time import thread_time

import regex

PATIENCE = (
    0.5  # seconds of this thread's own time for one match: one that backtracks without end may take hours
)


class Pattern:
    """A compiled regular expression, matched with the whole of a text. \\d, \\w and \\s are those of ASCII."""

    def __init__(self, source: str):
        """Raises ValueError, naming the source and what is wrong with it, where it does not compile."""
        try:
            self.compiled = regex.compile(source, regex.ASCII)
        except (regex.error, ValueError, OverflowError, RecursionError) as problem:
            raise ValueError(f"the regex {source!r} does not compile: {problem}") from None
        self.source = source
        self.looked = 0
        """how many matches have been tried"""

    @classmethod
    def of_choices(cls, choices: tuple[str, ...]) -> "Pattern":
        """What matches these texts and no other."""
        return cls("|".join(map(regex.escape, choices)))

    def matches(self, data: bytes) -> bool:
        """Whether all of the bytes are a match: whole characters, and fit."""
        text, rest = _split(data)
        return text is not None and not rest and self._try(text, partial=False)

    def begins(self, data: bytes) -> bool:
        """Whether a match may begin with these bytes, for all that the `regex` module knows.

        It looks at no tokens. And it may say yes where no text goes on to a match, as with `a$b` after "a"; but where
        it says no, there is none. The one exception: of a character with two bytes or more missing, only some are
        tried (`characters`), and those that the source names.
        """
        text, rest = _split(data)
        if text is None or (rest and self.only_ascii):
            return False
        if not rest:
            return self._try(text, partial=True)
        named = [character for character in self._named if character.encode().startswith(rest)]
        return any(self._try(text + character, partial=True) for character in (*named, *characters(rest)))

    @cached_property
    def only_ascii(self) -> bool:
        """Whether a match surely has no character beyond ASCII: looked at from the safe side."""
        bare = regex.sub(r"\\[^\w]", "", self.source)  # escaped punctuation stands for itself
        return self.source.isascii() and not regex.search(
            r"\.|\[\^|\\[^dwsntrfvbB1-9]|\(\?(?![:=!<>P])|\[\[|\{\D", bare
        )

    @cached_property
    def _named(self) -> list[str]:
        return sorted({character for character in self.source if not character.isascii()})

    def _try(self, text: str, partial: bool) -> bool:
        self.looked += 1
        start = thread_time()
        found = self.compiled.fullmatch(text, partial=partial)
        if thread_time() - start > PATIENCE:
            raise ValueError(
                f"the regex {self.source!r} takes longer than {PATIENCE} s on {len(text)} characters: "
                "it tries too many ways, as (a|aa)+b does"
            )
        return found is not None


def _split(data: bytes) -> tuple[str | None, bytes]:
    """The whole characters, and the bytes of one that has begun; None where no text has such bytes."""
    try:
        return data.decode(), b""
    except UnicodeDecodeError as problem:
        if problem.reason != "unexpected end of data":
            return None, b""
        return data[: problem.start].decode(), data[problem.start :]


@lru_cache(maxsize=4096)
def characters(begin: bytes) -> tuple[str, ...]:
    """Characters whose UTF-8 begins with these bytes, of which there are too few for one.

    All of them where one byte is missing; else of each 64 that differ in the last byte alone, the first and the last;
    beyond U+1FFFF, where there is little, the first and the last of each 4,096.
    """
    length = 2 if begin[0] < 0xE0 else 3 if begin[0] < 0xF0 else 4
    missing = length - len(begin)
    first = begin[0] & (0x7F >> length)
    for byte in begin[1:]:
        first = first << 6 | byte & 0x3F
    first <<= 6 * missing
    last = min(first + (1 << 6 * missing), 0x110000)
    least = (0x80, 0x800, 0x10000)[length - 2]  # a smaller one is written with fewer bytes
    codes = range(first, last) if missing == 1 else (c + i for c in range(first, last, 64) for i in (0, 63))
    return tuple(
        chr(code)
        for code in codes
        if code >= least
        and not 0xD800 <= code < 0xE000
        and (missing < 3 or code < 0x20000 or code % 0x1000 in (0, 0xFFF))
    )
