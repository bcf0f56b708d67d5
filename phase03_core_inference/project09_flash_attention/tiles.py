"""Which query sees which key, and so which tiles of keys a tile of queries has to meet at all.

The queries are the last ones of the text: query i of `queries` has the position i + keys - queries. (So a cache may
hold keys whose queries are long gone. Where there are more queries than keys, the first ones have negative positions
and, if causal, see nothing.) A causal query sees the keys up to its position; with a window, only the last `window` of
these: position - window < j ≤ position.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def visible(
    rows: Int[Tensor, "row"],
    columns: Int[Tensor, "column"],
    queries: int,
    keys: int,
    causal: bool,
    window: int | None,
) -> Bool[Tensor, "row column"]:
    """Whether each of the queries `rows` sees each of the keys `columns`, both numbered from 0."""
    position = rows[:, None] + keys - queries
    seen = torch.ones(len(rows), len(columns), dtype=torch.bool, device=rows.device)
    if causal:
        seen &= columns <= position
    if window is not None:
        seen &= columns > position - window
    return seen


def key_tiles(
    first: int, stop: int, queries: int, keys: int, causal: bool, window: int | None, tile: int
) -> list[tuple[int, int, bool]]:
    """The tiles of keys that the queries first, …, stop - 1 meet, in order: (first key, end, whether to mask).

    Tiles begin at multiples of `tile` and have `tile` keys, only the last one of all may have fewer. A tile of which no
    query sees a key is left out. One has to be masked unless every query sees every key of it. The list is found by
    arithmetic, without looking at any pair of query and key. `first` is below `stop`; `window` only comes with causal.
    """
    low, high = first + keys - queries, stop - 1 + keys - queries  # positions of the first and the last query
    # The union of what they see is [begin, end), and what every one of them sees is [whole_begin, whole_end).
    begin = whole_begin = 0
    end = whole_end = keys
    if causal:
        end, whole_end = min(keys, high + 1), min(keys, low + 1)
    if window is not None:
        begin, whole_begin = max(0, low - window + 1), max(0, high - window + 1)
    found = []
    for start in range(begin // tile * tile, max(end, 0), tile):
        last = min(start + tile, keys)
        found.append((start, last, not whole_begin <= start <= last <= whole_end))
    return found
