import json

import pytest

from phase04_advanced_inference.project12_dynamic_batching.given.recorder import Recorder, read_recording
from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled, Sequence
from shared.phase01 import SamplingParams
from shared.testing import raises


def test_a_line_a_step_comes_back_from_the_file(tmp_path):
    sequence, path = Sequence(3, [1, 2, 3], SamplingParams(), 10), tmp_path / "steps.jsonl"
    times = iter([10.0, 10.25, 11.0])
    with Recorder(path, lambda: next(times)) as recorder:
        recorder.plan([Scheduled(sequence, 2)])
        sequence.num_computed = 2  # what happens afterwards changes nothing
        recorder.record(1, [4], {}, blocks={"3": [0, 1]})
        recorder.plan([Scheduled(sequence, 1)])
        recorder.record(2, [], {3: "length"}, aborted=[4], preempted=[5])
    common = {"aborted": [], "preempted": [], "finished": {}, "waiting": []}
    part = {"key": 3, "count": 2, "start": 0, "chunk": True}
    assert read_recording(path) == [
        common | {"step": 1, "time": 0.25, "scheduled": [part], "waiting": [4], "blocks": {"3": [0, 1]}},
        common | {"step": 2, "time": 1.0, "scheduled": [part | {"count": 1, "start": 2, "chunk": False}],
                  "finished": {"3": "length"}, "aborted": [4], "preempted": [5]},
    ]  # fmt: skip


def test_without_a_file_lines_are_kept():
    recorder = Recorder()
    recorder.plan([])
    recorder.record(1, [], {})
    assert [line["step"] for line in recorder.lines] == [1]


GOOD = json.dumps({"step": 1, "scheduled": [{"key": 2, "count": 1}]})


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", ("empty",)),
        (f"{GOOD}\nnonsense\n", (2,)),
        ("[]\n", (1,)),
        ('{"step": "one", "scheduled": []}\n', (1,)),
        ('{"step": 1, "scheduled": [{"key": "x"}]}\n', (1,)),
        ('{"step": 1}\n', (1,)),
    ],
)
def test_what_is_no_recording_is_named(tmp_path, text, facts):
    path = tmp_path / "steps.jsonl"
    path.write_text(text, encoding="utf-8")
    with raises(ValueError, "steps.jsonl", *facts):
        read_recording(path)
