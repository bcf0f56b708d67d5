from itertools import pairwise

import matplotlib.image
import pytest

from shared.measuring import plot


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is saved, to look into."""
    saved = []
    original = plot._save
    monkeypatch.setattr(plot, "_save", lambda figure, path: saved.append(figure) or original(figure, path))
    return saved


def test_lines_carry_their_names_units_and_levels(tmp_path, figures):
    path = tmp_path / "plots" / "loss.png"
    curves = {"ours": ([0, 1, 2], [3.0, 2.0, 1.5]), "theirs": ([0, 1, 2], [3.0, 2.5, 1.9])}
    plot.lines(path, curves, "Loss", "step", "loss (nats)", {"promised": 1.6})
    assert matplotlib.image.imread(path).shape[:2] == (630, 1050)
    [axes] = figures[0].axes
    assert (axes.get_title("left"), axes.get_xlabel(), axes.get_ylabel()) == ("Loss", "step", "loss (nats)")
    heights = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert set(heights) == {"ours", "theirs", "promised"}
    low, high = axes.get_ylim()
    levels = sorted(heights.values())
    assert min(b - a for a, b in pairwise(levels)) >= 0.05 * (high - low), "none overlap"
    assert [list(line.get_ydata()) for line in axes.lines[:2]] == [[3.0, 2.0, 1.5], [3.0, 2.5, 1.9]]
    assert axes.lines[2].get_ydata()[0] == 1.6
    assert len({line.get_color() for line in axes.lines}) == 3


@pytest.mark.parametrize("log_x", [False, True])
def test_a_curve_that_ends_early_carries_its_name_there(tmp_path, figures, log_x):
    curves = {"short": ([1, 2, 3], [3.0, 2.0, 1.5]), "long": ([1, 8, 20], [3.0, 2.5, 1.6])}
    plot.lines(tmp_path / "loss.png", curves, "Loss", "step", "loss", {"target 1.6": 1.6}, log_x=log_x)
    [axes] = figures[0].axes
    places = {text.get_text(): text for text in axes.texts}
    assert set(places) == {"short", "long", "target 1.6"}
    assert places["short"].xy == (3, 1.5)
    assert places["long"].get_position()[0] > 1, "beyond the right edge"


def test_a_name_within_the_plot_stands_below_where_a_curve_runs_above(tmp_path, figures):
    short = ([1, 2, 3], [3.0, 2.0, 1.5])
    for name, level in (("near", 1.6), ("far", 2.4)):
        plot.lines(tmp_path / "x.png", {"short": short, name: ([1, 8, 20], [3.0, level, 1.4])}, "T", "x", "y")
    near, far = ({text.get_text(): text for text in figure.axes[0].texts}["short"] for figure in figures)
    assert near.get_position()[1] < 0 < far.get_position()[1]


def test_doubling_values_have_a_doubling_axis(tmp_path, figures):
    plot.lines(tmp_path / "x.png", {"a": ([1, 2, 4], [1, 2, 3])}, "T", "batch", "y", log_x=True)
    assert figures[0].axes[0].get_xscale() == "log"


def test_powers_have_an_axis_of_powers_with_names_at_their_lines(tmp_path, figures):
    curves = {"a": ([1, 2], [10, 1000]), "b": ([1, 2], [10, 100_000])}
    plot.lines(tmp_path / "x.png", curves, "T", "x", "y", log_y=True)
    [axes] = figures[0].axes
    assert axes.get_yscale() == "log"
    assert "100,000" in [label.get_text() for label in axes.get_yticklabels()]
    heights = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert heights == {"a": pytest.approx(1000), "b": pytest.approx(100_000)}


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([], []),
        ([1, 2, 3], [1, 2, 3]),
        ([1, 1], [0.5, 1.5]),
        ([1, 1.5, 5], [0.75, 1.75, 5]),
        ([1, 1, 2], [1 / 3, 4 / 3, 7 / 3]),  # the third is touched only when the first two are apart
        ([0, 0, 0, 4, 4], [-1, 0, 1, 3.5, 4.5]),
    ],
)
def test_names_that_would_touch_are_moved_apart_and_no_others(heights, expected):
    assert plot._apart(heights, 1) == pytest.approx(expected)


def test_bars_carry_their_values(tmp_path, figures):
    path = tmp_path / "bars.png"
    plot.bars(path, {"ours": 18234.2, "theirs": 1.25}, "Speed", "tokens/s", {"limit": 20000})
    assert matplotlib.image.imread(path).size
    [axes] = figures[0].axes
    assert {text.get_text() for text in axes.texts} == {"18,234", "1.25", "limit"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ours", "theirs"]
    assert axes.get_xlabel() == "tokens/s"


def test_the_same_figures_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        plot.bars(tmp_path / name, {"x": 1.0}, "T", "y")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ({}, "'T' has 0 curves; a plot shows from 1 to 6"),
        ({str(i): ([1], [1]) for i in range(7)}, "'T' has 7 curves"),
        ({"a": ([1, 2], [1])}, "the curve 'a' of 'T' has 2 x and 1 y values"),
        ({"a": ([], [])}, "the curve 'a' of 'T' has 0 x and 0 y values"),
    ],
)
def test_mistakes_are_named(tmp_path, series, words):
    with pytest.raises(ValueError, match=words):
        plot.lines(tmp_path / "x.png", series, "T", "x", "y")
    with pytest.raises(ValueError, match="'T' has no bars"):
        plot.bars(tmp_path / "x.png", {}, "T", "x")
    assert list(tmp_path.iterdir()) == []
