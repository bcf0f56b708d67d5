"""A whole step over blocks in one call of C++: project 8's decoding step, around paged attention.

That step takes one token for each row of a cache. Here the cache is one row with a slot for every token of every block,
and each new token, of whatever text, is a row of its own that says where its key goes and how many of its text's tokens
it sees. In each layer all keys are written before any query looks, so several tokens of one text, as a draft or the
end of a prompt, are right in one call too.
"""

import ctypes

import torch
from jaxtyping import Float, Int
from torch import Tensor

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project13_paged_attention.given.around import AROUND
from phase04_advanced_inference.project13_paged_attention.paged_attention import (
    PagedAttention,
    PagedStep,
    slot_mapping,
)
from phase04_advanced_inference.project13_paged_attention.paged_kernel import (
    check_store,
    paged_source,
    table_numbers,
)
from shared.phase01 import LLM
from shared.phase03 import (
    FORMATS,
    MOST_ROWS,
    DecodeStep,
    kernel_library,
    product_source,
    step_source,
)


class Places:
    """A step over a store as project 8's Packed asks for it: one row with all the slots there are."""

    def __init__(self, store: BlockStore, step: PagedStep):
        self.keys, self.values = store.keys, store.values
        self.block_size, self.capacity = store.block_size, store.num_blocks * store.block_size
        self.planned = step

    def slots(self) -> tuple[list[int], list[int], list[int]]:
        """Of each new token: its row, which is 0, with the tables behind it; its slot; and how many tokens it sees."""
        step, size = self.planned, self.block_size
        slots = slot_mapping(step.tables, step.starts, step.counts, size).tolist()
        tables, lengths = [], []
        for table, start, count in zip(step.tables, step.starts, step.counts, strict=True):
            tables += [table] * count
            lengths += range(start + 1, start + count + 1)
        return [0] * len(slots) + table_numbers(tables, size), slots, lengths


class PagedStepDecode:
    """Steps of at most MOST_ROWS tokens in one call each. Weights are packed once, and must stay where they are.

    Larger steps, and all of them without a compiler, go through project 3's modules.
    """

    def __init__(self, model: LLM, threads: int = 1):
        """Raises ValueError as DecodeStep does: for weights, layers or threads that the kernels do not take."""
        base = DecodeStep(model, threads)  # its checks and its packed weights are those of this step
        self.model, self.threads, self.dtype, self.packed = model, threads, base.dtype, base.packed
        self.kernel = kernel_library("step", product_source(), paged_source(), step_source(), around=AROUND)

    def fits(self, total: int) -> bool:
        """Whether a step of so many tokens is one call."""
        return self.kernel is not None and total <= MOST_ROWS

    @torch.no_grad()
    def __call__(
        self, store: BlockStore, step: PagedStep, tokens: list[int], positions: Int[Tensor, "total"]
    ) -> Float[Tensor, "total vocab"]:
        """Write the tokens' keys and values into their slots; the logits after each token.

        `tokens` are the new ones of all texts, end to end, and `positions` their places in their texts.

        Raises ValueError, before anything is written: as `PagedStep.check` does; for another number of tokens or
        positions than the counts add up to; for a token that the model does not know; for a store of another shape or
        dtype than the model's.
        """
        self._check(store, step, tokens, positions)
        if self.kernel is None or len(tokens) > MOST_ROWS:
            attend = PagedAttention(store)
            attend.plan(step)
            ids = torch.tensor([tokens], device=store.device)
            return self.model.logits(self.model.hidden(ids, positions, attend))[0]
        logits = torch.empty(len(tokens), self.model.config.vocab_size)
        places = Places(store, step)
        self.packed.use(places)
        request = self.packed.step(places, tokens, positions, logits, self.threads)
        self.kernel[f"decode_step_{FORMATS[self.dtype]}"](
            ctypes.addressof(self.packed.struct), ctypes.addressof(request)
        )
        return logits

    def _check(self, store: BlockStore, step: PagedStep, tokens: list[int], positions: Tensor) -> None:
        check_store(store, self.threads)
        step.check(store.num_blocks, store.block_size)
        mine, its = self.model.config, store.config
        for name in ("layers", "kv_heads", "head_width"):
            if getattr(mine, name) != getattr(its, name):
                raise ValueError(
                    f"the model has {name} {getattr(mine, name)}, and the store {getattr(its, name)}: another model's?"
                )
        if store.dtype != self.dtype:
            ours, theirs = (str(dtype).removeprefix("torch.") for dtype in (self.dtype, store.dtype))
            raise ValueError(f"the model is {ours}, and the store keeps {theirs}")
        total = sum(step.counts)
        if not len(tokens) == len(positions) == total:
            raise ValueError(
                f"the step has {total} new tokens, not {len(tokens)}, with {len(positions)} positions"
            )
        if odd := [token for token in tokens if not 0 <= token < mine.vocab_size]:
            raise ValueError(f"the model knows the ids from 0 to {mine.vocab_size - 1}, not {odd[0]}")
