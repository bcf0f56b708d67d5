"""Project 8's whole decoding step in one call of C++, with weights that are codes.

Its text does not change: where it multiplies with a matrix, product_part of quantized.cpp reads codes. Each token's
vector is looked up before, so that a quantized embedding need not be known there.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from phase05_quantization.project14_ptq.given.products import SOURCE, codes_of, reason_against
from phase05_quantization.project14_ptq.quant_linear import QuantLinear
from shared.phase01 import LLM
from shared.phase03 import MOST_ROWS, WIDTHS, KVCache, Packed, kernel_library, step, step_source

ATTENTION = (Path(__file__).parent / "attention.cpp").read_text(encoding="utf-8")


class PackedCodes(Packed):
    """A quantized model's weights as C++ reads them."""

    def _matrix(self, part: nn.Module) -> Any:
        assert isinstance(part, QuantLinear)
        weight = part.packed_weight
        codes = codes_of(weight)
        self._kept.append(codes)  # pyright: ignore[reportArgumentType]
        self._keep(weight.packed)
        return ctypes.addressof(codes), *weight.shape


class QuantizedStep:
    """The step as `stream_tokens` uses it: decode=QuantizedStep(model). Weights must stay where they are.

    For more than one new token a row, more than MOST_ROWS rows, or without a compiler, the modules do the step.
    """

    def __init__(self, model: LLM, threads: int = 1):
        """Raises ValueError, naming it and why, for a linear layer (or head) that the kernel does not take."""
        for name, layer in model.named_modules():
            if isinstance(layer, QuantLinear):
                why = reason_against(layer.packed_weight)
            elif isinstance(layer, nn.Linear):
                why = "it is not quantized"
            else:
                continue
            if why is not None or layer.bias is not None:
                raise ValueError(f"a whole step of codes does not take {name}: {why or 'it has a bias'}")
        if model.config.head_width not in WIDTHS:
            raise ValueError(f"heads must have a width of {WIDTHS}, not {model.config.head_width}")
        self.model, self.threads = model, threads
        self.packed = PackedCodes(model)
        self.kernel = kernel_library("step", SOURCE, ATTENTION, step_source())

    @torch.no_grad()
    def __call__(self, cache: KVCache, new: Sequence[Sequence[int]]) -> Float[Tensor, "row vocab"]:
        """Read one new token for each row that brings one; the logits after it. The cache is of float32."""
        if self.kernel is None or max(map(len, new), default=0) != 1 or sum(map(len, new)) > MOST_ROWS:
            return step(self.model, cache, new)
        if cache.dtype != torch.float32:
            raise ValueError(f"this step writes float32 into the cache, which keeps {cache.dtype}")
        tokens = [token for row in new for token in row]
        positions = cache.plan([len(row) for row in new])
        vectors = self.model.embedding(torch.tensor([tokens]))[0].float().contiguous()  # (row, dim)
        logits = torch.empty(len(tokens), self.model.config.vocab_size)
        self.packed.use(cache)
        self.packed.struct.embedding, self.packed.struct.embedding_stride = (
            vectors.data_ptr(),
            vectors.shape[1],
        )
        request = self.packed.step(cache, range(len(tokens)), positions, logits, self.threads)
        self.kernel["decode_step_float32"](ctypes.addressof(self.packed.struct), ctypes.addressof(request))
        cache.finish()
        return logits
