"""What a preset of the benchmark sets, and the model that it measures."""

from dataclasses import dataclass

import torch

from shared.phase01 import LLM, Config

NAMES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


@dataclass
class Settings:
    """What a preset in configs/ sets."""

    layers: int = 12
    """of the model whose speed is measured; its weights are random, which speed does not depend on"""
    heads: int = 12
    dim: int = 768
    hidden_dim: int = 2048
    vocab_size: int = 50_257
    context_length: int = 2048
    prompts: int = 1000
    """how many random prompts must give the same logits with the cache as without it"""
    operations: int = 100_000
    """of the random ones on the pool, and as many in a pool whose hash is always the same"""
    lengths: tuple[int, ...] = (512, 1000, 2000)
    """prompts whose time to the first token is measured"""
    new: int = 16
    """tokens at a prompt's end that are new, where not all of it is a hit"""
    partings: tuple[int, ...] = ()
    """places where the middle one of `lengths` differs from what is cached, in a measurement of its own"""
    block_size: int = 8
    """8 divides 512, 1,000 and 2,000: a prompt that is cached as a whole computes one token"""
    repeats: int = 3
    preset: str = "cpu"

    def model(self, dtype: torch.dtype = torch.float32) -> LLM:
        """The model: a Llama of GPT-2 small's shape, unless a preset makes it smaller."""
        config = Config(
            self.vocab_size, self.context_length, self.layers, self.heads, self.heads, self.dim, self.hidden_dim,
            tied_embeddings=True,
        )  # fmt: skip
        torch.manual_seed(0)
        model = LLM(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.normal_(std=0.02)
        return model.to(dtype)
