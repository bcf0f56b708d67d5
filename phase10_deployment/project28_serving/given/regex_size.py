"""How large a regular expression is where its repetitions are written out: (a{1000}){1000} has a million places."""

import re
from typing import Any

LARGEST, DEEPEST = 50_000, 50
parse: Any = re._parser.parse  # type: ignore[attr-defined]


def regex_size(source: str) -> int:
    """The places of an expression with each {m,n} written out n times; of one without an end, m times, and once.

    Raises ValueError for what Python's `re` cannot read, or what lies too deep in itself.
    """
    try:
        return _size(parse(source), 0)
    except (re.error, OverflowError) as problem:
        raise ValueError(f"this is no regular expression: {problem}") from None
    except RecursionError:
        raise ValueError("the regular expression has too many groups in each other") from None


def check_regex(source: str) -> None:
    """Raises ValueError, naming LARGEST, for an expression that would have more places than that."""
    size = regex_size(source)
    if size > LARGEST:
        raise ValueError(f"the regular expression would have {size:,} places, and {LARGEST:,} are allowed")


def _size(parsed: Any, depth: int) -> int:
    if depth > DEEPEST:
        raise RecursionError
    total = 0
    for operation, value in parsed:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, body = value
            times = low + 1 if str(high) == "MAXREPEAT" else high
            total += max(1, int(times)) * max(1, _size(body, depth + 1))
        elif name == "BRANCH":
            total += sum(1 + _size(branch, depth + 1) for branch in value[1])
        elif name == "SUBPATTERN":
            total += _size(value[3], depth + 1)
        elif name in ("ASSERT", "ASSERT_NOT"):
            total += _size(value[1], depth + 1)
        elif name == "ATOMIC_GROUP":
            total += _size(value, depth + 1)
        elif name == "GROUPREF_EXISTS":
            total += 1 + sum(_size(one, depth + 1) for one in value[1:] if one is not None)
        else:
            total += 1
    return total
