"""The recording of an engine as a picture: a line for each request, coloured where a step computes it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from shared.files import replacing
from shared.measuring.plot import COLORS, GRID, INK

MOST = 60
WAITS = "#8c959f"

Lines = Sequence[Mapping[str, Any]]


def timeline(path: Path, recordings: Mapping[str, Lines], most: int = MOST) -> None:
    """Draw recordings by their titles, one below the other, over the same steps: at most `most` requests of each.

    Raises ValueError for none.
    """
    if not recordings:
        raise ValueError("there is no recording to draw")
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    heights = [min(most, len(_order(lines))) for lines in recordings.values()]
    figure = Figure(
        figsize=(8, 1.2 + sum(0.7 + 0.12 * height for height in heights)), dpi=150, facecolor="white", layout=layout
    )  # fmt: skip
    FigureCanvasAgg(figure)
    ratios = {"height_ratios": [4 + height for height in heights]}
    panels = figure.subplots(len(recordings), 1, sharex=True, squeeze=False, gridspec_kw=ratios)[:, 0]
    for axes, (title, lines) in zip(panels, recordings.items(), strict=True):
        _panel(axes, title, lines, most)
    panels[-1].set_xlabel("step", color=INK)
    kinds = [
        Patch(color=WAITS, label="waits"),
        Patch(color=COLORS[0], label="its prompt is read"),
        Patch(color=COLORS[0], alpha=0.45, label="a token in each step"),
    ]
    figure.legend(
        handles=kinds, loc="outside lower center", ncols=3, frameon=False, labelcolor=INK, fontsize=9
    )
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _order(lines: Lines) -> list[int]:
    """All requests, those first that were scheduled or waited first."""
    seen: dict[int, None] = {}
    for line in lines:
        for part in line["scheduled"]:
            seen.setdefault(part["key"])
        for key in line.get("waiting", ()):
            seen.setdefault(key)
    return list(seen)


def runs(steps: Sequence[int]) -> list[tuple[float, float]]:
    """Neighbouring steps as one bar each, (its left edge, its width): step n takes the place from n - 1 to n."""
    bars: list[tuple[float, float]] = []
    for step in steps:
        if bars and bars[-1][0] + bars[-1][1] == step - 1:
            bars[-1] = bars[-1][0], bars[-1][1] + 1
        else:
            bars.append((step - 1, 1))
    return bars


def _panel(axes: Axes, title: str, lines: Lines, most: int) -> None:
    places = {key: place for place, key in enumerate(_order(lines)[:most])}
    prompts: dict[int, list[int]] = {key: [] for key in places}
    tokens: dict[int, list[int]] = {key: [] for key in places}
    waits: dict[int, list[int]] = {key: [] for key in places}
    for line in lines:
        for part in line["scheduled"]:
            kind = prompts if part["count"] > 1 or part.get("chunk") or not part.get("start", 1) else tokens
            if part["key"] in places:
                kind[part["key"]].append(line["step"])
        for key in line.get("waiting", ()):
            if key in places:
                waits[key].append(line["step"])
    for key, place in places.items():
        color = COLORS[place % len(COLORS)]
        axes.broken_barh(runs(waits[key]), (place - 0.06, 0.12), color=WAITS, linewidth=0)
        axes.broken_barh(runs(tokens[key]), (place - 0.4, 0.8), color=color, alpha=0.45, linewidth=0)
        axes.broken_barh(runs(prompts[key]), (place - 0.4, 0.8), color=color, linewidth=0)
    for line in lines:
        for key in line.get("aborted", ()):
            if key in places:
                axes.plot(line["step"] - 1, places[key], marker="x", color=INK, markersize=5)
    shown = (
        ""
        if len(places) == len(_order(lines))
        else f", the first {len(places)} of {len(_order(lines))} requests"
    )
    axes.set_title(
        f"{title}: {lines[-1]['step']:,} steps{shown}", loc="left", fontweight="bold", fontsize=11, color=INK
    )
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.set_ylabel("request", color=INK)
    axes.set_yticks([])
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=INK, labelsize=9)
    axes.tick_params(axis="x", labelbottom=True)
