"""What the benchmark measures of attention runs, and refuses to time what is wrong."""

import json
from pathlib import Path

import pytest
import torch

from phase04_advanced_inference.project13_paged_attention.given import measure_attention as measuring
from shared.measuring.arms import Report

FOLDER = Path(__file__).parent.parent


@pytest.fixture
def report(tmp_path, monkeypatch):
    monkeypatch.setenv("LADDER_RESULTS", str(tmp_path))
    return Report(FOLDER, "a promise", "smoke", "a command")


@pytest.mark.parametrize(
    ("part", "figures"),
    [(measuring.measure_attention, 4), (measuring.measure_step, 8)],
    ids=["attention", "step"],
)
def test_it_runs_in_small(part, figures, report):
    try:
        part(report, measuring.SMOKE)
    except RuntimeError:
        pytest.skip("there is no C++ compiler")
    names = json.loads(report.finish().read_text(encoding="utf-8"))["measured"]
    assert len(names) == figures


def test_what_is_wrong_is_not_timed():
    one = torch.ones(2, 3)
    for other in (
        {"blocks of 4": [one], "blocks of 16": [one + 1e-6]},
        {"blocks of 4": [one], "one stretch": [one + 0.1]},
        {"blocks of 4": [one], "torch, one stretch": [one * torch.nan]},
    ):
        with pytest.raises(AssertionError):
            measuring._same_attention(other)
    with pytest.raises(AssertionError):
        measuring._same_step({"paged": one, "rows of a cache": one + 1})
    measuring._same_attention({"blocks of 4": [one], "blocks of 16": [one], "one stretch": [one + 1e-6]})


def test_a_text_is_put_into_its_blocks():
    held = torch.arange(2 * 3 * 5 * 1, dtype=torch.float32).view(2, 3, 5, 1)
    stored = measuring._in_blocks(held, [[2, 0], [3, 1]], 4, 4)
    assert torch.equal(stored[:, 8:12], held[0, :, :4])
    assert torch.equal(stored[:, 4:5], held[1, :, 4:])
    assert stored[:, 5:8].isnan().all()
