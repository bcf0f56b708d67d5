import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from phase01_foundation.project03_pretrain.attention import causal_attention
from phase01_foundation.project03_pretrain.flops import flops_per_token
from phase01_foundation.project03_pretrain.model import LLM, Config

SHAPES = [
    Config(50, 16, layers=2, heads=2, kv_heads=2, dim=16, hidden_dim=40),
    Config(70, 8, layers=3, heads=4, kv_heads=2, dim=16, hidden_dim=24, tied_embeddings=True, qk_norm=True),
    Config(30, 8, layers=1, heads=4, kv_heads=1, dim=16, hidden_dim=64, activation="squared_relu"),
    Config(30, 8, layers=2, heads=3, kv_heads=1, dim=16, hidden_dim=24, head_dim=6),
]


@pytest.mark.task(7)
@pytest.mark.parametrize("config", SHAPES, ids=["plain", "grouped and tied", "no gate", "own head width"])
def test_it_is_what_torch_counts_going_forward_and_back(config):
    """Every matrix product of a step; `causal_attention` makes all scores, as the formula counts them."""
    model, tokens = LLM(config), torch.zeros(3, config.context_length, dtype=torch.int64)
    counter = FlopCounterMode(display=False)
    with counter:
        model(tokens, attend=causal_attention).sum().backward()
    assert flops_per_token(config) == counter.get_total_flops() / tokens.numel()


@pytest.mark.task(7)
def test_a_long_context_costs_its_attention():
    """The known size of things: GPT-2 small at 1024 takes 6 × its weights, and an eighth more for attention."""
    small = Config(50257, 1024, 12, 12, 12, 768, 3072, activation="squared_relu", tied_embeddings=True)
    with torch.device("meta"):
        weights = sum(p.numel() for p in LLM(small).parameters() if p.ndim == 2)
    assert flops_per_token(small) == 6 * weights + 12 * 12 * 768 * 1024
