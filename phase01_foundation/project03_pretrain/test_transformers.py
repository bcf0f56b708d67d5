"""transformers, as the peer: what one side saves the other opens, and both say the same of a text."""

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from phase01_foundation.project01_minimal_gpt.rotary import rotary_angles
from phase01_foundation.project03_pretrain.given.example import TINY, example
from phase01_foundation.project03_pretrain.hugging_face import load, read_config, save
from phase01_foundation.project03_pretrain.model import torch_attention

SHAPES = {
    "grouped": TINY,
    "equal heads, tied": replace(TINY, kv_heads=4, tied_embeddings=True, rope_base=500.0, norm_eps=1e-6),
    "one key head, wide heads": replace(TINY, kv_heads=1, layers=3, head_dim=6, hidden_dim=20),
    "qk_norm": replace(TINY, qk_norm=True),
    "qk_norm, tied, wide heads": replace(TINY, qk_norm=True, tied_embeddings=True, dim=18, head_dim=8),
}
shapes = pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES.keys())


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason="transformers, the reference, is not installed")


def open_theirs(transformers, folder):
    """The folder as transformers opens it; an unread or missing tensor is an error."""
    model, found = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(found.values()), found
    return model.eval()


def same_angles(theirs, config):
    """Our rotary frequencies for transformers' own, which differ in the last bit of float32."""
    frequencies = rotary_angles(torch.tensor([1]), config.head_width, config.rope_base)[0]
    torch.testing.assert_close(theirs.model.rotary_emb.inv_freq.float(), frequencies)
    theirs.model.rotary_emb.inv_freq = frequencies


@pytest.mark.task(4)
@shapes
def test_what_is_saved_opens_in_transformers_and_says_the_same(transformers, tmp_path, config):
    model, tokens = example(config)
    save(model, tmp_path)
    theirs = open_theirs(transformers, tmp_path)
    assert type(theirs).__name__ == ("Qwen3ForCausalLM" if config.qk_norm else "LlamaForCausalLM")
    expected = theirs(tokens).logits
    torch.testing.assert_close(model(tokens), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model(tokens, attend=torch_attention), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.task(4)
@shapes
def test_the_model_equals_transformers_in_float64(transformers, tmp_path, monkeypatch, config):
    model, tokens = example(config, torch.float64)
    save(model, tmp_path)
    theirs = open_theirs(transformers, tmp_path).double()
    same_angles(theirs, config)
    for module in theirs.modules():
        if type(module).__name__.endswith("RMSNorm"):  # transformers norms in float32 even here
            monkeypatch.setattr(
                module,
                "forward",
                lambda x, m=module: F.rms_norm(x, x.shape[-1:], m.weight, m.variance_epsilon),
            )
    torch.testing.assert_close(model(tokens), theirs(tokens).logits, rtol=1e-10, atol=1e-10)


@pytest.mark.task(4)
@shapes
@pytest.mark.parametrize("shard", ["10GB", "3KB"])
def test_what_transformers_saves_is_read(transformers, tmp_path, config, shard):
    model, tokens = example(config)
    save(model, tmp_path / "ours")
    theirs = open_theirs(transformers, tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size=shard)
    assert (tmp_path / "theirs" / "model.safetensors.index.json").exists() == (shard == "3KB")
    read = load(tmp_path / "theirs")
    assert read.config == config
    assert torch.equal(read(tokens), model(tokens))


@pytest.mark.task(4)
def test_in_bfloat16_norms_round_as_in_transformers(transformers, tmp_path):
    model = example()[0].bfloat16()
    save(model, tmp_path)
    theirs = open_theirs(transformers, tmp_path).bfloat16()
    x = torch.randn(50, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    # What lies half way between two numbers may go either way. With the gain before the rounding, a fifth would differ.
    assert (model.norm(x) == theirs.model.norm(x)).float().mean() > 0.99


@pytest.mark.task(4)
@pytest.mark.parametrize("kept", ["norm", "lm_head", "embed_tokens"])
def test_formats_may_be_mixed(transformers, tmp_path, kept):
    model, tokens = example()
    save(model, tmp_path)
    path = tmp_path / "model.safetensors"
    mixed = {name: one if kept in name else one.bfloat16() for name, one in load_file(path).items()}
    save_file(mixed, path, {"format": "pt"})
    read = load(tmp_path)
    assert {one.dtype for one in read.parameters()} == {torch.float32}
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    torch.testing.assert_close(read(tokens), theirs(tokens).logits, rtol=1e-5, atol=1e-5)
    assert load(tmp_path, torch.bfloat16)(tokens).isfinite().all()


@pytest.mark.task(4)
@pytest.mark.parametrize("stored", ["a head of its own", "the head alone", "both alike"])
def test_a_tied_head_is_what_the_files_say(transformers, tmp_path, stored):
    model, tokens = example()
    save(model, tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**content, "tie_word_embeddings": True}))
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    if stored == "the head alone":
        del tensors["model.embed_tokens.weight"]
    if stored == "both alike":
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, path, {"format": "pt"})
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    read = load(tmp_path)
    assert read.config.tied_embeddings == (stored != "a head of its own")
    torch.testing.assert_close(read(tokens), theirs(tokens).logits, rtol=1e-5, atol=1e-5)


@pytest.mark.task(4)
def test_shards_open_in_transformers(transformers, tmp_path):
    model, tokens = example()
    save(model, tmp_path, shard_bytes=3000)
    theirs = open_theirs(transformers, tmp_path)
    torch.testing.assert_close(model(tokens), theirs(tokens).logits, rtol=1e-5, atol=1e-5)


@pytest.mark.task(4)
@pytest.mark.parametrize("removed", ["rope_theta", "rope_parameters"])
def test_older_and_newer_readers_find_the_rotary_base(transformers, tmp_path, removed):
    save(example(SHAPES["equal heads, tied"])[0], tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    del content[removed]
    assert read_config(content).rope_base == 500.0
    assert transformers.LlamaConfig(**content).rope_parameters["rope_theta"] == 500.0


@pytest.mark.parametrize(
    ("rope", "base"),
    [
        ({}, 10_000.0),
        ({"rope_theta": 5e5, "rope_scaling": None}, 5e5),
        ({"rope_theta": 5e5, "rope_scaling": {"rope_type": "default"}}, 5e5),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}, 1e6),
    ],
)
def test_an_older_or_shorter_config_means_what_it_does_in_transformers(transformers, rope, base):
    content = {
        "model_type": "llama",
        "vocab_size": 11,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        **rope,
    }
    config, theirs = read_config(content), transformers.LlamaConfig(**content)
    assert (config.rope_base, theirs.rope_parameters["rope_theta"]) == (base, base)
    assert (config.norm_eps, config.kv_heads) == (theirs.rms_norm_eps, theirs.num_key_value_heads)
    assert (config.head_width, config.context_length) == (theirs.head_dim, theirs.max_position_embeddings)
    assert config.tied_embeddings == theirs.tie_word_embeddings
    wide = transformers.Qwen3Config(**{**content, "model_type": "qwen3"})
    assert read_config({**content, "model_type": "qwen3"}).head_width == wide.head_dim
    assert read_config({**content, "model_type": "qwen3"}).context_length == wide.max_position_embeddings
