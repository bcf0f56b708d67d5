"""A GPT: token embedding, a stack of blocks (attention, then feed-forward), and logits for the next token.

The shape is GPT-2's (Radford et al. 2019). Five later choices make it learn faster, and leave less to read:
rotary positions for learned ones (RoFormer), queries and keys normalised (Henry et al. 2020, arXiv:2010.04245),
squared ReLU for GELU (So et al. 2021, arXiv:2109.08668), no biases and no gains, and projections back to the
residual stream that start at zero, so that every block starts out as the identity (ReZero, arXiv:2003.04887).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from phase01_foundation.project01_minimal_gpt.attention import Attend, causal_attention
from phase01_foundation.project01_minimal_gpt.rotary import rotary_angles, rotate
from shared.kinds import check_kinds


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT. Raises ValueError where the numbers do not fit each other."""

    vocab_size: int
    context_length: int = 128
    layers: int = 4
    heads: int = 4
    dim: int = 192
    dropout: float = 0.0

    def __post_init__(self):
        check_kinds(self)
        for name in ("vocab_size", "context_length", "layers", "heads", "dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.dim % (2 * self.heads):
            raise ValueError(
                f"dim must be a multiple of 2 × heads (rotary pairs in every head): "
                f"{self.dim} is none of 2 × {self.heads}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {self.dropout}")


def normalize(x: Float[Tensor, "... dim"]) -> Float[Tensor, "... dim"]:
    """Layer normalisation without gain or bias: mean 0 and variance 1 over the last dimension."""
    return F.layer_norm(x, x.shape[-1:])


class SelfAttention(nn.Module):
    """Queries, keys and values from the stream, `attend` between them, and a projection back to the stream."""

    def __init__(self, config: GPTConfig, layer: int):
        super().__init__()
        self.layer = layer
        self.heads = config.heads
        self.qkv = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.out = nn.Linear(config.dim, config.dim, bias=False)
        nn.init.normal_(self.qkv.weight, std=config.dim**-0.5)  # 1 / √inputs keeps the variance
        nn.init.zeros_(self.out.weight)  # the block starts out adding nothing

    def forward(
        self, x: Float[Tensor, "batch time dim"], angles: Float[Tensor, "time half"], attend: Attend
    ) -> Float[Tensor, "batch time dim"]:
        """Split into heads, normalise and turn queries and keys, attend, join the heads, project.

        `qkv` makes the queries of all heads, then the keys, then the values; a head is dim / heads neighbouring
        columns of each. Queries and keys are normalised head by head, then turned by `angles`, then brought to the
        dtype of the values: under autocast they would differ, and an `attend` may want all three alike. It is called
        as attend(layer, q, k, v), each (batch, head, time, head_dim). `out` projects the joined heads.
        """
        batch, time, dim = x.shape
        qkv = self.qkv(x).view(batch, time, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # three of (batch, head, time, head_dim)
        # Normalised, no query or key can outgrow the others: training bears a higher learning rate.
        # Before the turn, as taking away a mean afterwards would tell absolute positions.
        q, k = rotate(normalize(q), angles).to(v.dtype), rotate(normalize(k), angles).to(v.dtype)
        mixed = attend(self.layer, q, k, v)  # (batch, head, time, head_dim)
        return self.out(mixed.transpose(1, 2).reshape(batch, time, dim))


class FeedForward(nn.Module):
    """Two linear layers, four times as wide in between, with a squared ReLU: each position by itself."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.up = nn.Linear(config.dim, 4 * config.dim, bias=False)
        self.down = nn.Linear(4 * config.dim, config.dim, bias=False)
        nn.init.normal_(self.up.weight, std=config.dim**-0.5)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Float[Tensor, "batch time dim"]) -> Float[Tensor, "batch time dim"]:
        """`up` to four times the width, squared ReLU, and `down` again."""
        return self.down(F.relu(self.up(x)).square())


class Block(nn.Module):
    """One layer: what attention finds, then what the feed-forward makes of it, each added to the stream."""

    def __init__(self, config: GPTConfig, layer: int):
        super().__init__()
        self.attention = SelfAttention(config, layer)
        self.feed_forward = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Float[Tensor, "batch time dim"], angles: Float[Tensor, "time half"], attend: Attend
    ) -> Float[Tensor, "batch time dim"]:
        """Normalise, attend, drop out, add; then normalise, feed forward, drop out, add.

        The stream itself is neither normalised nor dropped: only what each half reads, and what it adds.
        """
        x = x + self.dropout(self.attention(normalize(x), angles, attend))
        return x + self.dropout(self.feed_forward(normalize(x)))


class GPT(nn.Module):
    """The whole model: token ids in, logits for each position's next token out."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.dim)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.head = nn.Linear(config.dim, config.vocab_size, bias=False)
        nn.init.normal_(self.embedding.weight, std=1.0)
        nn.init.normal_(
            self.head.weight, std=0.001
        )  # all tokens start out equally likely: loss ln(vocab_size)

    def forward(
        self,
        tokens: Int[Tensor, "batch time"],
        positions: Int[Tensor, "time"] | None = None,
        attend: Attend = causal_attention,
    ) -> Float[Tensor, "batch time vocab"]:
        """Logits for the token after each position, in float32 or, in a float64 model, float64.

        Embed the tokens and normalise, pass them through all blocks, normalise again, and let `head` make logits.
        Every block gets the rotary angles of `positions`, for heads of dim / heads dimensions, and `attend`.
        `positions` are the tokens' places in the text. Without them they are 0, 1, 2, ..., on the device of the tokens;
        given ones may be any. Raises ValueError for no tokens and for more than the context length; in both cases it
        names how many there are and the context length.
        """
        time = tokens.shape[1]
        if not 1 <= time <= self.config.context_length:
            raise ValueError(f"the model reads 1 to {self.config.context_length} tokens at once, not {time}")
        if positions is None:
            positions = torch.arange(time, device=tokens.device)
        angles = rotary_angles(positions, self.config.dim // self.config.heads)  # (time, head_dim / 2)
        x = normalize(self.embedding(tokens))  # (batch, time, dim)
        for block in self.blocks:
            x = block(x, angles, attend)
        logits = self.head(normalize(x))  # (batch, time, vocab)
        # Under autocast they are bfloat16, whose three digits are too few for a loss.
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())


def next_token_loss(
    logits: Float[Tensor, "batch time vocab"], targets: Int[Tensor, "batch time"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats a token: minus the log of the probability given to the token that came.

    The targets may be a slice of a larger tensor, whose numbers do not lie side by side in memory.
    """
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())
