"""The model that every later project uses: a Llama, which reads the checkpoints of its family.

What differs from project 1's GPT: RMSNorm with a gain (Zhang & Sennrich 2019, arXiv:1910.07467), a gated feed-forward
(SwiGLU: Shazeer 2020, arXiv:2002.05202), and fewer heads of keys and values than of queries (GQA: Ainslie et al. 2023,
arXiv:2305.13245). The whole: Touvron et al. 2023, "LLaMA" (arXiv:2302.13971).

Before training, matrices are random with standard deviation 1/√inputs, which keeps a vector's variance; those that
write to the residual stream, `out` and `down`, are zero, so every block starts out as the identity; gains are one. The
embedding has deviation 1 and the head 0.001, so all tokens start out equally likely; where they are one, 0.02 serves
both.

How positions look at each other is a seam, project 1's `Attend`: once a layer, attend(layer, q, k, v) -> mixed values.

    q               (batch, heads, time, head_dim)       normalised, if the model does that, and turned
    k, v            (batch, kv_heads, time, head_dim)    not repeated, so that a cache stores the small ones; k turned
    mixed values    (batch, heads, time, head_dim)

Query head h belongs to key and value head h // (heads / kv_heads).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from phase01_foundation.project01_minimal_gpt import attention as equal_heads
from phase01_foundation.project01_minimal_gpt.attention import Attend
from phase01_foundation.project01_minimal_gpt.rotary import rotary_angles, rotate
from phase01_foundation.project03_pretrain.given.chunked_loss import summed_cross_entropy
from shared.kinds import check_kinds

Activation = Literal["swiglu", "squared_relu"]


@dataclass(frozen=True)
class Config:
    """The shape of an LLM. Raises ValueError where the numbers do not fit each other, or are no finite numbers."""

    vocab_size: int
    context_length: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 4
    """heads of keys and values; heads / kv_heads query heads share each"""
    dim: int = 256
    """the width of the residual stream"""
    hidden_dim: int = 688
    """the width inside the feed-forward"""
    head_dim: int | None = None
    """the width of a head, where it is not dim / heads"""
    rope_base: float = 10_000.0
    """the higher, the slower the slowest rotary pair turns, and the farther it can tell places apart"""
    norm_eps: float = 1e-5
    tied_embeddings: bool = False
    """the head's matrix is the embedding's"""
    qk_norm: bool = False
    """normalise each query and key (RMSNorm with a gain), as Qwen3 does: bears higher learning rates"""
    activation: Activation = "swiglu"
    """or squared_relu: no gate, so two matrices instead of three"""
    logit_softcap: float | None = None
    """keep logits between ± this, by cap × tanh(logits / cap), as Gemma 2 does"""
    dropout: float = 0.0
    """the share of units dropped in training from what each block adds; for small corpora, read many times"""

    def __post_init__(self):
        check_kinds(self)
        for name in ("vocab_size", "context_length", "layers", "heads", "kv_heads", "dim", "hidden_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads must be a multiple of kv_heads: {self.heads} is none of {self.kv_heads}")
        if self.head_dim is None and self.dim % self.heads:
            raise ValueError(
                f"dim must be a multiple of heads: {self.dim} is none of {self.heads}; or set head_dim"
            )
        if self.head_width < 1 or self.head_width % 2:
            raise ValueError(f"a head needs an even width (rotary pairs), at least 2, not {self.head_width}")
        for name in ("rope_base", "norm_eps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if self.activation not in get_args(Activation):
            allowed = " or ".join(get_args(Activation))
            raise ValueError(f"activation must be {allowed}, not {self.activation!r}")
        if self.logit_softcap is not None and not self.logit_softcap > 0:
            raise ValueError(f"logit_softcap must be above 0, or None for no cap, not {self.logit_softcap}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {self.dropout}")

    @property
    def head_width(self) -> int:
        """The width of a head: head_dim where that is set, else dim / heads."""
        return self.dim // self.heads if self.head_dim is None else self.head_dim


class RMSNorm(nn.Module):
    """x / √(mean(x²) + eps) over the last dimension, times a gain for each of its entries."""

    def __init__(self, dim: int, eps: float):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Float[Tensor, "*rest dim"]) -> Float[Tensor, "*rest dim"]:
        """Divide by √(mean(x²) + eps), all in float32 at least; back in x's dtype, multiply by the gain."""
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        exact = exact * torch.rsqrt(exact.square().mean(dim=-1, keepdim=True) + self.eps)
        return self.weight * exact.to(x.dtype)


def repeat_heads(
    x: Float[Tensor, "batch kv_head time dim"], heads: int
) -> Float[Tensor, "batch {heads} time dim"]:
    """Every key or value head once for each query head that shares it: 0, 0, 1, 1 for four heads on two."""
    if x.shape[1] == heads:
        return x
    return x.repeat_interleave(heads // x.shape[1], dim=1)


def causal_attention(
    layer: int,
    q: Float[Tensor, "batch head time dim"],
    k: Float[Tensor, "batch kv_head time dim"],
    v: Float[Tensor, "batch kv_head time dim"],
) -> Float[Tensor, "batch head time dim"]:
    """Attention written out. Scores and softmax are in float32 at least, whatever the model's own precision."""
    exact = torch.promote_types(q.dtype, torch.float32)
    k, v = repeat_heads(k, q.shape[1]), repeat_heads(v, q.shape[1])
    return equal_heads.causal_attention(layer, q.to(exact), k.to(exact), v)


def torch_attention(
    layer: int,
    q: Float[Tensor, "batch head time dim"],
    k: Float[Tensor, "batch kv_head time dim"],
    v: Float[Tensor, "batch kv_head time dim"],
) -> Float[Tensor, "batch head time dim"]:
    """The same by torch's fused kernel, which never holds the (time, time) matrix."""
    k, v = repeat_heads(k, q.shape[1]), repeat_heads(v, q.shape[1])
    return equal_heads.torch_attention(layer, q, k, v)


class Attention(nn.Module):
    """Queries, keys and values from the stream, `attend` between them, and a projection back to the stream."""

    def __init__(self, config: Config, layer: int):
        super().__init__()
        self.layer = layer
        self.width = config.head_width
        self.q = _linear(config.dim, config.heads * self.width)
        self.k = _linear(config.dim, config.kv_heads * self.width)
        self.v = _linear(config.dim, config.kv_heads * self.width)
        self.q_norm = RMSNorm(self.width, config.norm_eps) if config.qk_norm else nn.Identity()
        self.k_norm = RMSNorm(self.width, config.norm_eps) if config.qk_norm else nn.Identity()
        self.out = _linear(config.heads * self.width, config.dim, std=0.0)

    def forward(
        self, x: Float[Tensor, "batch time dim"], angles: Float[Tensor, "time half"], attend: Attend
    ) -> Float[Tensor, "batch time dim"]:
        """Make queries, keys and values, split them into heads, attend, join the heads, and project with `out`.

        A head is `width` neighbouring columns of what a linear layer makes. Queries and keys go through their norms
        head by head, which change nothing without qk_norm; then they are turned by `angles` and brought back to the
        values' dtype, since an `attend` may want all three alike. It is called as attend(layer, q, k, v), q with
        (batch, heads, time, width), k and v with (batch, kv_heads, time, width), not repeated.

        Nothing here reads a number back (no `.item()`), and no function is defined inside (the tests would wrap it in
        checks of shapes): torch.compile makes one graph of the whole model.
        """
        split = (*x.shape[:2], -1, self.width)
        q = self.q_norm(self.q(x).view(split)).transpose(1, 2)  # (batch, head, time, head_dim)
        k = self.k_norm(self.k(x).view(split)).transpose(1, 2)  # (batch, kv_head, time, head_dim)
        v = self.v(x).view(split).transpose(1, 2)  # (batch, kv_head, time, head_dim)
        q, k = rotate(q, angles).to(v.dtype), rotate(k, angles).to(v.dtype)
        mixed = attend(self.layer, q, k, v)  # (batch, head, time, head_dim)
        return self.out(mixed.transpose(1, 2).flatten(2))


class SwiGLU(nn.Module):
    """down(silu(gate(x)) × up(x)): what the gate lets through of each hidden value."""

    def __init__(self, config: Config):
        super().__init__()
        self.gate = _linear(config.dim, config.hidden_dim)
        self.up = _linear(config.dim, config.hidden_dim)
        self.down = _linear(config.hidden_dim, config.dim, std=0.0)

    def forward(self, x: Float[Tensor, "batch time dim"]) -> Float[Tensor, "batch time dim"]:
        """Two ways up, `gate` through silu and `up`, multiplied, and down again: each position by itself."""
        return self.down(F.silu(self.gate(x)) * self.up(x))


class SquaredReLU(nn.Module):
    """down(relu(up(x))²): project 1's feed-forward. So et al. 2021 (arXiv:2109.08668)."""

    def __init__(self, config: Config):
        super().__init__()
        self.up = _linear(config.dim, config.hidden_dim)
        self.down = _linear(config.hidden_dim, config.dim, std=0.0)

    def forward(self, x: Float[Tensor, "batch time dim"]) -> Float[Tensor, "batch time dim"]:
        """Up, squared ReLU, and down again: each position by itself."""
        return self.down(F.relu(self.up(x)).square())


class UnitDropout(nn.Module):
    """In training, drop a random share of units, the same ones at all positions of a row, and scale up the others.

    Gal & Ghahramani 2016 (arXiv:1512.05287). A random number for each unit of a row, instead of each unit of each
    position: on a CPU, drawing those took a quarter of a training step.
    """

    def __init__(self, share: float):
        super().__init__()
        self.share = share

    def forward(self, x: Float[Tensor, "batch time dim"]) -> Float[Tensor, "batch time dim"]:
        """x × mask / (1 - share), with a mask of (batch, 1, dim); x itself in evaluation mode or where share is 0."""
        if not self.training or not self.share:
            return x
        kept = torch.rand(len(x), 1, x.shape[-1], device=x.device) >= self.share
        return x * (kept / (1 - self.share)).to(x.dtype)


class Embedding(nn.Embedding):
    """A vector for each token, where the residual stream begins; `stream_dtype`, where set, is the stream's format.

    What the blocks add has the format of matrix products, and a sum has the wider of its two: unless the stream begins
    in bfloat16, it is float32 to its end.
    """

    stream_dtype: torch.dtype | None = None

    def forward(self, input: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time dim"]:
        """The tokens' vectors, in the weights' format or in that of the stream."""
        x = super().forward(input)  # (batch, time, dim)
        return x if self.stream_dtype is None else x.to(self.stream_dtype)


class Block(nn.Module):
    """One layer. `feed_forward` may be replaced by any module from (batch, time, dim) to the same shape."""

    def __init__(self, config: Config, layer: int):
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = RMSNorm(config.dim, config.norm_eps)
        swiglu = config.activation == "swiglu"
        self.feed_forward: nn.Module = SwiGLU(config) if swiglu else SquaredReLU(config)
        self.dropout = UnitDropout(config.dropout)

    def forward(
        self, x: Float[Tensor, "batch time dim"], angles: Float[Tensor, "time half"], attend: Attend
    ) -> Float[Tensor, "batch time dim"]:
        """Normalise, attend, drop out, add; then normalise, feed forward, drop out, add.

        The stream itself is neither normalised nor dropped: only what each half reads, and what it adds. It keeps its
        dtype, under autocast too.
        """
        x = x + self.dropout(self.attention(self.attention_norm(x), angles, attend))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


class LLM(nn.Module):
    """The whole model: token ids in, logits for each position's next token out.

    With `gradient_checkpointing` set to True, a training step keeps one vector a block and position, and computes
    the rest again on the way back: the same gradients with far less memory, for about a third more work. Chen et
    al. 2016 (arXiv:1604.06174). `attend` is how it attends where no other way is given.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.gradient_checkpointing = False
        self.attend: Attend = causal_attention
        self.embedding = Embedding(config.vocab_size, config.dim)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.head = _linear(config.dim, config.vocab_size, std=0.001)
        nn.init.normal_(self.embedding.weight, std=0.02 if config.tied_embeddings else 1.0)
        if config.tied_embeddings:
            self.head.weight = self.embedding.weight

    def forward(
        self,
        tokens: Int[Tensor, "batch time"],
        positions: Int[Tensor, "time"] | None = None,
        attend: Attend | None = None,
        targets: Int[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch time vocab"] | Float[Tensor, ""]:
        """Logits for the token after each position, in float32 or, in a float64 model, float64.

        `positions` are the tokens' places in their text, 0, 1, 2, ... unless given. Texts at different places, as a
        server has, go in end to end as one row, with an `attend` that keeps them apart; such a row may be longer
        than the context. Without `attend` it is the model's own, `self.attend`. Raises ValueError for no tokens at
        all, without `positions` for more of them than the context length, and for positions that are not as many:
        it names both numbers.

        With `targets`, the token after each position or IGNORED, the answer is their summed cross-entropy instead,
        in nats: the logits of a large batch would be the largest tensor of a training step, so they are made, used
        and dropped some rows at a time (`given/chunked_loss.py`).
        """
        x = self.hidden(tokens, positions, attend or self.attend)
        if targets is None:
            return self.logits(x)
        return summed_cross_entropy(self.logits, x, targets, self.config.vocab_size)

    def hidden(
        self,
        tokens: Int[Tensor, "batch time"],
        positions: Int[Tensor, "time"] | None = None,
        attend: Attend = causal_attention,
    ) -> Float[Tensor, "batch time dim"]:
        """The residual stream after the last block: forward without the logits, for who needs those of few places.

        Embed the tokens and pass them through all blocks, with the rotary angles of their positions, in float32
        whatever the model's precision. `check_positions` gives the positions, or raises what forward says. With
        `gradient_checkpointing`, and where gradients are wanted at all, each block runs under torch's `checkpoint`,
        which draws the same dropout again. It must not be the reentrant kind, which finds no gradient for a block whose
        input needs none.
        """
        config = self.config
        positions = check_positions(tokens, positions, config.context_length)
        angles = rotary_angles(positions, config.head_width, config.rope_base)  # (time, head_dim / 2)
        x = self.embedding(tokens)  # (batch, time, dim)
        for block in self.blocks:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, angles, attend, use_reentrant=False)
            else:
                x = block(x, angles, attend)
        return x

    def logits(self, x: Float[Tensor, "batch time dim"]) -> Float[Tensor, "batch time vocab"]:
        """Last norm and head, on the residual stream after the last block, or after an earlier one.

        In float32 at least, whatever the head's precision; then, with config.logit_softcap, cap × tanh(logits / cap).
        """
        logits = self.head(self.norm(x))  # (batch, time, vocab)
        # In bfloat16, three digits are too few for a loss.
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        cap = self.config.logit_softcap
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def parameter_count(self) -> int:
        """How many numbers are trained; a matrix with two uses counts once."""
        return sum(parameter.numel() for parameter in self.parameters())


def check_positions(
    tokens: Int[Tensor, "batch time"], positions: Int[Tensor, "given"] | None, context_length: int
) -> Int[Tensor, "time"]:
    """The positions of a step's tokens: 0, 1, 2, ... unless given. Raises ValueError as LLM.forward says."""
    time = tokens.shape[1]
    if time < 1 or (positions is None and time > context_length):
        raise ValueError(f"the model reads 1 to {context_length} tokens at once, not {time}")
    if positions is None:
        return torch.arange(time, device=tokens.device)
    if len(positions) != time:
        raise ValueError(f"the model needs one position for each of its {time} tokens, not {len(positions)}")
    return positions


def from_tensors(config: Config, tensors: Mapping[str, Tensor]) -> LLM:
    """An LLM around these weights, named as in its state_dict, without making random ones first (torch's meta device).

    The model takes the tensors as they are, with their dtype and device, and copies none. Where embeddings are tied,
    no "head.weight" is needed, and the head's weight is the embedding's: one parameter with two places. Raises
    RuntimeError for a tensor that is missing, too many or of the wrong shape, naming it.
    """
    with torch.device("meta"):
        model = LLM(config)
    tensors = dict(tensors)
    if config.tied_embeddings and "embedding.weight" in tensors:
        tensors["head.weight"] = tensors["embedding.weight"]
    model.load_state_dict(tensors, assign=True)
    if config.tied_embeddings:
        model.head.weight = model.embedding.weight
    return model


def _linear(inputs: int, outputs: int, std: float | None = None) -> nn.Linear:
    """A linear layer without a bias, its weights random with this deviation, 1/√inputs unless given."""
    linear = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(linear.weight, std=inputs**-0.5 if std is None else std)
    return linear
