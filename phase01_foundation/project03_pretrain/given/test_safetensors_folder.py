import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from phase01_foundation.project03_pretrain.given import safetensors_folder
from phase01_foundation.project03_pretrain.given.example import TINY, example
from phase01_foundation.project03_pretrain.hugging_face import load, save
from phase01_foundation.project03_pretrain.model import LLM
from shared.checkpoint import CheckpointError


@pytest.mark.task(4)
def test_layers_that_share_weights_are_saved_one_by_one(tmp_path):
    model, tokens = example()
    model.blocks[1] = model.blocks[0]
    expected = model(tokens)
    save(model, tmp_path)
    torch.testing.assert_close(load(tmp_path)(tokens), expected, rtol=0, atol=0)


def test_another_save_leaves_nothing_of_the_one_before(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    model, tokens = example()
    for shard_bytes in (10**9, 3000, 6000, 10**9, 10**9):
        with torch.no_grad():
            model.norm.weight.add_(1)
        save(model, tmp_path, shard_bytes=shard_bytes)
        assert torch.equal(load(tmp_path)(tokens), model(tokens))
        index = tmp_path / "model.safetensors.index.json"
        shards = {path.name for path in tmp_path.glob("*.safetensors")}
        wanted = set(json.loads(index.read_text())["weight_map"].values()) if index.exists() else None
        assert shards == (wanted or {"model.safetensors"})
    assert (tmp_path / "tokenizer.json").exists()


@pytest.mark.parametrize(("layers", "shard_bytes"), [(3, 10**9), (2, 3000)])
def test_a_save_cut_short_is_no_checkpoint(tmp_path, monkeypatch, layers, shard_bytes):
    save(example()[0], tmp_path, shard_bytes=shard_bytes)

    def broken(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(safetensors_folder, "save_file", broken)
    with pytest.raises(OSError, match="disk full"):
        save(example(replace(TINY, layers=layers))[0], tmp_path, shard_bytes=shard_bytes)
    with pytest.raises(CheckpointError, match=r"has no config\.json: .*cut short"):
        load(tmp_path)


def test_a_save_of_one_file_over_another_fails_whole(tmp_path, monkeypatch):
    model, tokens = example()
    save(model, tmp_path)

    def broken(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(safetensors_folder, "save_file", broken)
    with pytest.raises(OSError, match="disk full"):
        save(LLM(TINY), tmp_path)
    assert torch.equal(load(tmp_path)(tokens), model(tokens))


def change_weights(folder: Path, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.task(4)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("model.norm.weight"), "has no tensor model.norm.weight"),
        (
            lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": torch.ones(16)}),
            "no place for: .*bias",
        ),
        (
            lambda t: t.update({"lm_head.weight": torch.ones(10, 16)}),
            r"lm_head.weight in .* has the shape \(10, 16\); the config asks for \(11, 16\)",
        ),
        (
            lambda t: t.update({"lm_head.weight": torch.ones(11, 16, dtype=torch.int8)}),
            "stored as I8; this code reads F64, F32, F16, BF16",
        ),
        (
            lambda t: [
                t.pop(f"model.layers.{i}.mlp.{n}_proj.weight") for i in (0, 1) for n in ("up", "down")
            ],
            "and 1 more",
        ),
        (lambda t: t.clear(), "the checkpoint has no tensor model.embed_tokens.weight"),
    ],
)
def test_wrong_weights_are_refused(tmp_path, change, message):
    save(example()[0], tmp_path)
    change_weights(tmp_path, change)
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path)


@pytest.mark.task(4)
def test_needless_tensors_are_left_alone(tmp_path):
    model, tokens = example(replace(TINY, tied_embeddings=True))
    save(model, tmp_path)
    needless = {
        "lm_head.weight": torch.ones(3),
        "model.layers.1.self_attn.rotary_emb.inv_freq": torch.ones(2),
    }
    change_weights(tmp_path, lambda tensors: tensors.update(needless))
    assert torch.equal(load(tmp_path)(tokens), model(tokens))


def break_folder(folder, how):
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    match how:
        case "no folder":
            return folder / "none"
        case "broken config":
            (folder / "config.json").write_text("{")
        case "config of another kind":
            (folder / "config.json").write_text("[]")
        case "missing shard":
            next(folder.glob("*-of-*.safetensors")).unlink()
        case "cut shard":
            shard = next(folder.glob("*-of-*.safetensors"))
            shard.write_bytes(shard.read_bytes()[:-1])
        case "elsewhere":
            content["weight_map"]["lm_head.weight"] = "../model.safetensors"
            index.write_text(json.dumps(content))
        case "no map":
            index.write_text("{}")
        case "lying map":
            content["weight_map"]["lm_head.weight"] = content["weight_map"]["model.embed_tokens.weight"]
            index.write_text(json.dumps(content))
        case "no weights":
            index.unlink()
        case "pickle":
            index.unlink()
            (folder / "pytorch_model.bin").write_bytes(struct.pack("<i", 0))
    return folder


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no folder", "there is no folder"),
        ("broken config", r"config\.json is no JSON"),
        ("config of another kind", "must hold one JSON object"),
        ("missing shard", "there is no checkpoint at .*safetensors"),
        ("cut shard", "is cut short"),
        ("elsewhere", "no weight_map from tensors to files of this folder"),
        ("no map", "no weight_map"),
        ("lying map", "has no tensor lm_head.weight, though the index says so"),
        ("no weights", r"has neither model\.safetensors nor model\.safetensors\.index\.json$"),
        ("pickle", r"pytorch_model\.bin is a pickle"),
    ],
)
def test_a_broken_folder_is_refused(tmp_path, how, message):
    save(example()[0], tmp_path, shard_bytes=3000)
    with pytest.raises(CheckpointError, match=message):
        load(break_folder(tmp_path, how))
