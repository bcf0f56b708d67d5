"""A small model to try things on, with nothing hidden by a zero; and a small example, for `ladder trace 3`."""

from dataclasses import replace

import numpy as np
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


def trace_example() -> float:
    """Take a training step on a batch of tokens with Muon, then score how likely the last tokens are."""
    # Not above: the tests of the model's parts import this file, and need nothing of what trains it.
    from phase01_foundation.project03_pretrain.batches import Batches
    from phase01_foundation.project03_pretrain.optimizers import make_optimizers
    from phase01_foundation.project03_pretrain.scoring import log_likelihoods
    from phase01_foundation.project03_pretrain.step import training_step

    model, _ = example(replace(TINY, layers=1))
    text = np.arange(100, dtype=np.uint16) % TINY.vocab_size
    batches = Batches(text, batch_size=2, context_length=TINY.context_length, seed=0)
    training_step(model, make_optimizers(model), batches.next(), rate=0.01)
    [answer] = log_likelihoods(model, [(text[:5], text[5:8])])
    return answer.total
