"""Shapes of well-known models, for plans."""

from shared.phase01 import Config

SHAPES = {
    "tiny-base": Config(4096, 512, 6, 4, 2, 256, 704, tied_embeddings=True, qk_norm=True),
    "llama-1b": Config(128_256, 131_072, 16, 32, 8, 2048, 8192, rope_base=500_000.0, tied_embeddings=True),
    "llama-7b": Config(32_000, 4096, 32, 32, 32, 4096, 11_008),
    "llama-8b": Config(128_256, 131_072, 32, 32, 8, 4096, 14_336, rope_base=500_000.0),
    "llama-70b": Config(128_256, 131_072, 80, 64, 8, 8192, 28_672, rope_base=500_000.0),
}
"""Llama 3.2 1B, Llama 2 7B, Llama 3.1 8B and 70B, and ours"""
