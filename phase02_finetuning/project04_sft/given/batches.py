"""Batches of examples for the trainer: chunk after chunk, packed into rows, in an order that is drawn anew for each.

What a batch holds depends on the seed and its number alone, so a run that goes on after a stop needs two numbers, and
of several processes each takes its part of the same batch.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from phase02_finetuning.project04_sft.collate import collate
from phase02_finetuning.project04_sft.packing import pack, packed_batch
from phase02_finetuning.project04_sft.turns import Example
from shared.phase01 import Batch, Processes

Chunk = Callable[[int], Sequence[Example]]
"""chunk number 0, 1, 2, … -> its examples: newly made ones, or all of a file once more"""


class ExampleBatches:
    """Endless batches of `batch_size` rows over all processes; `packed` with whole conversations, or one a row.

    Raises ValueError where the processes cannot share a batch, and, as batches are taken, for a chunk without
    examples.
    """

    def __init__(
        self,
        chunk: Chunk,
        batch_size: int,
        context_length: int,
        packed: bool = True,
        seed: int = 0,
        processes: Processes | None = None,
    ):
        processes = processes or Processes()
        if batch_size < 1 or batch_size % processes.world_size:
            raise ValueError(
                f"batch_size must be a multiple of the {processes.world_size} processes that share it, "
                f"not {batch_size}"
            )
        self.make, self.batch_size, self.context_length = chunk, batch_size, context_length
        self.packed, self.seed = packed, seed
        share = batch_size // processes.world_size
        self.mine = slice(processes.rank * share, (processes.rank + 1) * share)
        self.chunk = self.place = 0
        self._rows: list[list[Example]] = []
        self._made = -1

    def next(self) -> Batch:
        """This process's rows of the next batch: `packed_batch`'s, or `collate`'s."""
        rows: list[list[Example]] = []
        while len(rows) < self.batch_size:
            if self._made != self.chunk:
                self._rows, self._made = self._rows_of(self.chunk), self.chunk
            taken = self._rows[self.place : self.place + self.batch_size - len(rows)]
            rows += taken
            self.place += len(taken)
            if self.place == len(self._rows):
                self.chunk, self.place = self.chunk + 1, 0
        mine = rows[self.mine]
        if self.packed:
            return packed_batch(mine, self.context_length)
        return collate([example for row in mine for example in row])

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: where the next batch begins."""
        return {"chunk": self.chunk, "place": self.place}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.chunk, self.place = state["chunk"], state["place"]

    def _rows_of(self, chunk: int) -> list[list[Example]]:
        examples = self.make(chunk)
        if not examples:
            raise ValueError("there is no example to train on")
        rows = [[example] for example in examples]
        if self.packed:
            lengths = [len(example.ids) - 1 for example in examples]
            rows = [[examples[i] for i in row] for row in pack(lengths, self.context_length)]
        order = np.random.default_rng([self.seed, chunk]).permutation(len(rows))
        return [rows[i] for i in order]
