import math
from dataclasses import replace

import jaxtyping
import pytest
import torch
import torch.nn.functional as F

from phase01_foundation.project01_minimal_gpt.rotary import rotary_angles, rotate
from phase01_foundation.project03_pretrain import model as model_module
from phase01_foundation.project03_pretrain.given.example import SHAPES, TINY, example
from phase01_foundation.project03_pretrain.model import (
    LLM,
    Block,
    from_tensors,
    repeat_heads,
    torch_attention,
)
from shared.testing import raises


def norm(x, layer):
    return F.rms_norm(x, x.shape[-1:], layer.weight, layer.eps)


def peer_attention(config, layer, x):
    """Self-attention by torch's own functions, for (batch, time, dim)."""
    width = config.head_width
    q, k, v = (F.linear(x, part.weight).unflatten(-1, (-1, width)) for part in (layer.q, layer.k, layer.v))
    if config.qk_norm:
        q, k = norm(q, layer.q_norm), norm(k, layer.k_norm)
    angles = rotary_angles(torch.arange(x.shape[1]), width, config.rope_base)
    q, k, v = rotate(q.transpose(1, 2), angles), rotate(k.transpose(1, 2), angles), v.transpose(1, 2)
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    return F.linear(mixed.transpose(1, 2).flatten(2), layer.out.weight)


def peer_llm(model, tokens):
    """The whole model, written out a second time."""
    config = model.config
    x = F.embedding(tokens, model.embedding.weight)
    for block in model.blocks:
        x = x + peer_attention(config, block.attention, norm(x, block.attention_norm))
        fed, layer = norm(x, block.feed_forward_norm), block.feed_forward
        hidden = F.linear(fed, layer.up.weight)
        if config.activation == "swiglu":
            hidden = F.silu(F.linear(fed, layer.gate.weight)) * hidden
        else:
            hidden = F.relu(hidden) ** 2
        x = x + F.linear(hidden, layer.down.weight)
    head = model.embedding if config.tied_embeddings else model.head
    logits = F.linear(norm(x, model.norm), head.weight)
    cap = config.logit_softcap
    return logits if cap is None else cap * torch.tanh(logits / cap)


@pytest.mark.task(3)
@pytest.mark.parametrize("config", SHAPES)
def test_the_model_equals_torchs_own_functions(config):
    model, tokens = example(config, torch.float64)
    expected = peer_llm(model, tokens)
    torch.testing.assert_close(model(tokens), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model(tokens, attend=torch_attention), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.task(3)
@pytest.mark.parametrize("config", SHAPES)
def test_no_position_sees_a_later_one(config):
    model, tokens = example(config)
    changed = tokens.clone()
    changed[:, 9] = (changed[:, 9] + 1) % config.vocab_size
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :9], after[:, :9])
    assert (before[:, 9:] - after[:, 9:]).abs().amax(dim=(0, 2)).min() > 1e-3


@pytest.mark.task(3)
def test_positions_may_begin_anywhere():
    model, tokens = example()
    shifted = model(tokens, positions=torch.arange(100, 116))
    torch.testing.assert_close(shifted, model(tokens), rtol=1e-3, atol=1e-3)
    spread = model(tokens, positions=3 * torch.arange(16))
    assert (spread - model(tokens)).abs().max() > 0.05


@pytest.mark.task(3)
def test_a_bfloat16_model_tells_far_positions_apart():
    """Angles are in float32: bfloat16 would make 1,000 of 1,000 to 1,003."""
    model, tokens = example()
    expected = model(tokens)
    shifted = model.bfloat16()(tokens, positions=torch.arange(1000, 1016))
    torch.testing.assert_close(shifted, expected, rtol=0.1, atol=0.4)


@pytest.mark.task(3)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_block_keeps_the_streams_dtype(dtype):
    block, x = Block(TINY, 0), torch.randn(2, 5, 16).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        assert block(x, rotary_angles(torch.arange(5), 4), torch_attention).dtype == dtype


@pytest.mark.task(3)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_compiled_the_model_is_one_graph(monkeypatch, checkpointing):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # dynamo cannot trace the checks
    model, tokens = example(replace(TINY, logit_softcap=2.0))
    model.gradient_checkpointing = checkpointing
    model.attend = torch_attention
    expected = model(tokens)
    compiled = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)
    torch.testing.assert_close(compiled(tokens), expected)


@pytest.mark.task(3)
@pytest.mark.parametrize("config", SHAPES)
def test_a_model_is_built_around_given_weights(config):
    model, tokens = example(config)
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    drawn = torch.get_rng_state()
    built = from_tensors(config, tensors)
    assert torch.equal(torch.get_rng_state(), drawn), "random weights were made"
    assert list(tensors) == [name for name, _ in model.named_parameters()], "what is given stays as it is"
    assert torch.equal(built(tokens), model(tokens))
    assert built.embedding.weight.data_ptr() == tensors["embedding.weight"].data_ptr(), "a copy was made"
    assert built.parameter_count() == model.parameter_count()
    assert all(parameter.requires_grad for parameter in built.parameters())


@pytest.mark.task(3)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("norm.weight", None),
        ("embedding.weight", None),
        ("norm.bias", torch.ones(16)),
        ("norm.weight", torch.ones(15)),
    ],
)
def test_weights_that_do_not_fit_are_refused(name, tensor, tied):
    config = replace(TINY, tied_embeddings=tied)
    tensors = {**LLM(config).state_dict(), name: tensor}
    if tied:
        del tensors["head.weight"]
    with raises(RuntimeError, name):
        from_tensors(config, {name: tensor for name, tensor in tensors.items() if tensor is not None})


@pytest.mark.task(3)
def test_logits_of_few_places_are_those_of_all():
    model, tokens = example()
    torch.testing.assert_close(model.logits(model.hidden(tokens)[:, -1:]), model(tokens)[:, -1:])


@pytest.mark.task(3)
def test_logits_are_float32_in_a_bfloat16_model_and_under_autocast():
    model, tokens = example()
    exact = model(tokens)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = model(tokens)
    for logits in (under_autocast, model.bfloat16()(tokens)):
        assert logits.dtype == torch.float32
        torch.testing.assert_close(logits, exact, rtol=0.1, atol=0.4)


@pytest.mark.task(3)
@pytest.mark.parametrize("config", [*SHAPES, replace(TINY, dropout=0.3)])
def test_gradient_checkpointing_gives_the_same_gradients_and_saves_less(config):
    found = []
    for on in (False, True):
        model, tokens = example(replace(config, layers=4))
        model.gradient_checkpointing = on
        asked, saved = [], 0

        def attend(layer, *heads, asked=asked):
            asked.append(layer)
            return torch_attention(layer, *heads)

        def count(tensor):
            nonlocal saved
            saved += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = model(tokens, attend=attend).square().mean()
        loss.backward()
        assert sorted(asked) == sorted([0, 1, 2, 3] * (2 if on else 1)), (
            "computed again, and by the same attend"
        )
        found.append((saved, [parameter.grad for parameter in model.parameters()]))
    (plain, expected), (less, gradients) = found
    assert all(torch.equal(a, b) for a, b in zip(gradients, expected, strict=True))
    assert less < plain / 4


@pytest.mark.task(3)
def test_a_frozen_embedding_leaves_the_blocks_their_gradients_under_checkpointing():
    """As in fine-tuning: what comes into the first block then needs no gradient."""
    found = []
    for on in (False, True):
        model, tokens = example()
        model.embedding.requires_grad_(False)
        model.gradient_checkpointing = on
        model(tokens).square().mean().backward()
        found.append([parameter.grad for parameter in model.blocks.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.task(3)
def test_without_gradients_nothing_is_checkpointed(monkeypatch):
    model, tokens = example()
    expected = model(tokens)
    model.gradient_checkpointing = True
    monkeypatch.setattr(
        model_module, "checkpoint", lambda *_, **__: pytest.fail("nothing is to be kept here")
    )
    with torch.no_grad():
        assert torch.equal(model(tokens), expected)


@pytest.mark.task(3)
def test_a_block_drops_out_of_what_each_half_adds():
    model, tokens = example(replace(TINY, dropout=0.4))
    block, x = model.get_submodule("blocks.0"), model.embedding(tokens)
    angles = rotary_angles(torch.arange(16), 4)
    assert isinstance(block, Block)
    torch.manual_seed(1)
    found = block(x, angles, torch_attention)
    torch.manual_seed(1)
    expected = x + block.dropout(block.attention(norm(x, block.attention_norm), angles, torch_attention))
    expected = expected + block.dropout(block.feed_forward(norm(expected, block.feed_forward_norm)))
    assert (expected - example()[0].get_submodule("blocks.0")(x, angles, torch_attention)).abs().max() > 0.1
    torch.testing.assert_close(found, expected)


@pytest.mark.task(3)
def test_nothing_drops_out_of_a_model_in_use():
    model, tokens = example(replace(TINY, dropout=0.4))
    assert not torch.equal(model(tokens), model(tokens))
    assert torch.equal(model.eval()(tokens), example(TINY)[0](tokens))


@pytest.mark.task(3)
def test_gradients_equal_finite_differences():
    shape = {"layers": 1, "heads": 2, "head_dim": 4, "vocab_size": 5, "dim": 6, "hidden_dim": 4}
    config = replace(SHAPES[2], **shape, logit_softcap=3.0)
    model, _ = example(config, torch.float64)
    tokens = torch.tensor([[0, 3, 1]])
    names, parameters = zip(*model.named_parameters(), strict=True)

    def loss(*values):
        return torch.func.functional_call(model, dict(zip(names, values, strict=True)), tokens)

    assert torch.autograd.gradcheck(loss, [parameter.detach().requires_grad_() for parameter in parameters])


@pytest.mark.task(3)
@pytest.mark.parametrize("tied", [False, True])
def test_an_untrained_model_finds_all_tokens_equally_likely_and_can_learn(tied):
    torch.manual_seed(0)
    model = LLM(replace(TINY, tied_embeddings=tied))
    tokens = torch.randint(11, (3, 16))
    targets = torch.randint(11, (3, 16)).flatten()

    def loss():
        return F.cross_entropy(model(tokens).flatten(0, 1), targets)

    first = loss()
    assert first.item() == pytest.approx(math.log(11), abs=0.05)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.3


@pytest.mark.task(3)
def test_a_block_starts_as_the_identity_and_its_feed_forward_can_be_replaced():
    torch.manual_seed(0)
    model, tokens = LLM(TINY), torch.randint(11, (2, 5))
    assert torch.equal(model.hidden(tokens), model.embedding(tokens))
    model.get_submodule("blocks.1").feed_forward = torch.nn.Identity()
    x = model.embedding(tokens)
    torch.testing.assert_close(model.hidden(tokens), x + norm(x, model.norm))


@pytest.mark.task(3)
@pytest.mark.parametrize("time", [0, 17])
def test_a_length_outside_the_context_is_refused(time):
    with raises(ValueError, 16, time):
        LLM(TINY)(torch.zeros(1, time, dtype=torch.long))


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
