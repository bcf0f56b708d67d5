"""Task 5: the picture of the engine. An XML parser reads what is drawn."""

import copy
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase10_deployment.project30_gradio.engine_view import (
    CELL,
    COLOURS,
    assign_places,
    columns,
    draw_blocks,
    draw_queues,
    draw_steps,
    owners,
)

pytestmark = pytest.mark.task(5)

EVIL = "<script>&\"'"


def running(
    key: int, blocks: list[int], tokens: int = 40, computed: int = 39, scheduled: int = 1, name: str = ""
):
    return {
        "id": key,
        "request": name or f"req-{key}",
        "tokens": tokens,
        "blocks": blocks,
        "computed": computed,
        "scheduled": scheduled,
    }


def event(
    *rows: dict[str, Any], waiting: tuple[int, ...] = (), blocks: int = 64, step: int = 1
) -> dict[str, Any]:
    queue = [{"id": key, "request": f"req-{key}", "tokens": 90} for key in waiting]
    used = {block for row in rows for block in row["blocks"]}
    return {
        "step": step,
        "block_size": 16,
        "blocks": blocks,
        "free": blocks - len(used),
        "hits": 0,
        "preempted": [],
        "running": list(rows),
        "waiting": queue,
    }


def drawn(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def block(svg: str, number: int) -> ET.Element:
    [found] = [group for group in drawn(svg).iter("g") if group.get("data-block") == str(number)]
    return found


def said(element: ET.Element, tag: str) -> list[str]:
    return [one.text or "" for one in element.iter(tag)]


def test_places_are_given_in_order():
    assert assign_places({}, event(running(7, []), running(3, []), waiting=(9,))) == {7: 0, 3: 1, 9: 2}
    assert assign_places({}, event()) == {}


def test_a_place_is_kept_whatever_comes_and_goes():
    places = {7: 0, 3: 1, 9: 2}
    now = event(running(9, []), running(3, []), waiting=(12, 13))
    assert assign_places(places, now) == {9: 2, 3: 1, 12: 0, 13: 3}
    assert places == {7: 0, 3: 1, 9: 2}


def test_who_waits_and_then_runs_keeps_its_place():
    places = assign_places({}, event(running(1, []), waiting=(2,)))
    assert assign_places(places, event(running(2, []), running(1, []))) == {1: 0, 2: 1}
    assert assign_places(places, event(running(2, []))) == {2: 1}


@given(st.lists(st.tuples(st.sets(st.integers(0, 12)), st.sets(st.integers(0, 12))), max_size=8))
def test_places_are_the_lowest_and_nobody_shares_one(steps: list[tuple[set[int], set[int]]]):
    places: dict[int, int] = {}
    for runs, waits in steps:
        now = event(*[running(key, []) for key in sorted(runs)], waiting=tuple(sorted(waits - runs)))
        before, places = places, assign_places(places, now)
        assert set(places) == runs | waits
        assert len(set(places.values())) == len(places)
        assert {key: before[key] for key in places if key in before} == {
            key: place for key, place in places.items() if key in before
        }
        new = sorted(place for key, place in places.items() if key not in before)
        kept = {place for key, place in places.items() if key in before}
        assert new == [place for place in range(26) if place not in kept][: len(new)]


def test_owners_of_blocks():
    now = event(running(7, [5, 6]), running(3, [5, 2]))
    assert owners(now) == {5: [7, 3], 6: [7], 2: [3]}


def test_columns_of_the_picture():
    assert [columns(blocks) for blocks in (1, 128, 129, 384, 385, 5000)] == [16, 16, 24, 24, 32, 32]


def test_each_block_is_a_cell():
    svg = draw_blocks(event(running(7, [5])), {7: 0})
    groups = list(drawn(svg).iter("g"))
    assert [group.get("data-block") for group in groups] == [str(number) for number in range(64)]
    assert [group.get("class") for group in groups].count("block used") == 1
    corners = [(rect.get("x"), rect.get("y")) for rect in drawn(svg).iter("rect")]
    assert corners[:2] == [("1", "1"), (str(CELL + 1), "1")]
    assert corners[16] == ("1", str(CELL + 1))
    assert len(set(corners)) == 64


def test_the_colour_and_the_letter_of_whose_it_is():
    svg = draw_blocks(event(running(7, [5]), running(3, [6])), {7: 0, 3: 12})
    first, second, free = (block(svg, number) for number in (5, 6, 7))
    assert [rect.get("fill") for rect in first.iter("rect")] == [COLOURS[0]]
    assert (said(first, "text"), said(first, "title")) == (["A"], ["block 5: A (req-7)"])
    assert [rect.get("fill") for rect in second.iter("rect")] == [COLOURS[2]]
    assert said(second, "text") == ["M"]
    assert (free.get("class"), said(free, "text"), said(free, "title")) == (
        "block free",
        [],
        ["block 7: free"],
    )


def test_letters_begin_anew_after_the_last():
    svg = draw_blocks(event(running(7, [0])), {7: 27})
    assert said(block(svg, 0), "text") == ["B"]


def test_a_shared_block_has_all_their_colours():
    svg = draw_blocks(event(running(7, [5]), running(3, [5, 6])), {7: 0, 3: 1})
    shared = block(svg, 5)
    rects = list(shared.iter("rect"))
    assert shared.get("class") == "block shared"
    assert [rect.get("fill") for rect in rects] == [COLOURS[0], COLOURS[1]]
    edges = [(float(rect.get("x", 0)), float(rect.get("width", 0))) for rect in rects]
    left = 5 * CELL + 1
    assert edges == [(left, (CELL - 2) / 2), (left + (CELL - 2) / 2, (CELL - 2) / 2)]
    assert said(shared, "text") == ["2"]
    assert said(shared, "title") == ["block 5: A (req-7), B (req-3)"]


def test_the_picture_says_what_it_is():
    now = event(running(7, [5, 6]), running(3, [5]), blocks=40)
    root = drawn(draw_blocks(now, {7: 0, 3: 1}))
    assert (root.tag, root.get("role")) == ("svg", "img")
    assert root.get("aria-label") == "block table: 2 of 40 blocks in use"
    assert root.get("viewBox") == f"0 0 {16 * CELL} {3 * CELL}"
    assert (root.get("width"), root.get("height")) == (None, None)


def test_very_many_blocks_are_not_all_drawn():
    root = drawn(draw_blocks(event(running(7, [3000]), blocks=5000), {7: 0}))
    assert len(list(root.iter("g"))) == 1024
    [note] = [one.text for one in root.iter("text")]
    assert note is not None
    assert "3,976" in note
    assert len(list(drawn(draw_blocks(event(blocks=1024), {})).iter("text"))) == 0


def test_names_are_text():
    now = event(running(7, [5], name=EVIL), waiting=())
    root = drawn(draw_blocks(now, {7: 0}))
    assert {one.tag for one in root.iter()} == {"svg", "g", "title", "rect", "text"}
    assert said(block(draw_blocks(now, {7: 0}), 5), "title") == [f"block 5: A ({EVIL})"]
    now["waiting"] = [{"id": 8, "request": EVIL, "tokens": 1}]
    lists = ET.fromstring(f"<div>{draw_queues(now, {7: 0, 8: 1})}</div>")
    assert {one.tag for one in lists.iter()} == {"div", "h4", "ol", "li", "b", "span", "i"}
    names = [one.text for one in lists.iter("span") if one.get("class") == "name"]
    assert names == [EVIL, EVIL]


def queues(now: dict[str, Any], places: dict[int, int]) -> dict[str, list[ET.Element]]:
    root = ET.fromstring(f"<div>{draw_queues(now, places)}</div>")
    return {one.get("class", "").split()[1]: list(one) for one in root.iter("ol")}


def test_who_runs_and_who_waits():
    found = queues(event(running(7, [5], 40, 30, 5), waiting=(9, 10)), {7: 0, 9: 1, 10: 2})
    [row] = found["running"]
    assert row.get("style") == f"--colour: {COLOURS[0]}"
    spans = [one.text for one in row.iter("span") if one.text]
    assert (said(row, "b"), spans) == (["A"], ["req-7", "30 + 5 of 40 tokens"])
    assert [one.get("style") for one in row.iter("i")] == ["width: 75.0%", "width: 12.5%"]
    assert [said(one, "b") for one in found["waiting"]] == [["B"], ["C"]]
    assert [one.text for one in found["waiting"][0].iter("span")] == ["req-9", "90 tokens"]


def test_a_track_ends_at_its_end():
    [row] = queues(event(running(7, [5], 40, 38, 16)), {7: 0})["running"]
    assert [one.get("style") for one in row.iter("i")] == ["width: 95.0%", "width: 5.0%"]
    [row] = queues(event(running(7, [5], 0, 0, 0)), {7: 0})["running"]
    assert [one.get("style") for one in row.iter("i")] == ["width: 0.0%", "width: 0.0%"]


def test_nobody_is_said():
    found = queues(event(), {})
    assert {name: [(one.get("class"), one.text) for one in rows] for name, rows in found.items()} == {
        "running": [("none", "nobody")],
        "waiting": [("none", "nobody")],
    }


def test_a_long_queue_is_cut():
    places = {key: key for key in range(20)}
    rows = queues(event(waiting=tuple(range(11))), places)["waiting"]
    assert len(rows) == 9
    assert (rows[-1].get("class"), rows[-1].text) == ("more", "and 3 more")
    assert len(queues(event(waiting=tuple(range(8))), places)["waiting"]) == 8


def test_the_lists_say_how_many():
    root = ET.fromstring(
        f"<div>{draw_queues(event(running(7, []), waiting=(8, 9)), {7: 0, 8: 1, 9: 2})}</div>"
    )
    assert [one.get("aria-label") for one in root.iter("ol")] == ["running: 1", "waiting: 2"]


def steps(svg: str) -> list[tuple[str, str, list[tuple[str, float, float]]]]:
    """Of each column: its step, its title, and its rects as (colour, top, height)."""
    return [
        (
            group.get("data-step", ""),
            said(group, "title")[0],
            [
                (one.get("fill", ""), float(one.get("y", 0)), float(one.get("height", 0)))
                for one in group.iter("rect")
            ],
        )
        for group in drawn(svg).iter("g")
    ]


def test_steps_are_columns_on_one_scale():
    first = event(running(7, [5], scheduled=30), running(3, [6], scheduled=5), step=4)
    second = event(running(7, [5], scheduled=7), running(3, [6], scheduled=0), step=5)
    third = event(step=6)
    svg = draw_steps([first, second, third], [{7: 0, 3: 1}, {7: 0, 3: 1}, {}])
    assert steps(svg) == [
        ("4", "step 4: 35 tokens (A 30, B 5)", [(COLOURS[0], 10.0, 60.0), (COLOURS[1], 0.0, 10.0)]),
        ("5", "step 5: 7 tokens (A 7)", [(COLOURS[0], 56.0, 14.0)]),
        ("6", "step 6: nothing", []),
    ]
    label = drawn(svg).get("aria-label")
    assert label == "tokens computed by the last 3 steps, at most 35 in one"


def test_the_last_steps_are_drawn():
    many = [event(running(7, [1]), step=number) for number in range(100)]
    svg = draw_steps(many, [{7: 0}] * 100, most=10)
    assert [step for step, _, _ in steps(svg)] == [str(number) for number in range(90, 100)]
    lefts = [one.get("x") for one in drawn(svg).iter("rect")]
    assert lefts == [str(7 * column) for column in range(10)]
    assert drawn(svg).get("viewBox") == "0 0 70 70"


def test_no_steps_are_an_empty_picture():
    root = drawn(draw_steps([], []))
    assert (len(list(root)), root.get("role")) == (0, "img")
    assert root.get("aria-label") == "tokens computed by the last 0 steps, at most 0 in one"


def test_an_event_is_not_changed_by_being_drawn():
    now = event(running(7, [5]), waiting=(8,))
    before = copy.deepcopy(now)
    draw_blocks(now, {7: 0})
    draw_queues(now, {7: 0, 8: 1})
    draw_steps([now], [{7: 0}])
    assert now == before
