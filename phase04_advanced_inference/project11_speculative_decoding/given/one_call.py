"""A whole pass over text and guesses in one call of C++: project 8's decoding step, used once more.

That step takes one token for each row. But a row is only where keys and values go and how many slots are seen. So the
tokens of one text may be rows of their own that share a row of the cache: token i goes to slot held + i and sees
held + i + 1 slots. In each layer all keys are written before any query looks at them, so that is causal attention.
"""

import ctypes
from collections.abc import Sequence

import torch

from phase04_advanced_inference.project11_speculative_decoding.speculation import Reading, read_places
from shared.phase03 import DecodeStep, KVCache

MOST_TOKENS = 32
"""for more, as in a prompt, project 3's modules are the better way"""


class _Places(KVCache):
    """A cache's plan with a row for each token, as the step asks for it: the same buffers, other slots."""

    def __init__(self, cache: KVCache):
        self.__dict__.update(cache.__dict__)

    def slots(self) -> tuple[list[int], list[int], list[int]]:
        """For each new token: its row, its slot, and how many slots it sees."""
        each = [
            (row, held + i)
            for row, (held, count) in enumerate(zip(self.lengths, self.counts, strict=True))
            for i in range(count)
        ]
        return [row for row, _ in each], [slot for _, slot in each], [slot + 1 for _, slot in each]


class OneCall(DecodeStep):
    """`read` for `speculate`, by the kernels of project 8. It gives no stream, so heads have nothing to go on."""

    @torch.no_grad()
    def read(self, cache: KVCache, new: Sequence[Sequence[int]], places: Sequence[int]) -> Reading:
        """As `read_places`; a pass of more than MOST_TOKENS, or without a compiler, goes through modules."""
        self._check(cache)
        tokens = [token for row in new for token in row]
        if self.kernel is None or len(tokens) > MOST_TOKENS:
            return read_places(self.model, cache, new, places)
        positions = cache.plan([len(row) for row in new])
        logits = torch.empty(len(tokens), self.model.config.vocab_size)
        self.packed.use(cache)
        request = self.packed.step(_Places(cache), tokens, positions, logits, self.threads)
        self.kernel[f"decode_step_{str(self.dtype).removeprefix('torch.')}"](
            ctypes.addressof(self.packed.struct), ctypes.addressof(request)
        )
        cache.finish()
        ends = torch.tensor([len(row) for row in new]).cumsum(0).tolist()
        asked = [place for end, count in zip(ends, places, strict=True) for place in range(end - count, end)]
        return Reading(logits[asked], None)
