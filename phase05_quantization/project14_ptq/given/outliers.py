"""Outliers where there were none: a few channels made large, by a scale between layers, and the function unchanged.

Large models have them by themselves, from about 6.7 billion parameters on (Dettmers et al. 2022, arXiv:2208.07339). A
small model does not, so what is done against them would have nothing to show.
"""

import torch
from torch import nn

from phase05_quantization.project14_ptq.given.sites import sites
from shared.phase01 import LLM


@torch.no_grad()
def inject_outliers(model: LLM, factor: float, channels: int = 4, seed: int = 0) -> None:
    """After each norm, make so many channels `factor` times as large, and the weights that read them smaller."""
    generator = torch.Generator().manual_seed(seed)
    for block in model.blocks:
        for before, readers in sites(block)[:2]:
            gain = before.get_parameter("weight")
            chosen = torch.randperm(len(gain), generator=generator)[:channels]
            gain[chosen] *= factor
            for name in readers:
                linear = block.get_submodule(name)
                assert isinstance(linear, nn.Linear)
                linear.weight[:, chosen] /= factor
