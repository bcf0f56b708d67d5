import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from phase01_foundation.project03_pretrain import hugging_face
from phase01_foundation.project03_pretrain.given.example import SHAPES, TINY, example
from phase01_foundation.project03_pretrain.hugging_face import load, save
from phase01_foundation.project03_pretrain.linears import replace_linears
from phase01_foundation.project03_pretrain.model import LLM
from shared.checkpoint import CheckpointError
from shared.testing import raises


@pytest.mark.task(4)
@pytest.mark.parametrize("config", [config for config in SHAPES if config.activation == "swiglu"])
@pytest.mark.parametrize("shard_bytes", [10**9, 3000])
def test_saved_and_loaded_is_the_same_bit_for_bit(tmp_path, config, shard_bytes):
    model, tokens = example(config)
    save(model, str(tmp_path), shard_bytes=shard_bytes)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (shard_bytes == 3000)
    assert all(path.stat().st_size < 3000 + 2000 for path in tmp_path.glob("*-of-*.safetensors"))
    again = load(str(tmp_path))
    assert again.config == config
    assert torch.equal(again(tokens), model(tokens))
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    assert (again.head.weight is again.embedding.weight) == config.tied_embeddings


@pytest.mark.task(4)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_dtype_is_kept_or_changed(tmp_path, dtype):
    model, _ = example()
    save(model.to(dtype), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == str(dtype).split(".")[1]
    assert {parameter.dtype for parameter in load(tmp_path).parameters()} == {dtype}
    assert {parameter.dtype for parameter in load(tmp_path, torch.float32).parameters()} == {torch.float32}


@pytest.mark.task(4)
def test_the_ids_of_begin_and_end_are_told(tmp_path):
    save(example()[0], tmp_path, bos_token_id=1, eos_token_id=7)
    content = json.loads((tmp_path / "config.json").read_text())
    assert (content["bos_token_id"], content["eos_token_id"]) == (1, 7)


@pytest.mark.task(4)
@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({"model_type": "mamba"}, ("mamba", "llama", "qwen3")),
        ({"model_type": None}, ("model_type", "None")),
        ({"hidden_act": "gelu"}, ("hidden_act", "gelu", "silu")),
        ({"attention_bias": True}, ("attention_bias", "True", "False")),
        ({"quantization_config": {"bits": 4}}, ("quantization_config",)),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, ("rope_scaling", "llama3", "default")),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, ("rope_scaling", "linear")),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1.0}}, ("rope_parameters", "yarn")),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, ("rope_parameters", 0.5)),
        ({"layer_types": ["full_attention", "sliding_attention"]}, ("layer_types", "full_attention")),
        ({"hidden_size": ...}, ("hidden_size",)),
        ({"num_attention_heads": 5}, ("heads", 5, 2)),
        ({"model_type": ["llama"]}, ("model_type", "llama", "qwen3")),
        ({"num_hidden_layers": "2"}, ("num_hidden_layers", "'2'")),
        ({"hidden_size": 16.0}, ("hidden_size", 16.0)),
        ({"vocab_size": True}, ("vocab_size", "True")),
        ({"num_attention_heads": 10**12, "head_dim": "a"}, ("head_dim", "'a'")),
        ({"tie_word_embeddings": "false"}, ("tie_word_embeddings", "'false'")),
        ({"rms_norm_eps": True}, ("rms_norm_eps", "True")),
        ({"rms_norm_eps": float("inf")}, ("rms_norm_eps", "inf")),
        ({"rms_norm_eps": 10**400}, ("rms_norm_eps",)),
        ({"rope_theta": "big", "rope_parameters": None}, ("rope_theta", "'big'")),
        ({"rope_parameters": {"rope_theta": float("nan")}}, ("rope_theta", "nan")),
        ({"rope_scaling": "linear"}, ("rope_scaling", "linear")),
        ({"layer_types": 5}, ("layer_types", "full_attention")),
        ({"layer_types": "full_attention"}, ("layer_types", "full_attention")),
    ],
)
def test_a_config_this_model_cannot_follow_is_refused(tmp_path, change, facts):
    save(example()[0], tmp_path)
    path = tmp_path / "config.json"
    content = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not ...}))
    (tmp_path / "model.safetensors").write_bytes(b"broken, but the config is looked at first")
    with raises(CheckpointError, str(tmp_path), *facts):
        load(tmp_path)


@pytest.mark.task(4)
@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({"activation": "squared_relu"}, ("squared_relu", "swiglu")),
        ({"logit_softcap": 15.0}, ("logit_softcap", 15.0)),
        ({"dim": 18, "head_dim": 4}, (18, 4)),
    ],
)
def test_a_model_the_format_has_no_words_for_is_not_written(tmp_path, change, facts):
    with raises(ValueError, *facts):
        save(LLM(replace(TINY, **change)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.task(4)
def test_a_changed_model_is_not_written(tmp_path):
    model = LLM(TINY)
    replace_linears(model, lambda name, linear: torch.nn.Linear(linear.in_features, linear.out_features))
    biases = [name for name in model.state_dict() if name.endswith(".bias")]
    with raises(ValueError, *biases):
        save(model, tmp_path / "out")
    narrow = LLM(TINY)
    narrow.head = torch.nn.Linear(16, 10, bias=False)
    with raises(ValueError, "head.weight"):
        save(narrow, tmp_path / "out")
    for head in (torch.nn.Linear(16, 11, False), torch.nn.Sequential(torch.nn.Linear(16, 11, False))):
        tied = LLM(replace(TINY, tied_embeddings=True))
        replace_linears(tied, lambda name, linear, head=head: head if name == "head" else None)
        with raises(ValueError, "tied_embeddings"):
            save(tied, tmp_path / "out")
    for shard_bytes in (0, -5):
        with raises(ValueError, "shard_bytes"):
            save(LLM(TINY), tmp_path / "out", shard_bytes=shard_bytes)
    assert not (tmp_path / "out").exists()
    save(LLM(TINY), tmp_path / "out", shard_bytes=1)
    assert len(list((tmp_path / "out").glob("*.safetensors"))) == len(LLM(TINY).state_dict())


@pytest.mark.task(4)
def test_dropout_is_for_training_and_not_written(tmp_path):
    model, tokens = example(replace(TINY, dropout=0.2))
    save(model, tmp_path)
    assert "dropout" not in (tmp_path / "config.json").read_text()
    read = load(tmp_path)
    assert read.config == TINY
    assert torch.equal(read(tokens), model.eval()(tokens))


@pytest.mark.task(4)
def test_layers_that_share_weights_are_saved_one_by_one(tmp_path):
    model, tokens = example()
    model.blocks[1] = model.blocks[0]
    expected = model(tokens)
    save(model, tmp_path)
    torch.testing.assert_close(load(tmp_path)(tokens), expected, rtol=0, atol=0)


def change_weights(folder: Path, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.task(4)
@pytest.mark.parametrize(
    ("change", "facts"),
    [
        (lambda t: t.pop("model.norm.weight"), ("model.norm.weight",)),
        (
            lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": torch.ones(16)}),
            ("model.layers.0.self_attn.q_proj.bias",),
        ),
        (
            lambda t: t.update({"lm_head.weight": torch.ones(10, 16)}),
            ("lm_head.weight", "(10, 16)", "(11, 16)"),
        ),
        (
            lambda t: t.update({"lm_head.weight": torch.ones(11, 16, dtype=torch.int8)}),
            ("lm_head.weight", "I8", "F64"),
        ),
        (
            lambda t: [
                t.pop(f"model.layers.{i}.mlp.{n}_proj.weight") for i in (0, 1) for n in ("up", "down")
            ],
            ("model.layers.0.mlp.up_proj.weight",),
        ),
        (lambda t: t.clear(), ("num_hidden_layers",)),
    ],
)
def test_wrong_weights_are_refused(tmp_path, change, facts):
    save(example()[0], tmp_path)
    change_weights(tmp_path, change)
    with raises(CheckpointError, *facts):
        load(tmp_path)


@pytest.mark.task(4)
def test_needless_tensors_are_left_alone(tmp_path):
    model, tokens = example(replace(TINY, tied_embeddings=True))
    save(model, tmp_path)
    needless = {
        "lm_head.weight": model.embedding.weight.detach().clone(),
        "model.layers.1.self_attn.rotary_emb.inv_freq": torch.ones(2),
    }
    change_weights(tmp_path, lambda tensors: tensors.update(needless))
    assert torch.equal(load(tmp_path)(tokens), model(tokens))


@pytest.mark.task(4)
def test_a_head_of_its_own_counts_though_the_config_ties_it(tmp_path):
    model, tokens = example()
    save(model, tmp_path)
    tie(tmp_path)
    read = load(tmp_path)
    assert read.config == TINY
    assert torch.equal(read(tokens), model(tokens))
    change_weights(tmp_path, lambda tensors: tensors.update({"lm_head.weight": torch.ones(3)}))
    with raises(CheckpointError, "lm_head.weight", "(3,)", "(11, 16)"):
        load(tmp_path)


@pytest.mark.task(4)
@pytest.mark.parametrize("shard_bytes", [10**9, 3000])
def test_a_tied_model_may_be_stored_with_its_head_alone(tmp_path, shard_bytes):
    tied, tokens = example(replace(TINY, tied_embeddings=True))
    model = LLM(TINY)
    model.load_state_dict(tied.state_dict())
    save(model, tmp_path, shard_bytes=shard_bytes)
    tie(tmp_path)
    if shard_bytes == 3000:
        path = tmp_path / "model.safetensors.index.json"
        index = json.loads(path.read_text())
        del index["weight_map"]["model.embed_tokens.weight"]
        path.write_text(json.dumps(index))
    else:
        change_weights(tmp_path, lambda tensors: tensors.pop("model.embed_tokens.weight"))
    read = load(tmp_path)
    assert read.head.weight is read.embedding.weight
    assert torch.equal(read(tokens), tied(tokens))


def tie(folder: Path):
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, "tie_word_embeddings": True}))


@pytest.mark.task(4)
@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({"num_hidden_layers": 20_000}, ("num_hidden_layers", 20_000)),
        ({"num_hidden_layers": 3}, ("model.layers.2.input_layernorm.weight",)),
        ({"hidden_size": 10**18}, ("config.json",)),
        ({"vocab_size": 10**400}, ("config.json",)),
    ],
)
def test_a_model_that_the_files_cannot_hold_is_refused_before_it_is_made(tmp_path, change, facts):
    save(example()[0], tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with raises(CheckpointError, *facts):
        load(tmp_path)


# ---- what is given


@pytest.mark.parametrize("config", SHAPES)
def test_shapes_are_those_of_the_model(config):
    expected = {name: tuple(one.shape) for name, one in LLM(config).named_parameters()}
    assert hugging_face.shapes(config) == expected


def test_many_layers_cost_no_more_to_name_than_one(monkeypatch):
    made = []
    monkeypatch.setattr(hugging_face, "LLM", lambda config: made.append(config.layers) or LLM(config))
    assert len(hugging_face.shapes(replace(TINY, layers=20_000))) == 3 + 20_000 * 9
    assert made == [1]


def test_the_table_names_every_tensor():
    model = LLM(replace(TINY, qk_norm=True))
    assert set(hugging_face.names(model.config)) == set(model.state_dict())


def test_the_tables_block_numbers_agree():
    names = hugging_face.names(replace(TINY, layers=12))
    assert names["blocks.11.attention.q.weight"] == "model.layers.11.self_attn.q_proj.weight"
    assert names["norm.weight"] == "model.norm.weight"
    assert len(names) == 3 + 12 * 11
