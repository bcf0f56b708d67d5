"""Special tokens: marks such as <|endoftext|> that stand for no text, and must not come out of any by accident.

A user who types "<|endoftext|>" must not be able to end a document. So the one who encodes says which special tokens
are allowed; what is neither allowed nor declared ordinary is refused, as tiktoken does.
"""

import re
from collections.abc import Collection, Iterator
from typing import Literal

All = Literal["all"]


def resolve_special(
    known: Collection[str], allowed: All | Collection[str], disallowed: All | Collection[str]
) -> tuple[set[str], set[str]]:
    """The special tokens that are allowed in a text, and those that are refused.

    "all" means all known ones; for `disallowed`, all that are not allowed. A token in neither set is ordinary text; one
    that both sets name is in both.
    Raises ValueError for a name that is not known, naming it and all that are, and for a text other than "all" in the
    place of a set, naming it.
    """
    for names in (allowed, disallowed):
        if isinstance(names, str) and names != "all":
            raise ValueError(f'special tokens are given as "all" or as a set such as {{{names!r}}}')
        if unknown := sorted(set(names) - set(known)) if names != "all" else []:
            listed = ", ".join(map(repr, known)) or "none"
            raise ValueError(
                f"{unknown[0]!r} is no special token of this tokenizer; its special tokens: {listed}"
            )
    inside = set(known) if allowed == "all" else set(allowed)
    refused = set(known) - inside if disallowed == "all" else set(disallowed)
    return inside, refused


def refuse_special(text: str, refused: Collection[str]) -> None:
    """Raises ValueError when the text holds one of these special tokens.

    It names the first one that stands in the text, its position, and the two arguments by which the caller can say
    what is meant, allowed_special and disallowed_special. Of two that begin at one place, it is the longer.
    """
    found = {}
    for token in refused:  # a comprehension would be a call of its own, for every text
        if token in text:
            found[token] = text.find(token)
    if found:
        token = min(found, key=lambda token: (found[token], -len(token)))
        raise ValueError(
            f"the text holds the special token {token!r} at position {found[token]}, which is not allowed. To encode "
            f"it as the special token, pass allowed_special={{{token!r}}}; to encode it as ordinary text, pass "
            f"disallowed_special=() or a set without it"
        )


def split_special(text: str, allowed: Collection[str]) -> Iterator[str]:
    """The text cut at the allowed special tokens: ordinary text, special token, ordinary text, and so on, in turn.

    The first part and the last are ordinary text. Ordinary text may be empty: between two special tokens that follow
    each other, at both ends, and as the only part of an empty text. Where one special token begins with another, the
    longer one is taken.
    """
    if not allowed:
        yield text
        return
    longest_first = sorted(allowed, key=len, reverse=True)
    yield from re.split(f"({'|'.join(map(re.escape, longest_first))})", text)
