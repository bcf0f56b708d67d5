"""Muon for matrices, AdamW for the rest.

AdamW looks at each weight by itself. Muon looks at a matrix as a whole: it takes the momentum of the gradient and
replaces its singular values by about one, so that every direction of the matrix learns at the same pace, also those
that a few loud directions would drown out. Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/); the scale
that lets it share AdamW's learning rate and weight decay: Liu et al. 2025 (arXiv:2502.16982).
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

Kind = Literal["muon", "adamw"]


def orthogonalize(
    matrix: Float[Tensor, "*batch rows columns"], steps: int = 5
) -> Float[Tensor, "*batch rows columns"]:
    """U Vᵀ of each matrix U S Vᵀ, roughly: all singular values come out between about 0.7 and 1.2, in bfloat16.

    An iteration of Newton and Schulz's kind, with matrix products only: x is first scaled to a Frobenius norm of 1,
    so that no singular value is above 1; then `steps` times x becomes a x + b (x xᵀ) x + c (x xᵀ)² x, which sends
    each singular value s to a s + b s³ + c s⁵. Jordan's a, b, c = 3.4445, -4.7750, 2.0315 rise steeply at 0, and do
    not settle at 1: that saves steps, and does no harm. A zero matrix stays zero. All of it is in bfloat16. A tall
    matrix is turned on its side, so that x xᵀ is the smaller product, and back in the end.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)  # a zero matrix stays zero
    for _ in range(steps):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalized, for matrices. Raises ValueError for a parameter that is no matrix.

    velocity = momentum × velocity + (1 - momentum) × gradient. The step goes along a mix of the gradient and this new
    velocity, momentum × velocity + (1 - momentum) × gradient once more (Nesterov's way), orthogonalized and scaled by
    lr × 0.2 √max(rows, columns): then its entries are about as large as AdamW's, and both take the same learning rate.
    Weight decay is AdamW's, and comes before: weights × (1 - lr × weight_decay).

    Matrices of one shape are orthogonalized in one go. A matrix that FSDP has cut into shards is put together for
    the product (`_full`), which every rank then does for itself, and cut again (`_shard`).
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 0.0,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise ValueError(
                        f"Muon takes matrices only, not a parameter of shape {tuple(parameter.shape)}"
                    )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take one step with the gradients that are there; a parameter without one is left alone.

        lr, momentum and weight_decay are those of the parameter's group.
        """
        for group in self.param_groups:
            updates = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    updates[parameter.shape].append(
                        (parameter, self._direction(parameter, group["momentum"]))
                    )
            for shape, pairs in updates.items():
                scale = group["lr"] * 0.2 * max(shape) ** 0.5
                whole = torch.stack([_full(direction) for _, direction in pairs])
                for (parameter, _), update in zip(pairs, orthogonalize(whole), strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(_shard(update.to(parameter.dtype), parameter), alpha=-scale)

    def _direction(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """Where a matrix is to go, before that is orthogonalized: takes the gradient into state["velocity"], and mixes.

        The gradient stays as it is. The velocity begins as zeros. Both formulas are in the docstring of the class.
        """
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(parameter)
        velocity = state["velocity"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(velocity, momentum)


def _full(tensor: Tensor) -> Tensor:
    """A matrix put together from its shards; any other tensor as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _shard(tensor: Tensor, like: Tensor) -> Tensor:
    """A matrix cut into shards as `like` is; where that is no shard, the matrix as it is."""
    if isinstance(like, DTensor):
        return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)
    return tensor


def make_optimizers(
    model: nn.Module, kind: Kind = "muon", weight_decay: float = 0.1, betas: tuple[float, float] = (0.9, 0.95)
) -> list[torch.optim.Optimizer]:
    """The optimizers of a model whose layers are in `model.blocks`, with a learning rate of 0: the step sets it.

    "muon" gives the blocks' matrices to Muon, which comes first, and all else to AdamW: embedding, head, gains. "adamw"
    gives all to AdamW. Only the blocks' matrices decay: a rare token's row hardly gets a gradient, and would decay to
    nothing. `betas` are AdamW's. A wrapper puts its own name before: module.blocks.0 is a block too. Parameters that
    need no gradient are left out, so that a model with frozen weights keeps no state for them, and there is no
    optimizer without parameters. Raises ValueError for another kind, naming it and the two there are, and for a model
    with nothing to train.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"optimizer must be {' or '.join(get_args(Kind))}, not {kind!r}")
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not trained:
        raise ValueError("no parameter of the model needs a gradient, so there is nothing to train")
    matrices, others = [], []
    for name, parameter in trained.items():
        inside = parameter.ndim == 2 and (name.startswith("blocks.") or ".blocks." in name)
        (matrices if inside else others).append(parameter)
    optimizers: list[torch.optim.Optimizer] = []
    groups = [{"params": others, "weight_decay": 0.0}]
    if kind == "muon" and matrices:
        optimizers.append(Muon(matrices, weight_decay=weight_decay))
    else:
        groups.append({"params": matrices, "weight_decay": weight_decay})
    groups = [group for group in groups if group["params"]]
    if groups:
        optimizers.append(torch.optim.AdamW(groups, lr=0.0, betas=betas, fused=True))
    return optimizers
