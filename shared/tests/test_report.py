import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.measuring import report
from shared.measuring.report import Report, met, number, target


@pytest.fixture(autouse=True)
def house(monkeypatch, tmp_path):
    monkeypatch.delenv("LADDER_RESULTS", raising=False)
    monkeypatch.setattr(report, "slug", lambda _: "some-cpu-2-cores")
    return tmp_path


def test_a_record_holds_all_that_a_reader_needs(house, capsys):
    report = Report(house, "a loss of 1.60", "cpu", command="python -m x")
    report.figure("loss", 1.55, "nats", ("<=", 1.6), {"nanoGPT": 1.89}, "two threads")
    report.figure("speed", 1000, "tokens/s", (">=", 2000))
    report.series("curve", [1, 2], [3.0, 2.5], "step", "loss")
    path = report.finish()
    assert path == house / "results" / "some-cpu-2-cores.json"
    record = json.loads(path.read_text())
    assert {"promise", "measured", "peers", "command", "device", "threads", "versions", "date"} <= set(record)
    loss = record["measured"]["loss"]
    assert (loss["value"], loss["unit"], loss["target"], loss["met"]) == (1.55, "nats", ["<=", 1.6], True)
    assert (loss["command"], loss["preset"], loss["note"]) == ("python -m x", "cpu", "two threads")
    assert loss["threads"] == torch.get_num_threads()
    assert record["measured"]["speed"]["met"] is False
    assert record["peers"] == {"loss": {"nanoGPT": 1.89}, "speed": {}}
    assert record["series"]["curve"] == {"x": [1, 2], "y": [3.0, 2.5], "x_label": "step", "y_label": "loss"}

    *screen, last = capsys.readouterr().out.splitlines()
    assert json.loads(last) == {key: value for key, value in record.items() if key != "series"}
    table = "\n".join(screen)
    for words in ("a loss of 1.60", "1.55 nats", "≤ 1.6", "yes", "nanoGPT: 1.89", "≥ 2,000", "no", str(path)):
        assert words in table.replace("\n", "") or words in table


def test_a_later_run_keeps_what_it_does_not_measure(house, capsys):
    first = Report(house, "p", "cpu", command="first")
    first.figure("loss", 2.0, peers={"peer": 3.0})
    first.figure("speed", 10.0)
    first.series("curve", [1], [2], "x", "y")
    first.finish()
    second = Report(house, "p", "cpu", command="second")
    second.figure("loss", 1.0)
    record = json.loads(second.finish().read_text())
    assert {name: (one["value"], one["command"]) for name, one in record["measured"].items()} == {
        "loss": (1.0, "second"),
        "speed": (10.0, "first"),
    }
    assert record["peers"] == {"loss": {}, "speed": {}}
    assert set(record["series"]) == {"curve"}
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(last["measured"]) == {"loss"}, "the last line is of this run alone"


def test_a_smoke_run_touches_no_results(house):
    report = Report(house, "p", "smoke")
    report.figure("loss", 9.0)
    assert report.finish().is_file()
    assert list(house.iterdir()) == []


@pytest.mark.parametrize("preset", ["smoke", "cpu"])
def test_results_go_where_the_environment_says(house, monkeypatch, preset):
    monkeypatch.setenv("LADDER_RESULTS", str(house / "elsewhere"))
    assert Report(house, "p", preset).finish().parent == house / "elsewhere"
    assert not (house / "results").exists()


def test_the_command_is_this_process_unless_one_is_given(house, monkeypatch):
    monkeypatch.setattr("sys.orig_argv", ["python", "-m", "phase.project.benchmark"])
    report = Report(house, "p", "cpu")
    report.figure("x", 1)
    record = json.loads(report.finish().read_text())
    assert record["command"] == record["measured"]["x"]["command"] == "python -m phase.project.benchmark"


def test_mistakes_are_named(house):
    with pytest.raises(ValueError, match="there is no project folder"):
        Report(house / "none", "p", "cpu")
    report = Report(house, "p", "cpu")
    report.figure("x", 1)
    with pytest.raises(ValueError, match="the figure 'x' is there already"):
        report.figure("x", 2)
    for value, peers in [(math.nan, {}), (1.0, {"peer": math.inf})]:
        with pytest.raises(ValueError, match="the figure 'y' is not made of finite numbers"):
            report.figure("y", value, peers=peers)
    with pytest.raises(ValueError, match="the target of 'y' compares by '~'; use <=, <, >=, >, =="):
        report.figure("y", 1, target=("~", 2))
    with pytest.raises(ValueError, match="the series 's' has 1 x and 2 y values"):
        report.series("s", [1], [1, 2], "x", "y")


def test_numbers_of_any_kind_become_json(house):
    report = Report(house, "p", "cpu")
    report.figure("x", np.float32(1.5), target=("<=", np.float64(2)), peers={"peer": torch.tensor(2.5)})
    report.series("s", range(3), np.array([1.0, np.nan, np.inf]), "x", "y")
    record = json.loads(report.finish().read_text())
    assert record["measured"]["x"]["met"] is True
    assert record["series"]["s"]["y"] == [1.0, None, None]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"measured": 1, "peers": 1, "series": 1}'])
def test_a_broken_record_is_named_before_anything_is_measured(house, text):
    (house / "results").mkdir()
    (house / "results" / "some-cpu-2-cores.json").write_text(text)
    with pytest.raises(ValueError, match=r"some-cpu-2-cores\.json is no results file"):
        Report(house, "p", "cpu")


@pytest.mark.parametrize(
    ("sign", "value", "answer"),
    [("<=", 2, True), ("<", 2, False), (">=", 2, True), (">", 2, False), ("==", 2, True), ("==", 3, False)],
)
def test_targets_compare(house, sign, value, answer):
    report = Report(house, "p", "cpu")
    report.figure("x", value, target=(sign, 2))
    assert report._record["measured"]["x"]["met"] is answer


def test_numbers_as_people_read_them():
    shown = {
        1.54321: "1.543",
        0.0001234: "0.0001234",
        1234567.8: "1,234,568",
        12: "12",
        1500: "1,500",
        2.0: "2",
    }
    assert {value: number(value) for value in shown} == shown
    assert [target(None), target(["<=", 1.6]), target([">", 1000]), target(["==", 0])] == [
        "",
        "≤ 1.6",
        "> 1,000",
        "= 0",
    ]
    assert [met(True), met(False), met(None)] == ["yes", "no", ""]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_shown_number_is_near_the_true_one(value):
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=6e-4)
