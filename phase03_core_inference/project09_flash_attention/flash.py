"""Flash attention as a function that can be trained through, whatever computes it.

Three backends have the same two functions:

    forward(q, k, v, causal, window)                   -> out, lse
    backward(q, k, v, out, lse, dout, causal, window)  -> dq, dk, dv

"tiles" is PyTorch (`forward.py` and `backward.py`), "cpu" is C++ (`given/cpu.py`), "triton" is for GPUs
(`triton_kernels.py`, launched by `given/triton_launch.py`).
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from phase03_core_inference.project09_flash_attention import backward, forward
from phase03_core_inference.project09_flash_attention.given import cpu, triton_launch

BackendName = Literal["auto", "tiles", "cpu", "triton"]


class Backend(NamedTuple):
    """What computes; `fault` says of some queries why it cannot take them, in one line, or None."""

    forward: Callable[..., tuple[Tensor, Tensor]]
    backward: Callable[..., tuple[Tensor, Tensor, Tensor]]
    fault: Callable[[Tensor], str | None]


BACKENDS = {
    "tiles": Backend(forward.forward, backward.backward, lambda q: None),
    "cpu": Backend(cpu.forward, cpu.backward, cpu.fault),
    "triton": Backend(triton_launch.forward, triton_launch.backward, triton_launch.fault),
}


class FlashAttention(torch.autograd.Function):
    """One backend for autograd: FlashAttention.apply(q, k, v, causal, window, backend)."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool, window: int | None, backend: Backend
    ) -> Tensor:
        """The output. q, k, v, the output and the log-sum-exp are kept for the way back, and no other tensor.

        Tensors are kept by `ctx.save_for_backward`, as they came in, the rest as an attribute of `ctx`. Under autocast,
        products of float32 would be made in 16 bits, here and on the way back: inside, it is off.
        """
        with torch.autocast(q.device.type, enabled=False):
            out, lse = backend.forward(q, k, v, causal, window)
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.settings = causal, window, backend
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradients of q, k and v, from the output's, grads[0]; None for each of the three other arguments."""
        causal, window, backend = ctx.settings
        with torch.autocast(grads[0].device.type, enabled=False):
            dq, dk, dv = backend.backward(*ctx.saved_tensors, grads[0], causal, window)
        return dq, dk, dv, None, None, None


def flash_attention(
    q: Float[Tensor, "batch head queries dim"],
    k: Float[Tensor, "batch kv_head keys dim"],
    v: Float[Tensor, "batch kv_head keys dim"],
    causal: bool = True,
    window: int | None = None,
    backend: BackendName = "auto",
) -> Float[Tensor, "batch head queries dim"]:
    """softmax(q kᵀ / √dim) v over the keys that each query sees, in q's dtype, and differentiable.

    The queries are the last ones of the text; `tiles.py` says who sees what. `backend` is a name of BACKENDS, or
    "auto": on a GPU "triton", elsewhere "cpu", if it is `available` and its `fault` is None for q; else "tiles".

    Raises ValueError, before any work, which names what came in and what is allowed: for a backend that is none of
    these, for a `fault` of the one that was named, for q, k and v of different dtypes (all three named), for `head`
    that is no multiple of `kv_head` (both numbers), for a window below 1, and for a window without causal.
    """
    if backend not in get_args(BackendName):
        raise ValueError(f"the backend must be one of {', '.join(get_args(BackendName))}, not {backend!r}")
    if not q.dtype == k.dtype == v.dtype:
        raise ValueError(f"q, k and v must have one dtype, not {q.dtype}, {k.dtype} and {v.dtype}")
    if q.shape[1] % k.shape[1]:
        raise ValueError(f"{q.shape[1]} query heads are no multiple of {k.shape[1]} key and value heads")
    if window is not None and window < 1:
        raise ValueError(f"a window is at least 1, the query's own position, not {window}")
    if window is not None and not causal:
        raise ValueError(f"a window of {window} looks back: it needs causal attention")
    if backend == "auto":
        wanted = "triton" if q.device.type == "cuda" else "cpu"
        backend = wanted if available(wanted) and BACKENDS[wanted].fault(q) is None else "tiles"
    if problem := BACKENDS[backend].fault(q):
        raise ValueError(problem)
    return FlashAttention.apply(q, k, v, causal, window, BACKENDS[backend])


def attend(
    layer: int,
    q: Float[Tensor, "batch head queries dim"],
    k: Float[Tensor, "batch kv_head keys dim"],
    v: Float[Tensor, "batch kv_head keys dim"],
) -> Float[Tensor, "batch head queries dim"]:
    """Causal flash attention as project 3's model calls it: `model(tokens, attend=attend)`. All layers are alike."""
    return flash_attention(q, k, v)


def available(backend: str) -> bool:
    """Whether this machine has what a backend needs: a C++ compiler, or the package triton."""
    if backend == "cpu":
        return cpu.kernels() is not None
    return backend == "tiles" or triton_launch.has_triton()
