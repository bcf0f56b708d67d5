"""Added tokens: names that get their id wherever they stand in a text, without anybody's leave.

A tokenizer.json of others has them for runs of spaces, or for marks such as <tool_call>: the `tokenizers` library cuts
the text at them before its model sees it. Unlike special tokens, they are never refused.
"""

from collections.abc import Collection, Iterator, Mapping

import regex

WORD = r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]"  # what the library's engine takes for \w


class AddedTokens:
    """Finds the longest of its names at each place, from left to right."""

    def __init__(self, ids: Mapping[str, int], single_words: Collection[str] = ()):
        """`ids` by name. The names in `single_words` count only where no letter, digit or _ stands beside them."""
        self.ids, self.single_words = dict(ids), frozenset(single_words)
        longest_first = sorted(self.ids, key=len, reverse=True)
        self._names = regex.compile("|".join(map(regex.escape, longest_first)))

    def split(self, text: str) -> Iterator[tuple[str, int | None]]:
        """The parts of a text, none of them empty: an added token with its id, any other with None."""
        start = 0
        # A name that is no word of its own is passed over as a whole, with all that begins in it.
        for match in self._names.finditer(text) if self.ids else ():
            if match[0] in self.single_words and self._in_a_word(text, match.start(), match.end()):
                continue
            if start < match.start():
                yield text[start : match.start()], None
            yield match[0], self.ids[match[0]]
            start = match.end()
        if start < len(text):
            yield text[start:], None

    @staticmethod
    def _in_a_word(text: str, start: int, end: int) -> bool:
        return any(
            regex.fullmatch(WORD, beside) for beside in (text[max(start - 1, 0) : start], text[end : end + 1])
        )


def can_meet(one: str, other: str) -> bool:
    """Whether a text can have two names at places that overlap, so that it matters which is looked for first."""
    shorter = min(len(one), len(other))
    return (
        one in other
        or other in one
        or any(one[-n:] == other[:n] or other[-n:] == one[:n] for n in range(1, shorter))
    )


def begins_or_ends_in_a_word(name: str) -> bool:
    return bool(regex.match(f"{WORD}|.*{WORD}$", name, regex.DOTALL))
