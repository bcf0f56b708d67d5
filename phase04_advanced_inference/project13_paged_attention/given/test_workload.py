"""A whole workload: what is drawn, and that everybody serves it alike."""

from pathlib import Path

import pytest
import torch

from phase04_advanced_inference.project12_dynamic_batching.given.in_time import Model
from phase04_advanced_inference.project13_paged_attention.given import measure_workload, vllm_peer
from phase04_advanced_inference.project13_paged_attention.given.compiled import Compiled
from phase04_advanced_inference.project13_paged_attention.given.example import WIDE, random_model
from phase04_advanced_inference.project13_paged_attention.given.workload import (
    Asked,
    Numbers,
    Outcome,
    WorkloadSettings,
    one_by_one,
    said,
    through_engine,
)
from shared.measuring.arms import Report
from shared.testing import raises

FEW = WorkloadSettings(
    requests=12, prompt=5, shared=16, prefixes=2, answer=4, longest=9, size=3, budget=24, block_size=4, memory=160,
    one_by_one=3, repeats=1,
)  # fmt: skip


def words(one, number):
    draw = torch.Generator().manual_seed(number)
    return torch.randint(29, (one.prompt,), generator=draw).tolist()


class Notes(Report):
    """Instead of a Report that is written."""

    def __init__(self):
        self.figures = {}

    def figure(self, name, value, unit="", target=None, peers=None, note=""):
        self.figures[name] = value, peers, note


def test_a_workload_is_the_same_again_and_begins_alike_in_part():
    asked = FEW.draw(words)
    assert asked == FEW.draw(words)
    assert asked != FEW.draw(words, seed=6)
    starts = [tuple(one.prompt[:16]) for one in asked if len(one.prompt) > 16]
    assert len(starts) > len(set(starts)) > 1
    assert all(1 <= one.answer <= 9 for one in asked)
    assert said(asked).startswith("12 requests, ")


def test_an_engine_serves_all_and_says_what_it_hit():
    asked = FEW.draw(words)
    model = random_model(WIDE[0], torch.float32)
    new = Compiled(model).engine(40, block_size=4, max_sequences=3, max_tokens=24)
    found = through_engine(new, asked)
    assert [len(text) for text in found.texts] == [one.answer for one in asked]
    assert found.hit >= 16
    assert len(found.first) == 12
    assert 0 < found.first_token(0.5) <= found.first_token(1.0) <= 1000 * found.seconds
    alone = Compiled(model).engine(40, block_size=4, max_sequences=1, max_tokens=24)
    assert through_engine(alone, asked).texts == found.texts


def test_one_after_the_other():
    found = one_by_one(lambda prompts, count: [prompts[0][:1] * count], [Asked([3, 4], 2), Asked([5], 3)])
    assert found.texts == [[3, 3], [5, 5, 5]]
    assert found.first[0] <= found.first[1] <= found.seconds


def test_texts_that_differ_from_the_beginning_are_found_out():
    ours = Outcome([[1, 2, 3]] * 4, [0.0] * 4, 1.0)
    assert ours.rate == 12
    measure_workload.same_texts({"LLMEngine": ours, "x": Outcome([[1, 2, 9]], [0.0], 1.0)})
    for texts, facts in (([[1, 9, 3]], (1, 0)), ([[1, 2]], ("lengths",))):
        with raises(AssertionError, "x", *facts):
            measure_workload.same_texts({"LLMEngine": ours, "x": Outcome(texts, [0.0], 1.0)})


def test_numbers_are_a_tokenizer():
    assert Numbers().encode(Numbers().decode([3, 41])) == [3, 41]


def test_everybody_is_measured(tmp_path, monkeypatch):
    monkeypatch.delenv(vllm_peer.VARIABLE, raising=False)
    notes = Notes()
    model = Model("small", random_model(WIDE[1], torch.float32), words)
    measure_workload.measure_workload(notes, FEW, model, tmp_path)
    value, peers, note = notes.figures[f"workload, small, float32, threads: {torch.get_num_threads()}"]
    assert value > 0
    assert set(peers) == {"project 12, rows", "transformers, one by one"}
    assert "0 by project 12, rows, 0 by transformers, one by one" in note
    assert notes.figures["prompts' tokens that were cached, workload, small, float32"][0] > 10


def test_vllm_is_asked_by_lines_and_says_why_it_ended(tmp_path, monkeypatch):
    monkeypatch.setenv(vllm_peer.VARIABLE, str(tmp_path / "nothing"))
    assert vllm_peer.vllm_python() is None
    model = random_model(WIDE[1], torch.float32)
    python = tmp_path / "python"
    answer = '{"texts": [[1]], "first": [0.5], "seconds": 2.0, "hit": 7}'
    python.write_text(f"#!/bin/sh\nread wanted\necho '\"ready\"'\nread asked\necho '{answer}'\n")
    python.chmod(0o755)
    peer = vllm_peer.Vllm(python, model, tmp_path / "one", FEW, 1)
    assert peer.serve([Asked([2], 1)]) == Outcome([[1]], [0.5], 2.0, 7)
    peer.close()
    python.write_text("#!/bin/sh\necho no such model >&2\n")
    with raises(RuntimeError, "no such model"):
        vllm_peer.Vllm(python, model, Path(tmp_path / "two"), FEW, 1)


@pytest.mark.parametrize("part", ["reset_prefix_cache", "ignore_eos=True", "enable_prefix_caching=True"])
def test_what_vllm_runs_is_python(part):
    compile(vllm_peer.SERVER, "server", "exec")
    assert part in vllm_peer.SERVER
