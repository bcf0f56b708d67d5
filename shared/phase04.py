"""What phase 4 hands to the phases above, each name with the project that teaches it."""

# project 10, prompt caching
from phase04_advanced_inference.project10_prompt_caching.block_hash import BlockKey, block_keys, hash_block
from phase04_advanced_inference.project10_prompt_caching.block_pool import BlockPool
from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project10_prompt_caching.hit_rate import HitRate
from phase04_advanced_inference.project10_prompt_caching.prompt_cache import PromptCache
from phase04_advanced_inference.project10_prompt_caching.response_cache import ResponseCache, request_key

__all__ = [
    "BlockKey",
    "BlockPool",
    "BlockStore",
    "HitRate",
    "PromptCache",
    "ResponseCache",
    "block_keys",
    "hash_block",
    "request_key",
]
