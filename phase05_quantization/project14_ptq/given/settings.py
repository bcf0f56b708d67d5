"""What a preset of the benchmark sets."""

from dataclasses import dataclass

import torch

from shared.machine import cores
from shared.phase01 import LLM, Config


@dataclass
class Settings:
    """How much of everything a preset does."""

    documents: int = 15
    """of tinyworld's test split, for perplexity"""
    per_skill: int = 12
    """questions a skill, for exact match"""
    calibration_rows: int = 16
    """of 512 tokens"""
    tables: tuple[str, ...] = ("main",)
    """which tables of damage: main, all (every method on every grid), calibration, activations, plan"""
    layers: int = 12
    """of the model whose speed is measured; its weights are random, which speed does not depend on"""
    heads: int = 12
    dim: int = 768
    hidden_dim: int = 2048
    vocab_size: int = 50_257
    context_length: int = 1024
    steps: int = 16
    """tokens written a run"""
    prompt: int = 256
    """tokens of the prompt that is read at once"""
    repeats: int = 3
    threads: tuple[int, ...] = (1,)
    peers: bool = False
    """measure llama.cpp and ctranslate2 too, where they are installed"""
    preset: str = "cpu"

    def thread_counts(self) -> list[int]:
        """Those of `threads` for which there are cores."""
        return [count for count in self.threads if count <= cores()]

    def model(self) -> LLM:
        """A Llama of GPT-2 small's shape, unless a preset makes it smaller."""
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
        return model
