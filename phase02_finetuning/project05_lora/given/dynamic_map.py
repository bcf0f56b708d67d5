"""The 256 numbers that an 8-bit code can mean, finer the smaller they are. Dettmers 2015 (arXiv:1511.04561)."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

DECADES = 7


@cache
def dynamic_map() -> Float[Tensor, "256"]:
    """Rising from below -0.99 to 1: in each decade from 1e-6 to 1, 1, 2, 4, ... 64 numbers either side of zero.

    In a decade they are the middles of equal parts of 0.1 to 1, times the decade, all in float32. With 0 and 1 they are
    256.
    """
    numbers = [torch.tensor([0.0, 1.0])]
    for decade in range(DECADES):
        edges = torch.linspace(0.1, 1, 2**decade + 1)
        middles = (edges[1:] + edges[:-1]) / 2 * 10.0 ** (decade - DECADES + 1)
        numbers += [middles, -middles]
    return torch.cat(numbers).sort().values
