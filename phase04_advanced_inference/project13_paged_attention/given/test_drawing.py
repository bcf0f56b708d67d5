"""The picture of a recording: colours where they belong."""

import json

import pytest
from matplotlib.colors import to_rgb

from phase04_advanced_inference.project12_dynamic_batching.given.recorder import read_recording
from phase04_advanced_inference.project13_paged_attention.benchmark import recorded
from phase04_advanced_inference.project13_paged_attention.given.block_grid import (
    CACHED,
    animate,
    block_map,
    color,
    draw_blocks,
    grid,
    places,
    touched,
)
from phase04_advanced_inference.project13_paged_attention.given.block_recorder import BlockRecorder

LINE = {
    "step": 1, "scheduled": [{"key": 7, "count": 3, "start": 0, "chunk": False}], "waiting": [9], "finished": {},
    "aborted": [], "preempted": [], "num_blocks": 5, "block_size": 4, "blocks": {"7": [3, 1], "9": [3]}, "cached": [0],
    "copies": [], "restored": [], "hits": {}, "swapped": [], "accepted": {}, "used": {"7": 6},
}  # fmt: skip


def test_a_block_has_its_owners_colour():
    image = block_map([LINE], places([LINE]))
    assert image.shape == (5, 1, 3)
    assert tuple(image[3, 0]) == tuple(image[1, 0]) == to_rgb(color(0))
    assert tuple(image[0, 0]) == to_rgb(CACHED)
    assert tuple(image[4, 0]) == (1, 1, 1)
    assert grid(LINE, places([LINE]), 3).shape == (2, 3, 3)
    assert touched([LINE]) == range(4)


def test_a_recorded_engine_shows_all_that_happens(tmp_path):
    lines = recorded()
    assert any(line["copies"] for line in lines)
    assert any(line["preempted"] for line in lines)
    assert any(line["hits"] for line in lines)
    draw_blocks(tmp_path / "blocks.png", lines)
    assert (tmp_path / "blocks.png").stat().st_size > 10_000
    assert "data:image/png" in animate(lines[:2]).to_jshtml()
    assert json.loads(json.dumps(lines)) == lines


def test_a_recording_in_a_file(tmp_path):
    with BlockRecorder(tmp_path / "one.jsonl") as recorder:
        recorder.plan([])
        recorder.record(1, [], {}, hits={})
    [line] = read_recording(tmp_path / "one.jsonl")
    assert line["scheduled"] == []
    with pytest.raises(ValueError, match="no blocks"):
        draw_blocks(tmp_path / "one.png", [line])
