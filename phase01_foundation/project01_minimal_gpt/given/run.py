"""A training run as it stands: everything that a checkpoint must hold for the run to go on as if never stopped."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phase01_foundation.project01_minimal_gpt.model import GPT, GPTConfig
from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project01_minimal_gpt.training import make_optimizer
from shared.artifacts import CheckpointError, read_dict, write

History = list[dict[str, Any]]
ENTRIES = {  # what a checkpoint has, and of which kind
    "settings": dict,
    "alphabet": str,
    "model": dict,
    "optimizer": dict,
    "random": dict,
    "step": int,
    "seconds": float,
    "history": list,
    "losses": list,
    "norms": list,
}


@dataclass
class Run:
    """Model, optimizer, random generators and the record so far."""

    tokenizer: CharTokenizer
    model: GPT
    optimizer: torch.optim.Optimizer
    batches: torch.Generator
    """draws the places of the batches"""
    step: int = 0
    seconds: float = 0.0
    """of training; validation and sampling not counted"""
    history: History = field(default_factory=list)
    """one entry an evaluation: step, seconds, train_loss, validation_loss, gradient_norm, sample"""
    losses: list[float] = field(default_factory=list)
    """of the steps since the last evaluation, as are the gradient norms"""
    norms: list[float] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    """the weights of the lowest validation loss so far; empty before the first validation"""
    best_entry: dict[str, Any] = field(default_factory=dict)
    """their entry of the history"""

    @classmethod
    def start(
        cls, tokenizer: CharTokenizer, config: GPTConfig, weight_decay: float, seed: int, device: torch.device
    ) -> "Run":
        torch.manual_seed(seed)
        model = GPT(config).to(device)
        return cls(tokenizer, model, make_optimizer(model, weight_decay), torch.Generator().manual_seed(seed))

    def note_best(self) -> None:
        """Keep a copy of the weights if the validation just done is the best so far, as the first one is."""
        entry = self.history[-1]
        if not self.best or entry["validation_loss"] < self.best_entry["validation_loss"]:
            self.best = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
            self.best_entry = entry

    def take_best(self) -> None:
        """Put the best weights into the model, at the end of the run."""
        if self.best:
            self.model.load_state_dict(self.best)

    def save(self, path: Path, identity: dict[str, Any]) -> None:
        """Write a checkpoint; `identity` is kept with it, for `resume` to compare. Whole or not at all."""
        state = {
            "settings": identity,
            "alphabet": self.tokenizer.alphabet,
            "config": asdict(self.model.config),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": {"batches": self.batches.get_state(), **_global_random_state()},
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "losses": self.losses,
            "norms": self.norms,
            "best": self.best,
            "best_entry": self.best_entry,
        }
        write(path, state)

    def resume(self, path: Path, identity: dict[str, Any]) -> None:
        """Take up where the checkpoint left off.

        Raises CheckpointError for a file that is broken, and for one made with other settings or another text,
        naming what differs; the run is then as it was.
        """
        state = read_dict(path, ENTRIES)
        found = state["settings"]
        differing = [name for name in identity if found.get(name) != identity[name]]
        if differing:
            changes = ", ".join(f"{name} {found.get(name)!r} → {identity[name]!r}" for name in differing)
            raise CheckpointError(f"{path} was made with other settings ({changes})")
        if state["alphabet"] != self.tokenizer.alphabet:
            raise CheckpointError(f"{path} was made with another text: its alphabet differs")
        device = self.model.head.weight.device
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.batches.set_state(state["random"]["batches"])
        _set_global_random_state(state["random"])
        for name in ("step", "seconds", "history", "losses", "norms"):
            setattr(self, name, state[name])
        # A checkpoint from before these were kept has none: the best is then looked for from here on.
        self.best = {name: tensor.to(device) for name, tensor in state.get("best", {}).items()}
        self.best_entry = state.get("best_entry", {})


def _global_random_state() -> dict[str, Any]:
    """What dropout draws from: torch's generator, and the GPU's where there is one."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"torch": torch.get_rng_state(), "cuda": cuda}


def _set_global_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
