"""The C++ of this project (quantized.cpp): products with codes, for a few rows of activations.

Activations are rounded to eight bits on the way, a scale for every 32, as llama.cpp does: that costs about 0.4% of an
output's size. It is compiled on first use by project 8's given code, after its frame and around its product.
"""

import ctypes
from ctypes import c_int64, c_void_p
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from phase05_quantization.project14_ptq.quant_linear import PackedWeight, QuantLinear
from shared.phase03 import kernel_library

SOURCE = (Path(__file__).parent / "quantized.cpp").read_text(encoding="utf-8")
SCALES = (torch.float16, torch.float32)


class Codes(ctypes.Structure):
    """quantized.cpp's."""

    _fields_ = (
        *((name, c_void_p) for name in ("codes", "scale", "zero")),
        *((name, c_int64) for name in ("stride", "bits", "group", "groups", "half_scales")),
    )


def reason_against(weight: PackedWeight) -> str | None:
    """Why the kernel does not take this weight, or None where it does."""
    inputs = weight.shape[1]
    grid, group = weight.grid, weight.grid.width(inputs)
    if grid.bits not in (4, 8):
        return f"it reads 4 or 8 bits, not {grid.bits}"
    if inputs % 64:
        return f"it reads rows of a multiple of 64 weights, not {inputs}"
    if grid.group == "tensor" or not (group == 32 or group % 64 == 0):
        return f"a scale is for 32 weights of a row, or for a multiple of 64, not {grid.group}"
    if grid.scale_dtype not in SCALES or weight.packed.device.type != "cpu":
        return (
            f"it reads float16 and float32 scales on a CPU, not {grid.scale_dtype} on {weight.packed.device}"
        )
    return None


class CodesProduct:
    """x Wᵀ for a few rows of x, in float32, by the kernel. The weight must stay where it is."""

    def __init__(self, weight: PackedWeight, threads: int = 1):
        """Raises ValueError for a weight that the kernel does not take, saying why, and without a compiler."""
        if (why := reason_against(weight)) is not None:
            raise ValueError(f"the kernel does not take this weight: {why}")
        found = kernel_library("product", SOURCE)
        if found is None:
            raise ValueError("the kernel is C++, and there is no compiler")
        self.run, self.threads, self.codes, self.shape = (
            found["product_float32"],
            threads,
            codes_of(weight),
            weight.shape,
        )
        self.kept = weight

    def __call__(self, rows: Float[Tensor, "rows inputs"]) -> Float[Tensor, "rows outputs"]:
        rows = rows.contiguous()
        y = torch.empty(len(rows), self.shape[0])
        self.run(
            ctypes.addressof(self.codes), rows.data_ptr(), y.data_ptr(), len(rows), *self.shape, self.threads
        )
        return y


def codes_of(weight: PackedWeight) -> Codes:
    """A weight as C++ reads it: addresses of what must stay where it is."""
    grid, inputs = weight.grid, weight.shape[1]
    return Codes(
        weight.packed.data_ptr(), weight.scale.data_ptr(), None if grid.symmetric else weight.zero.data_ptr(),
        weight.packed.shape[1], grid.bits, grid.width(inputs), grid.groups(inputs), grid.scale_dtype == torch.float16,
    )  # fmt: skip


def use_products(model: nn.Module, threads: int = 1) -> list[str]:
    """Give each QuantLinear whose weight the kernel takes its `product`; their names. Without a compiler, none."""
    if kernel_library("product", SOURCE) is None:
        return []
    found = []
    for name, layer in model.named_modules():
        if isinstance(layer, QuantLinear) and reason_against(layer.packed_weight) is None:
            layer.product = CodesProduct(layer.packed_weight, threads)
            found.append(name)
    return found


def plain_product(weight: PackedWeight, rows: Float[Tensor, "rows inputs"]) -> Float[Tensor, "rows outputs"]:
    """What the kernel computes, written out in float64: the reference that it is tested against."""
    inputs = weight.shape[1]
    x = rows.double().view(len(rows), -1, 32)
    amax = rows.float().view(len(rows), -1, 32).abs().amax(dim=2, keepdim=True)
    inverse = torch.where(amax > 0, 127 / torch.where(amax > 0, amax, 1.0), 0.0)
    codes = (x.float() * inverse).round().double()
    x = (codes * (amax / 127).double()).view(len(rows), inputs)
    return (x @ weight.quantized.dequantized().double().T).float()
