"""Batches from a file of token ids: windows in an order drawn anew for each pass, the same on any number of ranks."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import UInt
from torch import Tensor

Batch = dict[str, Tensor]
"""tensors whose first dimension counts the texts; a language model's are tokens and targets, (batch, time)"""
IGNORED = -100  # a target that does not count


class Batches:
    """Endless batches of `batch_size` windows of `context_length` tokens, each with the token that follows it.

    A pass takes every window once, in an order of its own, and each pass cuts the windows at other places. What
    batch number n holds depends on n and the seed alone. So a run that goes on after a stop needs nothing but the
    number, and of several ranks each takes its part of the same batch: together they see what one alone would.

    Raises ValueError for fewer tokens than one window and its targets, and where ranks cannot share a batch.
    """

    def __init__(
        self,
        ids: UInt[np.ndarray, " length"],
        batch_size: int,
        context_length: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ):
        check_length(ids, context_length)
        check_shares(batch_size, rank, world_size)
        self.ids, self.context_length, self.seed = ids, context_length, seed
        self.batch_size = batch_size
        self.first = rank * batch_size // world_size
        self.rows = batch_size // world_size
        self.number = 0
        self._pass = -1
        # The last window that fits is kept free: it is the room for each pass to begin at another place.
        self.windows = max(1, (len(ids) - 1) // context_length - 1)

    def next(self) -> Batch:
        """{"tokens": (rows, time), "targets": (rows, time)}, int64: this rank's rows of the next batch.

        Batch number n is the windows from number n × batch_size on (`_window`), over all ranks; this rank's share is
        its `rows` rows from number `first` of the batch on. `number` is how many batches were taken.
        """
        start = self.number * self.batch_size + self.first
        self.number += 1
        pieces = np.stack([self._window(row) for row in range(start, start + self.rows)])
        whole = torch.from_numpy(pieces.astype(np.int64))  # (rows, time + 1)
        return {"tokens": whole[:, :-1], "targets": whole[:, 1:]}

    def state_dict(self) -> dict[str, int]:
        """What a checkpoint keeps: how many batches were taken."""
        return {"number": self.number}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after that many batches."""
        self.number = state["number"]

    def _window(self, row: int) -> UInt[np.ndarray, " window"]:
        """Window number `row` of all that are ever taken, and the token that follows it: context_length + 1 ids.

        Each pass takes `windows` of them. They lie side by side from `_offset` on, and come in the order `_order`.
        Both are those of pass number `_pass`, from 0: for another pass, `_start_pass` draws them anew.
        """
        number, place = divmod(row, self.windows)
        if number != self._pass:
            self._start_pass(number)
        begin = self._offset + self._order[place] * self.context_length
        return self.ids[begin : begin + self.context_length + 1]

    def _start_pass(self, number: int) -> None:
        """Draw, for pass number `number`, where its first window begins and in which order its windows come.

        `_offset` is from 0 to as many tokens as the windows leave over, and `_order` a permutation of their numbers,
        both from numpy's default_rng([seed, number]); `_pass` remembers which pass they are for.
        """
        random = np.random.default_rng([self.seed, number])
        room = len(self.ids) - 1 - self.windows * self.context_length
        self._offset = int(random.integers(room + 1))
        self._order = random.permutation(self.windows)
        self._pass = number


def check_length(ids: UInt[np.ndarray, " length"], context_length: int) -> None:
    """Raises ValueError for a text that does not hold one window and the token that follows it."""
    if len(ids) <= context_length:
        raise ValueError(
            f"the text has {len(ids):,} tokens; a context of {context_length} needs at least {context_length + 1}"
        )


def check_shares(batch_size: int, rank: int, world_size: int) -> None:
    """Raises ValueError unless `world_size` ranks, this one among them, can share a batch equally."""
    if not 0 <= rank < world_size:
        raise ValueError(f"the rank must be from 0 to {world_size - 1}, not {rank}")
    if batch_size < 1 or batch_size % world_size:
        raise ValueError(
            f"batch_size must be a multiple of the {world_size} processes that share it, not {batch_size}"
        )


def validation_batches(
    ids: UInt[np.ndarray, " length"],
    batch_size: int,
    context_length: int,
    windows: int | None = None,
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[Batch]:
    """The text in windows side by side, for validation: all of them or, spread over the text, `windows` of them.

    Each rank gets `batch_size` windows at a time, and as many batches as any other rank, since under FSDP all must
    call the model equally often: where the windows do not divide, some appear twice, with targets IGNORED, which no
    loss counts. A rest that fills no window is left out. Raises ValueError as Batches does.
    """
    check_shares(batch_size * world_size, rank, world_size)
    check_length(ids, context_length)
    there = (len(ids) - 1) // context_length
    count = there if windows is None else min(windows, there)
    chosen = [number * there // count for number in range(count)]
    share = batch_size * world_size
    for start in range(0, count, share):
        numbers = np.arange(start + rank * batch_size, start + (rank + 1) * batch_size)
        if world_size == 1:  # nobody waits for us: a shorter batch will do
            numbers = numbers[numbers < count]
        places = [chosen[min(number, count - 1)] * context_length for number in numbers]
        pieces = np.stack([ids[place : place + context_length + 1] for place in places])
        whole = torch.from_numpy(pieces.astype(np.int64))  # (rows, time + 1)
        tokens, targets = whole[:, :-1], whole[:, 1:].clone()
        targets[torch.from_numpy(numbers >= count)] = IGNORED
        yield {"tokens": tokens, "targets": targets}


def micro_batches(batch: Batch, rows: int) -> list[Batch]:
    """The batch in parts of so many rows, the last perhaps shorter; 0 leaves it whole."""
    count = len(next(iter(batch.values())))
    size = rows or count
    return [{name: part[i : i + size] for name, part in batch.items()} for i in range(0, count, size)]


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on the device, the copy running beside other work where the device can do that."""
    if device.type != "cuda":
        return {name: part.to(device) for name, part in batch.items()}
    return {name: part.pin_memory().to(device, non_blocking=True) for name, part in batch.items()}
