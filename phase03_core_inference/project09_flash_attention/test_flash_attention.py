"""TODO: what these tests hold flash_attention to."""

import pytest
import torch

from phase03_core_inference.project09_flash_attention.flash_attention import flash_attention


@pytest.mark.task(1)
def test_it_equals_the_slow_way():
    """TODO: equality with a slow reference or a trusted peer. As an example: torch's own sums."""
    values = torch.randn(7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(flash_attention(values), values.cumsum(0))
