"""A training run as it stands: everything that a checkpoint must hold for the run to go on as if never stopped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from phase01_foundation.project03_pretrain.batches import Batch
from phase01_foundation.project03_pretrain.monitor import Monitor
from phase01_foundation.project03_pretrain.parallel import Processes
from shared.checkpoint import CheckpointError, read_dict, write

FULL = StateDictOptions(full_state_dict=True, cpu_offload=True)
"""states as one process alone would have them, whatever the number of processes and the way they share"""


@runtime_checkable
class BatchSource(Protocol):
    """Where batches come from: Batches and StreamingBatches are such."""

    def next(self) -> Batch: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass
class Run:
    """Model, optimizers, the place in the data, and the record so far."""

    model: nn.Module
    """as it was given; under FSDP, its parameters are shards"""
    wrapped_model: nn.Module
    """the same for training steps: in DDP's wrapper, compiled"""
    optimizers: Sequence[torch.optim.Optimizer]
    batches: BatchSource
    processes: Processes = field(default_factory=Processes)
    scaler: torch.amp.GradScaler | None = None
    monitor: Monitor = field(default_factory=Monitor)
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    """of training; validation, sampling and saving not counted"""
    history: list[dict[str, Any]] = field(default_factory=list)
    """one entry a validation: step, tokens, seconds, train_loss, validation_loss, gradient_norm and more"""
    losses: list[float] = field(default_factory=list)
    """of the steps since the last validation, as are the gradient norms"""
    norms: list[float] = field(default_factory=list)
    compiled: bool = False
    """whether this process has taken a step, where the model is compiled"""
    compiling: tuple[int, float] = (0, 0.0)
    """tokens and seconds of this process's first step, if the model was compiled in it and no validation came since"""

    def save(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Write a checkpoint, whole or not at all (shared.checkpoint's `write`), for `resume` to go on from.

        It is a dict: "identity", to be compared; "model", the weights put together; "optimizers", their state, put
        together too and by the parameters' names, which is what get_optimizer_state_dict gives with FULL; the states
        of "scaler", "batches" and "monitor"; and what RECORD names. The random numbers of a step follow from the seed
        and the step's number, so there is no generator to keep.

        All processes must call this: under FSDP each has a part. The first one writes. The weights come first: what
        FSDP has left put together after a validation goes back to shards with that. Before the first step that was
        applied (float16 may skip some) no optimizer has state, and none is asked for: torch would take an empty step to
        have some, which AdamW counts. So ask whether any optimizer has state, not which step it is.
        """
        model = self.full_state_dict()
        begun = any(optimizer.state for optimizer in self.optimizers)
        optimizers = get_optimizer_state_dict(self.model, self.optimizers, options=FULL) if begun else {}
        state = {
            "identity": identity,
            "model": model,
            "optimizers": optimizers,
            "scaler": self.scaler.state_dict() if self.scaler else {},
            "batches": self.batches.state_dict(),
            "monitor": self.monitor.state_dict(),
            **{name: getattr(self, name) for name in RECORD},
        }
        if self.processes.first:
            write(path, state)

    def resume(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Take up where the checkpoint left off, with as many processes as there are now.

        torch's set_model_state_dict and set_optimizer_state_dict, with FULL, give each process its part of what `save`
        has put together; scaler, batches and monitor load their states. After a checkpoint from before the first step
        that was applied, the optimizers have no state again.

        Raises CheckpointError for a file that is broken or of another kind, naming it (`read_dict` with ENTRIES does),
        and for one of another identity, naming each entry that differs with both values (None where there is none), and
        the setting restart, which begins anew. The run is then as it was.
        """
        state = read_dict(path, ENTRIES)
        found = state["identity"]
        names = dict.fromkeys([*identity, *found])
        differing = [name for name in names if found.get(name) != identity.get(name)]
        if differing:
            changes = ", ".join(f"{n} {found.get(n)!r} → {identity.get(n)!r}" for n in differing)
            raise CheckpointError(
                f"{path} was made with other settings ({changes}); give those again, or --restart=true to begin anew"
            )
        set_model_state_dict(self.model, state["model"], options=FULL)
        if state["optimizers"]:
            set_optimizer_state_dict(self.model, self.optimizers, state["optimizers"], options=FULL)
        else:
            for optimizer in self.optimizers:
                optimizer.state.clear()
        if self.scaler and state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self.batches.load_state_dict(state["batches"])
        self.monitor.load_state_dict(state["monitor"])
        for name in RECORD:
            setattr(self, name, state[name])

    def full_state_dict(self) -> dict[str, Tensor]:
        """The model's weights on the CPU, put together from all shards; alone on a CPU, the model's own tensors.

        All processes must ask; the first one gets them, the others an empty dict.
        """
        return get_model_state_dict(self.model, options=FULL)  # pyright: ignore[reportReturnType]


RECORD = {"step": int, "tokens": int, "seconds": float, "history": list, "losses": list, "norms": list}
ENTRIES = dict.fromkeys(("identity", "model", "optimizers", "scaler", "batches", "monitor"), dict) | RECORD
"""what a checkpoint has, and of which kind"""
