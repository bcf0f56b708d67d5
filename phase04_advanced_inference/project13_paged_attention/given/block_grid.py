"""The recording of a paged engine as a picture: whose each block is, step by step, below the requests."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from phase04_advanced_inference.project12_dynamic_batching.given.timeline import WAITS, runs
from shared.files import replacing
from shared.measuring.plot import COLORS, GRID, INK

FREE, CACHED, SHARED = "#ffffff", "#d8dee4", INK
Lines = Sequence[Mapping[str, Any]]


def check_lines(lines: Lines) -> None:
    """Raises ValueError for a recording without blocks, as of project 12's engine."""
    if not lines or any("blocks" not in line for line in lines):
        raise ValueError("the recording has no blocks: it must be that of a paged engine (answer --record)")


def places(lines: Lines) -> dict[int, int]:
    """All requests, those first that were scheduled or waited first, each with its number in this order."""
    seen: dict[int, int] = {}
    for line in lines:
        for key in [*(part["key"] for part in line["scheduled"]), *line["waiting"]]:
            seen.setdefault(key, len(seen))
    return seen


def color(place: int) -> str:
    """A request's."""
    return COLORS[place % len(COLORS)]


def owners(line: Mapping[str, Any]) -> dict[int, list[int]]:
    """Of each block that somebody has in this step: who."""
    found: dict[int, list[int]] = {}
    for key, table in line["blocks"].items():
        for block in table:
            found.setdefault(block, []).append(int(key))
    return found


def touched(lines: Lines) -> range:
    """The blocks from the first to the last that somebody has had."""
    held = [block for line in lines for block in [*owners(line), *line["cached"]]]
    return range(min(held, default=0), max(held, default=0) + 1)


def block_map(lines: Lines, number: Mapping[int, int]) -> np.ndarray:
    """An image, (block, step, 3): each block in the colour of who has it, of several the first; cached ones grey."""
    image = np.ones((lines[0]["num_blocks"], len(lines), 3))
    for at, line in enumerate(lines):
        image[line["cached"], at] = to_rgb(CACHED)
        for block, keys in owners(line).items():
            image[block, at] = to_rgb(color(number[min(keys)]))
    return image


def draw_blocks(path: Path, lines: Lines, most: int = 60) -> None:
    """Draw a recording: above the requests, at most `most`, below the blocks that were used, step by step."""
    check_lines(lines)
    number = places(lines)
    shown = min(most, len(number))
    heights = [1.2 + 0.13 * shown, 1.2 + 0.045 * min(len(touched(lines)), 120)]
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    figure = Figure(figsize=(8, 0.7 + sum(heights)), dpi=150, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": heights})
    _requests(above, lines, number, shown)
    _blocks(below, lines, number)
    figure.legend(
        handles=[
            Patch(color=COLORS[0], label="its prompt is read"),
            Patch(color=COLORS[0], alpha=0.45, label="tokens in each step"),
            Patch(color=WAITS, label="waits"),
            Patch(color=CACHED, label="block nobody has, cached"),
            Patch(color=SHARED, label="line in a block: shared"),
        ],
        loc="outside lower center", ncols=3, frameon=False, labelcolor=INK, fontsize=8,
    )  # fmt: skip
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _requests(axes: Axes, lines: Lines, number: Mapping[int, int], shown: int) -> None:
    """A line for each request, and what has happened to it."""
    steps: dict[tuple[int, str], list[int]] = {}
    for line in lines:
        for part in line["scheduled"]:
            prompt = part["chunk"] or not part["start"] or part["key"] in map(int, line["hits"])
            steps.setdefault((part["key"], "prompt" if prompt else "tokens"), []).append(line["step"])
        for key in line["waiting"]:
            steps.setdefault((key, "waits"), []).append(line["step"])
    looks = {"prompt": (0.8, 1.0), "tokens": (0.8, 0.45), "waits": (0.12, 1.0)}
    for (key, kind), when in steps.items():
        place, (height, alpha) = number[key], looks[kind]
        if place < shown:
            shade = WAITS if kind == "waits" else color(place)
            axes.broken_barh(runs(when), (place - height / 2, height), color=shade, alpha=alpha, linewidth=0)
    for mark, name in (("x", "aborted"), ("v", "preempted")):
        points = [(line["step"] - 1, number[key]) for line in lines for key in line[name] if key in number]
        points = [point for point in points if point[1] < shown]
        if points:
            axes.scatter(*zip(*points, strict=True), marker=mark, color=INK, s=16, zorder=3, linewidths=1)
    hits = [
        (line["step"] - 0.5, number[int(key)], count) for line in lines for key, count in line["hits"].items()
    ]
    for x, place, count in hits:
        if place < shown:
            axes.text(
                x, place, str(count), fontsize=6, color="white", ha="center", va="center", fontweight="bold"
            )
    axes.set_ylim(shown - 0.4, -0.6)
    axes.set_yticks([])
    axes.set_ylabel("request", color=INK)
    title = "Requests; white number: cached tokens at admission; ▾ sent back; × aborted"
    _style(axes, title)


def _blocks(axes: Axes, lines: Lines, number: Mapping[int, int]) -> None:
    """A row for each block; shared ones have a line, copies a dot."""
    first = lines[0]["step"]
    shown = touched(lines)
    image = block_map(lines, number)[shown.start : shown.stop]
    extent = (first - 1, first - 1 + len(lines), shown.stop - 0.5, shown.start - 0.5)
    axes.imshow(image, aspect="auto", interpolation="nearest", extent=extent)
    for line in lines:
        for block, keys in owners(line).items():
            if len(keys) > 1:
                axes.plot([line["step"] - 1, line["step"]], [block, block], color=SHARED, linewidth=0.8)
    copies = [(line["step"] - 0.5, target) for line in lines for _, target in line["copies"]]
    if copies:
        axes.scatter(*zip(*copies, strict=True), s=7, color="white", edgecolors=INK, linewidths=0.6, zorder=3)
    axes.set_ylabel("block", color=INK)
    axes.set_xlabel("step", color=INK)
    title = "Blocks, in the colour of who has them; ring: copied on write"
    if unused := lines[0]["num_blocks"] - len(shown):
        title += f"; {unused} more, never used"
    _style(axes, title)


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=9, color=INK)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=INK, labelsize=8)


def grid(line: Mapping[str, Any], number: Mapping[int, int], columns: int) -> np.ndarray:
    """One step's blocks as an image, `columns` in a row."""
    colors = block_map([line], number)[:, 0]
    rows = -(-len(colors) // columns)
    image = np.ones((rows * columns, 3))
    image[: len(colors)] = colors
    return image.reshape(rows, columns, 3)


def animate(lines: Lines, columns: int = 16, milliseconds: int = 120) -> FuncAnimation:
    """The blocks as a grid, step after step: `HTML(animate(lines).to_jshtml())` in a notebook."""
    check_lines(lines)
    number = places(lines)
    figure = Figure(figsize=(6, 1 + 6 / columns * -(-lines[0]["num_blocks"] // columns)), dpi=80)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_axis_off()
    shown = axes.imshow(grid(lines[0], number, columns), interpolation="nearest")

    def frame(line: Mapping[str, Any]) -> Iterator[Any]:
        shown.set_data(grid(line, number, columns))
        axes.set_title(
            f"step {line['step']}: {len(line['scheduled'])} run, {len(line['waiting'])} wait",
            fontsize=10,
            color=INK,
        )
        return iter([shown])

    return FuncAnimation(figure, frame, frames=list(lines), interval=milliseconds)
