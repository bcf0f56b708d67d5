"""Layers whose weights are codes: linear ones, and the embedding, put into a model by the Linear seam.

Activations stay floats (W8A16, W4A16). The weight is made anew for each product; for a few rows of activations a kernel
in C++ reads the codes themselves (given/products.py), since there reading the weights is all the work.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from phase05_quantization.project14_ptq.grids import (
    Grid,
    QParams,
    Quantized,
    check_qparams,
    dequantize,
    nearest,
)
from phase05_quantization.project14_ptq.packing import pack, unpack
from shared.phase01 import LLM, replace_linears
from shared.phase03 import MOST_ROWS

Product = Callable[[Float[Tensor, "rows inputs"]], Float[Tensor, "rows outputs"]]


class PackedWeight(nn.Module):
    """A matrix as packed codes, scales and zeros: buffers, so they move and are saved with the model.

    `.to(dtype)` leaves scales as they are: the codes were chosen for them.
    """

    packed: Tensor
    scale: Tensor
    zero: Tensor  # only in an asymmetric grid

    def __init__(self, quantized: Quantized):
        """Raises ValueError for scales that do not fit the codes, as `check_qparams` says."""
        super().__init__()
        check_qparams(quantized.qparams, quantized.grid, *quantized.codes.shape)
        self.grid, self.shape = quantized.grid, tuple(quantized.codes.shape)
        self.register_buffer("packed", pack(quantized.codes, quantized.grid.bits))
        self.register_buffer("scale", quantized.qparams.scale)
        if not quantized.grid.symmetric:
            self.register_buffer("zero", quantized.qparams.zero)

    @property
    def quantized(self) -> Quantized:
        """Codes and scales, unpacked."""
        return Quantized(unpack(self.packed, self.grid.bits, self.shape[1]), self.qparams, self.grid)

    @property
    def qparams(self) -> QParams:
        """Scales and zeros; these are made where the grid is symmetric."""
        zero = torch.zeros_like(self.scale, dtype=torch.int8) if self.grid.symmetric else self.zero
        return QParams(self.scale, zero)

    def rows(self, places: Int[Tensor, "*rest"]) -> Float[Tensor, "*rest inputs"]:
        """Some rows of the matrix in float32, and no more than these are unpacked: an embedding's vectors.

        A row may be asked for several times. Where the grid has one scale for all rows, it serves each.
        """
        flat = places.reshape(-1)
        codes = unpack(self.packed[flat], self.grid.bits, self.shape[1])
        own = self.qparams
        if self.grid.group != "tensor":
            own = QParams(own.scale[flat], own.zero[flat])
        return dequantize(codes, own, self.grid).view(*places.shape, self.shape[1])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        scale = self.scale  # Module.to and .half come by here
        super()._apply(fn, recurse)
        self.scale = scale.to(self.packed.device)
        return self


class QuantLinear(nn.Linear):
    """A linear layer with a PackedWeight. It is one to those who ask, so adapters find it; `weight` is made when read.

    `product`, where it is set (given/products.py), computes x Wᵀ for up to MOST_ROWS rows of activations at once.
    """

    def __init__(self, linear: nn.Linear, quantized: Quantized):
        """Raises ValueError for codes of another shape than the layer's weight, naming both."""
        nn.Module.__init__(self)  # nn.Linear's own would make a weight
        self.in_features, self.out_features = linear.in_features, linear.out_features
        if tuple(quantized.codes.shape) != (self.out_features, self.in_features):
            raise ValueError(
                f"the layer has a weight of {(self.out_features, self.in_features)}, and the codes are "
                f"{tuple(quantized.codes.shape)}"
            )
        self.packed_weight, self.bias, self.training = PackedWeight(quantized), linear.bias, linear.training
        self.product: Product | None = None
        # Empty: it follows .to(dtype), and says which dtype the layer has.
        self.register_buffer("like", torch.empty(0, dtype=linear.weight.dtype), persistent=False)
        self.like: Tensor

    def forward(self, input: Float[Tensor, "*rest inputs"]) -> Float[Tensor, "*rest outputs"]:
        """x Wᵀ + bias in x's dtype, with the dequantized weight (made in float32, then brought to that dtype).

        Where there is a `product` and no gradients are recorded (`torch.is_grad_enabled()`), 1 to MOST_ROWS rows of
        activations, all dimensions but the last together, go through it: it takes float32 (rows, inputs) and gives
        float32 (rows, outputs), without the bias. Many rows, or none, never do: for them arithmetic is the limit.
        """
        x = input
        rows = x.reshape(-1, self.in_features)
        if self.product is not None and not torch.is_grad_enabled() and 0 < len(rows) <= MOST_ROWS:
            y = self.product(rows.float()).to(x.dtype).view(*x.shape[:-1], self.out_features)
            return y if self.bias is None else y + self.bias.to(y.dtype)
        weight = self.packed_weight.quantized.dequantized().to(x.dtype)
        return F.linear(x, weight, None if self.bias is None else self.bias.to(x.dtype))

    @property
    def weight(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.packed_weight.quantized.dequantized().to(self.like.dtype)


class QuantEmbedding(nn.Module):
    """A vector for each token out of packed codes; with a tied head, the PackedWeight is the head's own."""

    def __init__(self, packed_weight: PackedWeight, dtype: torch.dtype):
        super().__init__()
        self.packed_weight = packed_weight
        self.stream_dtype: torch.dtype | None = None
        self.register_buffer("like", torch.empty(0, dtype=dtype), persistent=False)
        self.like: Tensor

    def forward(self, input: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time dim"]:
        """The tokens' rows (`PackedWeight.rows`), in the dtype of the stream, where that is set, else in `like`'s."""
        return self.packed_weight.rows(input).to(self.stream_dtype or self.like.dtype)

    @property
    def weight(self) -> Tensor:
        """The whole matrix, made anew: what asks for its dtype and device."""
        return self.packed_weight.quantized.dequantized().to(self.like.dtype)


Choose = Callable[[str, nn.Linear], Quantized | None]
"""a layer's name and the layer in; its codes out, or None to leave it in floats"""


def quantize_linears(model: nn.Module, choose: Choose) -> list[str]:
    """Put a QuantLinear in the place of each linear layer that `choose` gives codes for; returns their names.

    The model's head is not asked about: its mistakes go straight into the logits, and where it is tied to the embedding
    a quantized head beside a float embedding would make the model larger (`quantize_embedding` does both). The head is
    the layer named "head" or "lm_head", alone or after a dot. Layers that are a QuantLinear already are not asked about
    either. By `replace_linears`, which makes all replacements before the first is put in.
    """

    def rule(name: str, linear: nn.Linear) -> nn.Module | None:
        if name.rpartition(".")[2] in ("head", "lm_head") or isinstance(linear, QuantLinear):
            return None
        quantized = choose(name, linear)
        return None if quantized is None else QuantLinear(linear, quantized)

    return replace_linears(model, rule)


def quantize_embedding(model: LLM, grid: Grid) -> None:
    """Round the embedding, and the head, to the nearest code of a grid, eight bits a row if you have no reason.

    Where they are tied, head and embedding have the same PackedWeight afterwards, which is there once; else one each.
    """
    dtype = model.embedding.weight.dtype
    head = QuantLinear(model.head, nearest(model.head.weight, grid))
    tied = model.head.weight is model.embedding.weight
    packed = head.packed_weight if tied else PackedWeight(nearest(model.embedding.weight, grid))
    model.set_submodule("embedding", QuantEmbedding(packed, dtype))
    model.set_submodule("head", head)


def model_bytes(model: nn.Module) -> int:
    """What a model's parameters and buffers take, each counted once wherever it stands: a tied matrix is one."""
    found = {id(tensor): tensor.nbytes for tensor in [*model.parameters(), *model.buffers()]}
    return sum(found.values())
