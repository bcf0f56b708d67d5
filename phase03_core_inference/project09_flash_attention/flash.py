"""Flash attention as a function that can be trained through, whatever computes it.

The three backends are modules with the same two functions:

    forward(q, k, v, causal, window)                      -> output, log-sum-exp
    backward(q, k, v, output, lse, dout, causal, window)  -> dq, dk, dv

"tiles" is PyTorch (`forward.py`, `backward.py`), "cpu" is C++ (`given/cpu.py`), "triton" is for GPUs.
"""

import importlib
from types import ModuleType
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

Backend = Literal["auto", "tiles", "cpu", "triton"]


class FlashAttention(torch.autograd.Function):
    """Forward and backward of one backend, for autograd."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool, window: int | None, kernels: ModuleType
    ) -> Tensor:
        """The output; what is kept for the way back are the three inputs, the output and the log-sum-exp."""
        out, lse = kernels.forward(q, k, v, causal, window)
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.settings = causal, window, kernels
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of q, k and v; the rest has none."""
        causal, window, kernels = ctx.settings
        dq, dk, dv = kernels.backward(*ctx.saved_tensors, grads[0], causal, window)
        return dq, dk, dv, None, None, None


def flash_attention(
    q: Float[Tensor, "batch head queries dim"],
    k: Float[Tensor, "batch kv_head keys dim"],
    v: Float[Tensor, "batch kv_head keys dim"],
    causal: bool = True,
    window: int | None = None,
    backend: Backend = "auto",
) -> Float[Tensor, "batch head queries dim"]:
    """softmax(q kᵀ / √dim) v, row by row over the keys that a query sees."""
    kernels = importlib.import_module("phase03_core_inference.project09_flash_attention.given.triton_launch")
    return FlashAttention.apply(q, k, v, causal, window, kernels)
