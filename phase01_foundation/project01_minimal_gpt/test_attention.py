import math

import pytest
import torch

from phase01_foundation.project01_minimal_gpt.attention import (
    attention_weights,
    causal_attention,
    torch_attention,
)

pytestmark = pytest.mark.task(2)

SHAPES = [(1, 1, 1, 2), (2, 3, 5, 4), (1, 2, 33, 8)]  # batch, head, time, dim


def random_qkv(shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, *shape, dtype=dtype, generator=generator).unbind()


@pytest.mark.parametrize("shape", SHAPES)
def test_attention_by_hand_equals_torch(shape):
    q, k, v = random_qkv(shape)
    torch.testing.assert_close(
        causal_attention(0, q, k, v), torch_attention(0, q, k, v), rtol=1e-12, atol=1e-12
    )


def test_attention_by_hand_has_the_gradients_of_torch():
    gradients = []
    for attend in (causal_attention, torch_attention):
        qkv = [x.requires_grad_() for x in random_qkv((2, 2, 7, 4))]
        attend(0, *qkv).square().sum().backward()
        gradients.append([x.grad for x in qkv])
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_weights_are_a_mean_over_the_past(shape):
    q, k, _ = random_qkv(shape)
    weights = attention_weights(q, k)
    time = shape[2]
    assert weights.shape == (*shape[:2], time, time)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(shape[:3], dtype=q.dtype))
    assert (weights.triu(diagonal=1) == 0).all(), "some position looks at a later one"
    assert (weights.diagonal(dim1=-2, dim2=-1) > 0).all(), "some position does not look at itself"


def test_equal_keys_get_equal_weights():
    q, k, _ = random_qkv((1, 1, 4, 2))
    weights = attention_weights(q, torch.ones_like(k))[0, 0]
    expected = torch.tensor([[1, 0, 0, 0], [1 / 2, 1 / 2, 0, 0], [1 / 3] * 3 + [0], [1 / 4] * 4])
    torch.testing.assert_close(weights, expected.double())


def test_scores_are_divided_by_the_root_of_the_head_dimension():
    q, k = torch.zeros(1, 1, 2, 16), torch.zeros(1, 1, 2, 16)
    q[0, 0, 1, 0], k[0, 0, 1, 0] = 4.0, 1.0  # the second position's scores: 0 and 4 / √16 = 1
    second = attention_weights(q, k)[0, 0, 1]
    torch.testing.assert_close(second[1] / second[0], torch.tensor(math.e))


def test_large_scores_do_not_overflow():
    q, k, v = (1e4 * x for x in random_qkv((1, 2, 6, 4), torch.float32))
    assert torch.isfinite(causal_attention(0, q, k, v)).all()


@pytest.mark.parametrize("finer", [torch.bfloat16, torch.float32])
def test_the_output_has_the_dtype_of_the_values(finer):
    q, k, v = random_qkv((1, 2, 6, 4))
    q, k, v = q.to(finer), k.to(finer), v.bfloat16()
    out = causal_attention(0, q, k, v)
    assert out.dtype == torch.bfloat16
    expected = torch_attention(0, q.double(), k.double(), v.double())
    torch.testing.assert_close(out.double(), expected, rtol=0.02, atol=0.02)  # bfloat16 has three digits


def test_the_mask_is_made_where_the_queries_are():
    q = torch.zeros(1, 1, 3, 2, device="meta")  # a device that has shapes and no numbers, on every machine
    assert attention_weights(q, q).device.type == "meta"
