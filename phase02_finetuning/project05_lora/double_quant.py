"""Double quantization: a scale of 32 bits for 64 weights is half a bit a weight, and scales can be quantized too.

    absmax ≈ map[code] · scale of its 256 + offset          8 / 64 + 32 / (64 · 256) = 0.127 bits a weight

Dettmers et al. 2023, "QLoRA" (arXiv:2305.14314), section 3.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from phase02_finetuning.project05_lora.given.dynamic_map import dynamic_map


@dataclass(frozen=True)
class Scales8:
    """Scales in eight bits: a code each, a scale for every block of codes, and one offset. Floats are float32."""

    codes: UInt8[Tensor, "scales"]
    absmax: Float[Tensor, "blocks"]
    offset: Float[Tensor, ""]
    block: int


def quantize_scales(scales: Float[Tensor, "scales"], block: int = 256) -> Scales8:
    """Eight bits a scale. Scales are positive; their mean, the offset, is taken off first, so that the sign is of use.

    Then, in blocks of `block`, each difference is divided by the largest absolute one of its block (1 where that is 0),
    and coded as the nearest number of `dynamic_map()`, of two equally near the lower one. All in float32. The last
    block may be shorter. Raises ValueError for no scales, and for a block below 1, naming it.
    """
    if not len(scales) or block < 1:
        raise ValueError(
            f"there must be scales, and at least 1 of them in a block, not {len(scales)} and {block}"
        )
    scales = scales.float()
    offset = scales.mean()
    around = torch.nn.functional.pad(scales - offset, (0, -len(scales) % block)).view(-1, block)
    absmax = around.abs().amax(dim=1)
    numbers = dynamic_map().to(scales.device)
    middles = (numbers[1:] + numbers[:-1]) / 2
    codes = torch.bucketize(around / torch.where(absmax > 0, absmax, 1.0)[:, None], middles)
    return Scales8(codes.to(torch.uint8).view(-1)[: len(scales)], absmax, offset, block)


def dequantize_scales(quantized: Scales8) -> Float[Tensor, "scales"]:
    """map[code] · scale of its block + offset, in float32."""
    values = dynamic_map().to(quantized.codes.device)[quantized.codes.int()]
    return values * quantized.absmax.repeat_interleave(quantized.block)[: len(values)] + quantized.offset
