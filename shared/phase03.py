"""What phase 3 hands to the phases above, each name with the project that teaches it."""

# project 7, mixed precision
from phase03_core_inference.project07_mixed_precision.autocast import Autocast
from phase03_core_inference.project07_mixed_precision.half_emulation import emulate_half
from phase03_core_inference.project07_mixed_precision.inference import cast_for_inference
from phase03_core_inference.project07_mixed_precision.kahan import KahanAdamW
from phase03_core_inference.project07_mixed_precision.master_weights import MasterWeights
from phase03_core_inference.project07_mixed_precision.memory import bytes_held, memory_report
from phase03_core_inference.project07_mixed_precision.rounding import (
    round_to_bfloat16,
    round_to_float8,
    round_to_float16,
    stochastic_round,
)
from phase03_core_inference.project07_mixed_precision.scaler import GradScaler
from phase03_core_inference.project07_mixed_precision.step import scaled_step

# project 8, KV cache
from phase03_core_inference.project08_kv_cache.decode_attention import DecodeAttention
from phase03_core_inference.project08_kv_cache.decode_step import DecodeStep, step_source
from phase03_core_inference.project08_kv_cache.generation import generate_tokens, step, stream_tokens
from phase03_core_inference.project08_kv_cache.given.kernels import FORMATS, WIDTHS
from phase03_core_inference.project08_kv_cache.given.kernels import library as kernel_library
from phase03_core_inference.project08_kv_cache.given.packed import Packed
from phase03_core_inference.project08_kv_cache.given.text import stream_text
from phase03_core_inference.project08_kv_cache.kv_cache import KVCache, attend_row
from phase03_core_inference.project08_kv_cache.linear import MOST_ROWS, product_source, use_own_products
from phase03_core_inference.project08_kv_cache.memory import bytes_per_token, tokens_per_second, weight_bytes
from phase03_core_inference.project08_kv_cache.window import SlidingWindowCache

# project 9, flash attention
from phase03_core_inference.project09_flash_attention.flash import attend as flash_attend
from phase03_core_inference.project09_flash_attention.flash import flash_attention
from phase03_core_inference.project09_flash_attention.online_softmax import merge as merge_attention
from phase03_core_inference.project09_flash_attention.packed import packed_attend, packed_attention

__all__ = [
    "FORMATS",
    "MOST_ROWS",
    "WIDTHS",
    "Autocast",
    "DecodeAttention",
    "DecodeStep",
    "GradScaler",
    "KVCache",
    "KahanAdamW",
    "MasterWeights",
    "Packed",
    "SlidingWindowCache",
    "attend_row",
    "bytes_held",
    "bytes_per_token",
    "cast_for_inference",
    "emulate_half",
    "flash_attend",
    "flash_attention",
    "generate_tokens",
    "kernel_library",
    "memory_report",
    "merge_attention",
    "packed_attend",
    "packed_attention",
    "product_source",
    "round_to_bfloat16",
    "round_to_float8",
    "round_to_float16",
    "scaled_step",
    "step",
    "step_source",
    "stochastic_round",
    "stream_text",
    "stream_tokens",
    "tokens_per_second",
    "use_own_products",
    "weight_bytes",
]
