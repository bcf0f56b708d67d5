"""The settings of a comparison: one small model, trained once in each way."""

from dataclasses import dataclass
from typing import Literal, get_args

from shared.kinds import check_kinds
from shared.phase01 import Config

Recipe = Literal["float32", "autocast", "bfloat16", "masters", "kahan", "float16", "float16-scaled"]
"""how a model is trained; given/recipes.py says what each is"""


@dataclass(frozen=True)
class TrainSettings:
    """What is trained, and in which ways. The presets in configs/ give the reasons for their numbers."""

    name: str = "comparison"
    """the pictures are called this"""
    recipes: tuple[str, ...] = get_args(Recipe)
    """float32, autocast, bfloat16, masters, kahan, float16, float16-scaled"""
    corpus: str = "shakespeare"
    """a corpus by name; its characters are the tokens"""
    fallback: str | None = "tinyworld"
    """the corpus to use when that one cannot be had; null makes it an error"""
    characters: int | None = None
    """the size of tinyworld's train split, where that is the corpus"""
    context_length: int = 128
    layers: int = 4
    heads: int = 4
    dim: int = 192
    hidden_dim: int = 512
    batch_size: int = 16
    """rows a step"""
    batch_tokens: int = 524_288
    """of the large batch that a step's rows are taken for a part of: its mean loss is over so many tokens"""
    steps: int = 250
    learning_rate: float = 2e-3
    """at the peak"""
    warmup: int = 25
    """steps until the peak"""
    decay_share: float = 0.5
    """the last part of all steps, in which the learning rate falls"""
    weight_decay: float = 0.1
    max_norm: float = 1.0
    """gradients of a whole step are clipped to this norm"""
    growth_interval: int = 50
    """steps without an infinity until the scale is doubled"""
    evaluate_every: int = 25
    """steps between validations"""
    validation_windows: int = 64
    """pieces of the validation text, spread over it, that a validation reads"""
    seed: int = 0
    device: str = "auto"
    threads: int = 0
    """0 is one a core"""

    def __post_init__(self):
        check_kinds(self)
        for name in (
            "batch_size",
            "batch_tokens",
            "steps",
            "growth_interval",
            "evaluate_every",
            "validation_windows",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "max_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("warmup", "weight_decay", "threads"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if not 0 <= self.decay_share <= 1:
            raise ValueError(f"decay_share must be from 0 to 1, not {self.decay_share}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be from 0 to {2**32 - 1}, not {self.seed}")
        unknown = [name for name in self.recipes if name not in get_args(Recipe)]
        if unknown or not self.recipes or len(set(self.recipes)) < len(self.recipes):
            allowed = ", ".join(get_args(Recipe))
            raise ValueError(f"recipes must be some of {allowed}, each once, not {list(self.recipes)}")
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ValueError(f"name must be a plain file name, not {self.name!r}")
        self.model_config(1)  # which checks the rest

    def model_config(self, vocab_size: int) -> Config:
        """The model's shape for so many tokens. Raises ValueError where the numbers do not fit."""
        return Config(
            vocab_size=vocab_size,
            context_length=self.context_length,
            layers=self.layers,
            heads=self.heads,
            kv_heads=self.heads,
            dim=self.dim,
            hidden_dim=self.hidden_dim,
            qk_norm=True,
        )
