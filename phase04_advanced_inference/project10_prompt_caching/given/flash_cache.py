"""A KV cache whose prompts are read with project 9's flash attention: the fastest prefill there is here.

The benchmark uses it with the prompt cache and without, for whoever makes the slow way slower finds any gain he likes.
"""

import torch
from torch import Tensor

from shared.phase03 import KVCache, attend_row, flash_attention


class FlashCache(KVCache):
    """Several new tokens of a row are attended to by flash attention, one by torch's; all else is KVCache's."""

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """As KVCache's."""
        self.check_step(layer, k, v)
        mixed = torch.empty_like(q)
        end = 0
        for row, count in enumerate(self.counts):
            if count:
                new = slice(end, end + count)
                end += count
                keys, values = self.append(layer, row, k[0, :, new], v[0, :, new])
                if count > 1:
                    mixed[0, :, new] = flash_attention(q[:, :, new], keys[None], values[None])[0]
                else:
                    mixed[0, :, new] = attend_row(q[0, :, new], keys, values)
        if layer == self.config.layers - 1:
            self.finish()
        return mixed
