"""Which attention a training run takes: written out, or by torch's fused kernel.

The setting `attention` is one of

    written     model.causal_attention: scores and weights, (time, time) for every head, are held in float32
    fused       torch's scaled_dot_product_attention: they never exist as a whole (FlashAttention: Dao et al. 2022,
                arXiv:2205.14135)
    auto        fused on a GPU; on a CPU from a context of 1,024 tokens in bfloat16, and of 256 in float32

The CPU's limits are measured: forward and backward of a layer, 4 query heads on 2 and 12 on 4 of 64 numbers each, on an
AMD EPYC with one thread and with two. In bfloat16 the fused kernel is 1.3 to 1.6 times as slow at 512 tokens and 1.4
times as fast at 1,024; in float32 it is even at 128, 1.2 to 1.4 times as fast at 256, and 2.5 times at 1,024.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from phase01_foundation.project01_minimal_gpt.attention import Attend
from phase01_foundation.project03_pretrain.model import causal_attention, torch_attention

AttentionKind = Literal["auto", "fused", "written"]
LONG = {torch.float32: 256}  # tokens from which the fused kernel is the faster one on a CPU
LONG_OTHERWISE = 1024


def grouped_attention(
    layer: int,
    q: Float[Tensor, "batch head time dim"],
    k: Float[Tensor, "batch kv_head time dim"],
    v: Float[Tensor, "batch kv_head time dim"],
) -> Float[Tensor, "batch head time dim"]:
    """torch_attention for kernels that share a head of keys among queries by themselves: nothing is repeated."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=k.shape[1] != q.shape[1])


def choose_attention(
    kind: AttentionKind, device: torch.device, dtype: torch.dtype, context_length: int
) -> Attend:
    """The `attend` that the setting means, where matrix products are in `dtype`."""
    long = device.type != "cpu" or context_length >= LONG.get(dtype, LONG_OTHERWISE)
    if kind == "written" or (kind == "auto" and not long):
        return causal_attention
    return grouped_attention if _shares_heads(device, dtype) else torch_attention


def _shares_heads(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the flash kernel is taken here, and not one that must be given as many keys as queries.

    On CUDA that wants 16 bits and Ampere or newer; asked to share, torch's other kernels would give way to the plain
    products, which hold all the scores.
    """
    if device.type == "cuda":
        return dtype != torch.float32 and torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu"
