"""QLoRA: the frozen base in four bits, under adapters in floats. Only they learn; the gradient passes through the base.

Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs" (arXiv:2305.14314).
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from phase02_finetuning.project05_lora.adapters import matches
from phase02_finetuning.project05_lora.double_quant import Scales8, dequantize_scales, quantize_scales
from phase02_finetuning.project05_lora.nf4 import NF4, dequantize_nf4, quantize_nf4
from shared.phase01 import replace_linears


class NF4Linear(nn.Linear):
    """A frozen linear layer whose weight is kept in NF4, its scales in eight bits where `double`.

    It is a linear layer to those who ask (so adapters find it), and `weight` is made anew whenever it is read, in the
    dtype of the layer. `.to(dtype)` changes that dtype, and never the float32 numbers that the codes are read with.
    """

    codes: Tensor
    absmax: Tensor
    absmax_codes: Tensor  # only where scales are in eight bits, like offset
    offset: Tensor
    like: Tensor

    def __init__(self, linear: nn.Linear, block: int = 64, double: bool = True):
        nn.Module.__init__(self)  # nn.Linear's own would make a weight
        self.in_features, self.out_features, self.block = linear.in_features, linear.out_features, block
        self.doubled = double  # nn.Module.double is a method
        self.bias, self.training = linear.bias, linear.training
        quantized = quantize_nf4(linear.weight, block)
        self.register_buffer("codes", quantized.codes)
        if double:
            scales = quantize_scales(quantized.absmax)
            self.register_buffer("absmax_codes", scales.codes)
            self.register_buffer("absmax", scales.absmax)
            self.register_buffer("offset", scales.offset)
        else:
            self.register_buffer("absmax", quantized.absmax)
        # Empty: it follows .to(dtype), and says which it was.
        self.register_buffer("like", torch.empty(0, dtype=linear.weight.dtype), persistent=False)
        self.requires_grad_(False)

    def dequantized(self, dtype: torch.dtype) -> Float[Tensor, "outputs inputs"]:
        """The weight in this dtype, from codes and scales (dequantized first where they are in eight bits)."""
        scales = self.absmax
        if self.doubled:
            scales = dequantize_scales(Scales8(self.absmax_codes, self.absmax, self.offset, 256))
        return dequantize_nf4(
            NF4(self.codes, scales, (self.out_features, self.in_features), self.block), dtype
        )

    def forward(self, input: Float[Tensor, "*rest inputs"]) -> Float[Tensor, "*rest outputs"]:
        """W x + bias, with the dequantized weight, by DequantizedProduct, in x's dtype.

        Under autocast, x comes in autocast's dtype first (`torch.get_autocast_dtype`), as linear layers have it there.
        """
        x, kind = input, input.device.type
        if torch.is_autocast_enabled(kind):
            x = x.to(torch.get_autocast_dtype(kind))
        y = DequantizedProduct.apply(x, self.dequantized)
        return y if self.bias is None else y + self.bias.to(y.dtype)

    @property
    def weight(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.dequantized(self.like.dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        # Module.to and .half come by here: let them move the float32 scales, and not round them.
        exact = {name: getattr(self, name) for name in ("absmax", "offset") if name in self._buffers}
        super()._apply(fn, recurse)
        for name, tensor in exact.items():
            setattr(self, name, tensor.to(getattr(self, name).device))
        return self


class DequantizedProduct(torch.autograd.Function):
    """x Wᵀ, with a weight that is made when it is needed, on the way forward and again on the way back.

    Left to autograd, the product would keep the dequantized weight for its gradient: at the end of the forward pass all
    layers would be there in floats, and nothing would be saved.
    """

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, x: Tensor, dequantized: Callable[[torch.dtype], Tensor]
    ) -> Tensor:
        """x Wᵀ with W = dequantized(x.dtype), (outputs, inputs). `ctx` keeps `dequantized`, and no tensor."""
        ctx.dequantized = dequantized
        return F.linear(x, dequantized(x.dtype))

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor, None]:
        """The gradient of x, gradient · W in the gradient's dtype; W itself has none. (One answer for each input.)"""
        return gradient @ ctx.dequantized(gradient.dtype), None


def quantize_base(
    model: nn.Module, keep: tuple[str, ...] = ("head", "lm_head"), block: int = 64, double: bool = True
) -> list[str]:
    """Put an NF4Linear in every linear layer's place (`replace_linears`); returns the names of the places.

    Layers that `matches` one of `keep` stay in floats: the head's mistakes would go straight into the logits. Where a
    layer has adapters already, its base is quantized, named blocks.0.attention.q.base, and keeps what they are: merged
    layers (.merged. in the name) stay as they are. What is in four bits already is left alone. Embeddings and norms are
    no linear layers, and stay in floats.
    """

    def rule(name: str, linear: nn.Linear) -> nn.Module | None:
        kept = any(matches(name.removesuffix(".base"), one) for one in keep)
        if kept or ".merged." in name or isinstance(linear, NF4Linear):
            return None
        return NF4Linear(linear, block, double)

    return replace_linears(model, rule)
