"""Large pages are a wish: whatever comes of it, the numbers are there."""

import torch

from phase04_advanced_inference.project13_paged_attention.given.huge_pages import LARGE, use_huge_pages


def test_what_is_written_stays():
    buffer = torch.empty(LARGE)  # four large pages
    assert use_huge_pages([buffer]) in (True, False)
    buffer.copy_(torch.arange(LARGE))
    assert torch.equal(buffer, torch.arange(LARGE, dtype=torch.float32))


def test_small_ones_and_those_elsewhere_are_left_alone():
    assert not use_huge_pages([torch.zeros(3)])
    assert not use_huge_pages([torch.empty(LARGE, device="meta")])
