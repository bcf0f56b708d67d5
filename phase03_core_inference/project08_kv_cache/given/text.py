"""From tokens to text as they come: whole characters, and nothing that may be the beginning of a stop text."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from shared.phase01 import partial_stop_length

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # what decoding gives for a character whose last bytes are missing


def stream_text(
    tokens: Iterable[tuple[int, int]],
    decode: Callable[[list[int]], str],
    count: int,
    stops: Sequence[str],
    ended: set[int],
) -> Iterator[tuple[int, str]]:
    """Pieces of text from what `stream_tokens` yields for `count` prompts: (the prompt's index, a piece).

    A prompt whose stop text has come is put into `ended`, so that no more tokens are made for it. Joined, the pieces of
    a prompt are the text that project 1's `stream` writes of the same tokens.
    """
    unread: list[list[int]] = [[] for _ in range(count)]  # tokens that end in the middle of a character
    waiting = [""] * count  # text that may be the beginning of a stop text
    for i, token in tokens:
        if i in ended:
            continue
        unread[i].append(token)
        text = decode(unread[i])
        if text.endswith(REPLACEMENT):
            continue
        waiting[i], unread[i] = waiting[i] + text, []
        sure = _sure(waiting[i], stops)
        if sure < len(waiting[i]) and any(stop in waiting[i] for stop in stops):
            ended.add(i)
        if sure:
            yield i, waiting[i][:sure]
        waiting[i] = waiting[i][sure:]
    for i in range(count):
        if i not in ended:
            rest = waiting[i] + decode(unread[i])
            found = [rest.find(stop) for stop in stops if stop in rest]
            if rest := rest[: min(found, default=len(rest))]:
                yield i, rest


def _sure(text: str, stops: Sequence[str]) -> int:
    """How many characters of a text are certain: those before a stop text, or before what may become one."""
    found = [text.find(stop) for stop in stops if stop in text]
    return min(found) if found else len(text) - partial_stop_length(text, stops)
