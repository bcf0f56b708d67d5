"""The command that fine-tunes: what it writes is opened again, it resumes, and it refuses before any work."""

import json
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from phase02_finetuning.project05_lora import train
from phase02_finetuning.project05_lora.given.example import random_model, random_tokens
from phase02_finetuning.project05_lora.given.store import load_adapted
from phase02_finetuning.project05_lora.lora import lora_layers
from phase02_finetuning.project05_lora.qlora import NF4Linear
from phase02_finetuning.project05_lora.saving import load_adapter
from shared import tinyworld
from shared.phase01 import ByteBPE, Config, Tokenizer, load_base, publish_base
from shared.testing import raises

CONFIG = Config(
    291, 256, layers=2, heads=2, kv_heads=2, dim=32, hidden_dim=48, tied_embeddings=True, qk_norm=True
)
SMOKE = ["--preset", "smoke", "--base", "tiny", "--threads", "1", "--per_skill", "0"]


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def base(own_folders):
    """A small model "tiny", published as the learner's."""
    text = tinyworld.text("train", 0, 20_000)
    tokenizer = Tokenizer(ByteBPE.train([text], 290, native=False), {"<|endoftext|>": 290})
    model = random_model(CONFIG).bfloat16().float()
    publish_base("tiny", model, tokenizer, {"data": "none"})
    return model


def adapter_folder(own_folders):
    return own_folders / "work" / "models" / "smoke-lora"


def test_an_adapter_is_written_that_load_adapted_opens(base, own_folders, capsys):
    train.main([*SMOKE, "--rank", "3", "--alpha", "9", "--learning_rate", "0.02", "--per_skill", "1"])
    printed = capsys.readouterr().out
    assert "validation loss" in printed
    assert "copying" in printed, "exact match before and after, by skill"
    names = {path.name for path in adapter_folder(own_folders).iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "card.json"} <= names
    assert "checkpoint.safetensors" not in names
    model, _ = load_adapted("smoke-lora")
    layers: dict[str, Any] = {**lora_layers(model)}
    assert len(layers) == 14
    config = next(iter(layers.values())).adapters["default"].config
    assert (config.rank, config.alpha) == (3, 9.0)
    assert any(layer.adapters["default"].B.any() for layer in layers.values())
    for layer in layers.values():
        layer.chosen = None
    tokens = random_tokens()
    torch.testing.assert_close(model(tokens), base(tokens))
    card = json.loads((adapter_folder(own_folders) / "card.json").read_text(encoding="utf-8"))
    assert card["method"] == "lora"
    assert card["trained_parameters"] == sum(
        one.numel() for name, one in model.named_parameters() if ".adapters." in name
    )
    assert len(card["exact_match"]) == 2


@pytest.mark.parametrize("method", ["lora", "qlora", "full"])
def test_it_learns_and_the_base_stays(method):
    rate = 3e-3 if method == "full" else 2e-2
    settings = train.FinetuneConfig(
        name="mine", base="tiny", method=method, steps=30, batch_size=8, learning_rate=rate,
        warmup=2, evaluate_every=10, validation_items=16, per_skill=0, skills=("opposites",), tensorboard=False,
        device="cpu", threads=1,
    )  # fmt: skip
    run, folder, scores = train.train(settings, train.Console(quiet=True))
    assert scores == (None, None)
    assert run.history[-1]["validation_loss"] < run.history[0]["validation_loss"]
    assert (folder / "model.safetensors").is_file() == (method == "full")
    quantized = any(isinstance(module, NF4Linear) for module in run.model.modules())
    assert quantized == (method == "qlora")
    if method == "full":
        load_base("mine")


def test_a_qlora_adapter_says_that_its_base_has_four_bits(own_folders):
    train.main([*SMOKE, "--method", "qlora"])
    model, _ = load_base("tiny")
    with raises(train.artifacts.CheckpointError, "any_base"):
        load_adapter(model, adapter_folder(own_folders))
    train.quantize_base(model)
    load_adapter(model, adapter_folder(own_folders))


def test_merged_it_is_a_plain_model_too(own_folders):
    train.main([*SMOKE, "--merge", "true", "--learning_rate", "0.05"])
    merged, _ = load_base("smoke-lora")
    adapted, _ = load_adapted("smoke-lora")
    tokens = random_tokens()
    torch.testing.assert_close(merged(tokens), adapted(tokens), rtol=0.05, atol=0.1)


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(own_folders, monkeypatch, method):
    more = ["--method", method, "--dropout", "0.2", "--steps", "6"]
    train.main([*SMOKE, *more])
    expected = load_file(adapter_folder(own_folders) / "adapter_model.safetensors")
    taken = []
    real = train.AnswerBatches.next

    def stop(self):
        taken.append(self.number)
        if len(taken) == 4:
            raise RuntimeError("power cut")
        return real(self)

    monkeypatch.setattr(train.AnswerBatches, "next", stop)
    with pytest.raises(RuntimeError, match="power cut"):
        train.main([*SMOKE, *more])
    train.main([*SMOKE, *more])
    assert taken == [0, 1, 2, 3, 2, 3, 4, 5], "the last checkpoint is of step 2"
    found = load_file(adapter_folder(own_folders) / "adapter_model.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "prefix"], "prefix"),
        (["--rank", "0"], "rank"),
        (["--targets", '["query"]'], "query"),
        (["--base", "nothing"], "nothing"),
        (["--skills", '["flying"]'], "flying"),
        (["--name", "tiny"], "tiny"),
        (["--alpha", "-1"], "alpha"),
        (["--rang", "3"], "rank"),
    ],
)
def test_what_cannot_be_followed_is_one_line_and_code_two(own_folders, capsys, words, said):
    with pytest.raises(SystemExit) as ended:
        train.main([*SMOKE, *words])
    assert ended.value.code == 2
    output = capsys.readouterr()
    assert said in (output.err + output.out).strip().splitlines()[-1]
    assert not adapter_folder(own_folders).exists()
