import json
import struct
from dataclasses import replace

import pytest
import torch

from phase01_foundation.project03_pretrain.given import safetensors_folder
from phase01_foundation.project03_pretrain.given.example import TINY, example
from phase01_foundation.project03_pretrain.hugging_face import load, save
from phase01_foundation.project03_pretrain.model import LLM
from shared.checkpoint import CheckpointError


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
        case "deep config":
            (folder / "config.json").write_text("[" * 200_000)
        case "odd header":
            shard = next(folder.glob("*-of-*.safetensors"))
            shard.write_bytes(shard.read_bytes().replace(b'"F32"', b'"F00"'))
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
        ("deep config", r"config\.json is no JSON"),
        ("odd header", "safetensors is broken"),
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
