"""The benchmark's peer: nanoGPT's recipe for Shakespeare on a CPU, its model put together from torch's own parts.

The numbers are those of its README and its config/train_shakespeare_char.py: 0.8 million parameters, 2,000 steps
of 12 × 64 characters, AdamW with a cosine, float32. https://github.com/karpathy/nanoGPT
"""

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from phase01_foundation.project01_minimal_gpt.model import next_token_loss
from phase01_foundation.project01_minimal_gpt.training import sample_batch

CONTEXT, LAYERS, HEADS, DIM = 64, 4, 4, 128
BATCH, STEPS, WARMUP = 12, 2000, 100
PEAK_RATE, LAST_RATE, WEIGHT_DECAY, BETAS, MAX_NORM = 1e-3, 1e-4, 0.1, (0.9, 0.99), 1.0


class NanoGPT(nn.Module):
    """GPT-2's architecture: learned positions, layer norms with gains, GELU, embedding and head tied, no biases."""

    def __init__(self, vocab_size: int):
        super().__init__()
        self.token, self.position = nn.Embedding(vocab_size, DIM), nn.Embedding(CONTEXT, DIM)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                DIM, HEADS, 4 * DIM, 0.0, "gelu", batch_first=True, norm_first=True, bias=False
            )
            for _ in range(LAYERS)
        )
        self.norm = nn.LayerNorm(DIM, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                # The projections back to the residual stream start smaller, the more of them add up.
                into_stream = name.endswith(("out_proj.weight", "linear2.weight"))
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * LAYERS) if into_stream else 1))

    def forward(self, tokens: Tensor) -> Tensor:
        time = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(time)
        x = self.token(tokens) + self.position.weight[:time]
        for block in self.blocks:
            x = block(x, src_mask=mask, is_causal=True)
        return self.norm(x) @ self.token.weight.T


@torch.no_grad()
def validation_loss(model: NanoGPT, data: Tensor) -> float:
    """The mean loss over `data` in windows of the context length; the rest, below one window, is left out."""
    whole = (len(data) - 1) // CONTEXT * CONTEXT
    inputs, targets = data[:whole].view(-1, CONTEXT), data[1 : whole + 1].view(-1, CONTEXT)
    losses = [
        next_token_loss(model(some), expected).item() * len(some)
        for some, expected in zip(inputs.split(64), targets.split(64), strict=True)
    ]
    return sum(losses) / len(inputs)


def train(train_ids: Tensor, validation_ids: Tensor, steps: int, every: int) -> Iterator[tuple[float, float]]:
    """Train for `steps`, and every so many steps yield the seconds of training so far and the validation loss."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = NanoGPT(int(max(train_ids.max(), validation_ids.max())) + 1)
    decay = [parameter for parameter in model.parameters() if parameter.dim() == 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() != 2]
    groups = [{"params": decay, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=BETAS)
    seconds = 0.0
    for step in range(steps):
        start = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, steps)
        tokens, targets = sample_batch(train_ids, BATCH, CONTEXT, generator)
        loss = next_token_loss(model(tokens), targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        optimizer.step()
        seconds += time.perf_counter() - start
        if (step + 1) % every == 0 or step + 1 == steps:
            yield seconds, validation_loss(model, validation_ids)


def _rate(step: int, steps: int) -> float:
    if step < WARMUP:
        return PEAK_RATE * (step + 1) / (WARMUP + 1)
    share = (step - WARMUP) / max(1, steps - WARMUP)
    return LAST_RATE + (PEAK_RATE - LAST_RATE) * (1 + math.cos(math.pi * share)) / 2
