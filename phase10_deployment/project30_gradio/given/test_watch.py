"""What a watch keeps of the engine's steps, and the panels that are made of it."""

import xml.etree.ElementTree as ET

from phase10_deployment.project30_gradio.given.example import a_reply, some_events, trace_example
from phase10_deployment.project30_gradio.given.pictures import (
    engine_panel,
    odds_panel,
    other_choices,
    reading_panel,
)
from phase10_deployment.project30_gradio.given.server import ServerLink
from phase10_deployment.project30_gradio.given.watch import KEPT, Watch


def a_watch() -> Watch:
    return Watch(ServerLink("http://127.0.0.1:9"))


def test_steps_are_kept_with_their_places():
    watch = a_watch()
    for event in some_events():
        watch.add(event)
    assert [places for _, places in watch.look()] == [{1: 0}, {1: 0, 2: 1, 3: 2}, {2: 1, 3: 2}]


def test_only_the_last_are_kept():
    watch = a_watch()
    for step in range(KEPT + 10):
        watch.add({**some_events()[0], "step": step})
    assert [watch.look()[0][0]["step"], len(watch.look())] == [10, KEPT]


def test_the_same_step_again_takes_its_place():
    watch = a_watch()
    first, second, _ = some_events()
    watch.add(first)
    watch.add({**second, "step": 1})
    assert [event["running"] for event, _ in watch.look()] == [second["running"]]


def test_another_engine_begins_anew():
    watch = a_watch()
    watch.add({**some_events()[0], "step": 500})
    watch.add(some_events()[0])
    assert [event["step"] for event, _ in watch.look()] == [1]


def test_panels_are_well_formed():
    watch = a_watch()
    for event in some_events():
        watch.add(event)
    panel = ET.fromstring(f"<div>{engine_panel(watch.look(), 'live', 'here')}</div>")
    assert len(list(panel.iter("svg"))) == 2
    assert "nobody" not in engine_panel(watch.look(), "live", "here")
    assert "&lt;b&gt;" in engine_panel([], "<b>", "<b>")


def test_the_other_panels():
    reply = a_reply()
    assert odds_panel(reply, 1).count("<button") == 3
    assert "<button" not in odds_panel(None, None)
    assert other_choices(reply, 0)[0] == ("␣Mia · 62.0% ✓", 0)
    found = reading_panel({"token_strs": ["<b>", " a"], "count": 2, "max_model_len": 512})
    assert "&lt;b&gt;" in found
    assert "2 tokens of at most 512" in found


def test_the_example_runs():
    trace_example()
