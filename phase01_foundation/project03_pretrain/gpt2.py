"""GPT-2, written out to read OpenAI's weights: what a Llama replaced. Radford et al. 2019.

Learned positions for rotary ones, LayerNorm with gains and biases for RMSNorm, GELU for SwiGLU, biases everywhere, one
matrix for queries, keys and values, and a head that is the embedding. The `attend` seam is the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from phase01_foundation.project01_minimal_gpt.attention import Attend
from phase01_foundation.project03_pretrain.attention import causal_attention
from phase01_foundation.project03_pretrain.given import safetensors_folder
from phase01_foundation.project03_pretrain.model import check_positions
from shared.checkpoint import CheckpointError

NAMES = {  # ours: theirs; {} is the number of the block. Theirs may all begin with "transformer."
    "embedding.weight": "wte.weight",
    "position_embedding.weight": "wpe.weight",
    "blocks.{}.attention_norm.weight": "h.{}.ln_1.weight",
    "blocks.{}.attention_norm.bias": "h.{}.ln_1.bias",
    "blocks.{}.qkv.weight": "h.{}.attn.c_attn.weight",  # transposed
    "blocks.{}.qkv.bias": "h.{}.attn.c_attn.bias",
    "blocks.{}.out.weight": "h.{}.attn.c_proj.weight",  # transposed
    "blocks.{}.out.bias": "h.{}.attn.c_proj.bias",
    "blocks.{}.feed_forward_norm.weight": "h.{}.ln_2.weight",
    "blocks.{}.feed_forward_norm.bias": "h.{}.ln_2.bias",
    "blocks.{}.feed_forward.up.weight": "h.{}.mlp.c_fc.weight",  # transposed
    "blocks.{}.feed_forward.up.bias": "h.{}.mlp.c_fc.bias",
    "blocks.{}.feed_forward.down.weight": "h.{}.mlp.c_proj.weight",  # transposed
    "blocks.{}.feed_forward.down.bias": "h.{}.mlp.c_proj.bias",
    "norm.weight": "ln_f.weight",
    "norm.bias": "ln_f.bias",
}
# OpenAI's code had a layer of its own, Conv1D, that keeps its matrix as (inputs, outputs); a Linear's is the other way.
TRANSPOSED = ("qkv.weight", "out.weight", "up.weight", "down.weight")
UNUSED = r"lm_head\.weight|(transformer\.)?h\.\d+\.attn\.(masked_)?bias"  # the embedding again; causal masks
FIXED = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class GPT2Config:
    """The shape of a GPT-2; the defaults are the smallest of the four. Raises ValueError for an impossible one."""

    vocab_size: int = 50257
    context_length: int = 1024
    layers: int = 12
    heads: int = 12
    dim: int = 768
    hidden_dim: int = 3072
    norm_eps: float = 1e-5

    def __post_init__(self):
        for name in ("vocab_size", "context_length", "layers", "heads", "dim", "hidden_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads: {self.dim} is none of {self.heads}")
        if not self.norm_eps > 0:
            raise ValueError(f"norm_eps must be above 0, not {self.norm_eps}")


class FeedForward(nn.Module):
    """Two linear layers with a GELU (in its tanh form) between: each position by itself."""

    def __init__(self, config: GPT2Config):
        super().__init__()
        self.up = nn.Linear(config.dim, config.hidden_dim)
        self.down = nn.Linear(config.hidden_dim, config.dim)

    def forward(self, x: Float[Tensor, "batch time dim"]) -> Float[Tensor, "batch time dim"]:
        """Up, GELU, and down again."""
        return self.down(F.gelu(self.up(x), approximate="tanh"))


class Block(nn.Module):
    """One layer: what attention finds, then what the feed-forward makes of it, each added to the stream."""

    def __init__(self, config: GPT2Config, layer: int):
        super().__init__()
        self.layer = layer
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(config.dim, config.norm_eps)
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.feed_forward_norm = nn.LayerNorm(config.dim, config.norm_eps)
        self.feed_forward = FeedForward(config)

    def forward(self, x: Float[Tensor, "batch time dim"], attend: Attend) -> Float[Tensor, "batch time dim"]:
        """Normalise, attend, add; then normalise, feed forward, add."""
        batch, time, dim = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(batch, time, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # three of (batch, head, time, head_dim)
        mixed = attend(self.layer, q, k, v)  # (batch, head, time, head_dim)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, time, dim))
        return x + self.feed_forward(self.feed_forward_norm(x))


class GPT2(nn.Module):
    """The whole model: token ids in, logits for each position's next token out. It has no dropout.

    Untrained, matrices and embeddings are random with deviation 0.02, those that write to the residual stream with
    0.02 / √(2 × layers), so that its variance does not grow with depth; biases are zero and gains one.
    """

    def __init__(self, config: GPT2Config):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.dim)
        self.position_embedding = nn.Embedding(config.context_length, config.dim)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = nn.LayerNorm(config.dim, config.norm_eps)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                writes = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * config.layers) ** 0.5 if writes else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(
        self,
        tokens: Int[Tensor, "batch time"],
        positions: Int[Tensor, "time"] | None = None,
        attend: Attend = causal_attention,
    ) -> Float[Tensor, "batch time vocab"]:
        """Logits for the token after each position, in float32 or, in a float64 model, float64.

        All is as in LLM.forward, but for a position outside the context length: there is no vector for that, so it
        is a ValueError.
        """
        context = self.config.context_length
        positions = check_positions(tokens, positions, context)
        if not 0 <= int(positions.min()) <= int(positions.max()) < context:
            raise ValueError(f"positions must be 0 to {context - 1}, not {positions.tolist()}")
        x = self.embedding(tokens) + self.position_embedding(positions)  # (batch, time, dim)
        for block in self.blocks:
            x = block(x, attend)
        logits = F.linear(self.norm(x), self.embedding.weight)  # (batch, time, vocab)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))


def load(folder: Path | str, dtype: torch.dtype | None = None) -> GPT2:
    """The GPT-2 in a Hugging Face folder with config.json and safetensors; on the CPU.

    The weights are in `dtype`, or, for None, as they are stored. Raises CheckpointError, before any weight is
    read, for a config this model cannot follow, and for a tensor that is missing, of the wrong shape or too many.
    """
    folder = Path(folder)
    config = read_config(safetensors_folder.read_config(folder), str(folder))
    places = safetensors_folder.locate(folder)
    prefix = "transformer." if any(name.startswith("transformer.") for name in places) else ""
    with torch.device("meta"):
        model = GPT2(config)
    theirs, wanted = {}, {}
    for name, parameter in model.named_parameters():
        block = re.search(r"\d+", name)
        number = block[0] if block else ""
        theirs[name] = prefix + NAMES[re.sub(r"\d+", "{}", name)].format(number)
        shape = tuple(parameter.shape)
        wanted[theirs[name]] = shape[::-1] if name.endswith(TRANSPOSED) else shape
    found = safetensors_folder.read(places, wanted, UNUSED, dtype)
    tensors = {name: found[other] for name, other in theirs.items()}
    for name in tensors:
        if name.endswith(TRANSPOSED):
            tensors[name] = tensors[name].T.contiguous()
    model.load_state_dict(tensors, assign=True)
    return model


def read_config(content: Mapping[str, Any], where: str = "config.json") -> GPT2Config:
    """Our GPT2Config from a config.json. Raises CheckpointError for one this model cannot follow, saying why."""
    for name, fixed in FIXED.items():
        if content.get(name, fixed) != fixed or (name == "model_type" and name not in content):
            raise CheckpointError(
                f"{where} has {name} {content.get(name)!r}; this model can only have {fixed!r}"
            )
    smallest = GPT2Config()  # what transformers, too, takes where config.json is silent
    dim = content.get("n_embd", smallest.dim)
    try:
        return GPT2Config(
            vocab_size=content.get("vocab_size", smallest.vocab_size),
            context_length=content.get("n_positions", smallest.context_length),
            layers=content.get("n_layer", smallest.layers),
            heads=content.get("n_head", smallest.heads),
            dim=dim,
            hidden_dim=content.get("n_inner") or 4 * dim,
            norm_eps=content.get("layer_norm_epsilon", smallest.norm_eps),
        )
    except (TypeError, ValueError) as problem:
        raise CheckpointError(f"{where} cannot be used: {problem}") from None
