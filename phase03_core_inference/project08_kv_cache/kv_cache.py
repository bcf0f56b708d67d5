"""The KV cache: keys and values of what was read, so that the next token needs only its own.

A token's key and value in a layer depend on the tokens before it alone, so they never change again. With all of them
kept, a new token costs one position's work instead of the whole text's (Shazeer 2019, arXiv:1911.02150, section 2.4).

The cache is an `attend`, the seam of project 3's model. It serves several texts, its `rows`, at different places. A
step gives each row as many new tokens as it likes, none too; they go through the model end to end, as one row, since
all but attention treats each token by itself:

    positions = cache.plan([3, 1, 0])            # row 0 brings three tokens, row 1 one, row 2 none
    logits = model(tokens, positions, cache)     # tokens: (1, 4)

Keys come in turned by their positions and are stored so. Nothing is ever moved: a row's token t lies in slot t.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from shared.phase01 import Config

Decode = Callable[[Tensor, Tensor, Tensor, list[int], list[int]], Tensor | None]
"""attention of one query a row, as decode_attention.py has it in C++: queries (row, head, dim), a layer's keys and
values, which row each query belongs to and how many slots that row holds; mixed values (row, head, dim) out, or None to
leave it to torch"""


def attend_row(
    q: Float[Tensor, "head new dim"],
    k: Float[Tensor, "kv_head held dim"],
    v: Float[Tensor, "kv_head held dim"],
    window: int | None = None,
) -> Float[Tensor, "head new dim"]:
    """One text's new queries against all it holds: softmax(q kᵀ / √dim) v, the future left out.

    The new tokens are the last of those held: query i stands at place held - new + i, and sees the keys from 0 up to
    its own. With a `window`, it sees the last `window` of these, its own included. Query head h uses key and value head
    h // (heads / kv_heads). One query without a window sees everything. The result has v's dtype.
    """
    new, held = q.shape[1], k.shape[1]
    near = window is None or held <= window  # all that is held lies within the window
    # Without a mask, torch has a faster kernel. Its `is_causal` puts the first query at place 0, which is right only
    # where all that is held is new.
    mask, causal = None, near and 1 < new == held
    if not causal and (new > 1 or not near):
        place = torch.arange(held - new, held, device=q.device)[:, None]  # (new, 1)
        key = torch.arange(held, device=q.device)
        mask = key <= place  # (new, held)
        if window is not None:
            mask &= key > place - window
    mixed = F.scaled_dot_product_attention(
        q[None], k[None], v[None], attn_mask=mask, is_causal=causal, enable_gqa=True
    )
    return mixed[0]


class KVCache:
    """Keys and values of `rows` texts for one model, in buffers that double when they are full."""

    window: int | None = None

    def __init__(
        self,
        config: Config,
        rows: int = 1,
        capacity: int = 64,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        """An empty cache with room for `capacity` tokens a row at first, at most the model's context length.

        `dtype` is that of the model's values. Raises ValueError for fewer than one row or one slot.
        """
        if rows < 1 or capacity < 1:
            raise ValueError(
                f"a cache needs 1 row or more and a capacity of 1 or more, not {rows} and {capacity}"
            )
        self.config, self.rows, self.dtype, self.device = config, rows, dtype, torch.device(device)
        self.limit: int | None = config.context_length
        """the most tokens a row can hold"""
        self.lengths = [0] * rows
        """how many tokens each row holds"""
        self.counts = [0] * rows
        """how many new ones each brings in the step that was planned"""
        self.decode: Decode | None = None
        """attention for steps in which each row brings one token at most; None is torch's"""
        self._allocate(min(capacity, config.context_length))

    def _allocate(self, capacity: int) -> None:
        """New buffers for each layer, (row, kv_head, slot, head_dim), with whatever was in that memory."""
        config = self.config
        shape = (self.rows, config.kv_heads, capacity, config.head_width)
        self.keys = [torch.empty(shape, dtype=self.dtype, device=self.device) for _ in range(config.layers)]
        self.values = [torch.empty_like(keys) for keys in self.keys]

    @property
    def capacity(self) -> int:
        """How many tokens a row has room for now."""
        return self.keys[0].shape[2]

    @property
    def nbytes(self) -> int:
        """The memory of all buffers, filled or not."""
        return sum(buffer.nbytes for buffer in [*self.keys, *self.values])

    def reserve(self, length: int) -> None:
        """Make room for `length` tokens a row: while that is more than the capacity, double it, up to `limit`.

        Where there is room already, nothing changes: the buffers stay where they are. Where there is not, layer by
        layer, so that only one layer is there twice, new buffers (`torch.empty`) replace those in `self.keys` and
        `self.values`, with what the rows hold copied over. Raises ValueError, before anything changes, for a length
        above `limit`, naming both.
        """
        if self.limit is not None and length > self.limit:
            raise ValueError(f"the cache can hold {self.limit} tokens a row, not {length}")
        capacity = self.capacity
        while capacity < length:
            capacity *= 2
        if self.limit is not None:
            capacity = min(capacity, self.limit)
        if capacity == self.capacity:
            return
        used = max(self.lengths)
        for buffers in (self.keys, self.values):
            for layer, old in enumerate(buffers):
                new = old.new_empty(self.rows, self.config.kv_heads, capacity, self.config.head_width)
                new[:, :, :used] = old[:, :, :used]
                buffers[layer] = new

    def append(
        self,
        layer: int,
        row: int,
        k: Float[Tensor, "kv_head new dim"],
        v: Float[Tensor, "kv_head new dim"],
    ) -> tuple[Float[Tensor, "kv_head held dim"], Float[Tensor, "kv_head held dim"]]:
        """Write a row's new keys and values into the slots after those it holds; return all it holds with them.

        There is room: `plan` has reserved it. What is returned are views of the buffers, no copies, and slots beyond
        are not in them. `self.lengths` stays as it is, since the other layers are still to come.
        """
        start = self.lengths[row]
        end = start + k.shape[1]
        self.keys[layer][row, :, start:end] = k
        self.values[layer][row, :, start:end] = v
        return self.keys[layer][row, :, :end], self.values[layer][row, :, :end]

    def plan(self, counts: Sequence[int]) -> Int[Tensor, "total"]:
        """Say how many new tokens each row brings in the next step; returns their positions, row after row, end to end.

        A row's new tokens stand right after those it holds: with 5 held, 3 new ones have the positions 5, 6, 7,
        whatever the other rows do. Makes room for them (`reserve`), and sets `self.counts`, which holds until the step
        is done; planning again, before that, replaces the plan. The positions are int64, on the cache's device.

        Raises ValueError, and changes nothing, for another number of counts than rows (naming both), for a negative
        count (naming it), for no token at all, and for a row that would hold more than `limit` (naming the row's number
        from 0, how many it would hold, and the limit).
        """
        counts = list(counts)
        if len(counts) != self.rows:
            raise ValueError(f"the cache has {self.rows} rows, and there are counts for {len(counts)}")
        if min(counts) < 0 or not any(counts):
            raise ValueError(f"a step brings 0 or more tokens a row, and at least one in all, not {counts}")
        lengths = [held + new for held, new in zip(self.lengths, counts, strict=True)]
        for row, length in enumerate(lengths):
            if self.limit is not None and length > self.limit:
                raise ValueError(f"row {row} would hold {length} tokens; the model's context is {self.limit}")
        self.reserve(max(lengths))
        self.counts = counts
        places = [
            torch.arange(start, start + count) for start, count in zip(self.lengths, counts, strict=True)
        ]
        return torch.cat(places).to(self.device)

    def __call__(
        self,
        layer: int,
        q: Float[Tensor, "1 head total dim"],
        k: Float[Tensor, "1 kv_head total dim"],
        v: Float[Tensor, "1 kv_head total dim"],
    ) -> Float[Tensor, "1 head total dim"]:
        """The `attend` of a planned step: append each row's new keys and values, and let its queries look at its own.

        The tokens of all rows lie end to end, `self.counts` of them each; rows never see each other. Where every row
        brings one token at most and `self.decode` is set, `_decode` does all of it, the writing too; else `append` and
        then `attend_row` with `self.window` do, row by row. After the last layer, and only
        then, each row holds its new tokens (`self.lengths`), and no step is planned any more (`self.counts` are
        zeros): a step that fails in between can be planned again.

        `check_step` comes first: it raises ValueError for another model's keys and values, and for a step that was not
        planned.
        """
        self.check_step(layer, k, v)
        if max(self.counts) == 1 and self.decode is not None:
            mixed = self._decode(layer, q, k, v)
        else:
            mixed = torch.empty_like(q)
            end = 0
            for row, count in enumerate(self.counts):
                if not count:
                    continue
                new = slice(end, end + count)
                end += count
                keys, values = self.append(layer, row, k[0, :, new], v[0, :, new])
                mixed[0, :, new] = attend_row(q[0, :, new], keys, values, self.window)
        if layer == self.config.layers - 1:
            self.finish()
        return mixed

    def finish(self) -> None:
        """The planned step is done: the rows hold its tokens."""
        self.lengths = [held + new for held, new in zip(self.lengths, self.counts, strict=True)]
        self.counts = [0] * self.rows

    def _decode(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """One new token a row, for the rows that have one: written all at once, attended to by `self.decode`."""
        rows, slots, lengths = self.slots()
        self.keys[layer][rows, :, slots] = k[0].transpose(0, 1)  # (row, kv_head, dim)
        self.values[layer][rows, :, slots] = v[0].transpose(0, 1)
        queries = q[0].transpose(0, 1)  # (row, head, dim)
        assert self.decode is not None
        mixed = self.decode(queries, self.keys[layer], self.values[layer], rows, lengths)
        if mixed is None:
            each = [
                attend_row(
                    query[:, None], self.keys[layer][row, :, :length], self.values[layer][row, :, :length]
                )
                for query, row, length in zip(queries, rows, lengths, strict=True)
            ]
            mixed = torch.stack([one[:, 0] for one in each])
        return mixed.transpose(0, 1)[None]

    def slots(self) -> tuple[list[int], list[int], list[int]]:
        """Of a step with one token a row at most: the rows that have one, its slot, and how many are held then."""
        rows = [row for row, count in enumerate(self.counts) if count]
        return (
            rows,
            [self.slot(row) for row in rows],
            [min(self.lengths[row] + 1, self.capacity) for row in rows],
        )

    def slot(self, row: int) -> int:
        """Where the row's next token goes."""
        return self.lengths[row]

    def check_step(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Raises ValueError for keys and values that are not this cache's, naming what came and what it has."""
        config = self.config
        expected = (1, config.kv_heads, sum(self.counts), config.head_width)
        if layer >= config.layers:
            raise ValueError(
                f"this cache has {config.layers} layers, and layer {layer} asks: another model's?"
            )
        if not any(self.counts):
            raise ValueError(
                "no step is planned: call cache.plan with the number of new tokens of each row first"
            )
        if tuple(k.shape) != expected:
            raise ValueError(f"this cache expects keys of {expected}, not {tuple(k.shape)}: another model's?")
        if v.dtype != self.dtype:
            kept, came = (str(dtype).removeprefix("torch.") for dtype in (self.dtype, v.dtype))
            raise ValueError(f"this cache keeps {kept}, and the values that came are {came}")

    def rewind(self, row: int, length: int) -> None:
        """Forget a row's tokens from place `length` on, as if they had never come; a planned step is dropped.

        Nothing is erased and nothing moves: the next token is written over the first forgotten one. The other rows
        stay. Raises ValueError, and changes nothing, for a length below 0 or above what the row holds, without what is
        planned, naming it and what is held.
        """
        held = self.lengths[row]
        if not 0 <= length <= held:
            raise ValueError(
                f"row {row} holds {held} tokens; it can be rewound to 0 up to {held}, not {length}"
            )
        self.lengths[row] = length
        self.counts = [0] * self.rows
