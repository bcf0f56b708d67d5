"""Another way through the model for steps on a GPU: the products by torch, and what lies between in few kernels.

A decoding step of a small model is mostly the starting and ending of kernels, also in a graph. Project 3's modules take
some seventy of them a layer; this way takes ten.
"""

import importlib
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from phase04_advanced_inference.project13_paged_attention.given.cuda_graphs import PagedTokens
from phase04_advanced_inference.project13_paged_attention.given.paged_launch import (
    errors_of,
    launch,
    power_of_two,
)
from shared.phase01 import LLM, rotary_angles

KERNELS = "phase04_advanced_inference.project13_paged_attention.given.fused_kernels"


class FusedForward:
    """GraphDecode(model, store, forward=FusedForward(model)). The weights are copied once, side by side."""

    def __init__(self, model: LLM, kernels: Any = None):
        """Raises ValueError, naming it, for a model with what the kernels were not made for."""
        config = model.config
        if config.qk_norm or config.activation != "swiglu":
            odd = "qk_norm" if config.qk_norm else f"the activation {config.activation}"
            raise ValueError(f"the fused step takes SwiGLU layers without qk_norm, and this model has {odd}")
        self.model, self.config = model, config
        self.kernels = kernels or importlib.import_module(KERNELS)
        blocks: list[Any] = list(model.blocks)
        with torch.no_grad():
            self.into = [
                torch.cat([b.attention.q.weight, b.attention.k.weight, b.attention.v.weight]) for b in blocks
            ]
            self.up = [torch.cat([b.feed_forward.gate.weight, b.feed_forward.up.weight]) for b in blocks]
            places = torch.arange(config.context_length, device=model.embedding.weight.device)
            angles = rotary_angles(places, config.head_width, config.rope_base).float()
        self.cos, self.sin = angles.cos().contiguous(), angles.sin().contiguous()

    def __call__(self, tokens: Tensor, positions: Tensor, attend: PagedTokens) -> Tensor:
        """The logits after each token, (total, vocab), with all keys and values in their slots."""
        model, config = self.model, self.config
        positions = positions.contiguous()
        x, more = model.embedding(tokens[None])[0], None
        for layer, block in enumerate(model.blocks):
            inside: Any = block
            normed = self.norm(x, more, inside.attention_norm)
            mixed = self.attention(layer, F.linear(normed, self.into[layer]), positions, attend)
            more = inside.attention.out(mixed)
            normed = self.norm(x, more, inside.feed_forward_norm)
            more = inside.feed_forward.down(self.gated(F.linear(normed, self.up[layer])))
        logits = model.head(self.norm(x, more, model.norm)).float()
        cap = config.logit_softcap
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def norm(self, x: Tensor, more: Tensor | None, norm: Any) -> Tensor:
        """x + more stays in x; the norm of it."""
        out = torch.empty_like(x)
        total, dim = x.shape
        with errors_of(self.kernels):
            self.kernels.norm_kernel[(total,)](
                x, x if more is None else more, norm.weight, out, norm.eps, dim, ADD=more is not None,
                WIDTH=power_of_two(dim),
            )  # fmt: skip
        return out

    def attention(self, layer: int, qkv: Tensor, positions: Tensor, attend: PagedTokens) -> Tensor:
        """What the heads mix, side by side, (total, heads · width)."""
        config, store = self.config, attend.store
        keys, values = store.keys[layer], store.values[layer]
        total, heads, width = len(qkv), config.heads, config.head_width
        q = qkv.new_empty(total, heads, width)
        with errors_of(self.kernels):
            self.kernels.place_kernel[(total, heads + 2 * config.kv_heads)](
                qkv, self.cos, self.sin, positions, attend.slots, q, keys, values, heads, config.kv_heads,
                keys.shape[1], HALF=width // 2,
            )  # fmt: skip
        mixed = torch.empty_like(q)
        launch(
            q, keys, values, attend.tables, attend.lengths, mixed, store.block_size, attend.kernels, attend.warps
        )  # fmt: skip
        return mixed.flatten(1)

    def gated(self, both: Tensor) -> Tensor:
        """silu(gate) × up."""
        total, hidden = len(both), both.shape[1] // 2
        out = both.new_empty(total, hidden)
        with errors_of(self.kernels):
            self.kernels.gate_kernel[(total, -(-hidden // 1024))](both, out, hidden, TILE=1024)
        return out
