"""Keys and values of all blocks, and the way between them and a row of a KV cache.

For each layer there is one tensor of keys and one of values, (kv_head, slot, head_dim). A token of a block lies in slot
block × block_size + offset. So a block is a stretch of slots, and a list of blocks in any order is a text.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from shared.phase01 import Config
from shared.phase03 import KVCache


class BlockStore:
    """The memory of `num_blocks` blocks for one model; whose they are, and what is in them, the pool knows."""

    def __init__(
        self,
        config: Config,
        num_blocks: int,
        block_size: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        """Room for all blocks, with whatever was in that memory. `dtype` is that of the model's values."""
        self.config, self.num_blocks, self.block_size = config, num_blocks, block_size
        self.dtype, self.device = dtype, torch.device(device)
        shape = (config.kv_heads, num_blocks * block_size, config.head_width)
        self.keys = [torch.empty(shape, dtype=dtype, device=device) for _ in range(config.layers)]
        self.values = [torch.empty_like(keys) for keys in self.keys]

    @property
    def nbytes(self) -> int:
        """The memory of all blocks."""
        return sum(buffer.nbytes for buffer in [*self.keys, *self.values])

    def slots(self, blocks: Sequence[int]) -> Int[Tensor, "slot"]:
        """The slots of the tokens in these blocks, in their order: block × block_size + offset. int64, on the device.

        Blocks 2 and 0 of 3 tokens each have the slots 6, 7, 8, 0, 1, 2.
        """
        first = torch.tensor(list(blocks), dtype=torch.int64, device=self.device) * self.block_size
        return (first[:, None] + torch.arange(self.block_size, device=self.device)).flatten()

    def write(self, cache: KVCache, row: int, start: int, blocks: Sequence[int]) -> None:
        """Copy a row's tokens, from place `start` on, into `blocks`: as many as these hold. The row stays as it is.

        Raises ValueError, and writes nothing, where the row does not hold that many, for what is not computed yet must
        not be kept: it names the number of tokens that the row would have to hold, and how many it does.
        """
        end = start + len(blocks) * self.block_size
        if end > cache.lengths[row]:
            raise ValueError(f"row {row} holds {cache.lengths[row]} tokens; to keep them it must hold {end}")
        number = torch.tensor(list(blocks), dtype=torch.int64, device=self.device)
        for stored, held in self._layers(cache, row, start, end):
            stored.index_copy_(1, number, held)

    def read(self, cache: KVCache, row: int, blocks: Sequence[int]) -> None:
        """Copy what is in `blocks` to the beginning of a row, which then holds these tokens and no others.

        The cache makes room first (`KVCache.reserve`); whatever the row held is forgotten, the other rows stay, and a
        planned step is dropped, as by a rewind. Raises ValueError as `reserve` does, before anything changes.
        """
        end = len(blocks) * self.block_size
        cache.reserve(end)
        number = torch.tensor(list(blocks), dtype=torch.int64, device=self.device)
        for stored, held in self._layers(cache, row, 0, end):
            torch.index_select(stored, 1, number, out=held)
        cache.lengths[row] = end
        cache.rewind(row, end)

    def _layers(self, cache: KVCache, row: int, start: int, end: int) -> list[tuple[Tensor, Tensor]]:
        """Views of every layer's keys and values: all blocks here, and a row's stretch there.

        Each is (kv_head, block, block_size × head_dim): a block's tokens lie one after the other in either, so that it
        is copied as one stretch.
        """
        heads, width = self.config.kv_heads, self.block_size * self.config.head_width
        count = (end - start) // self.block_size
        pairs = zip([*self.keys, *self.values], [*cache.keys, *cache.values], strict=True)
        return [
            (
                stored.view(heads, self.num_blocks, width),
                held[row, :, start:end].view(heads, count, width),
            )
            for stored, held in pairs
        ]
