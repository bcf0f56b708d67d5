import math
from dataclasses import replace

import pytest
import torch

from phase01_foundation.project01_minimal_gpt.rotary import rotary_angles, rotate
from phase01_foundation.project03_pretrain.attention import torch_attention
from phase01_foundation.project03_pretrain.example import SHAPES, TINY, example
from phase01_foundation.project03_pretrain.model import LLM, Config, RMSNorm, check_positions, from_tensors


def norm(x, gain, eps):
    return x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt() * gain


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


def slow_llm(model, tokens):
    """The whole model for one text (time,), written out a second time."""
    config = model.config
    x = model.embedding.weight[tokens]
    for block in model.blocks:
        attended = norm(x, block.attention_norm.weight, config.norm_eps)
        x = x + slow_attention(config, dict(block.attention.named_parameters()), attended)
        fed = norm(x, block.feed_forward_norm.weight, config.norm_eps)
        weights = dict(block.feed_forward.named_parameters())
        hidden = fed @ weights["up.weight"].T
        if config.activation == "swiglu":
            gate = fed @ weights["gate.weight"].T
            hidden = gate * torch.sigmoid(gate) * hidden
        else:
            hidden = hidden.clamp(min=0) ** 2
        x = x + hidden @ weights["down.weight"].T
    head = model.embedding if config.tied_embeddings else model.head
    logits = norm(x, model.norm.weight, config.norm_eps) @ head.weight.T
    cap = config.logit_softcap
    return logits if cap is None else cap * torch.tanh(logits / cap)


@pytest.mark.parametrize("config", SHAPES)
def test_the_model_equals_the_slow_way(config):
    model, tokens = example(config, torch.float64)
    expected = torch.stack([slow_llm(model, text) for text in tokens])
    torch.testing.assert_close(model(tokens), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model(tokens, attend=torch_attention), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("config", SHAPES)
def test_no_position_sees_a_later_one(config):
    model, tokens = example(config)
    changed = tokens.clone()
    changed[:, 9] = (changed[:, 9] + 1) % config.vocab_size
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :9], after[:, :9])
    assert (before[:, 9:] - after[:, 9:]).abs().amax(dim=(0, 2)).min() > 1e-3


def test_positions_may_begin_anywhere():
    model, tokens = example()
    shifted = model(tokens, positions=torch.arange(100, 116))
    torch.testing.assert_close(shifted, model(tokens), rtol=1e-3, atol=1e-3)
    spread = model(tokens, positions=3 * torch.arange(16))
    assert (spread - model(tokens)).abs().max() > 0.05


def test_logits_of_few_places_are_those_of_all():
    model, tokens = example()
    torch.testing.assert_close(model.logits(model.hidden(tokens)[:, -1:]), model(tokens)[:, -1:])


def test_logits_are_float32_in_a_bfloat16_model_and_under_autocast():
    model, tokens = example()
    exact = model(tokens)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = model(tokens)
    for logits in (under_autocast, model.bfloat16()(tokens)):
        assert logits.dtype == torch.float32
        torch.testing.assert_close(logits, exact, rtol=0.1, atol=0.4)


def test_a_norm_of_bfloat16_is_taken_in_float32():
    x = torch.randn(50, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    out = RMSNorm(64, 1e-5).bfloat16()(x)
    assert out.dtype == torch.bfloat16
    # Rounded once, at the end: half a step of bfloat16's eight bits.
    torch.testing.assert_close(out.double(), norm(x.double(), 1.0, 1e-5), rtol=1.001 * 2**-8, atol=0)


@pytest.mark.parametrize("config", SHAPES)
def test_gradient_checkpointing_gives_the_same_gradients_and_saves_less(config):
    found = []
    for on in (False, True):
        model, tokens = example(replace(config, layers=4))
        model.gradient_checkpointing = on
        saved = 0

        def count(tensor):
            nonlocal saved
            saved += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = model(tokens).square().mean()
        loss.backward()
        found.append((saved, [parameter.grad for parameter in model.parameters()]))
    (plain, expected), (less, gradients) = found
    assert all(torch.equal(a, b) for a, b in zip(gradients, expected, strict=True))
    assert less < plain / 4


def test_gradients_equal_finite_differences():
    config = replace(SHAPES[2], layers=1, vocab_size=5, dim=8, hidden_dim=4, logit_softcap=3.0)
    model, _ = example(config, torch.float64)
    tokens = torch.tensor([[0, 3, 1, 4]])
    names, parameters = zip(*model.named_parameters(), strict=True)

    def loss(*values):
        return torch.func.functional_call(model, dict(zip(names, values, strict=True)), tokens)

    assert torch.autograd.gradcheck(loss, [parameter.detach().requires_grad_() for parameter in parameters])


@pytest.mark.parametrize("tied", [False, True])
def test_an_untrained_model_finds_all_tokens_equally_likely_and_can_learn(tied):
    torch.manual_seed(0)
    model = LLM(replace(TINY, tied_embeddings=tied))
    tokens = torch.randint(11, (3, 16))
    targets = torch.randint(11, (3, 16)).flatten()

    def loss():
        return torch.nn.functional.cross_entropy(model(tokens).flatten(0, 1), targets)

    first = loss()
    assert first.item() == pytest.approx(math.log(11), abs=0.05)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.3


def test_a_block_starts_as_the_identity_and_its_feed_forward_can_be_replaced():
    torch.manual_seed(0)
    model, tokens = LLM(TINY), torch.randint(11, (2, 5))
    assert torch.equal(model.hidden(tokens), model.embedding(tokens))
    model.get_submodule("blocks.1").feed_forward = torch.nn.Identity()
    x = model.embedding(tokens)
    torch.testing.assert_close(model.hidden(tokens), x + norm(x, 1.0, TINY.norm_eps))


def test_parameters_are_counted_once():
    model = LLM(TINY)
    block = 16 * (16 + 8 + 8 + 16) + 3 * 16 * 24 + 2 * 16
    assert model.parameter_count() == 2 * 11 * 16 + 2 * block + 16
    tied = LLM(replace(TINY, tied_embeddings=True))
    assert tied.parameter_count() == model.parameter_count() - 11 * 16
    assert tied.head.weight is tied.embedding.weight
    assert tied.double().head.weight is tied.embedding.weight


@pytest.mark.parametrize("config", SHAPES)
def test_a_model_is_built_around_given_weights(config):
    model, tokens = example(config)
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    built = from_tensors(config, tensors)
    assert torch.equal(built(tokens), model(tokens))
    assert built.embedding.weight.data_ptr() == tensors["embedding.weight"].data_ptr(), "a copy was made"
    assert built.parameter_count() == model.parameter_count()
    assert all(parameter.requires_grad for parameter in built.parameters())


@pytest.mark.parametrize("time", [0, 17])
def test_a_length_outside_the_context_is_refused(time):
    with pytest.raises(ValueError, match=f"reads 1 to 16 tokens at once, not {time}"):
        LLM(TINY)(torch.zeros(1, time, dtype=torch.long))


def test_positions_must_be_as_many_as_the_tokens():
    tokens = torch.zeros(1, 3, dtype=torch.long)
    assert check_positions(tokens, torch.tensor([5, 9, 7]), 2).tolist() == [5, 9, 7]
    with pytest.raises(ValueError, match="one position for each of its 3 tokens, not 1"):
        check_positions(tokens, torch.arange(1), 16)  # which torch would spread over all three
    with pytest.raises(ValueError, match="reads 1 to 16 tokens at once, not 0"):
        check_positions(tokens[:, :0], torch.arange(0), 16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers must be at least 1, not 0"),
        ({"kv_heads": 0}, "kv_heads must be at least 1, not 0"),
        ({"kv_heads": 3}, "heads must be a multiple of kv_heads: 4 is none of 3"),
        ({"dim": 18}, "dim must be a multiple of heads: 18 is none of 4; or set head_dim"),
        ({"dim": 12}, "even width .* not 3"),
        ({"head_dim": 0}, "even width .* not 0"),
        ({"rope_base": 0.0}, "rope_base must be above 0"),
        ({"norm_eps": -1.0}, "norm_eps must be above 0"),
        ({"activation": "relu"}, "activation must be swiglu or squared_relu, not 'relu'"),
        ({"logit_softcap": 0.0}, "logit_softcap must be above 0, or None"),
    ],
)
def test_an_impossible_shape_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Config.__post_init__(_unchecked(changes))


def _unchecked(changes):
    # Past the type checker of the tests, which would speak first of a wrong activation.
    config = object.__new__(Config)
    for name, value in {**TINY.__dict__, **changes}.items():
        object.__setattr__(config, name, value)
    return config
