"""Small random models and pools to try a prompt cache on, and a small example for `ladder trace 10`."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from phase04_advanced_inference.project10_prompt_caching.block_hash import BlockKey
from phase04_advanced_inference.project10_prompt_caching.block_pool import BlockPool
from shared.phase01 import LLM, Config
from shared.phase03 import KVCache

TINY = Config(
    vocab_size=29, context_length=40, layers=2, heads=4, kv_heads=2, dim=24, hidden_dim=36, head_dim=6
)


def random_model(config: Config = TINY, dtype: torch.dtype = torch.float64, seed: int = 0) -> LLM:
    """A model with all weights random, the same at every call; a deviation of 0.2 leaves no ties for the likeliest."""
    generator = torch.Generator().manual_seed(seed)
    model = LLM(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            mean = 1.0 if parameter.ndim == 1 else 0.0
            parameter.copy_(mean + 0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def random_text(length: int, seed: int = 0, vocab_size: int = TINY.vocab_size) -> list[int]:
    """So many random tokens."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(vocab_size, (length,), generator=generator).tolist()


@torch.no_grad()
def without_cache(model: LLM, tokens: Sequence[int]) -> Float[Tensor, "vocab"]:
    """The logits after a text, from a pass over all of it."""
    return model(torch.tensor([list(tokens)]))[0, -1]


def spoiled(cache: KVCache) -> KVCache:
    """The cache with every slot full of NaN: what is read of them by mistake shows in everything after it."""
    for buffer in [*cache.keys, *cache.values]:
        buffer.fill_(torch.nan)
    return cache


def chain(*blocks: Sequence[int], salt: str = "", hash: bytes | None = None) -> list[BlockKey]:
    """Keys of a text of these blocks, each with a hash of its own, its prefix written out, or all with the same one."""
    keys: list[BlockKey] = []
    for i, tokens in enumerate(blocks):
        name = hash or repr((salt, [tuple(block) for block in blocks[: i + 1]])).encode()
        keys.append(BlockKey(keys[-1] if keys else None, tuple(tokens), salt, name))
    return keys


def same_hashes(
    tokens: Sequence[int], block_size: int, salt: str = "", known: Sequence[BlockKey] = ()
) -> list[BlockKey]:
    """As `block_keys`, with a hash that is always the same: nothing but a comparison can tell texts apart."""
    ends = range(block_size, len(tokens) + 1, block_size)
    return chain(*[tokens[end - block_size : end] for end in ends], salt=salt, hash=b"0")


def hold(pool: BlockPool, count: int) -> list[int]:
    """So many empty blocks of a pool, with one reference each, by hand."""
    blocks = [pool.empty.pop() for _ in range(count)]
    for block in blocks:
        pool.references[block] = 1
    return blocks


def put(pool: BlockPool, keys: Sequence[BlockKey], idle: bool = False) -> list[int]:
    """Blocks that are published under the keys of a text, by hand: held once, or idle, its last block the oldest."""
    blocks = hold(pool, len(keys))
    for number, (block, key) in enumerate(zip(blocks, keys, strict=True)):
        pool.keys[block], pool.parents[block] = key, blocks[number - 1] if number else None
        pool.index.setdefault(key.hash, []).append(block)
    for block in reversed(blocks if idle else []):
        pool.references[block] = 0
        pool.idle[block] = None
    return blocks


def trace_example() -> list[int]:
    """A conversation of two turns with a prompt cache, and a question that is asked twice."""
    from phase04_advanced_inference.project10_prompt_caching.prompt_cache import PromptCache
    from phase04_advanced_inference.project10_prompt_caching.response_cache import (
        ResponseCache,
        request_key,
    )
    from shared.phase01 import SamplingParams
    from shared.phase03 import step

    model = random_model(dtype=torch.float32)
    texts, cache = PromptCache(model, num_blocks=6, block_size=4), KVCache(model.config)
    prompt, answer, question = random_text(9), [3, 1, 4], [1, 5]
    first = texts.prefill(cache, 0, prompt)
    for token in answer:
        step(model, cache, [[token]])
    texts.keep(cache, 0, prompt + answer, known=first.keys)
    cache.rewind(0, 0)
    texts.prefill(cache, 0, prompt + answer + question)
    answers = ResponseCache()
    key = request_key("tiny", prompt, SamplingParams(temperature=0))
    answers.put(key, answer)
    return list(answers.get(key) or ())
