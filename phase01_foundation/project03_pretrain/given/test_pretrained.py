from dataclasses import replace

import pytest
import torch

from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.given.example import SHAPES, TINY, example
from phase01_foundation.project03_pretrain.given.pretrained import TRAIN, load_base, publish_base
from phase01_foundation.project03_pretrain.linears import replace_linears
from phase01_foundation.project03_pretrain.model import LLM
from shared import artifacts
from shared.command import how_to_run

TOKENIZER = Tokenizer(CharTokenizer("abcdefghij"), {"<|endoftext|>": 10})
CARD = {"data": "tinyworld", "loss": 1.5}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("LADDER_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("LADDER_DATA", str(tmp_path / "data"))


@pytest.mark.parametrize("config", SHAPES)
def test_published_and_loaded_is_the_same(config, capsys):
    model, tokens = example(config)
    artifact = publish_base("tiny", model, TOKENIZER, CARD)
    assert ("head.weight" in artifact.tensors()) != config.tied_embeddings
    assert artifact.card["data"] == "tinyworld"
    again, tokenizer = load_base("tiny")
    assert "model: tiny, yours" in capsys.readouterr().err
    assert again.config == config
    assert not again.training
    assert torch.equal(again(tokens), model(tokens))
    assert tokenizer.encode("cab<|endoftext|>", allowed_special="all") == [2, 0, 1, 10]
    assert tokenizer.vocab_size == TOKENIZER.vocab_size


def test_a_byte_level_tokenizer_comes_back():
    ours = Tokenizer(
        ByteBPE.train(["the cat sat on the mat. "] * 3, 262, native=False), {"<|endoftext|>": 262}
    )
    publish_base("bytes", LLM(replace(TINY, vocab_size=263)), ours, CARD)
    _, again = load_base("bytes")
    text = "the rat — cat"
    assert again.encode(text) == ours.encode(text)
    assert again.special_tokens == ours.special_tokens


def test_stored_in_bfloat16_and_loaded_as_asked():
    model, _ = example()
    artifact = publish_base("half", model, TOKENIZER, CARD, dtype=torch.bfloat16)
    assert {tensor.dtype for tensor in artifact.tensors().values()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in model.parameters()} == {
        torch.float32
    }  # the caller's is left alone
    for dtype, expected in ((None, torch.float32), (torch.bfloat16, torch.bfloat16)):
        again, _ = load_base("half", dtype)
        for ours, theirs in zip(again.parameters(), model.parameters(), strict=True):
            assert ours.dtype == expected
            assert torch.equal(ours.bfloat16(), theirs.bfloat16())


def test_the_learners_own_comes_before_the_released_one():
    publish_base("tiny", example()[0], TOKENIZER, {"data": "theirs"}, released=True)
    assert load_base("tiny")[0].config == TINY
    publish_base("tiny", LLM(replace(TINY, layers=1)), TOKENIZER, {"data": "ours"})
    assert load_base("tiny")[0].config.layers == 1


def test_what_cannot_be_loaded_again_is_not_published(tmp_path):
    with pytest.raises(ValueError, match="the tokenizer has ids up to 10; the model knows those below 9"):
        publish_base("tiny", LLM(replace(TINY, vocab_size=9)), TOKENIZER, CARD)
    changed = LLM(TINY)
    replace_linears(changed, lambda name, linear: torch.nn.Linear(linear.in_features, linear.out_features))
    with pytest.raises(ValueError, match=r"layers were changed.*blocks\.0\.attention\.k\.bias"):
        publish_base("tiny", changed, TOKENIZER, CARD)
    tied = LLM(replace(TINY, tied_embeddings=True))
    tied.head = torch.nn.Linear(16, 11, bias=False)
    with pytest.raises(ValueError, match="the head is no longer the embedding"):
        publish_base("tiny", tied, TOKENIZER, CARD)
    assert not (tmp_path / "work").exists()


def test_another_projects_model_is_told_as_such():
    artifacts.publish("other", {}, {"alphabet": "abc"}, {})
    with pytest.raises(artifacts.CheckpointError, match="other is no model of project 3: KeyError 'model'"):
        load_base("other")
    good = publish_base("tiny", example()[0], TOKENIZER, CARD)
    tensors = good.tensors()
    del tensors["norm.weight"]
    artifacts.publish("less", tensors, good.config, {})
    with pytest.raises(artifacts.CheckpointError, match="less is no model of project 3: RuntimeError"):
        load_base("less")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": 10**9}, "ValueError 1,000,000,000 layers in 21 tensors"),
        ({"layers": 2.0}, "is no model of project 3"),
        ({"dim": 10**18}, "is no model of project 3"),
        ({"vocab_size": 10**400}, "is no model of project 3"),
        ({"rope_base": 10**400}, "is no model of project 3"),
        ({"tied_embeddings": "false"}, "is no model of project 3"),
        ({"heads": None}, "is no model of project 3"),
    ],
)
def test_a_config_of_the_wrong_kind_is_refused_before_anything_is_built(change, message):
    good = publish_base("tiny", example()[0], TOKENIZER, CARD)
    odd = {**good.config, "model": {**good.config["model"], **change}}
    artifacts.publish("odd", good.tensors(), odd, {})
    with pytest.raises(artifacts.CheckpointError, match=message):
        load_base("odd")


def test_a_missing_model_says_how_to_make_it():
    with pytest.raises(
        artifacts.ArtifactError, match=rf"there is no model 'tiny-base'.*{how_to_run(TRAIN)} --preset cpu"
    ):
        load_base()
