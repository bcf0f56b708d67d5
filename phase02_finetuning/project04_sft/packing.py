"""Packing: several conversations in one row, so that hardly any of a batch is padding, and none sees another.

Rows of questions of 30 tokens and stories of 500 are mostly padding. Filled with whole conversations they are not.
But a conversation in the middle of a row must be read as if it stood there alone, and for that three things are
needed:

    attention   a block mask: a token sees those of its own conversation alone
    positions   from 0 in each conversation
    targets     none across a border: the last token of one does not predict the first of the next

Best-fit decreasing: Ding et al. 2024, *Fewer Truncations Improve Language Modeling*, arXiv:2404.10830.
"""

from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from phase02_finetuning.project04_sft.collate import check_examples
from phase02_finetuning.project04_sft.turns import Example
from shared.phase01 import IGNORED, Attend, Batch


def pack(lengths: Sequence[int], context: int) -> list[list[int]]:
    """Rows of at most `context` tokens, as lists of indices into `lengths`; each index is in one row.

    Best-fit decreasing: the longest goes first, of equal ones the earlier. Each goes to the row with the least room
    that is enough for it, of several with the same room to the one that has had it for longest; where no row has
    room, it begins a new one. Rows are in the order in which they were begun, indices in the order in which they
    were put there. This is the layout of trl's `pack_dataset(strategy="bfd")`.

    Raises ValueError for a context below 1, naming it, and for a length below 1 or above the context, naming its
    index, the length and the context.
    """
    if context < 1:
        raise ValueError(f"the context must be at least 1, not {context}")
    for i, length in enumerate(lengths):
        if not 1 <= length <= context:
            raise ValueError(f"number {i} has {length} tokens; a row has room for 1 to {context}")
    rows: list[list[int]] = []
    rooms: list[int] = []  # the rooms that some row has, in order, each once
    waiting: dict[int, deque[list[int]]] = defaultdict(deque)  # the rows that have a given room
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        place = bisect_left(rooms, lengths[i])
        if place < len(rooms):
            room = rooms[place]
            row = waiting[room].popleft()
            if not waiting[room]:
                del rooms[place]
        else:
            room, row = context, []
            rows.append(row)
        row.append(i)
        if left := room - lengths[i]:
            if not waiting[left]:
                insort(rooms, left)
            waiting[left].append(row)
    return rows


def packed_batch(rows: Sequence[Sequence[Example]], context: int, pad_id: int = 0) -> Batch:
    """A batch whose rows hold several examples each: four tensors of (row, context), int64.

        tokens      the examples' ids side by side, each without its last, then pad_id
        targets     their labels, each without its first, then IGNORED
        positions   0, 1, 2, … in each example, and again in the padding behind the last
        documents   0 in the row's first example, 1 in the second, …; the padding is a document of its own

    As in `collate`, an example of n ids takes n - 1 places, and no target crosses a border. Raises ValueError as
    `check_examples` does for each row, and for a row that is longer than the context, naming both numbers.
    """
    shape = len(rows), context
    tokens, targets = torch.full(shape, pad_id), torch.full(shape, IGNORED)
    positions, documents = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64)
    for row, examples in enumerate(rows):
        check_examples(examples)
        lengths = [len(example.ids) - 1 for example in examples]
        rest = context - sum(lengths)
        if rest < 0:
            raise ValueError(f"a row of {sum(lengths)} tokens does not fit into {context}")
        used = context - rest
        tokens[row, :used] = torch.tensor([id for example in examples for id in example.ids[:-1]])
        targets[row, :used] = torch.tensor([label for example in examples for label in example.labels[1:]])
        spans = torch.tensor([*lengths, rest])
        documents[row] = torch.arange(len(spans)).repeat_interleave(spans)
        positions[row] = torch.cat([torch.arange(span) for span in [*lengths, rest]])
    return {"tokens": tokens, "targets": targets, "positions": positions, "documents": documents}


def document_attention(documents: Int[Tensor, "row time"]) -> Attend:
    """An `attend` for packed rows: each position sees those of its own document, up to itself, and nothing else.

    The model has one list of positions for all rows of a batch, and these differ from row to row. So the rows go
    through it end to end, as one of row × time tokens, and this `attend` takes them apart again: q is (1, head, row ×
    time, dim), k and v have kv_head heads, and so is what it returns, of v's dtype. Query head h uses key and value
    head h // (heads / kv_heads). The mask is made once, not for every layer.

    The same bits whatever the neighbours are: what is masked has a weight of exactly 0.
    """
    rows, time = documents.shape
    before = torch.ones(time, time, dtype=torch.bool, device=documents.device).tril()
    mask = (documents[:, :, None] == documents[:, None, :]) & before  # (row, time, time)

    def attend(
        layer: int,
        q: Float[Tensor, "1 head total dim"],
        k: Float[Tensor, "1 kv_head total dim"],
        v: Float[Tensor, "1 kv_head total dim"],
    ) -> Float[Tensor, "1 head total dim"]:
        apart = [x[0].unflatten(1, (rows, time)).transpose(0, 1) for x in (q, k, v)]  # (row, head, time, dim)
        mixed = F.scaled_dot_product_attention(*apart, attn_mask=mask[:, None], enable_gqa=True)
        return mixed.transpose(0, 1).flatten(1, 2)[None]

    return attend
