"""Releasing a model, and handing it to others' tools."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from typer.testing import CliRunner

from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain import export as export_module
from phase01_foundation.project03_pretrain import release as module
from phase01_foundation.project03_pretrain.export import export
from phase01_foundation.project03_pretrain.given.example import TINY, example
from phase01_foundation.project03_pretrain.given.pretrained import load_artifact, publish_base
from phase01_foundation.project03_pretrain.given.settings import PretrainConfig
from phase01_foundation.project03_pretrain.scoring import greedy_batch, perplexity
from shared import artifacts, tinyworld

TOKENIZER = Tokenizer(
    ByteBPE.train([tinyworld.text("train", 0, 20_000)], 290, native=False), {"<|endoftext|>": 290}
)
MODEL = example(replace(TINY, vocab_size=291, context_length=64, tied_embeddings=True, qk_norm=True))[
    0
].eval()
CARD = {
    "data": "tinyworld",
    "settings": asdict(PretrainConfig(name="tiny", characters=4000)),
    "parameters": MODEL.parameter_count(),
    "validation_loss": 9.9,
    "history": [{"step": 1, "validation_loss": 9.9}],
}


@pytest.fixture(autouse=True)
def published(own_folders):
    publish_base("tiny", MODEL, TOKENIZER, CARD)


def command(main, *words):
    app = module.typer.Typer()
    app.command()(main)
    return CliRunner().invoke(app, list(words))


def test_what_is_released_is_rounded_and_measured_as_it_is_stored(own_folders):
    artifact = module.release("tiny", per_skill=1)
    assert (artifact.folder, artifact.whose) == (own_folders / "data" / "models" / "tiny", "released")
    tensors = artifact.tensors()
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    for name, tensor in MODEL.state_dict().items():
        assert name == "head.weight" or torch.equal(tensors[name], tensor.bfloat16())

    card = artifact.card
    assert card["stored_as"] == "bfloat16"
    assert card["history"] == CARD["history"]
    rounded, tokenizer = load_artifact(artifact)
    ids = []
    size = 0
    for document in tinyworld.documents("validation"):
        size += len(document.text)
        if size > 4000:
            break
        size += 2
        ids += [290, *tokenizer.encode(document.text)]
    loss = perplexity(rounded, ids).loss
    assert card["validation_loss"] == pytest.approx(loss, rel=0.02)  # products may be in bfloat16
    assert list(card["exact_match"]) == ["all", *tinyworld.SKILLS]
    assert all(0 <= share <= 1 for share in card["exact_match"].values())
    assert len(set(card["samples"])) == 3
    assert all(sample.startswith("Once upon a time") for sample in card["samples"])


def test_the_size_is_known_before_the_file_is_written():
    artifact = module.release("tiny", per_skill=1)
    model, tokenizer = load_artifact(artifact)
    size = (artifact.folder / "model.safetensors").stat().st_size
    assert module.stored_bytes(model, tokenizer, artifact.card) == pytest.approx(size, abs=5000)


def test_too_large_a_model_is_refused(own_folders, monkeypatch):
    parameters = MODEL.parameter_count()
    with pytest.raises(ValueError, match=rf"tiny has {parameters:,} parameters; --most-parameters allows 10"):
        module.release("tiny", most_parameters=10)
    monkeypatch.setattr(module, "MOST_BYTES", 20_000)
    monkeypatch.setattr(module, "measure", lambda *_: {})
    with pytest.raises(ValueError, match=r"tiny would take 0\.\d MB; released it may take 0"):
        module.release("tiny", most_parameters=parameters)
    assert not (own_folders / "data" / "models").exists()


def test_only_what_was_trained_here_on_tinyworld_is_released():
    publish_base("other", MODEL, TOKENIZER, CARD | {"data": "shakespeare"})
    with pytest.raises(ValueError, match="other was trained on shakespeare; released models know tinyworld"):
        module.release("other")
    publish_base("old", MODEL, TOKENIZER, CARD, released=True)
    with pytest.raises(artifacts.ArtifactError, match="there is no old in work/models to release"):
        module.release("old")


def test_the_command_says_what_it_released(monkeypatch):
    monkeypatch.setattr(module, "PER_SKILL", 1)
    found = {"validation_loss": 1.25, "exact_match": {"all": 0.5, "sums": 0.25}, "samples": ["Once."]}
    monkeypatch.setattr(module, "measure", lambda *_: found)
    done = command(module.main, "tiny")
    assert done.exit_code == 0, done.output
    assert "parameters, 0.0 MB\nvalidation loss 1.2500; exact match all 50%, sums 25%\n" in done.stdout
    assert done.stdout.endswith("Once.\n")
    refused = command(module.main, "tiny", "--most-parameters", "10")
    assert refused.exit_code == 2
    assert "--most-parameters allows 10" in refused.stderr
    assert "there is no model 'huge'" in command(module.main, "huge").stderr


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_exported_folder_opens_in_transformers(tmp_path, dtype):
    transformers = pytest.importorskip("transformers")
    publish_base("tiny", MODEL, TOKENIZER, CARD, dtype=dtype)
    folder = tmp_path / "out"
    done = command(export_module.main, "tiny", "--out", str(folder))
    assert done.exit_code == 0, done.output
    assert 'tokenizer("<|endoftext|>Once upon a time"' in done.stdout
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert theirs.dtype == dtype  # as it was stored
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|endoftext|>", "<|endoftext|>")
    prompt = tokenizer("<|endoftext|>Once upon a time", return_tensors="pt")
    ids = prompt["input_ids"][0].tolist()
    assert ids == [290, *TOKENIZER.encode("Once upon a time")]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "Once upon a time"
    if dtype == torch.float32:  # in bfloat16 the two round at other places
        written = theirs.generate(**prompt, max_new_tokens=20, do_sample=False, pad_token_id=290)
        [ours] = greedy_batch(MODEL, [ids], 20, {290})
        assert written[0, len(ids) :].tolist()[: len(ours)] == ours
        assert len(ours) > 5


def test_export_says_what_it_cannot_do(tmp_path):
    squared = example(replace(TINY, activation="squared_relu"))[0]
    letters = Tokenizer(CharTokenizer("abc"))
    publish_base("squared", squared, letters, CARD)
    refused = command(export_module.main, "squared", "--out", str(tmp_path / "out"))
    assert refused.exit_code == 2
    assert "squared_relu" in refused.stderr
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    assert "file" in command(export_module.main, "tiny", "--out", str(tmp_path / "file")).stderr
    assert "there is no model 'huge'" in command(export_module.main, "huge", "--out", "x").stderr


def test_without_an_end_of_text_token_none_is_named(tmp_path):
    export(example()[0], Tokenizer(CharTokenizer("abcdefghijk")), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["bos_token_id"], config["eos_token_id"]) == (None, None)
    assert "bos_token" not in json.loads((tmp_path / "tokenizer_config.json").read_text())
