"""Whole steps on a GPU, recorded once and then replayed: CUDA graphs.

A step of one token a text is some hundred small kernels, and starting them from Python takes longer than they do. A
graph is the list of all of them, recorded once with the places that they read and write, and started by one call. So
what changes from step to step has to lie where it lay when it was recorded: there is one tensor for it, which is filled
before a replay, with one copy. And a graph is of one size, so there is one for each of some sizes, recorded when it is
first needed; a smaller step is filled up with copies of its first token, which write once more what that writes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project13_paged_attention.given.paged_launch import TritonDecode, launch
from phase04_advanced_inference.project13_paged_attention.paged_attention import PagedStep, slot_mapping
from shared.phase01 import LLM

SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)
TOKEN, PLACE, SLOT, LENGTH, TABLE = range(5)
"""the columns of what changes from step to step: a row for each token, the last column is the first of its table"""

Forward = Callable[[Tensor, Tensor, "PagedTokens"], Tensor]
"""tokens (total), positions (total) and an `attend` in, logits (total, vocab) out"""


class PagedTokens:
    """An `attend` of which every number lies on the device: each token is a query of its own."""

    def __init__(self, store: BlockStore, rows: Int[Tensor, "total column"], kernels: Any, warps: int):
        self.store, self.kernels, self.warps = store, kernels, warps
        self.slots = rows[:, SLOT].contiguous()
        self.lengths = rows[:, LENGTH].to(torch.int32)
        self.tables = rows[:, TABLE:].to(torch.int32)

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """All new keys and values first; then every token looks at the first `lengths` of its text."""
        keys, values = self.store.keys[layer], self.store.values[layer]
        keys.index_copy_(1, self.slots, k[0])
        values.index_copy_(1, self.slots, v[0])
        queries = q[0].transpose(0, 1).contiguous()  # (total, head, dim)
        mixed = torch.empty_like(queries)
        launch(
            queries, keys, values, self.tables, self.lengths, mixed, self.store.block_size, self.kernels, self.warps
        )  # fmt: skip
        return mixed.transpose(0, 1)[None]


class GraphDecode:
    """A StepDecode: a step of at most `most` tokens on a GPU, by one graph; the runner's `decode`.

    As in PagedStepDecode each token is a row of its own, of whatever text: chunks and drafts are right in it too.
    """

    def __init__(
        self,
        model: LLM,
        store: BlockStore,
        sizes: Sequence[int] = SIZES,
        graphs: bool = True,
        kernels: Any = None,
        warps: int = 4,
        forward: Forward | None = None,
    ):
        """For steps over this store. Without `graphs`, the same kernels are started one by one.

        `kernels` is for tests on a CPU (paged_launch.py), `forward` another way through the model. Raises ValueError as
        TritonDecode does, and for sizes that do not rise from 1 or more.
        """
        if not sizes or list(sizes) != sorted(set(sizes)) or sizes[0] < 1:
            raise ValueError(f"the sizes of graphs rise from 1 or more, not {list(sizes)}")
        self.model, self.store, self.sizes, self.most = model.eval(), store, tuple(sizes), sizes[-1]
        self.kernels, self.warps = TritonDecode(store, kernels).kernels, warps
        self.forward = forward or self.modules
        self.columns = -(-model.config.context_length // store.block_size)
        width = TABLE + self.columns
        self.rows: Int[Tensor, "most column"] = torch.zeros(
            self.most, width, dtype=torch.int64, device=store.device
        )
        self.graphs = graphs and store.device.type == "cuda"
        self.recorded: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        """by size: the graph, and the logits that it writes"""
        self.memory: Any = torch.cuda.graph_pool_handle() if self.graphs else None

    def fits(self, total: int) -> bool:
        """Whether a step of so many tokens is one replay."""
        return total <= self.most

    @torch.no_grad()
    def __call__(
        self,
        store: BlockStore,
        step: PagedStep,
        tokens: list[int],
        positions: Int[Tensor, "total"] | None = None,
    ) -> Float[Tensor, "total vocab"]:
        """Write the tokens' keys and values; the logits after each token, on the device, until the next call.

        Where they stand in their texts, the step says; `positions` is not looked at. Raises ValueError for another
        store than the one that the graphs were recorded with, and for more tokens than `most`, naming both numbers.
        """
        if store is not self.store:
            raise ValueError("graphs work on the store that they were recorded with, and this is another one")
        total = len(tokens)
        if not 1 <= total <= self.most:
            raise ValueError(f"the largest graph is for {self.most} tokens, and the step has {total}")
        size = next(size for size in self.sizes if size >= total)
        self.rows[:size] = torch.from_numpy(self.numbers(step, tokens, size)).to(self.rows.device)
        if not self.graphs:
            return self.run(size)[:total]
        if size not in self.recorded:
            self.recorded[size] = self.record(size)
        graph, logits = self.recorded[size]
        graph.replay()
        return logits[:total]

    @torch.no_grad()
    def warm(self) -> None:
        """Record all sizes now, the largest first, instead of each when it is first needed. Slot 0 must be free."""
        self.rows.zero_()
        self.rows[:, LENGTH] = 1
        for size in reversed(self.sizes):
            if self.graphs and size not in self.recorded:
                self.recorded[size] = self.record(size)
            elif not self.graphs:
                self.run(size)

    def numbers(self, step: PagedStep, tokens: list[int], size: int) -> np.ndarray:
        """A row for each token: which, where in its text, its slot, how many it sees, the text's table; and copies of
        the first, up to `size` rows.
        """
        rows = np.zeros((size, self.rows.shape[1]), dtype=np.int64)
        total = len(tokens)
        rows[:total, TOKEN] = tokens
        rows[:total, SLOT] = slot_mapping(
            step.tables, step.starts, step.counts, self.store.block_size
        ).numpy()
        first = 0
        for count, start, table in zip(step.counts, step.starts, step.tables, strict=True):
            own = rows[first : first + count]
            own[:, PLACE] = range(start, start + count)
            known = table[: self.columns]
            own[:, TABLE : TABLE + len(known)] = known
            first += count
        rows[:total, LENGTH] = rows[:total, PLACE] + 1
        rows[total:] = rows[0]
        return rows

    def run(self, size: int) -> Float[Tensor, "size vocab"]:
        """The step that lies in the first rows, kernel after kernel."""
        rows = self.rows[:size]
        attend = PagedTokens(self.store, rows, self.kernels, self.warps)
        return self.forward(rows[:, TOKEN], rows[:, PLACE], attend)

    def modules(self, tokens: Tensor, positions: Tensor, attend: PagedTokens) -> Tensor:
        """Through project 3's modules."""
        return self.model.logits(self.model.hidden(tokens[None], positions, attend))[0]

    def record(self, size: int) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        """A graph of a step of this size. What lies in the rows is computed meanwhile, which changes nothing: it is the
        step that is wanted. Kernels must be compiled, and libraries set up, before they are recorded.
        """
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(2):
                self.run(size)
        torch.cuda.current_stream().wait_stream(aside)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.memory):
            logits = self.run(size)
        return graph, logits
