"""The parts of the model, each by itself."""

import math
from dataclasses import replace

import jaxtyping
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project01_minimal_gpt.rotary import rotary_angles, rotate
from phase01_foundation.project03_pretrain.given.example import SHAPES, TINY, example
from phase01_foundation.project03_pretrain.model import (
    Attention,
    Config,
    RMSNorm,
    SquaredReLU,
    SwiGLU,
    causal_attention,
    repeat_heads,
    torch_attention,
)


def norm(x, gain, eps):
    return x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt() * gain


def stream(config: Config) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 10, config.dim, generator=generator, dtype=torch.float64)


def slow_attention(config, weights, x):
    """Self-attention for one text (time, dim), head after head and position after position."""
    width = config.head_width
    angles = rotary_angles(torch.arange(len(x)), width, config.rope_base)
    joined = []
    for head in range(config.heads):
        shared = head // (config.heads // config.kv_heads)
        q = x @ weights["q.weight"][head * width : (head + 1) * width].T
        k = x @ weights["k.weight"][shared * width : (shared + 1) * width].T
        v = x @ weights["v.weight"][shared * width : (shared + 1) * width].T
        if config.qk_norm:
            q = norm(q, weights["q_norm.weight"], config.norm_eps)
            k = norm(k, weights["k_norm.weight"], config.norm_eps)
        q, k = rotate(q[None, None], angles)[0, 0], rotate(k[None, None], angles)[0, 0]
        rows = []
        for i in range(len(x)):
            scores = torch.stack([q[i] @ k[j] for j in range(i + 1)]) / math.sqrt(width)
            rows.append(scores.softmax(0) @ v[: i + 1])
        joined.append(torch.stack(rows))
    return torch.cat(joined, dim=1) @ weights["out.weight"].T


@pytest.mark.task(1)
@given(st.integers(1, 5), st.floats(1e-6, 1.0), st.floats(1e-3, 1e3))
def test_a_norm_equals_its_formula(dim, eps, scale):
    generator = torch.Generator().manual_seed(dim)
    x = scale * (1 + torch.randn(2, 3, dim, generator=generator, dtype=torch.float64))
    layer = RMSNorm(dim, eps).double()
    torch.nn.init.normal_(layer.weight, generator=generator)
    torch.testing.assert_close(layer(x), norm(x, layer.weight, eps), rtol=1e-12, atol=1e-12)


@pytest.mark.task(1)
def test_a_norm_of_bfloat16_is_taken_in_float32():
    x = torch.randn(50, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    out = RMSNorm(64, 1e-5).bfloat16()(x)
    assert out.dtype == torch.bfloat16
    # Rounded once, at the end: half a step of bfloat16's eight bits.
    torch.testing.assert_close(out.double(), norm(x.double(), 1.0, 1e-5), rtol=1.001 * 2**-8, atol=0)


@pytest.mark.task(1)
def test_the_gain_of_a_bfloat16_norm_comes_after_the_rounding():
    """As in transformers' Llama, whose checkpoints were trained so."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 64, generator=generator).bfloat16()
    layer = RMSNorm(64, 1e-5).bfloat16()
    torch.nn.init.normal_(layer.weight, mean=1.0, std=0.3, generator=generator)
    expected = layer.weight * norm(x.double(), 1.0, 1e-5).bfloat16()
    # What lies half way between two numbers may go either way. Rounded only once, a fifth would differ.
    assert (layer(x) == expected).float().mean() > 0.99


@pytest.mark.task(1)
@pytest.mark.parametrize("config", SHAPES)
@pytest.mark.parametrize("attend", [causal_attention, torch_attention])
def test_attention_equals_the_slow_way(config, attend):
    model, _ = example(config, torch.float64)
    attention = model.get_submodule("blocks.1.attention")
    x = stream(config)
    angles = rotary_angles(torch.arange(10), config.head_width, config.rope_base)
    expected = torch.stack([slow_attention(config, dict(attention.named_parameters()), text) for text in x])
    torch.testing.assert_close(attention(x, angles, attend), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.task(1)
def test_attend_gets_the_layer_and_heads_that_are_not_repeated():
    asked = []

    def spy(layer, q, k, v):
        asked.append((layer, q.shape, k.shape, v.shape))
        return torch_attention(layer, q, k, v)

    x = stream(TINY).float()
    for layer in (0, 3):
        Attention(TINY, layer)(x, rotary_angles(torch.arange(10), 4), spy)
    q, kv = (3, 4, 10, 4), (3, 2, 10, 4)
    assert asked == [(0, q, kv, kv), (3, q, kv, kv)]


@pytest.mark.task(1)
def test_attend_gets_queries_keys_and_values_of_one_dtype():
    def spy(layer, q, k, v):
        assert q.dtype == k.dtype == v.dtype == torch.bfloat16
        return torch_attention(layer, q, k, v)

    # Autocast makes bfloat16 of what comes from a linear layer, and a norm's float32 gain makes float32 of that.
    attention = Attention(replace(TINY, qk_norm=True), 0)
    with torch.autocast("cpu", torch.bfloat16):
        attention(stream(TINY).float(), rotary_angles(torch.arange(10), 4), spy)


@pytest.mark.task(1)
def test_a_bfloat16_model_turns_by_angles_that_are_not_rounded():
    """Of the angles 1,000 to 1,009, bfloat16 would make 1,000 and 1,008."""
    turned = []

    def spy(layer, q, k, v):
        turned.extend([q, k])
        return torch_attention(layer, q, k, v)

    attention = Attention(TINY, 0).bfloat16()
    angles = rotary_angles(torch.arange(1000, 1010), 4)
    x = stream(TINY).bfloat16()
    attention(x, angles, spy)
    for linear, found in zip((attention.q, attention.k), turned, strict=True):
        heads = linear(x).unflatten(-1, (-1, 4)).transpose(1, 2)
        # Each of two products is rounded, and their sum: three halves of bfloat16's 2^-7.
        torch.testing.assert_close(found.double(), rotate(heads.double(), angles), rtol=0.02, atol=0.03)


@pytest.mark.task(1)
def test_compiled_each_part_is_one_graph(monkeypatch):
    """`torch.compile` breaks a graph where Python must see a number, and what it breaks is slow."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # dynamo cannot trace the checks
    x, angles = stream(TINY).float(), rotary_angles(torch.arange(10), 4)
    for part, rest in (
        (RMSNorm(16, 1e-5), ()),
        (Attention(TINY, 0), (angles, torch_attention)),
        (SwiGLU(TINY), ()),
    ):
        expected = part(x, *rest)
        compiled = torch.compile(part, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(x, *rest), expected)


@pytest.mark.task(1)
def test_a_gated_feed_forward_equals_its_formula():
    layer = example(TINY, torch.float64)[0].get_submodule("blocks.0.feed_forward")
    assert isinstance(layer, SwiGLU)
    x = stream(TINY)
    gate, up = x @ layer.gate.weight.T, x @ layer.up.weight.T
    expected = (gate / (1 + torch.exp(-gate)) * up) @ layer.down.weight.T
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.task(1)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_repeated_heads_stand_beside_each_other(kv_heads, group, time):
    x = torch.arange(kv_heads).float().view(1, -1, 1, 1).expand(2, -1, time, 3)
    found = repeat_heads(x, kv_heads * group)
    assert found.shape == (2, kv_heads * group, time, 3)
    assert found[1, :, -1, 2].tolist() == [head // group for head in range(kv_heads * group)]


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


# ---- what is given


def test_a_squared_relu_feed_forward_equals_its_formula():
    layer = example(replace(TINY, activation="squared_relu"), torch.float64)[0].get_submodule(
        "blocks.0.feed_forward"
    )
    assert isinstance(layer, SquaredReLU)
    x = stream(TINY)
    expected = (x @ layer.up.weight.T).clamp(min=0) ** 2 @ layer.down.weight.T
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)
