"""Plots for the READMEs: one style, readable on a white page and on a dark one, and by the colour-blind.

Every plot is written as a PNG, whole or not at all. Lines carry their names where they end, so that nobody has
to match colours with a legend.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from shared.files import replacing
from shared.measuring.report import number

# Okabe and Ito's palette, which all common kinds of colour blindness tell apart; black and yellow, which
# vanish on a dark or a white page, are left out.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "#24292f"
GRID = "#d0d7de"
BACKING = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # keeps a line from running through a number

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def lines(
    path: Path,
    series: Series,
    title: str,
    x: str,
    y: str,
    hline: Mapping[str, float] | None = None,
    log_x: bool = False,
    log_y: bool = False,
) -> None:
    """Draw named curves, each as (x values, y values), with axis labels that say the units.

    `hline` are named levels to compare with, dashed. Raises ValueError for no curves, more than there are
    colours, or a curve whose x and y differ in length.
    """
    if not 1 <= len(series) <= len(COLORS):
        raise ValueError(f"{title!r} has {len(series)} curves; a plot shows from 1 to {len(COLORS)}")
    for name, (xs, ys) in series.items():
        if len(xs) != len(ys) or not len(xs):
            raise ValueError(f"the curve {name!r} of {title!r} has {len(xs)} x and {len(ys)} y values")
    figure, axes = _axes(title, x, y)
    if log_x:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
    if log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:,g}")
    labels = {}
    for color, (name, (xs, ys)) in zip(COLORS, series.items(), strict=False):
        axes.plot(xs, ys, color=color, linewidth=2, marker="o" if len(xs) <= 12 else "", markersize=4.5)
        labels[name] = (ys[-1], color)
    for name, level in (hline or {}).items():
        axes.axhline(level, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        labels[name] = (level, INK)
    for name, (xs, ys) in series.items():
        if _across(axes, xs[-1]) < 0.9:  # at the edge, its name would stand beside another curve
            _, color = labels.pop(name)
            others = [curve for other, curve in series.items() if other != name]
            place = (
                (6, -14) if any(_passes_above(axes, (xs[-1], ys[-1]), *curve) for curve in others) else (6, 3)
            )
            axes.annotate(name, (xs[-1], ys[-1]), place, textcoords="offset points", color=color)
    _label_ends(axes, labels)
    _save(figure, path)


def bars(
    path: Path,
    values: Mapping[str, float],
    title: str,
    x: str,
    hline: Mapping[str, float] | None = None,
) -> None:
    """Draw named bars, each with its value written at its end; `x` says what is measured, and its unit.

    `hline` are named levels to compare with. Raises ValueError for no bars.
    """
    if not values:
        raise ValueError(f"{title!r} has no bars")
    figure, axes = _axes(title, x, "")
    names = list(values)
    drawn = axes.barh(range(len(names)), list(values.values()), color=COLORS[0], height=0.62)
    axes.bar_label(drawn, labels=list(map(number, values.values())), padding=4, color=INK, bbox=BACKING)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.12)
    for name, level in (hline or {}).items():
        axes.axvline(level, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(name, (level, 1.01), xycoords=("data", "axes fraction"), color=INK, ha="center")
    figure.set_size_inches(7, 1.6 + 0.5 * len(names))
    _save(figure, path)


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    style: dict[Any, Any] = {
        "axes.edgecolor": GRID,
        "axes.labelcolor": INK,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "font.size": 11,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    with mpl.rc_context(style):
        # Not through pyplot: nothing global, nothing to close. The white ground is part of the picture, so
        # that the dark text can be read on a dark page as well.
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)  # inches around everything
        figure = Figure(figsize=(7, 4.2), dpi=150, facecolor="white", layout=layout)
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.set_title(title, loc="left", fontweight="bold", fontsize=12, pad=12)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.grid(color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, axes


def _across(axes: Axes, x: float) -> float:
    """How far across the plot this x is: 0 at the left edge, 1 at the right."""
    _, (low, _) = axes.get_xlim(), axes.get_ylim()  # asking for the limits settles them
    return (axes.transData - axes.transAxes).transform((x, low))[0]


def _passes_above(axes: Axes, point: tuple[float, float], xs: Sequence[float], ys: Sequence[float]) -> bool:
    """Whether a curve runs through the place where a name above the point would stand."""
    if not xs[0] <= point[0] <= xs[-1]:
        return False
    after = next(i for i, x in enumerate(xs) if x >= point[0])
    (_, low), (_, high) = ((axes.transData - axes.transAxes).transform(at) for at in (point, (0, ys[after])))
    return bool(-0.01 <= high - low < 0.12)


def _label_ends(axes: Axes, labels: Mapping[str, tuple[float, str]]) -> None:
    """Write each name at the right edge, at the height where its curve ends, or a little apart."""
    (left, _), _ = axes.get_xlim(), axes.get_ylim()  # asking for the limits settles them
    to_height = axes.transData - axes.transAxes
    named = sorted(labels.items(), key=lambda label: label[1][0])
    heights = [float(to_height.transform((left, level))[1]) for _, (level, _) in named]
    for (name, (_, color)), height in zip(named, _apart(heights, 0.055), strict=True):
        level = to_height.inverted().transform((0, height))[1]
        axes.text(1.01, level, name, transform=axes.get_yaxis_transform(), color=color, va="center")


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Rising heights moved so that each is `gap` above the one before: no further than needed, up as much as down."""
    groups: list[list[float]] = []  # those that would touch, moved around their middle together
    for height in heights:
        groups.append([height])
        while (
            len(groups) > 1
            and _middle(groups[-1]) - _middle(groups[-2]) < gap * (len(groups[-1]) + len(groups[-2])) / 2
        ):
            last = groups.pop()
            groups[-1] += last
    return [_middle(group) + gap * (i - (len(group) - 1) / 2) for group in groups for i in range(len(group))]


def _middle(group: Sequence[float]) -> float:
    return sum(group) / len(group)


def _save(figure: Figure, path: Path) -> None:
    with replacing(Path(path)) as temporary:
        # No date and no version inside: the same figures give the same bytes.
        figure.savefig(temporary, format="png", metadata={"Software": None})
