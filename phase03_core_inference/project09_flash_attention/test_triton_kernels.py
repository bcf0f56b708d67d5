"""The Triton kernels, in Triton's interpreter: equal to attention written out in float64, with its gradients."""

import pytest
import torch

pytest.importorskip("triton")

from phase03_core_inference.project09_flash_attention.given import triton_launch as launch

pytestmark = pytest.mark.task(8)
TOLERANCE = {torch.float32: 2e-6, torch.float16: 2e-3}
CASES = {
    # queries, keys, heads, kv_heads, causal, window
    "one": (1, 1, 1, 1, True, None),
    "two tiles, ragged": (47, 47, 2, 2, True, None),
    "whole tiles": (64, 64, 1, 1, True, None),
    "not causal": (33, 50, 1, 1, False, None),
    "three query heads on a key head": (37, 37, 6, 2, True, None),
    "fewer queries than keys": (5, 70, 2, 1, True, None),
    "more queries than keys": (70, 21, 1, 1, True, None),
    "a window": (90, 90, 2, 1, True, 20),
    "a window of one": (40, 40, 1, 1, True, 1),
    "a window, fewer queries": (30, 75, 1, 1, True, 17),
    "a window wider than the text": (40, 40, 1, 1, True, 100),
}


def random_sides(queries, keys, heads, kv_heads, dtype=torch.float32, dim=16, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sides = [(heads, queries), (kv_heads, keys), (kv_heads, keys), (heads, queries)]
    return [torch.randn(batch, *side, dim, generator=generator).to(dtype) for side in sides]


def written_out(q, k, v, causal, window):
    """Output and log-sum-exp in float64, by the formula."""
    q, k, v = q.double(), *(x.double().repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    queries, keys = q.shape[2], k.shape[2]
    position = torch.arange(queries)[:, None] + keys - queries
    column = torch.arange(keys)
    seen = (column <= position) | torch.tensor(not causal)
    if window:
        seen &= column > position - window
    scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~seen, float("-inf"))
    weights = scores.softmax(-1).masked_fill(~seen, 0.0)
    return weights @ v, scores.logsumexp(-1)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_output_and_log_sum_exp_are_those_of_attention_written_out(case, dtype):
    q, k, v, _ = random_sides(*case[:4], dtype)
    out, lse = launch.forward(q, k, v, *case[4:], kernels=launch.interpreted())
    expected_out, expected_lse = written_out(q, k, v, *case[4:])
    close = TOLERANCE[dtype]
    assert out.dtype == dtype
    torch.testing.assert_close(out.double(), expected_out, rtol=close, atol=close)
    torch.testing.assert_close(lse.double(), expected_lse, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_gradients_are_those_of_attention_written_out(case):
    q, k, v, dout = random_sides(*case[:4])
    exact = [x.double().requires_grad_() for x in (q, k, v)]
    expected_out, expected_lse = written_out(*exact, *case[4:])
    expected = torch.autograd.grad(expected_out, exact, dout.double())
    out, lse = expected_out.detach().float(), expected_lse.detach().float()
    found = launch.backward(q, k, v, out, lse, dout, *case[4:], kernels=launch.interpreted())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=5e-6, atol=5e-6)
