"""The commands, on small work."""

import pytest

from phase04_advanced_inference.project12_dynamic_batching.given.recorder import read_recording
from phase04_advanced_inference.project13_paged_attention.answer import common_beginning, main
from phase04_advanced_inference.project13_paged_attention.draw import main as draw
from phase04_advanced_inference.project13_paged_attention.fuzz import main as fuzz


def test_what_texts_begin_with():
    assert common_beginning(["the cat", "the cow", "the"]) == "the"
    assert common_beginning(["a cat", "the cow"]) == ""


def test_answers_and_their_picture(tmp_path, capsys):
    record = tmp_path / "answer.jsonl"
    main(["The cat sat", "The cat ran"], max_tokens=3, places=2, blocks=8, record=record)
    said = capsys.readouterr()
    assert said.out.startswith("The cat ")
    assert "continuous batching" in said.err
    assert len(read_recording(record)) >= 3
    draw(record, tmp_path / "answer.png")
    assert (tmp_path / "answer.png").stat().st_size > 10_000


def test_a_little_fuzz(capsys):
    fuzz(operations=20, steps=3)
    assert capsys.readouterr().out.count("no fault") == 13


def test_nothing_to_fuzz():
    with pytest.raises(SystemExit):
        fuzz(operations=0)
