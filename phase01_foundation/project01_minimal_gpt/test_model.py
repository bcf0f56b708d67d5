import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from phase01_foundation.project01_minimal_gpt import debug
from phase01_foundation.project01_minimal_gpt import model as model_module
from phase01_foundation.project01_minimal_gpt.attention import causal_attention, torch_attention
from phase01_foundation.project01_minimal_gpt.model import (
    GPT,
    Block,
    GPTConfig,
    SelfAttention,
    next_token_loss,
)
from phase01_foundation.project01_minimal_gpt.rotary import rotary_angles, rotate
from shared.testing import raises

CONFIG = debug.TINY


def norm(x):
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()


def slow_attention(weights, x):
    """Self-attention for one text (time, dim), head after head and position after position."""
    heads, width = CONFIG.heads, CONFIG.dim // CONFIG.heads
    angles = rotary_angles(torch.arange(len(x)), width)
    q, k, v = (x @ weights["qkv.weight"].T).split(CONFIG.dim, dim=1)
    joined = torch.zeros_like(x)
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        q_head = rotate(norm(q[None, None, :, part]), angles)[0, 0]
        k_head = rotate(norm(k[None, None, :, part]), angles)[0, 0]
        for i in range(len(x)):
            scores = torch.stack([q_head[i] @ k_head[j] for j in range(i + 1)]) / math.sqrt(width)
            joined[i, part] = scores.softmax(0) @ v[: i + 1, part]
    return joined @ weights["out.weight"].T


def slow_gpt(model, tokens):
    """The whole model for one text (time,), written out a second time."""
    x = norm(model.embedding.weight[tokens])
    for block in model.blocks:
        x = x + slow_attention(dict(block.attention.named_parameters()), norm(x))
        hidden = (norm(x) @ block.feed_forward.up.weight.T).clamp(min=0) ** 2
        x = x + hidden @ block.feed_forward.down.weight.T
    return norm(x) @ model.head.weight.T


@pytest.mark.task(4)
def test_self_attention_equals_the_slow_way():
    model, _, _ = debug.example(dtype=torch.float64)
    attention = model.blocks.get_submodule("0.attention")
    x = torch.randn(3, 10, CONFIG.dim, dtype=torch.float64)
    angles = rotary_angles(torch.arange(10), CONFIG.dim // CONFIG.heads)
    expected = torch.stack([slow_attention(dict(attention.named_parameters()), text) for text in x])
    torch.testing.assert_close(attention(x, angles, causal_attention), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.task(4)
def test_attend_is_asked_with_the_layer_and_normalised_heads():
    asked = []

    def spy(layer, q, k, v):
        asked.append((layer, q, k, v))
        return v

    attention = SelfAttention(CONFIG, layer=1)
    torch.nn.init.eye_(attention.out.weight)
    x = torch.randn(2, 5, CONFIG.dim)
    out = attention(x, rotary_angles(torch.arange(5), CONFIG.dim // CONFIG.heads), spy)
    [(layer, q, k, v)] = asked
    assert layer == 1
    assert q.shape == k.shape == v.shape == (2, CONFIG.heads, 5, CONFIG.dim // CONFIG.heads)
    for normalised in (q, k):  # variance 1, and turning keeps the length: each is √head_dim long
        length = torch.full((2, CONFIG.heads, 5), math.sqrt(CONFIG.dim // CONFIG.heads))
        torch.testing.assert_close(normalised.norm(dim=-1), length, rtol=1e-2, atol=0)
    # With values passed through and an identity for a projection, the values come out, heads joined in order.
    torch.testing.assert_close(out, F.linear(x, attention.qkv.weight[2 * CONFIG.dim :]))


@pytest.mark.task(4)
def test_attend_gets_queries_and_keys_in_the_dtype_of_the_values(monkeypatch):
    # On a GPU, autocast normalises in float32.
    monkeypatch.setattr(model_module, "normalize", lambda x: F.layer_norm(x.float(), x.shape[-1:]))
    asked = []

    def spy(layer, q, k, v):
        asked.extend([q.dtype, k.dtype, v.dtype])
        return v

    x, angles = torch.randn(2, 5, CONFIG.dim), rotary_angles(torch.arange(5), CONFIG.dim // CONFIG.heads)
    with torch.autocast("cpu", torch.bfloat16):
        SelfAttention(CONFIG, layer=0)(x, angles, spy)
    assert asked == [torch.bfloat16] * 3


@pytest.mark.task(5)
def test_the_model_equals_the_slow_way():
    model, tokens, _ = debug.example(dtype=torch.float64)
    expected = torch.stack([slow_gpt(model, text) for text in tokens])
    torch.testing.assert_close(model(tokens), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.task(5)
def test_the_model_is_the_same_with_torch_attention():
    assert debug.reference() < 1e-12


@pytest.mark.task(5)
def test_no_position_sees_a_later_one():
    before, after = debug.causality()
    assert before == 0
    assert after > 0.1


@pytest.mark.task(5)
def test_gradients_equal_finite_differences():
    assert debug.gradients_by_differences() < 1e-6


@pytest.mark.task(5)
def test_an_untrained_model_finds_all_tokens_equally_likely():
    loss, uniform = debug.first_loss()
    assert loss == pytest.approx(uniform, abs=1e-3)


@pytest.mark.task(5)
def test_positions_may_begin_anywhere():
    model, tokens, _ = debug.example()
    shifted = model(tokens, positions=torch.arange(100, 100 + tokens.shape[1]))
    torch.testing.assert_close(shifted, model(tokens), rtol=1e-3, atol=1e-3)
    spread = model(tokens, positions=3 * torch.arange(tokens.shape[1]))
    assert (spread - model(tokens)).abs().max() > 0.1


@pytest.mark.task(5)
def test_attend_is_called_once_a_layer():
    layers = []

    def spy(layer, q, k, v):
        layers.append(layer)
        return torch_attention(layer, q, k, v)

    model, tokens, _ = debug.example()
    torch.testing.assert_close(model(tokens, attend=spy), model(tokens))
    assert layers == [0, 1]


@pytest.mark.task(5)
def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    model, tokens, _ = debug.example(replace(CONFIG, dropout=0.5))
    assert not torch.equal(model.train()(tokens), model(tokens))
    assert torch.equal(model.eval()(tokens), model(tokens))


def example_block(share):
    """A block in training mode that drops this share, and what goes through it."""
    block = Block(CONFIG, layer=0).train()
    block.dropout.p = share
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return block, torch.randn(2, 5, CONFIG.dim), rotary_angles(torch.arange(5), CONFIG.dim // CONFIG.heads)


@pytest.mark.task(5)
def test_dropout_acts_on_all_that_is_added_and_on_nothing_else():
    block, x, angles = example_block(share=1.0)
    assert torch.equal(block(x, angles, causal_attention), x), (
        "with all dropped, the stream goes through as it was"
    )


@pytest.mark.task(5)
def test_each_half_reads_the_whole_normalised_stream():
    block, x, angles = example_block(share=0.5)
    read = []
    for half in (block.attention, block.feed_forward):
        half.register_forward_pre_hook(
            lambda module, args, kwargs: read.append(args[0] if args else kwargs["x"]), with_kwargs=True
        )
    block(x, angles, causal_attention)
    torch.testing.assert_close(read[0], norm(x))
    torch.testing.assert_close(read[1].mean(-1), torch.zeros(2, 5), rtol=0, atol=1e-5)


@pytest.mark.task(5)
def test_positions_are_made_where_the_tokens_are():
    with torch.device("meta"):  # a device that has shapes and no numbers, on every machine
        model = GPT(CONFIG)
    assert model(torch.zeros(1, 4, dtype=torch.long, device="meta")).device.type == "meta"


@pytest.mark.task(5)
def test_autocast_gives_float32_logits_close_to_the_exact_ones():
    model, tokens, _ = debug.example()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(tokens)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, model(tokens), rtol=0.1, atol=0.3)


@pytest.mark.task(5)
@pytest.mark.parametrize("time", [1, CONFIG.context_length])
def test_the_shortest_and_the_longest_text_are_read(time):
    assert GPT(CONFIG)(torch.zeros(1, time, dtype=torch.long)).shape == (1, time, CONFIG.vocab_size)


@pytest.mark.task(5)
@pytest.mark.parametrize("time", [0, CONFIG.context_length + 1])
def test_a_length_outside_the_context_is_refused(time):
    with raises(ValueError, CONFIG.context_length, time):
        GPT(CONFIG)(torch.zeros(1, time, dtype=torch.long))


@pytest.mark.task(5)
def test_the_loss_is_the_mean_of_minus_log_probability():
    logits, targets = torch.randn(2, 3, 5), torch.randint(5, (2, 3))
    expected = -sum(logits[b, t].softmax(0)[targets[b, t]].log() for b in range(2) for t in range(3)) / 6
    torch.testing.assert_close(next_token_loss(logits, targets), expected)


@pytest.mark.task(5)
def test_the_loss_takes_targets_that_are_a_slice():
    logits, pieces = torch.randn(2, 3, 5), torch.randint(5, (2, 4))
    expected = next_token_loss(logits, pieces[:, 1:].contiguous())
    assert torch.equal(next_token_loss(logits, pieces[:, 1:]), expected)


@pytest.mark.task(7)
def test_a_batch_is_learnt_by_heart_with_calm_gradients():
    losses, norms = debug.overfit()
    assert losses[0] == pytest.approx(math.log(CONFIG.vocab_size), abs=1e-3)
    assert losses[-1] < 0.05
    assert norms[-1] < max(norms) / 10


@pytest.mark.task(5)
def test_what_goes_through_has_the_shapes_the_names_say():
    found = debug.shapes()
    assert found["tokens"] == (3, 16)
    assert found["blocks.0.attention.qkv"] == (3, 16, 3 * CONFIG.dim)
    assert found["blocks.1.feed_forward.up"] == (3, 16, 4 * CONFIG.dim)
    assert found["logits"] == (3, 16, CONFIG.vocab_size)


def test_the_debugging_command_finds_nothing_wrong(capsys):
    debug.main()
    printed = capsys.readouterr().out
    assert printed.count("ok ") == 7
    assert "FAIL" not in printed


def test_parameters_are_counted():
    expected = 2 * CONFIG.vocab_size * CONFIG.dim + CONFIG.layers * 12 * CONFIG.dim**2
    assert GPT(CONFIG).parameter_count() == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers must be at least 1"),
        ({"dim": 18}, "dim must be a multiple of 2 × heads"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
    ],
)
def test_an_impossible_shape_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        GPTConfig(**{"vocab_size": 5, "heads": 2, "dim": 16, **changes})
