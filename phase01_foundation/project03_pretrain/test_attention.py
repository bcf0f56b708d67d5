import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project03_pretrain.attention import causal_attention, repeat_heads, torch_attention
from phase01_foundation.project03_pretrain.given.example import SHAPES, example


@pytest.mark.task(3)
def test_attend_is_called_once_a_layer_with_heads_that_are_not_repeated():
    asked = []

    def spy(layer, q, k, v):
        asked.append((layer, q.shape, k.shape, v.shape))
        return torch_attention(layer, q, k, v)

    model, tokens = example()
    torch.testing.assert_close(model(tokens, attend=spy), model(tokens), rtol=1e-5, atol=1e-5)
    q, kv = (3, 4, 16, 4), (3, 2, 16, 4)
    assert asked == [(0, q, kv, kv), (1, q, kv, kv)]


@pytest.mark.task(3)
@pytest.mark.parametrize("config", SHAPES)
def test_an_attend_that_keeps_keys_and_values_is_a_cache(config):
    kept = {}

    def cached(layer, q, k, v):
        old = kept.get(layer, (k[:, :, :0], v[:, :, :0]))
        k, v = kept[layer] = (torch.cat([old[0], k], dim=2), torch.cat([old[1], v], dim=2))
        k, v = repeat_heads(k, config.heads), repeat_heads(v, config.heads)
        future = torch.arange(k.shape[2]) > torch.arange(k.shape[2] - q.shape[2], k.shape[2])[:, None]
        scores = q @ k.transpose(-2, -1) / math.sqrt(config.head_width)
        return scores.masked_fill(future, -torch.inf).softmax(-1) @ v

    model, tokens = example(config, torch.float64)
    parts = [
        model(tokens[:, start:end], torch.arange(start, end), cached)
        for start, end in [(0, 7), *((i, i + 1) for i in range(7, 16))]
    ]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(tokens), rtol=1e-10, atol=1e-10)
    assert kept[0][0].shape[1] == config.kv_heads


@pytest.mark.task(3)
def test_texts_end_to_end_in_one_row_are_read_as_if_alone():
    model, tokens = example(dtype=torch.float64)
    text = torch.tensor([0, 1, 2]).repeat_interleave(16)
    seen = (text[:, None] == text) & torch.ones(48, 48, dtype=torch.bool).tril()

    def apart(layer, q, k, v):
        k, v = repeat_heads(k, 4), repeat_heads(v, 4)
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)

    packed = model(tokens.view(1, 48), positions=torch.arange(16).repeat(3), attend=apart)
    torch.testing.assert_close(packed.view(3, 16, 11), model(tokens), rtol=1e-10, atol=1e-10)


@pytest.mark.task(1)
@given(st.integers(1, 4), st.integers(1, 4))
def test_repeated_heads_stand_beside_each_other(kv_heads, group):
    x = torch.arange(kv_heads).float().view(1, -1, 1, 1)
    assert repeat_heads(x, kv_heads * group).flatten().tolist() == [
        head // group for head in range(kv_heads * group)
    ]


@pytest.mark.task(1)
def test_softmax_is_float32_in_a_bfloat16_model():
    # One key's score is 16 + 1/16, the others' are 16. bfloat16, in steps of 1/8 there, cannot tell them apart.
    q = torch.full((1, 1, 32, 4), 16.0, dtype=torch.bfloat16)
    k = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.bfloat16).expand(1, 1, 32, 4).clone()
    k[0, 0, 0, 0] += 2**-7
    v = torch.zeros_like(k)
    v[0, 0, 0] = 1
    out = causal_attention(0, q, k, v)
    assert out.dtype == torch.bfloat16
    expected = math.exp(1 / 16) / (math.exp(1 / 16) + 31)
    assert out[0, 0, -1, 0].item() == pytest.approx(expected, rel=2**-8)
