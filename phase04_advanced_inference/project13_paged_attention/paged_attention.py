"""Paged attention: texts whose keys and values lie in blocks, anywhere in the store.

A text's *block table* says which blocks hold it, in the order of the text: its token p lies in block
table[p // block_size], at the offset p % block_size. So a text needs no stretch of its own; it grows by any block that
is free, and two texts may have the same blocks in their tables (Kwon et al. 2023, arXiv:2309.06180, section 4.1).

`PagedAttention` is an `attend`, the seam of project 3's model, over project 10's BlockStore. A step brings some new
tokens of some texts, end to end in one row, as in project 8:

    attend = PagedAttention(store)
    positions = attend.plan(PagedStep(counts=[3, 1], starts=[0, 20], tables=[[7], [2, 5]]))
    hidden = model.hidden(tokens, positions, attend)          # tokens: (1, 4)

Each layer writes the new keys and values into their slots first, and then the queries look.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from shared.phase03 import attend_row

PagedDecode = Callable[[Tensor, Tensor, Tensor, list[list[int]], list[int]], Tensor | None]
"""attention of single queries over blocks, as paged_kernel.py has it in C++ and triton_paged.py on a GPU: queries
(token, head, dim), a layer's keys and values (kv_head, slot, dim), for each query its text's table and how many of the
text's tokens it sees; mixed values (token, head, dim) out, or None to leave it to torch"""

FEW = 8
"""texts with at most so many new tokens, as with a draft, go through `decode`, each token as a query of its own"""


@dataclass(frozen=True)
class PagedStep:
    """The new tokens of a step: text after text, end to end."""

    counts: list[int]
    """how many new tokens each text brings, 1 or more"""
    starts: list[int]
    """how many tokens of each text are in its blocks already: the place of its first new one"""
    tables: list[list[int]]
    """each text's blocks, in the order of the text: room for all its tokens, the new ones too; there may be more"""

    def check(self, num_blocks: int, block_size: int) -> None:
        """Raises ValueError for a step that no store of `num_blocks` blocks has room for, naming what is wrong."""
        counts, starts, tables = self.counts, self.starts, self.tables
        if not counts or not len(counts) == len(starts) == len(tables):
            raise ValueError(
                "a step has at least one text, with a count, a start and a table each; "
                f"there are {len(counts)} counts, {len(starts)} starts and {len(tables)} tables"
            )
        for text, (count, start, table) in enumerate(zip(counts, starts, tables, strict=True)):
            if count < 1 or start < 0:
                raise ValueError(
                    f"text {text} brings 1 new token or more, after 0 or more, not {count} after {start}"
                )
            if start + count > len(table) * block_size:
                room = f"{len(table)} blocks of {block_size}"
                raise ValueError(f"text {text} would have {start + count} tokens, and its table has {room}")
            if odd := [block for block in table if not 0 <= block < num_blocks]:
                raise ValueError(
                    f"text {text} has block {odd[0]} in its table; the store has {num_blocks}, from 0"
                )


def slot_mapping(
    tables: Sequence[Sequence[int]], starts: Sequence[int], counts: Sequence[int], block_size: int
) -> Int[Tensor, "total"]:
    """The slots of each text's new tokens, text after text, end to end; int64, on the CPU.

    Text i has counts[i] new tokens, 0 or more, at the places from starts[i] on. The token at place p lies in slot
    table[p // block_size] · block_size + p % block_size. With blocks of 4, a text with the table [7, 2] has its tokens
    at the places 3, 4 and 5 in the slots 31, 8 and 9.
    """
    slots: list[int] = []
    for table, start, count in zip(tables, starts, counts, strict=True):
        place, end = start, start + count
        while place < end:  # block by block, so that a long prompt takes few turns
            offset = place % block_size
            taken = min(block_size - offset, end - place)
            first = table[place // block_size] * block_size + offset
            slots += range(first, first + taken)
            place += taken
    return torch.tensor(slots, dtype=torch.int64)


def gather(
    stored: Float[Tensor, "kv_head slot dim"], table: Sequence[int], length: int, block_size: int
) -> Float[Tensor, "kv_head length dim"]:
    """A text's first `length` keys (or values) out of a layer's store, in the order of the text.

    They are copied, block after block of the `table`. What lies beyond them in the last block, and blocks of the table
    behind it, is not in the result: there may be NaN, or another text's.
    """
    kv_heads, slots, width = stored.shape
    blocks = stored.view(kv_heads, slots // block_size, block_size * width)
    number = torch.tensor(table[: -(-length // block_size)], dtype=torch.int64, device=stored.device)
    return blocks.index_select(1, number).view(kv_heads, -1, width)[:, :length]


def copy_blocks(store: BlockStore, copies: Sequence[tuple[int, int]]) -> None:
    """Copy blocks within the store, (source, target) each, in every layer, keys and values, bit for bit.

    All are copied as if at once: a block that is the source of one copy and the target of another gives what it held
    before. Copy-on-write asks for this, before the step that writes.

    Raises ValueError, and copies nothing, for a number that is no block's, from 0 to num_blocks - 1, and for a block
    that is the target of two copies: it names the block.
    """
    if not copies:
        return
    sources, targets = ([pair[end] for pair in copies] for end in (0, 1))
    for block in [*sources, *targets]:
        if not 0 <= block < store.num_blocks:
            raise ValueError(f"there is no block {block}; the store has {store.num_blocks}, counted from 0")
    if twice := [block for i, block in enumerate(targets) if block in targets[:i]]:
        raise ValueError(f"block {twice[0]} is the target of two copies")
    number = torch.tensor([sources, targets], dtype=torch.int64, device=store.device)
    for buffer in [*store.keys, *store.values]:
        blocks = buffer.view(len(buffer), store.num_blocks, -1)
        blocks.index_copy_(1, number[1], blocks.index_select(1, number[0]))


class PagedAttention:
    """The `attend` of steps over a store: new keys and values into their slots, then every query over its text."""

    def __init__(self, store: BlockStore, decode: PagedDecode | None = None, attend: Callable = attend_row):
        """`decode` attends single tokens; `attend` a text's several new queries to all that it holds, as attend_row.

        Without `decode`, `attend` does both.
        """
        self.store, self.decode, self.attend = store, decode, attend
        self.step: PagedStep | None = None
        """the step that was planned, until it is done"""
        self.slots: Tensor = torch.empty(0, dtype=torch.int64)
        """of the planned step, where each new token's key and value go"""

    def plan(self, step: PagedStep) -> Int[Tensor, "total"]:
        """Say what the next step brings; returns the new tokens' places in their texts, end to end.

        They are int64, on the store's device, as `self.slots` is, which holds the step's `slot_mapping` from now on.
        The plan holds until the step is done; planning again, before that, replaces it.

        Raises ValueError, and changes nothing, as `PagedStep.check` does, and where two new tokens would go to one
        slot, naming the slot: two texts share a block there, and one of them should have had a copy of it.
        """
        store = self.store
        step.check(store.num_blocks, store.block_size)
        slots = slot_mapping(step.tables, step.starts, step.counts, store.block_size)
        listed = slots.tolist()
        if len(set(listed)) < len(listed):
            twice = next(slot for i, slot in enumerate(listed) if slot in listed[:i])
            raise ValueError(
                f"two new tokens would go to slot {twice}: a block is shared that had to be copied"
            )
        self.step, self.slots = step, slots.to(store.device)
        places = [
            place
            for start, count in zip(step.starts, step.counts, strict=True)
            for place in range(start, start + count)
        ]
        return torch.tensor(places, dtype=torch.int64, device=store.device)

    def __call__(
        self,
        layer: int,
        q: Float[Tensor, "1 head total dim"],
        k: Float[Tensor, "1 kv_head total dim"],
        v: Float[Tensor, "1 kv_head total dim"],
    ) -> Float[Tensor, "1 head total dim"]:
        """One layer of a planned step: write all new keys and values into their slots, then let the queries look.

        The query at place p of a text sees the text's places 0 to p, through its table, and nothing else: no other
        text, and no slot that is not its own. There are three ways:

        - a text with nothing before its new tokens: its new keys and values are all there is, so `self.attend` takes
          them as they came, without a gather;
        - another text with FEW new tokens or less, where there is a `self.decode`: every token is a query of its own,
          and one call does those of all such texts. Where it returns None, they go the third way;
        - any other: `gather` all that the text holds with its new tokens, and `self.attend`.

        After the last layer, and only then, no step is planned any more. `check_step` comes first. What comes out is a
        new tensor: q, k and v stay as they are.
        """
        step = self.check_step(layer, k, v)
        keys, values = self.store.keys[layer], self.store.values[layer]
        keys[:, self.slots] = k[0]
        values[:, self.slots] = v[0]
        mixed = torch.empty_like(q)
        single = self._decode(q, keys, values, mixed) if self.decode is not None else set()
        end = 0
        for text, (count, start) in enumerate(zip(step.counts, step.starts, strict=True)):
            new = slice(end, end + count)
            end += count
            if text in single:
                continue
            if not start:
                mixed[0, :, new] = self.attend(q[0, :, new], k[0, :, new], v[0, :, new])
                continue
            held = [
                gather(buffer, step.tables[text], start + count, self.store.block_size)
                for buffer in (keys, values)
            ]
            mixed[0, :, new] = self.attend(q[0, :, new], *held)
        if layer == self.store.config.layers - 1:
            self.step = None
        return mixed

    def _decode(self, q: Tensor, keys: Tensor, values: Tensor, mixed: Tensor) -> set[int]:
        """The second way: fill `mixed` for all texts that go it, in one call of `self.decode`, if there are any.

        Its queries are in the order of the step. Returns the numbers of these texts; none where it returned None.
        """
        assert self.step is not None and self.decode is not None  # noqa: PT018 - for the type checker
        texts, tokens, tables, lengths, first = set(), [], [], [], 0
        for text, (count, start) in enumerate(zip(self.step.counts, self.step.starts, strict=True)):
            if count <= FEW and start:
                texts.add(text)
                tokens += range(first, first + count)
                tables += [self.step.tables[text]] * count
                lengths += range(start + 1, start + count + 1)
            first += count
        if not texts:
            return texts
        which = tokens if len(tokens) < first else slice(None)  # most steps are of single tokens only
        found = self.decode(q[0, :, which].transpose(0, 1), keys, values, tables, lengths)
        if found is None:
            return set()
        mixed[0, :, which] = found.transpose(0, 1)
        return texts

    def check_step(self, layer: int, k: Tensor, v: Tensor) -> PagedStep:
        """The planned step. Raises ValueError for keys and values that do not fit it or the store, naming both."""
        config = self.store.config
        if self.step is None:
            raise ValueError("no step is planned: call `plan` first, once for all layers")
        expected = (1, config.kv_heads, sum(self.step.counts), config.head_width)
        if layer >= config.layers:
            raise ValueError(f"the store has {config.layers} layers, and this is layer {layer}, from 0")
        if tuple(k.shape) != expected or tuple(v.shape) != expected:
            raise ValueError(
                f"the step has keys and values of shape {expected}, not {tuple(k.shape)} and {tuple(v.shape)}"
            )
        if odd := {k.dtype, v.dtype} - {self.store.dtype}:
            raise ValueError(f"the store keeps {self.store.dtype}, and these keys or values are {odd.pop()}")
        return self.step
