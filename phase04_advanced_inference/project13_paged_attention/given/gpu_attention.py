"""Attention of one query a text on a GPU, as the benchmark runs it: over blocks, and torch's over one stretch."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from phase04_advanced_inference.project13_paged_attention.given.paged_launch import launch


def replayed(work: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
    """The same work as a graph; on a CPU, as it is."""
    if device.type != "cuda":
        return work
    aside = torch.cuda.Stream()
    with torch.cuda.stream(aside):
        work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = work()

    def again(kept: object = work) -> Tensor:
        # `kept` has the tensors that the work reads: the graph knows nothing but where they lie.
        graph.replay()
        return out

    return again


def in_blocks(held: Tensor, tables: Tensor, size: int) -> Tensor:
    """(text, head, length, width) -> (head, slot, width), the texts' blocks where the tables say."""
    texts, heads, length, width = held.shape
    blocks = tables.shape[1]
    padded = F.pad(held, (0, 0, 0, blocks * size - length)).view(texts, heads, blocks, size, width)
    stored = held.new_empty(heads, texts * blocks, size, width)
    stored[:, tables.long().flatten()] = padded.transpose(0, 1).flatten(1, 2)
    return stored.view(heads, -1, width)


def through(
    q: Tensor,
    data: list[list[Tensor]],
    tables: Tensor,
    lengths: Tensor,
    size: int,
    kernels: object,
    warps: int,
) -> Tensor:
    """Through all layers; what the last one gives."""
    out = torch.empty_like(q)
    for keys, values in data:
        launch(q, keys, values, tables, lengths, out, size, kernels, warps)
    return out


def by_torch(q: Tensor, stretch: list[Tensor]) -> Tensor:
    out = q
    for keys, values in stretch:
        out = F.scaled_dot_product_attention(q[:, :, None], keys, values, enable_gqa=True)[:, :, 0]
    return out


def close(out: Mapping[str, Tensor]) -> None:
    """Raises AssertionError unless all have what torch has, but for rounding."""
    expected = out["torch, one stretch"].float()
    for name, found in out.items():
        error = ((found.float() - expected).norm() / expected.norm()).item()
        if not error < 0.02:
            raise AssertionError(f"attention with {name} differs from torch's by {error:.2%}")
