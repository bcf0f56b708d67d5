"""The engine beside others, on a small model."""

from dataclasses import replace

import pytest
import torch

from phase04_advanced_inference.project12_dynamic_batching.given.in_time import Model
from phase04_advanced_inference.project13_paged_attention.given import engine_peers, measure_engine
from phase04_advanced_inference.project13_paged_attention.given.engine_peers import absent, neighbours
from phase04_advanced_inference.project13_paged_attention.given.example import WIDE, random_model
from phase04_advanced_inference.project13_paged_attention.given.measure_engine import EngineSettings
from shared.measuring.arms import Report
from shared.phase01 import SamplingParams
from shared.phase03 import generate_tokens
from shared.testing import raises


class Notes(Report):
    """Instead of a Report that is written."""

    def __init__(self):
        self.figures = {}

    def figure(self, name, value, unit="", target=None, peers=None, note=""):
        self.figures[name] = value, peers, note


def small(layers=1, dim=64):
    config = replace(WIDE[1], heads=2, kv_heads=2, head_dim=None, layers=layers, dim=dim, hidden_dim=96)
    return Model("small", random_model(config, torch.float32), lambda request, number: [])


def test_all_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(measure_engine, "gpt2_small", small)
    settings = EngineSettings(
        layers=1, dim=64, batches=(1, 3), threads=(1,), prompt=5, tokens=4, repeats=1, dtypes=("float32",), peers=False
    )  # fmt: skip
    notes = Notes()
    measure_engine.measure_engine(notes, settings, tmp_path)
    value, peers, note = notes.figures["LLMEngine, 124M, batch 3, float32, threads: 1"]
    assert value > 0
    assert set(peers) == {"transformers", "project 8's decode_step"}
    assert all(f"0 by {peer}" in note for peer in peers)
    assert notes.figures["LLMEngine over project 8's decode_step, 124M, batch 1, float32, threads: 1"][0] > 0


@pytest.mark.parametrize("peer", engine_peers.PACKAGES)
def test_a_peer_writes_what_we_write(tmp_path, peer):
    if absent(peer):
        pytest.skip(f"{peer} is not installed")
    model, prompts = small().llm, [[1, 2, 3], [20, 9, 4]]
    if peer == "ctranslate2":
        write = engine_peers.CTranslate2Batches(model, tmp_path, 1).write
    else:
        write = engine_peers.LlamaCppBatches(model, tmp_path, torch.float32, 1, 2, 20).write
    assert write(prompts, 6) == generate_tokens(model, prompts, SamplingParams(max_tokens=6, temperature=0))


def test_other_texts_are_found_out():
    measure_engine.same_beginnings({"LLMEngine": [[1, 2]], "x": [[1, 3]]})
    for text in ([2, 2], [1]):
        with raises(AssertionError, "x"):
            measure_engine.same_beginnings({"LLMEngine": [[1, 2]], "x": [text]})


def test_a_rotary_pair_is_brought_together():
    rows = torch.arange(12.0)[:, None]  # two heads of width 6
    assert neighbours(rows, 6)[:, 0].tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]


def test_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr(engine_peers, "PACKAGES", {"x": ("torch", "no_such_package")})
    assert absent("x") == ["no_such_package"]
    with pytest.raises(KeyError):
        absent("y")
