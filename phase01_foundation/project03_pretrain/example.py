"""A small model to try things on, with nothing hidden by a zero."""

from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from phase01_foundation.project03_pretrain.model import LLM, Config

TINY = Config(vocab_size=11, context_length=16, layers=2, heads=4, kv_heads=2, dim=16, hidden_dim=24)
SHAPES = [
    TINY,
    replace(TINY, kv_heads=4, tied_embeddings=True, rope_base=500.0),
    replace(TINY, kv_heads=1, head_dim=6, qk_norm=True),
    replace(TINY, activation="squared_relu", logit_softcap=2.0),
]
"""one with each option at work"""


def example(
    config: Config = TINY, dtype: torch.dtype = torch.float32
) -> tuple[LLM, Int[Tensor, "batch time"]]:
    """A model with all weights random, gains too, and three texts for it; the same at every call."""
    torch.manual_seed(0)
    model = LLM(config).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(mean=0.1, std=0.3)
    return model, torch.randint(config.vocab_size, (3, config.context_length))
