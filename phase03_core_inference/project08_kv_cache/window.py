"""Sliding window: a cache of fixed size, for models (or users) that look back at the last tokens only.

A row keeps its last `window` tokens in a ring: the token at place t lies in slot t mod window, over the one that has
just left the window. Memory no longer grows with the text, and a text may be longer than the context. Beltagy et al.
2020 (arXiv:2004.05150), Jiang et al. 2023, Mistral 7B (arXiv:2310.06825).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from phase03_core_inference.project08_kv_cache.kv_cache import KVCache
from shared.phase01 import Config


class SlidingWindowCache(KVCache):
    """A KVCache whose rows hold the last `window` tokens; each token sees so many, itself included, in every layer.

    Of its parent it keeps everything but where tokens lie: `self.lengths` still counts all tokens that were read, and
    positions go on without end (`limit` is None), for what counts is the distance, which stays below the window. And a
    row with a full ring that was in a step which failed is lost: what the first layers wrote stood over older tokens.
    """

    def __init__(
        self,
        config: Config,
        window: int,
        rows: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        """Raises ValueError for a window below 1 or above the model's context length, naming both."""
        if not 1 <= window <= config.context_length:
            raise ValueError(
                f"a window must be from 1 to the context length, {config.context_length}, not {window}"
            )
        super().__init__(config, rows, window, dtype, device)
        self.window, self.limit = window, None

    def reserve(self, length: int) -> None:
        """A ring has room for any length."""

    def slot(self, row: int) -> int:
        """Where the row's next token goes."""
        return self.lengths[row] % self.capacity

    def append(
        self,
        layer: int,
        row: int,
        k: Float[Tensor, "kv_head new dim"],
        v: Float[Tensor, "kv_head new dim"],
    ) -> tuple[Float[Tensor, "kv_head held dim"], Float[Tensor, "kv_head held dim"]]:
        """Return what the row held with the new keys and values after it, in the order of places; then write these.

        First read, then write: the first of several new tokens still sees what the last of them overwrites. What is
        returned begins with the oldest token in the ring, of which there are min(self.lengths[row], window). Of more
        new tokens than the window has slots, only the last `window` are written. `self.lengths` stays as it is.
        """
        start, new = self.lengths[row], k.shape[1]
        old = torch.arange(max(0, start - self.capacity), start, device=self.device) % self.capacity
        kept = (
            torch.arange(max(start, start + new - self.capacity), start + new, device=self.device)
            % self.capacity
        )
        joined = []
        for buffers, came in ((self.keys, k), (self.values, v)):
            ring = buffers[layer][row]  # (kv_head, slot, dim)
            joined.append(torch.cat([ring[:, old], came], dim=1))
            ring[:, kept] = came[:, new - len(kept) :]
        return joined[0], joined[1]

    def rewind(self, row: int, length: int) -> None:
        """Forget a row's tokens from place `length` on. Only a row that has not lost any can go back.

        Once a row has read more tokens than the window has slots, those that would come back into sight are
        overwritten: then, and for a length below 0 or above what was read, it raises ValueError, naming the length and
        how many were read; but any row can go "back" to where it is, which drops a planned step as ever.
        """
        if self.lengths[row] > self.capacity and length != self.lengths[row]:
            raise ValueError(
                f"row {row} has read {self.lengths[row]} tokens and its window holds {self.capacity}: what {length} "
                "tokens would see again is overwritten"
            )
        super().rewind(row, length)
