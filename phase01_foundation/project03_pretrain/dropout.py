"""Dropout by the unit: cheap to draw, and the same at all positions of a row."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class UnitDropout(nn.Module):
    """In training, drop a random share of units, the same ones at all positions of a row, and scale up the others.

    Gal & Ghahramani 2016 (arXiv:1512.05287). A random number for each unit of a row, instead of each unit of each
    position: on a CPU, drawing those took a quarter of a training step.
    """

    def __init__(self, share: float):
        super().__init__()
        self.share = share

    def forward(self, x: Float[Tensor, "batch time dim"]) -> Float[Tensor, "batch time dim"]:
        """x × mask / (1 - share), with a mask of (batch, 1, dim); x itself in evaluation mode or where share is 0."""
        if not self.training or not self.share:
            return x
        kept = torch.rand(len(x), 1, x.shape[-1], device=x.device) >= self.share
        return x * (kept / (1 - self.share)).to(x.dtype)
