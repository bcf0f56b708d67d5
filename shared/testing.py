"""What tests of a learner's function ask of an error: its kind, and the facts in its message. The wording is free."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

Fact = str | int | float | tuple[str | int | float, ...]


@contextmanager
def raises(kind: type[BaseException], *facts: Fact) -> Iterator[pytest.ExceptionInfo[BaseException]]:
    """Like pytest.raises, for an error whose message names `facts`, in any order and any words.

    A text stands in the message as it is. A number stands there as a whole number of its own, also as 1,024 or 1_024.
    A tuple is one fact that may be written in several ways: ("é", "U+00E9").
    """
    with pytest.raises(kind) as caught:
        yield caught
    message = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    missing = [fact for fact in facts if not _is_named(fact, message)]
    if missing:
        named = ", ".join(_shown(fact) for fact in missing)
        pytest.fail(f"the {kind.__name__}'s message should name {named}; it is: {message}", pytrace=False)


def _is_named(fact: Fact, message: str) -> bool:
    if isinstance(fact, tuple):
        return any(_is_named(way, message) for way in fact)
    if isinstance(fact, str):
        return fact in message
    text = str(fact)
    if isinstance(fact, int):
        digits = text.lstrip("-")
        left = len(digits)
        parts = [
            digit + "[,_]?" * (0 < left - i < left and (left - i) % 3 == 0)
            for i, digit in enumerate(digits, 1)
        ]
        text = "-" * (fact < 0) + "".join(parts)
    else:
        text = re.escape(text)
    # A minus before it would make another number of it, but "1-3" has a 3: a sign follows no digit. "0...36" has a 36,
    # and "9,37" a 9; of 2.5 and 2,000 a 2 is only a part.
    before, after = r"(?<!\d)(?<!\d\.)(?<!\d[,_])(?<!(?<![\w)])-)", r"(?!\d|\.\d|[,_]\d{3}(?!\d))"
    return re.search(rf"(?:{before}|(?<=\d,)(?!\d{{3}}(?!\d))){text}{after}", message) is not None


def _shown(fact: Fact) -> str:
    return " or ".join(map(repr, fact)) if isinstance(fact, tuple) else repr(fact)
