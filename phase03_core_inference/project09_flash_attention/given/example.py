"""One call of everything, for `ladder trace 9`: small enough to read every shape."""

import torch

from phase03_core_inference.project09_flash_attention.flash import flash_attention
from phase03_core_inference.project09_flash_attention.online_softmax import merge
from phase03_core_inference.project09_flash_attention.packed import packed_attention


def trace_example() -> None:
    """Forward and backward in tiles, a merge of two halves, and two packed texts."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, heads, 70, 16, requires_grad=True) for heads in (4, 2, 2))
    out = flash_attention(q, k, v, window=40, backend="tiles")
    out.sum().backward()
    half, lse = out.detach()[:, :2], torch.zeros(1, 2, 70)
    merge(half, lse, half, lse)
    q, k, v = (x.detach()[0].transpose(0, 1) for x in (q, k, v))
    packed_attention(q, k, v, torch.tensor([0, 30, 70]), backend="tiles")
