"""A step on the model over blocks: sequences with counts in, logits out.

As in project 12 the tokens of a step lie end to end in one row, whatever sequences they are of. What is new is where
their keys and values go: into the slots that the block tables say. Before the step, what copy-on-write has promised is
copied, and what comes back from the host is brought.
"""

from collections.abc import Callable
from collections.abc import Sequence as List
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled
from phase04_advanced_inference.project13_paged_attention.block_manager import BlockManager
from phase04_advanced_inference.project13_paged_attention.paged_attention import (
    PagedAttention,
    PagedStep,
    copy_blocks,
)
from shared.phase01 import LLM
from shared.phase03 import MOST_ROWS

StepDecode = Callable[[BlockStore, PagedStep, list[int], Tensor], Tensor]
"""a whole small step, as by PagedStepDecode: the store, the step, its tokens and their positions in, the logits after
each token out, (total, vocab)"""


@dataclass
class Prepared:
    """A step as model and attention read it."""

    step: PagedStep
    tokens: list[int]
    """the new tokens of all texts, end to end"""
    positions: Int[Tensor, "total"]
    """the place of each in its own text"""
    ends: list[int]
    """the places in `tokens` whose logits are wanted"""
    wanted: list[int]
    """how many of these each sequence has"""


class PagedRunner:
    """Project 3's model over a store whose blocks a BlockManager gives out. It is project 12's StepRunner."""

    def __init__(
        self,
        model: LLM,
        store: BlockStore,
        manager: BlockManager,
        attention: PagedAttention | None = None,
        decode: StepDecode | None = None,
        keep_hidden: bool = False,
    ):
        """`attention` is an `attend` over the store; `decode`, if there is one, does steps of at most MOST_ROWS tokens.

        With `keep_hidden`, `hidden` has what a proposer with heads asks for; `decode` is not used then. Raises
        ValueError where the store has fewer blocks than the manager gives out, or of another size, naming the numbers.
        """
        pool = manager.pool
        if store.num_blocks < pool.num_blocks or store.block_size != pool.block_size:
            raise ValueError(
                f"the store has {store.num_blocks} blocks of {store.block_size} tokens, and {pool.num_blocks} of "
                f"{pool.block_size} are given out"
            )
        self.model, self.store, self.manager = model.eval(), store, manager
        self.config = model.config
        self.attention = attention or PagedAttention(store)
        self.decode = None if keep_hidden else decode
        self.keep_hidden = keep_hidden
        self.hidden: dict[int, Float[Tensor, "wanted dim"]] = {}
        """of the last step, by key: the residual stream where logits were wanted"""
        self.copied = 0
        """how many blocks have been copied"""

    def move(self) -> None:
        """Do what the manager has promised, and forget it: its copies, as if all at once, and then its restores.

        `copied` counts the copies.
        """
        manager = self.manager
        copies, restores = manager.copies, manager.restores
        manager.copies, manager.restores = [], []
        copy_blocks(self.store, copies)
        self.copied += len(copies)
        if manager.host is not None:
            manager.host.load(restores)

    def prepare(self, scheduled: List[Scheduled]) -> Prepared:
        """Lay out a step: the new tokens of each that is scheduled, in that order, and where logits are wanted.

        A sequence's text is its `tokens` and then its `draft`; its new tokens are the `count` after the first
        `num_computed`, which is its start; its table is the manager's. Logits are wanted at the last token of `tokens`,
        and at those of the draft, as far as they are computed in this step; where the text is not computed to its end,
        none are. `positions` are what `attention.plan` gives.
        """
        tokens: list[int] = []
        ends: list[int] = []
        wanted: list[int] = []
        for sequence, count in scheduled:
            start = sequence.num_computed
            tokens += (sequence.tokens[start:] + sequence.draft)[:count]
            known = max(0, start + count - len(sequence.tokens) + 1)
            wanted.append(known)
            ends += range(len(tokens) - known, len(tokens))
        step = PagedStep(
            [count for _, count in scheduled],
            [sequence.num_computed for sequence, _ in scheduled],
            [self.manager.tables[sequence.key] for sequence, _ in scheduled],
        )
        return Prepared(step, tokens, self.attention.plan(step), ends, wanted)

    @torch.no_grad()
    def __call__(self, scheduled: List[Scheduled]) -> list[Float[Tensor, "_ vocab"]]:
        """Compute a step; the logits of each that was scheduled, in that order, on the CPU: as many rows as are wanted.

        First `move`, then `prepare`. A step of at most MOST_ROWS tokens goes through `decode`, where there is one: it
        gives logits after each token, of which the wanted ones are taken. Else the model goes once over the row
        (`model.hidden`, with `attention`), and its head over the wanted places only (`model.logits`).
        """
        self.move()
        plan = self.prepare(scheduled)
        ends = torch.tensor(plan.ends, dtype=torch.int64, device=self.store.device)
        if self.decode is not None and len(plan.tokens) <= MOST_ROWS:
            rows = self.decode(self.store, plan.step, plan.tokens, plan.positions)[ends]
        else:
            tokens = torch.tensor([plan.tokens], device=self.store.device)  # (1, total)
            hidden = self.model.hidden(tokens, plan.positions, self.attention)[:, ends]  # (1, wanted, dim)
            rows = self.model.logits(hidden)[0]
            if self.keep_hidden:
                parts = hidden[0].split(plan.wanted)
                self.hidden = {one.key: part for (one, _), part in zip(scheduled, parts, strict=True)}
        return list(rows.cpu().split(plan.wanted))
