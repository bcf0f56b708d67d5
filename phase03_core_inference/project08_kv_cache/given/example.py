"""Small random models to try a cache on, and a small example for `ladder trace 8`."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from phase03_core_inference.project08_kv_cache.kv_cache import KVCache
from shared.phase01 import LLM, Config, SamplingParams, choose

TINY = Config(
    vocab_size=29, context_length=40, layers=2, heads=4, kv_heads=2, dim=24, hidden_dim=36, head_dim=6
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
    """A model with all weights random; the same at every call. Its likeliest tokens stand well apart.

    A deviation of 0.2 keeps the two likeliest at least 1e-6 apart, far above float64's rounding: two right ways write
    the same text. With 0.02 there would be ties.
    """
    generator = torch.Generator().manual_seed(seed)
    model = LLM(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            mean = 1.0 if parameter.ndim == 1 else 0.0
            parameter.copy_(mean + 0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def random_prompts(
    count: int, seed: int = 0, longest: int = 12, vocab_size: int = TINY.vocab_size
) -> list[list[int]]:
    """Prompts of 1 to `longest` random tokens."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    return [torch.randint(vocab_size, (length,), generator=generator).tolist() for length in lengths]


@torch.inference_mode()
def without_cache(model: LLM, prompt: Sequence[int], params: SamplingParams) -> list[int]:
    """The slow way, one prompt: each token from a fresh forward pass over the whole text."""
    text, generator = list(prompt), torch.Generator().manual_seed(params.seed)
    while len(text) - len(prompt) < params.max_tokens and len(text) <= model.config.context_length:
        logits = model(torch.tensor([text]))[0, -1]
        token = choose(logits, torch.tensor(text), params, generator)
        if token in params.stop_ids:
            break
        text.append(token)
    return text[len(prompt) :]


def spoiled(cache: KVCache) -> KVCache:
    """The cache with every slot full of NaN: what is read of them by mistake shows in everything after it."""
    for buffer in [*cache.keys, *cache.values]:
        buffer.fill_(torch.nan)
    return cache


def random_heads(
    *shape: int, count: int = 1, seed: int = 0, dtype: torch.dtype = torch.float64
) -> list[Float[Tensor, "..."]]:
    """So many random tensors of one shape."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for _ in range(count)]


def trace_example() -> list[list[int]]:
    """Write three tokens after each of two prompts, with a cache, a window and a whole step in C++."""
    from phase03_core_inference.project08_kv_cache.decode_attention import DecodeAttention
    from phase03_core_inference.project08_kv_cache.decode_step import DecodeStep
    from phase03_core_inference.project08_kv_cache.generation import generate_tokens, step
    from phase03_core_inference.project08_kv_cache.linear import use_own_products
    from phase03_core_inference.project08_kv_cache.memory import (
        bytes_per_token,
        tokens_per_second,
        weight_bytes,
    )
    from phase03_core_inference.project08_kv_cache.window import SlidingWindowCache

    config, prompts = replace(WIDE[0], layers=1), [[3, 1, 4, 1, 5], [9, 2]]
    model = random_model(config, torch.float32)
    params = SamplingParams(max_tokens=3, temperature=0)
    written = generate_tokens(model, prompts, params, decode=DecodeStep(model))
    generate_tokens(model, prompts, params, SlidingWindowCache(config, 4, rows=2))
    tokens_per_second(20e9, weight_bytes(model), 10 * bytes_per_token(config, torch.float32))
    use_own_products(model)
    cache = KVCache(config, rows=1, capacity=4)
    cache.decode = DecodeAttention(cache)
    step(model, cache, [prompts[0]])
    cache.rewind(0, 3)
    step(model, cache, [prompts[1][:1]])
    return written
