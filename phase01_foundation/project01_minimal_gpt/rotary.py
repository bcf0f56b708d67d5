"""Rotary position embedding: a position is an angle by which queries and keys are turned.

After the turn, the product of a query at position i with a key at position j depends on their contents and on
i - j alone: how far apart they are, not where. Su et al. 2021, "RoFormer" (arXiv:2104.09864).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def rotary_angles(
    positions: Int[Tensor, "time"], head_dim: int, base: float = 10_000.0
) -> Float[Tensor, "time half"]:
    """The angle, in radians, of each position for each pair of a head's dimensions; half = head_dim / 2.

    Pair p turns by base^(-2p / head_dim) a position: the first pair by a full radian, so it tells neighbours
    apart; the last hardly at all, so it tells near from far. The angles are float32: a position in the thousands
    has more digits than half precision holds. They are made on the device of `positions`. Raises ValueError for an odd
    head_dim, naming it.
    """
    if head_dim % 2:
        raise ValueError(
            f"rotary embedding turns pairs of dimensions, so head_dim must be even, not {head_dim}"
        )
    pairs = torch.arange(0, head_dim, 2, device=positions.device)
    return positions[:, None] * base ** (-pairs / head_dim)


def rotate(
    x: Float[Tensor, "batch head time dim"], angles: Float[Tensor, "time half"]
) -> Float[Tensor, "batch head time dim"]:
    """Turn each pair of x's dimensions by its angle. Dimension p is paired with dimension p + dim / 2.

    A pair (a, b) becomes (a cos - b sin, b cos + a sin). Keeps the length of every vector and the dtype of x; cosine
    and sine are taken of the angles as they are, before any rounding to that dtype.
    """
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)  # (time, half), the same for batch and head
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
