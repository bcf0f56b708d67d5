"""What training holds, to the byte: parameters, gradients, optimizer state, master weights, copies made by autocast.

For each weight, with AdamW:

                            weight  gradient  moments  master, compensation  copy   bytes
    float32                      4         4        8                     -     -      16
    autocast to bfloat16         4         4        8                     -     2      18, of matrices
    bfloat16, masters            2         2        8                     4     -      16
    bfloat16, Kahan              2         2        8                     2     -      14
    bfloat16 alone               2         2        4                     -     -       8, and it stands still

So mixed precision saves time and activations. What it saves of the weights, the optimizer spends.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from phase03_core_inference.project07_mixed_precision.master_weights import MasterWeights


@dataclass(frozen=True)
class Memory:
    """Bytes of each kind. The optimizers' state has its step counters too, where those are tensors."""

    parameters: int
    gradients: int
    optimizer_state: int
    master_weights: int
    casts: int
    """narrow copies of weights that autocast keeps"""

    @property
    def total(self) -> int:
        """All of it."""
        return self.parameters + self.gradients + self.optimizer_state + self.master_weights + self.casts


def bytes_held(tensors: Iterable[Tensor]) -> int:
    """The bytes of memory that these tensors stand on, each piece counted once.

    A view keeps the whole of what it is a view of, so a slice counts like the tensor it was cut from, and both
    together like one. What a tensor stands on is its `untyped_storage()`, which has a size, `nbytes()`, and a
    place, `data_ptr()`: two tensors with one place share it. A tied weight, or the same tensor twice, counts once.
    """
    sizes = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(sizes.values())


def memory_report(
    model: nn.Module, optimizers: Sequence[torch.optim.Optimizer] = (), casts: Iterable[Tensor] = ()
) -> Memory:
    """The bytes that a model, its gradients, its optimizers and autocast's copies hold now.

    Parameters are the model's, and gradients those which are there. An optimizer's state is every tensor in its
    `state`, however deep in dicts, lists and tuples; numbers take no part. Of MasterWeights, the state is the inner
    optimizer's, and `masters` are counted by themselves. Each kind counts its own memory once (`bytes_held`).
    """
    parameters = list(model.parameters())
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    state: list[Tensor] = []
    masters: list[Tensor] = []
    for optimizer in optimizers:
        if isinstance(optimizer, MasterWeights):
            masters += optimizer.masters
            optimizer = optimizer.inner
        state += tensors_in(list(optimizer.state.values()))
    kinds = parameters, gradients, state, masters, casts
    return Memory(*map(bytes_held, kinds))


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in a value: itself, or what is in its dicts, lists and tuples, however deep."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]
