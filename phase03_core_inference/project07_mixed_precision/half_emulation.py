"""float16 on a machine that has none to speak of: products in float32, each result rounded to float16.

A CPU takes 40 to 100 times as long for a product in float16 as in float32. To see what float16 does to training,
its speed is not needed: a GPU multiplies float16 numbers exactly, adds them up in float32, and rounds the sum to
float16. So: round what goes in, multiply in float32, round what comes out. An overflow is then a real infinity, and
an underflow a real zero, going forward and going back. Which is why loss scaling can be taught here.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from shared.phase01 import repeat_heads, replace_linears


def to_half(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Each number rounded to float16 and back in float32. torch's conversion is fast; task 1 shows what it does."""
    return x.half().float()


class _HalfMatmul(torch.autograd.Function):
    """The product with its own backward pass: autograd hands gradients from one function to the next as they are."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return half_product(a, b)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        a, b = ctx.saved_tensors
        return half_product_gradients(a, b, gradients[0])


def half_product(
    a: Float[Tensor, "*batch rows inner"], b: Float[Tensor, "*batch inner columns"]
) -> Float[Tensor, "*batch rows columns"]:
    """a @ b as float16 hardware does it, float32 in and out: inputs rounded to float16, the sums in float32, and each
    result rounded to float16. What is above 65,504 (rounded) is infinity, what is below 2^-25 zero.
    """
    return to_half(to_half(a) @ to_half(b))


def half_product_gradients(
    a: Float[Tensor, "*batch rows inner"],
    b: Float[Tensor, "*batch inner columns"],
    gradient: Float[Tensor, "*batch rows columns"],
) -> tuple[Float[Tensor, "*batch rows inner"], Float[Tensor, "*batch inner columns"]]:
    """The gradients of a and b, given that of their product: gradient @ bᵀ and aᵀ @ gradient.

    Both are `half_product`s: the gradient that comes in is rounded to float16 like any other input, and so vanishes
    where it is too small, and so does what goes out.
    """
    return half_product(gradient, b.mT), half_product(a.mT, gradient)


def half_matmul(
    a: Float[Tensor, "*batch rows inner"], b: Float[Tensor, "*batch inner columns"]
) -> Float[Tensor, "*batch rows columns"]:
    """`half_product` with `half_product_gradients` for its backward pass. Raises TypeError unless both are float32."""
    for x in (a, b):
        if x.dtype != torch.float32:
            raise TypeError(f"float16 is emulated in float32, not in {x.dtype}")
    product = _HalfMatmul.apply(a, b)
    assert isinstance(product, Tensor)
    return product


class HalfLinear(nn.Module):
    """A linear layer without a bias in emulated float16, with the weight, in float32, of the layer it replaces."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        if linear.bias is not None:
            raise ValueError("only linear layers without a bias are emulated here")
        self.weight = linear.weight

    def forward(self, x: Float[Tensor, "*rest inputs"]) -> Float[Tensor, "*rest outputs"]:
        """x @ weightᵀ. All rows make one matrix, so that the weight's gradient is one product, rounded once."""
        rows = x.reshape(-1, x.shape[-1])  # (rest, inputs)
        return half_matmul(rows, self.weight.T).view(*x.shape[:-1], -1)


def half_attention(
    layer: int,
    q: Float[Tensor, "batch head time dim"],
    k: Float[Tensor, "batch kv_head time dim"],
    v: Float[Tensor, "batch kv_head time dim"],
) -> Float[Tensor, "batch head time dim"]:
    """Causal attention, an `attend`, with both of its products in emulated float16 and the softmax in float32.

    The queries are divided by √dim before the product and not after it: scores are the smaller, and overflow less.
    """
    k, v = repeat_heads(k, q.shape[1]), repeat_heads(v, q.shape[1])
    scores = half_matmul(q / q.shape[-1] ** 0.5, k.mT)  # (batch, head, time, time)
    future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(diagonal=1)
    return half_matmul(F.softmax(scores.masked_fill(future, float("-inf")), dim=-1), v)


def emulate_half(model: nn.Module) -> list[str]:
    """Put a HalfLinear in the place of every linear layer of the model; returns their names.

    The weights stay where they are, and are shared: a tied head's is still the embedding's.
    """
    return replace_linears(model, lambda name, linear: HalfLinear(linear))
