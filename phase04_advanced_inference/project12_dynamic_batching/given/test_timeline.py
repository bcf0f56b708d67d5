import pytest

from phase04_advanced_inference.project12_dynamic_batching.given.timeline import runs, timeline


def test_neighbouring_steps_are_one_bar():
    assert runs([1, 2, 3, 7, 9, 10]) == [(0, 3), (6, 1), (8, 2)]
    assert runs([]) == []


def line(step, *parts, **more):
    return {"step": step, "scheduled": [{"key": key, "count": count} for key, count in parts], **more}


def test_recordings_become_one_picture(tmp_path):
    lines = [line(1, (0, 5), waiting=[1]), line(2, (0, 1), waiting=[1]), line(3, (1, 1), aborted=[0])]
    timeline(tmp_path / "one.png", {"static": lines, "continuous": lines}, most=1)
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_there_is_something_to_draw(tmp_path):
    with pytest.raises(ValueError, match="no recording"):
        timeline(tmp_path / "none.png", {})
