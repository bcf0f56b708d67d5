import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from phase01_foundation.project03_pretrain.attention import torch_attention
from phase01_foundation.project03_pretrain.gpt2 import GPT2, GPT2Config, load, read_config
from shared.checkpoint import CheckpointError

TINY = GPT2Config(vocab_size=11, context_length=16, layers=2, heads=4, dim=16, hidden_dim=64)


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason="transformers, the reference, is not installed")


@pytest.fixture
def theirs(transformers):
    """transformers' GPT-2 with all weights random, so that no bias is hidden by a zero."""
    torch.manual_seed(0)
    shape = {"vocab_size": 11, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 4}
    config = transformers.GPT2Config(**shape, bos_token_id=None, eos_token_id=None)
    model = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(mean=0.1, std=0.3)
    return model


def tokens():
    return torch.randint(11, (3, 16), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("attend", [{}, {"attend": torch_attention}])
def test_the_model_equals_transformers(theirs, tmp_path, attend):
    theirs.save_pretrained(tmp_path)
    model = load(tmp_path)
    assert model.config == TINY
    expected = theirs(tokens()).logits
    torch.testing.assert_close(model(tokens(), **attend), expected, rtol=1e-5, atol=1e-5)
    exact = load(tmp_path, torch.float64)(tokens(), **attend)
    torch.testing.assert_close(exact, theirs.double()(tokens()).logits, rtol=1e-10, atol=1e-10)


def test_positions_are_those_of_transformers(theirs, tmp_path):
    theirs.save_pretrained(tmp_path)
    places = torch.arange(5, 13)
    found = load(tmp_path)(tokens()[:, :8], positions=places)
    expected = theirs(tokens()[:, :8], position_ids=places[None]).logits
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_released_files_own_names_are_read(theirs, tmp_path):
    """The files on the hub have no prefix, and carry causal masks."""
    theirs.save_pretrained(tmp_path / "saved")
    theirs.save_pretrained(tmp_path / "hub")
    tensors = load_file(tmp_path / "hub" / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    assert "wte.weight" in bare
    bare["h.0.attn.bias"] = torch.ones(1, 1, 16, 16)
    save_file(bare, tmp_path / "hub" / "model.safetensors")
    assert torch.equal(load(tmp_path / "hub")(tokens()), load(tmp_path / "saved")(tokens()))


def test_attend_is_called_once_a_layer():
    asked = []

    def spy(layer, q, k, v):
        asked.append((layer, q.shape, k.shape, v.shape))
        return torch_attention(layer, q, k, v)

    torch.manual_seed(0)
    model = GPT2(TINY)
    torch.testing.assert_close(model(tokens(), attend=spy), model(tokens()))
    assert asked == [(layer, *3 * [(3, 4, 16, 4)]) for layer in (0, 1)]


def test_an_untrained_model_is_random_as_it_says():
    torch.manual_seed(0)
    model = GPT2(replace(TINY, dim=64, hidden_dim=512))
    weights = model.state_dict()
    assert weights["blocks.0.feed_forward.up.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    assert weights["blocks.0.feed_forward.down.weight"].std().item() == pytest.approx(0.01, rel=0.05)
    assert weights["blocks.0.qkv.bias"].abs().max() == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "model_type None; this model can only have 'gpt2'"),
        ({"model_type": "llama"}, "model_type 'llama'"),
        ({"model_type": "gpt2", "activation_function": "relu"}, "activation_function 'relu'"),
        (
            {"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": True},
            "scale_attn_by_inverse_layer_idx True",
        ),
        ({"model_type": "gpt2", "n_head": 7}, "cannot be used: dim must be a multiple of heads"),
        ({"model_type": "gpt2", "n_layer": "12"}, "cannot be used"),
        ({"model_type": "gpt2", "n_embd": None}, "cannot be used"),
    ],
)
def test_a_config_this_model_cannot_follow_is_refused(content, message):
    with pytest.raises(CheckpointError, match=message):
        read_config(content)


def test_a_short_config_is_the_smallest_gpt2():
    assert read_config({"model_type": "gpt2"}) == GPT2Config()
    assert read_config({"model_type": "gpt2", "n_inner": 10}).hidden_dim == 10


def test_a_wrong_shape_is_refused(theirs, tmp_path):
    theirs.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "n_positions": 17}))
    with pytest.raises(
        CheckpointError, match=r"wpe.weight in .* has the shape \(16, 16\).* asks for \(17, 16\)"
    ):
        load(tmp_path)


@pytest.mark.parametrize(
    ("time", "positions", "message"),
    [
        (0, None, "reads 1 to 16 tokens at once, not 0"),
        (17, None, "reads 1 to 16 tokens at once, not 17"),
        (2, [15, 16], r"positions must be 0 to 15, not \[15, 16\]"),
        (2, [-1, 0], r"positions must be 0 to 15"),
    ],
)
def test_what_has_no_place_is_refused(time, positions, message):
    places = None if positions is None else torch.tensor(positions)
    with pytest.raises(ValueError, match=message):
        GPT2(TINY)(torch.zeros(1, time, dtype=torch.long), places)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"layers": 0}, "layers must be"), ({"heads": 3}, "dim must be"), ({"norm_eps": 0.0}, "norm_eps must")],
)
def test_an_impossible_shape_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)
