"""A step on the model: sequences with counts in, logits out.

All but attention treats each token by itself, so the tokens of a step lie end to end in one row, whatever sequences
they are of: a chunk of a prompt, another prompt's end, one token each of texts that are being written. Nothing is
padded.
"""

from collections.abc import Callable
from collections.abc import Sequence as List
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled
from shared.phase01 import LLM
from shared.phase03 import KVCache

Decode = Callable[[KVCache, list[list[int]]], Tensor]
"""a step of one token a row, as by DecodeStep: the cache and each row's new tokens in, logits (row, vocab) out"""


@dataclass
class Packed:
    """A step as the model and its cache read it."""

    order: list[int]
    """the places in `scheduled` by the cache's rows, the lowest row first"""
    new: list[list[int]]
    """the new tokens of each row of the cache, none for most"""
    tokens: Int[Tensor, "1 total"]
    """the new tokens of all rows, end to end"""
    positions: Int[Tensor, "total"]
    """the place of each in its own text"""
    ends: Int[Tensor, "wanted"]
    """the places in `tokens` whose logits are wanted"""
    wanted: list[int]
    """how many of these each of `order` has"""


class Runner:
    """Project 3's model with project 8's cache, which has a row for each running sequence."""

    def __init__(self, model: LLM, cache: KVCache, rows: Rows, decode: Decode | None = None):
        """`rows` says who has which row of the `cache`; `decode` makes steps of one token a sequence, None the model.

        Raises ValueError, naming both numbers, for a cache with fewer rows than `rows` gives out.
        """
        if cache.rows < len(rows.unused) + len(rows.taken):
            raise ValueError(
                f"the cache has {cache.rows} rows, and {len(rows.unused) + len(rows.taken)} are given out"
            )
        self.model, self.cache, self.rows, self.decode = model.eval(), cache, rows, decode
        self.config = model.config

    def prepare(self, scheduled: List[Scheduled]) -> Packed:
        """Plan a step: the new tokens of each row, and where logits are wanted.

        A sequence's text is its `tokens` and then its `draft`; its new tokens are the `count` after the first
        `num_computed`. Its row is `rows.row(sequence)`. A row may hold more than `num_computed` tokens, as of an
        earlier sequence, of a step that failed, or of a draft that was wrong: it is rewound to `num_computed` first.

        Tokens lie end to end in the order of the rows, whatever the order of `scheduled`: `cache.plan` wants it so,
        and gives their positions. Logits are wanted at the last token of `tokens`, and at those of the draft, as far
        as they are computed in this step: after each of them, the model says what comes next. Where `tokens` are not
        computed to their end, none are. `ends` are their places in the packed row, `wanted` how many each sequence has,
        by `order`.

        The tensors are int64, on the cache's device.
        """
        order = sorted(range(len(scheduled)), key=lambda i: self.rows.row(scheduled[i].sequence))
        new: list[list[int]] = [[] for _ in range(self.cache.rows)]
        ends, wanted, total = [], [], 0
        for i in order:
            sequence, count = scheduled[i]
            row, start = self.rows.row(sequence), sequence.num_computed
            if self.cache.lengths[row] > start:
                self.cache.rewind(row, start)
            new[row] = (sequence.tokens[start:] + sequence.draft)[:count]
            total += count
            known = max(0, start + count - len(sequence.tokens) + 1)
            wanted.append(known)
            ends += range(total - known, total)
        positions = self.cache.plan([len(row) for row in new])
        device = self.cache.device
        tokens = torch.tensor([[token for row in new for token in row]], device=device)  # (1, total)
        return Packed(
            order, new, tokens, positions, torch.tensor(ends, dtype=torch.int64, device=device), wanted
        )

    @torch.no_grad()  # not inference_mode: buffers that grow in it could not be written to outside
    def __call__(self, scheduled: List[Scheduled]) -> list[Float[Tensor, "_ vocab"]]:
        """Compute a step; the logits of each that was scheduled, in that order, on the CPU.

        As many rows as are wanted (`prepare`): none for a chunk that does not reach the end of the text, one for the
        end of a text, more with a draft. The model goes once over the packed row (`model.hidden`), and its head over
        the wanted places only (`model.logits`). Where each has one token only and `decode` is set, that does the step
        instead; it gives a row for each, wanted or not.
        """
        packed = self.prepare(scheduled)
        if self.decode is not None and all(count == 1 for _, count in scheduled):
            rows = self.decode(self.cache, packed.new).cpu()
            parts = [row[None][:known] for row, known in zip(rows, packed.wanted, strict=True)]
        else:
            hidden = self.model.hidden(packed.tokens, packed.positions, self.cache)  # (1, total, dim)
            rows = self.model.logits(hidden[:, packed.ends])[0].cpu()  # (wanted, vocab)
            parts = list(rows.split(packed.wanted))
        logits = [rows] * len(scheduled)
        for i, part in zip(packed.order, parts, strict=True):
            logits[i] = part
        return logits
