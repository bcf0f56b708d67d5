"""Small models and stores to try paged attention on, full of NaN but for what was written."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from shared.phase01 import LLM, Config

TINY = Config(
    vocab_size=29, context_length=60, layers=2, heads=4, kv_heads=2, dim=24, hidden_dim=36, head_dim=6
)
SHAPES = [
    TINY,
    replace(TINY, kv_heads=4, tied_embeddings=True, rope_base=500.0),
    replace(TINY, kv_heads=1, qk_norm=True, layers=3, norm_eps=0.1),
    replace(TINY, activation="squared_relu", logit_softcap=2.0),
]
"""one with each option at work"""
WIDE = [replace(config, head_dim=16) for config in SHAPES]
"""the same with heads of a size that the kernels are made for"""


def random_model(config: Config = TINY, dtype: torch.dtype = torch.float64, seed: int = 0) -> LLM:
    """A model with all weights random, its likeliest tokens well apart; the same at every call."""
    generator = torch.Generator().manual_seed(seed)
    model = LLM(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            mean = 1.0 if parameter.ndim == 1 else 0.0
            parameter.copy_(mean + 0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def random_numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Float[Tensor, "..."]:
    """Normal numbers; of the same seed the same, whatever the dtype, but for its rounding."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def empty_store(
    config: Config, num_blocks: int, block_size: int, dtype: torch.dtype = torch.float64
) -> BlockStore:
    """A store with every slot full of NaN: what is read of them by mistake shows in everything after it."""
    store = BlockStore(config, num_blocks, block_size, dtype)
    for buffer in [*store.keys, *store.values]:
        buffer.fill_(torch.nan)
    return store


def shuffled_tables(lengths: list[int], block_size: int, num_blocks: int, seed: int = 0) -> list[list[int]]:
    """A table for a text of each length, of blocks drawn without any order, none twice."""
    order = torch.randperm(num_blocks, generator=torch.Generator().manual_seed(seed)).tolist()
    tables = []
    for length in lengths:
        tables.append([order.pop() for _ in range(-(-length // block_size))])
    return tables


def scattered(
    texts: list[Float[Tensor, "kv_head _ dim"]],
    tables: list[list[int]],
    num_blocks: int,
    block_size: int,
) -> Float[Tensor, "kv_head slot dim"]:
    """Keys (or values) of texts, each token in the slot that its text's table says; NaN everywhere else."""
    kv_heads, _, width = texts[0].shape
    stored = torch.full((kv_heads, num_blocks * block_size, width), torch.nan, dtype=texts[0].dtype)
    for text, table in zip(texts, tables, strict=True):
        for place in range(text.shape[1]):
            stored[:, table[place // block_size] * block_size + place % block_size] = text[:, place]
    return stored
