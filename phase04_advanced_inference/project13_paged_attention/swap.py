"""Blocks of those that were sent back, kept in the host's memory until there is room for them again.

A sequence that must give its blocks up can be computed anew later (recompute), or its blocks are copied to the host and
back (swap). On a GPU the host is another memory, behind a slow bus; on a CPU it is the same memory, but one that does
not count as the pool's. What is right where depends on how fast the model reads tokens, and how fast the bus is.
Kwon et al. 2023 (arXiv:2309.06180), section 4.5.
"""

from collections.abc import Sequence

import torch

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore


class HostPool:
    """`num_blocks` blocks in the host's memory, for the blocks of `store`; without a store, numbers alone."""

    def __init__(self, num_blocks: int, store: BlockStore | None = None):
        """All free. Raises ValueError for fewer than 0 blocks, naming the number."""
        if num_blocks < 0:
            raise ValueError(f"a host pool has 0 blocks or more, not {num_blocks}")
        self.num_blocks, self.store_of = num_blocks, store
        self.unused = list(range(num_blocks))[::-1]
        """free host blocks; the last one is taken next"""
        self.held: dict[int, tuple[list[int], int]] = {}
        """by a sequence's key: its host blocks, in the order of its text, and how many tokens of it they hold"""
        self.memory = (
            None
            if store is None
            else BlockStore(store.config, num_blocks, store.block_size, store.dtype, torch.device("cpu"))
        )

    def computed(self, key: int) -> int:
        """How many computed tokens of a sequence are here."""
        return self.held[key][1] if key in self.held else 0

    def blocks(self, key: int) -> list[int]:
        """A sequence's host blocks."""
        return self.held[key][0]

    def store(self, key: int, blocks: Sequence[int], computed: int) -> bool:
        """Copy a sequence's blocks here, bit for bit, with `computed` tokens in them; False where too few are free.

        Then nothing changes. What was here of the sequence is dropped first, if it fits then.
        """
        old = self.held.get(key, ([], 0))[0]
        if len(blocks) > len(self.unused) + len(old):
            return False
        self.drop(key)
        taken = [self.unused.pop() for _ in blocks]
        self.held[key] = taken, computed
        if self.store_of is not None and self.memory is not None:
            _copy(self.store_of, blocks, self.memory, taken)
        return True

    def load(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Copy back: each pair's host block, bit for bit, into its block of the store."""
        if pairs and self.store_of is not None and self.memory is not None:
            _copy(self.memory, [pair[0] for pair in pairs], self.store_of, [pair[1] for pair in pairs])

    def drop(self, key: int) -> None:
        """A sequence's host blocks are free; one that has none changes nothing. What is in them stays, until reused."""
        self.unused += self.held.pop(key, ([], 0))[0]


def _copy(source: BlockStore, blocks: Sequence[int], target: BlockStore, places: Sequence[int]) -> None:
    """Copy blocks of one store to blocks of another, on whatever devices, layer by layer."""
    read, write = source.slots(blocks), target.slots(places)
    for old, new in zip([*source.keys, *source.values], [*target.keys, *target.values], strict=True):
        new.index_copy_(1, write, old.index_select(1, read).to(new.device))
