"""The values of a JSON or JSON-lines file, each with the line on which it begins."""

import json
from collections.abc import Iterator
from typing import Any


class LineError(ValueError):
    """What is wrong with a file, and on which line, counted from 1."""

    def __init__(self, line: int, problem: str):
        super().__init__(problem)
        self.line = line


def located(data: bytes) -> Iterator[tuple[int, Any]]:
    """Each record with its line: the entries of one JSON list, or one value a line (empty lines are passed over).

    Raises LineError for what is no UTF-8 or no JSON. Stricter than Python's json: no NaN, no key twice in an object.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise LineError(line, f"this is no UTF-8: byte {data[problem.start]:#04x}") from None
    if text.lstrip().startswith("["):
        yield from _entries(text)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            value, end = _value(line, len(line) - len(line.lstrip()), number)
            if rest := line[end:].strip():
                raise LineError(number, f"after the record there is {_short(rest)!r}: one record a line")
            yield number, value


def _entries(text: str) -> Iterator[tuple[int, Any]]:
    """The entries of a JSON list, one by one, so that the line of each is known."""
    place, line = 0, 1

    def skip(start: int) -> int:
        while start < len(text) and text[start] in " \t\r\n":
            start += 1
        return start

    first = True
    place = skip(0) + 1
    counted = 0
    while True:
        place = skip(place)
        line += text.count("\n", counted, place)
        counted = place
        if text[place : place + 1] == "]" and first:
            break
        value, end = _value(text, place, line)
        yield line, value
        first = False
        place = skip(end)
        if text[place : place + 1] == "]":
            break
        if text[place : place + 1] != ",":
            at = line + text.count("\n", counted, place)
            found = _short(text[place:]) if place < len(text) else "the end of the file"
            raise LineError(at, f"after a record a comma or ] is due, not {found!r}")
        place += 1
    if rest := text[place + 1 :].strip():
        raise LineError(text.count("\n") + 1, f"after the list there is {_short(rest)!r}")


def _value(text: str, place: int, line: int) -> tuple[Any, int]:
    """The JSON value that begins at a place, and where it ends."""
    try:
        return _DECODER.raw_decode(text, place)
    except json.JSONDecodeError as problem:
        at = line + text.count("\n", place, problem.pos)
        raise LineError(at, f"this is no JSON: {problem.msg}") from None
    except RecursionError:
        raise LineError(line, "this is nested too deeply") from None
    except ValueError as problem:
        raise LineError(line, f"this is no JSON: {problem}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON's")


def _short(text: str) -> str:
    return text if len(text) <= 20 else text[:20] + "…"


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_constant)
