"""Batches whose rows begin where a document begins, so that no question is cut off from the text it asks about.

A row that is cut at any place holds a given document of n tokens whole in (context - n) of context cases. Of questions
about a page, half would be about something that is not there, and the model would learn to guess. (Ding et al. 2024,
*Fewer Truncations Improve Language Modeling*, arXiv:2404.10830, pack documents so that few are cut; here the document
that a row cuts is read again, whole, by the next.)
"""

import numpy as np
from jaxtyping import Int64, UInt

from phase01_foundation.project03_pretrain.batches import Batches


class DocumentBatches(Batches):
    """Batches as `Batches` makes them, of the windows of `document_windows`. A pass takes each of these once.

    `end` is the id of the end-of-text token, which leads each document.
    """

    def __init__(
        self,
        ids: UInt[np.ndarray, " length"],
        end: int,
        batch_size: int,
        context_length: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ):
        super().__init__(ids, batch_size, context_length, seed, rank, world_size)
        self.begins = document_windows(ids, end, context_length)
        self.windows = len(self.begins)

    def _window(self, row: int) -> UInt[np.ndarray, " window"]:
        number, place = divmod(row, self.windows)
        if number != self._pass:
            self._order = np.random.default_rng([self.seed, number]).permutation(self.begins)
            self._pass = number
        begin = int(self._order[place])
        return self.ids[begin : begin + self.context_length + 1]


def document_windows(
    ids: UInt[np.ndarray, " length"], end: int, context_length: int
) -> Int64[np.ndarray, " windows"]:
    """Where windows begin that together have every token as a target: the first and a rest that fills none excepted.

    A window that ends within a document is followed by one that begins with that document, so a document shorter than
    the window is whole in one of them. One that is longer is cut, its pieces side by side.
    """
    starts = np.flatnonzero(ids == end)
    begins = []
    begin = 0
    while begin + context_length < len(ids):
        begins.append(begin)
        behind = begin + context_length
        place = int(np.searchsorted(starts, behind, side="right")) - 1
        cut = int(starts[place]) if place >= 0 else begin
        begin = cut if cut > begin else behind
    return np.array(begins, dtype=np.int64)
