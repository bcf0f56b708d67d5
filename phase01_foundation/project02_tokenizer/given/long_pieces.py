"""Merging in n log n, for long pieces: `encode_piece` looks through all pairs after each merge, here is a heap."""

import heapq
from collections.abc import Callable, Sequence

LONG = 256  # ids; below it, looking through the pairs costs no more


def merge_by_heap(ids: Sequence[int], find: Callable[[int, int], tuple[float, int] | None]) -> list[int]:
    """`ids`, merged one place at a time until `find` has no merge for any pair of neighbours.

    `find` gives for two ids the rank of their merge and the id that it makes, or None. Each time it is the pair of the
    lowest rank, and the leftmost where there are several.
    """
    made = list(ids)
    count = len(made)
    before, after = list(range(-1, count - 1)), list(range(1, count + 1))  # neighbours, as a linked list
    found: list[tuple[float, int] | None] = [find(*made[i : i + 2]) for i in range(count - 1)] + [None]
    heap = [(pair[0], i, pair[1]) for i, pair in enumerate(found) if pair is not None]
    heapq.heapify(heap)
    gone = [False] * count
    while heap:
        rank, i, id = heapq.heappop(heap)
        if found[i] != (rank, id):  # one of the two has been merged meanwhile
            continue
        right = after[i]
        made[i], found[right], gone[right] = id, None, True
        after[i] = after[right]
        if after[i] < count:
            before[after[i]] = i
        for place in (before[i], i):
            if place >= 0:
                new = find(made[place], made[after[place]]) if after[place] < count else None
                found[place] = new
                if new is not None:
                    heapq.heappush(heap, (new[0], place, new[1]))
    return [id for id, out in zip(made, gone, strict=True) if not out]
