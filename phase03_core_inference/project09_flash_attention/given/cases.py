"""Shapes on which every backend is held to attention written out, and random inputs for them."""

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

CASES: dict[str, tuple[int, int, int, int, bool, int | None]] = {
    # queries, keys, heads, kv_heads, causal, window
    "T=1": (1, 1, 1, 1, True, None),
    "T=5": (5, 5, 2, 2, True, None),
    "T=47": (47, 47, 2, 1, True, None),
    "T=64": (64, 64, 2, 2, True, None),
    "T=65": (65, 65, 1, 1, True, None),
    "T=129": (129, 129, 1, 1, True, None),
    "not causal": (33, 50, 2, 1, False, None),
    "three query heads on a key head": (37, 37, 6, 2, True, None),
    "fewer queries than keys": (5, 70, 2, 1, True, None),
    "more queries than keys": (100, 21, 1, 1, True, None),
    "a window": (90, 90, 2, 1, True, 20),
    "a window of one": (70, 70, 1, 1, True, 1),
    "a window, fewer queries": (30, 75, 1, 1, True, 17),
    "a window, more queries": (75, 30, 1, 1, True, 17),
    "a window wider than the text": (40, 40, 1, 1, True, 100),
    "no keys": (3, 0, 1, 1, True, None),
    "no queries": (0, 3, 1, 1, True, None),
}


def random_inputs(
    queries: int, keys: int, heads: int, kv_heads: int, *, dim: int = 16, batch: int = 2, scale: float = 1.0,
    dtype: torch.dtype = torch.float64, seed: int = 0,
) -> list[Tensor]:  # fmt: skip
    """q, k, v and a gradient of the output; `scale` multiplies q, and so the scores."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (heads, queries), (kv_heads, keys), (kv_heads, keys), (heads, queries)
    q, k, v, dout = (
        torch.randn(batch, *shape, dim, dtype=torch.float64, generator=generator) for shape in shapes
    )
    return [x.to(dtype) for x in (q * scale, k, v, dout)]


def gradients(attend, q: Tensor, k: Tensor, v: Tensor, dout: Tensor) -> list[Tensor]:
    """dq, dk and dv of attend(q, k, v), by autograd."""
    leaves = [x.detach().clone().requires_grad_() for x in (q, k, v)]
    return list(torch.autograd.grad(attend(*leaves), leaves, dout))


class Largest(TorchDispatchMode):
    """Inside, counts the entries of the largest tensor that any operation of torch returns: `Largest().entries`."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run the operation, and look at what it returns."""
        result = func(*args, **(kwargs or {}))
        for x in result if isinstance(result, tuple | list) else [result]:
            if isinstance(x, Tensor) and x.untyped_storage().nbytes():
                # A view is as large as what it shows; a broadcast one takes no memory for it.
                self.entries = max(self.entries, x.untyped_storage().nbytes() // x.element_size())
        return result
