"""Mixed precision: TODO: the one idea of this file."""

from jaxtyping import Float
from torch import Tensor


def mixed_precision(values: Float[Tensor, " time"]) -> Float[Tensor, " time"]:
    """TODO: what it gives, with shapes, units and errors. As an example: each value plus all before it."""
    raise NotImplementedError("project 7, task 1: mixed_precision — still to write")
