"""A picture of the engine: its blocks and whose they are, who is running and who waits, step by step.

The server tells each step in an event (`/debug/steps`, which it has with --debug):

    {"step": 7, "block_size": 16, "blocks": 64, "free": 59, "hits": 32, "preempted": [],
     "running": [{"id": 3, "request": "req-a", "tokens": 40, "computed": 39, "scheduled": 1, "blocks": [5, 6, 9]}],
     "waiting": [{"id": 4, "request": "req-b", "tokens": 90}]}

`id` is the sequence's, of which a request may have several. `tokens` is how many it has, `computed` how many of them
are in the blocks, `scheduled` how many this step computes. A block may be in several tables: a prefix that is shared.

A request keeps its colour and its letter from its first step to its last, whatever comes and goes around it: else the
picture flickers, and nobody can follow one. A person who cannot tell colours apart has the letters.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

COLOURS = (
    "#4c78a8", "#c2621b", "#3f8a3d", "#c24b4a", "#8f6bb8", "#2f817c", "#96651f", "#c0508a", "#6b7f2a", "#6f6f6f",
)  # fmt: skip
"""as many as one can tell apart; white letters can be read on each"""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CELL = 22
MOST_BLOCKS, MOST_WAITING = 1024, 8

Event = Mapping[str, Any]
Places = dict[int, int]


def assign_places(places: Mapping[int, int], event: Event) -> Places:
    """A place (0, 1, 2 …) for each sequence of an event, by its id: from it come its colour and its letter.

    Those that have one in `places` keep it. The others, first the running and then the waiting, in their order, get the
    lowest that no sequence of this event has. Who is no longer in the event loses it. `places` stays as it is.
    """
    present = [one["id"] for one in [*event["running"], *event["waiting"]]]
    kept = {key: places[key] for key in present if key in places}
    for key in present:
        if key not in kept:
            kept[key] = next(place for place in range(len(present)) if place not in kept.values())
    return kept


def owners(event: Event) -> dict[int, list[int]]:
    """The blocks that are in use, each with the ids of the running sequences in whose table it is, in their order."""
    found: dict[int, list[int]] = {}
    for sequence in event["running"]:
        for block in sequence["blocks"]:
            found.setdefault(block, []).append(sequence["id"])
    return found


def columns(blocks: int) -> int:
    """How many blocks there are in a row of the picture: 16 up to 128 blocks, 24 up to 384, and 32 above."""
    return 16 if blocks <= 128 else 24 if blocks <= 384 else 32


def draw_blocks(event: Event, places: Mapping[int, int]) -> str:
    """The block table as an SVG: one group a block, in order, `columns` of them in a row.

        <g class="block used" data-block="5"><title>block 5: A (req-a)</title><rect …/><text …>A</text></g>
        <g class="block free" data-block="6"><title>block 6: free</title><rect …/></g>

    A block of one sequence has that one's colour, COLOURS[place % 10], and letter, LETTERS[place % 26]. A block of
    several has class "block shared", a rect a sequence, side by side and all in one cell, and how many there are as
    its text; its title names all of them: "block 5: A (req-a), B (req-b)". Blocks from MOST_BLOCKS on are not drawn;
    a line of text below says how many those are. The names of requests come from clients, and are escaped.

    The svg has a viewBox and no width or height (it is as wide as its place), role="img", and an aria-label that says
    how many blocks are in use, of how many: "block table: 5 of 64 blocks in use".
    """
    total, table = event["blocks"], owners(event)
    names = {one["id"]: one["request"] for one in event["running"]}
    shown, wide = min(total, MOST_BLOCKS), columns(total)
    cells = []
    for block in range(shown):
        x, y = block % wide * CELL, block // wide * CELL
        who = table.get(block, [])
        kind = "free" if not who else "used" if len(who) == 1 else "shared"
        said = ", ".join(f"{letter(places[key])} ({html.escape(str(names[key]))})" for key in who) or "free"
        width = (CELL - 2) / max(1, len(who))
        rects = [
            f'<rect x="{x + 1 + part * width:g}" y="{y + 1}" width="{width:g}" height="{CELL - 2}"'
            f' fill="{colour(places[key])}"/>'
            for part, key in enumerate(who)
        ] or [f'<rect x="{x + 1}" y="{y + 1}" width="{CELL - 2}" height="{CELL - 2}" rx="3"/>']
        text = "" if not who else letter(places[who[0]]) if len(who) == 1 else str(len(who))
        mark = f'<text x="{x + CELL / 2:g}" y="{y + CELL / 2 + 4:g}">{text}</text>' if text else ""
        title = f"<title>block {block}: {said}</title>"
        cells.append(f'<g class="block {kind}" data-block="{block}">{title}{"".join(rects)}{mark}</g>')
    height = -(-shown // wide) * CELL
    if total > shown:
        cells.append(f'<text class="note" x="2" y="{height + 14}">and {total - shown:,} more blocks</text>')
        height += 20
    said = f"block table: {len(table)} of {total} blocks in use"
    return (
        f'<svg class="engine blocks" viewBox="0 0 {wide * CELL} {height}" role="img" aria-label="{said}">'
        f"{''.join(cells)}</svg>"
    )


def draw_queues(event: Event, places: Mapping[int, int]) -> str:
    """Who runs and who waits, as HTML: two lists.

        <ol class="queue running" aria-label="running: 1"><li style="--colour: #4c78a8"><b>A</b>
        <span class="name">req-a</span><span class="count">39 + 1 of 40 tokens</span>
        <span class="track"><i style="width: 97.5%"></i><i class="now" style="width: 2.5%"></i></span></li></ol>

    and, of class "queue waiting", with "90 tokens" for a count and no track. Of the track, the first part is what was
    computed before this step, the second what this step computes, both of `tokens`, to one digit after the point; they
    never reach beyond the end together. At most MOST_WAITING of those who wait are listed, then a last item of class
    "more": "and 5 more". An empty queue is a list with one item of class "none": "nobody".
    """
    running = [
        f'<li style="--colour: {colour(places[one["id"]])}"><b>{letter(places[one["id"]])}</b>'
        f'<span class="name">{html.escape(str(one["request"]))}</span>'
        f'<span class="count">{one["computed"]} + {one["scheduled"]} of {one["tokens"]} tokens</span>{_track(one)}</li>'
        for one in event["running"]
    ]
    waiting = [
        f'<li style="--colour: {colour(places[one["id"]])}"><b>{letter(places[one["id"]])}</b>'
        f'<span class="name">{html.escape(str(one["request"]))}</span>'
        f'<span class="count">{one["tokens"]} tokens</span></li>'
        for one in event["waiting"][:MOST_WAITING]
    ]
    if (more := len(event["waiting"]) - MOST_WAITING) > 0:
        waiting.append(f'<li class="more">and {more} more</li>')
    lists = []
    for name, items in (("running", running), ("waiting", waiting)):
        inside = "".join(items) or '<li class="none">nobody</li>'
        said = f"{name}: {len(event[name])}"
        lists.append(f'<h4>{said}</h4><ol class="queue {name}" aria-label="{said}">{inside}</ol>')
    return "".join(lists)


def _track(one: Mapping[str, Any]) -> str:
    """How far a sequence is, as two bars in one."""
    total = max(1, one["tokens"])
    done = min(1.0, one["computed"] / total)
    now = min(1.0 - done, one["scheduled"] / total)
    return (
        f'<span class="track"><i style="width: {100 * done:.1f}%"></i>'
        f'<i class="now" style="width: {100 * now:.1f}%"></i></span>'
    )


def draw_steps(events: Sequence[Event], colours: Sequence[Mapping[int, int]], most: int = 60) -> str:
    """What the last steps computed, as an SVG: a column a step, of as many tokens as it computed, by sequence.

    `colours` has the places of each event. The last `most` events are drawn, each a group

        <g class="step" data-step="7"><title>step 7: 17 tokens (A 16, B 1)</title><rect …/><rect …/></g>

    of a rect a running sequence with something scheduled, stacked upwards in their order; a step that computed nothing
    has no rect and the title "step 7: nothing". Heights are on one scale for all columns: the highest fills the
    picture. The svg is as `draw_blocks` has it, with the aria-label "tokens computed by the last 2 steps, at most 17
    in one".
    """
    width, height = 7, 70
    shown = list(zip(events, colours, strict=True))[-most:]
    totals = [sum(one["scheduled"] for one in event["running"]) for event, _ in shown]
    highest = max([1, *totals])
    groups = []
    for column, ((event, places), total) in enumerate(zip(shown, totals, strict=True)):
        top, rects, parts = float(height), [], []
        for one in event["running"]:
            if not one["scheduled"]:
                continue
            tall = height * one["scheduled"] / highest
            top -= tall
            place = places[one["id"]]
            parts.append(f"{letter(place)} {one['scheduled']}")
            place_of = f'x="{column * width}" y="{top:.2f}" width="{width - 1}" height="{tall:.2f}"'
            rects.append(f'<rect {place_of} fill="{colour(place)}"/>')
        said = f"{total} tokens ({', '.join(parts)})" if parts else "nothing"
        step = event["step"]
        groups.append(
            f'<g class="step" data-step="{step}"><title>step {step}: {said}</title>{"".join(rects)}</g>'
        )
    said = f"tokens computed by the last {len(shown)} steps, at most {max([0, *totals])} in one"
    return (
        f'<svg class="engine steps" viewBox="0 0 {most * width} {height}" role="img" aria-label="{said}">'
        f"{''.join(groups)}</svg>"
    )


def colour(place: int) -> str:
    """The colour of a place; after the last, the first again."""
    return COLOURS[place % len(COLOURS)]


def letter(place: int) -> str:
    """The letter of a place; after Z, A again."""
    return LETTERS[place % len(LETTERS)]
