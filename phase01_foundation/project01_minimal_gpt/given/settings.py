"""The settings of a training run, and what they may be."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from phase01_foundation.project01_minimal_gpt.attention import Attend, causal_attention, torch_attention
from phase01_foundation.project01_minimal_gpt.model import GPTConfig
from shared import artifacts
from shared.kinds import check_kinds


@dataclass(frozen=True)
class TrainConfig:
    """Everything that shapes a run. The presets in configs/ give the reasons for their numbers."""

    name: str = "char-gpt"
    """the model is published under this name"""
    corpus: str = "shakespeare"
    """a corpus by name: shakespeare, wikitext2, wikitext103, tinystories, names, tinyworld"""
    fallback: str | None = "tinyworld"
    """the corpus to use when that one cannot be had; null makes it an error"""
    characters: int | None = None
    """the size of tinyworld's train split, where that is the corpus"""
    context_length: int = 128
    """characters the model reads at once"""
    layers: int = 4
    heads: int = 4
    dim: int = 192
    """width of the residual stream"""
    dropout: float = 0.0
    batch_size: int = 16
    """pieces of text a step, of context_length characters each"""
    steps: int = 1500
    learning_rate: float = 3e-3
    """at the peak"""
    warmup: int = 100
    """steps until the peak"""
    decay_share: float = 0.7
    """the last part of all steps, in which the learning rate falls"""
    weight_decay: float = 0.3
    max_norm: float = 1.0
    """gradients are clipped to this norm"""
    evaluate_every: int = 250
    """steps between validations, each with a checkpoint"""
    keep_best: bool = True
    """publish the weights of the lowest validation loss, not those of the last step"""
    attention: Literal["written", "fused"] = "written"
    """written, the one you wrote by hand, or fused, torch's kernel: faster from a context of some hundreds on"""
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"
    """of the matrix products: bfloat16 where the machine is quick at it, else float32"""
    threads: int = 0
    """0 is one a core"""
    prompt: str = "\n"
    """what the samples begin with"""
    restart: bool = False
    """begin anew, whatever checkpoint there is"""

    def __post_init__(self):
        check_kinds(self)
        artifacts.check_name(self.name)
        for name in ("batch_size", "steps", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        self.model_config(vocab_size=1)  # which checks the rest
        if self.learning_rate <= 0 or self.max_norm <= 0:
            raise ValueError("learning_rate and max_norm must be above 0")
        if self.warmup < 0 or self.weight_decay < 0 or not 0 <= self.decay_share <= 1:
            raise ValueError("warmup and weight_decay must be 0 or more, decay_share from 0 to 1")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be from 0 to {2**32 - 1}, not {self.seed}")

    def identity(self) -> dict[str, Any]:
        """The settings that a checkpoint must agree with; where a run is done is not among them."""
        free = {"name", "fallback", "device", "dtype", "threads", "restart", "keep_best", "attention"}
        return {name: value for name, value in asdict(self).items() if name not in free}

    @property
    def attend(self) -> Attend:
        """The way of attending that `attention` names."""
        return {"written": causal_attention, "fused": torch_attention}[self.attention]

    def model_config(self, vocab_size: int) -> GPTConfig:
        """The model's shape for that many characters. Raises ValueError where the numbers do not fit."""
        return GPTConfig(vocab_size, self.context_length, self.layers, self.heads, self.dim, self.dropout)
