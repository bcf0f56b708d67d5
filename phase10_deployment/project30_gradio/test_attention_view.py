"""Task 6: pictures of attention weights."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from numpy.testing import assert_allclose

from phase10_deployment.project30_gradio.attention_view import (
    MOST_SHOWN,
    attention_map,
    attention_text,
    pick,
)
from shared.testing import raises

pytestmark = pytest.mark.task(6)

ONE = np.array([[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.5, 0.125, 0.375]])
NAMES = ["<b>", " Mia", "\n"]


def attention(layers: int, heads: int, time: int, seed: int = 0) -> np.ndarray:
    """Causal weights of a model, whose rows sum to 1."""
    random = np.random.default_rng(seed).random((layers, heads, time, time)) * np.tri(time)
    return random / random.sum(-1, keepdims=True)


def test_a_head_is_picked():
    weights = attention(3, 2, 5)
    assert pick(weights, 2, 1).tolist() == weights[2, 1].tolist()
    assert pick(weights, 0, 0).tolist() == weights[0, 0].tolist()


def test_all_heads_are_their_mean():
    weights = attention(3, 4, 5)
    mean = sum(weights[1, head] for head in range(4)) / 4
    assert_allclose(pick(weights, 1, None), mean, rtol=1e-12)
    assert_allclose(pick(weights, 1, None).sum(-1), np.ones(5), rtol=1e-12)


@pytest.mark.parametrize("number", [-1, 3])
def test_there_is_no_such_layer_or_head(number: int):
    weights = attention(3, 3, 2)
    with raises(ValueError, number, 3):
        pick(weights, number, 0)
    with raises(ValueError, number, 3):
        pick(weights, 0, number)
    with raises(ValueError, number, 3):
        pick(weights, number, None)


def buttons(html: str) -> list[dict[str, str | None]]:
    root = ET.fromstring(f"<div>{html}</div>")
    assert {one.tag for one in root.iter()} == {"div", "button"}
    return [{**one.attrib, "text": one.text} for one in root]


def test_the_text_as_a_token_sees_it():
    found = buttons(attention_text(NAMES, ONE, 1))
    base = {"type": "button", "aria-pressed": "false"}
    assert found == [
        {**base, "class": "seen", "data-index": "0", "style": "--share: 0.25", "title": "25.0%", "text": "<b>"},
        {**base, "class": "seen", "data-index": "1", "style": "--share: 0.75", "title": "75.0%", "text": "␣Mia",
         "aria-pressed": "true"},
        {**base, "class": "unseen", "data-index": "2", "text": "⏎"},
    ]  # fmt: skip


def test_the_row_is_the_querys():
    shares = [one.get("style") for one in buttons(attention_text(NAMES, ONE, 2))]
    assert shares == ["--share: 0.50", "--share: 0.12", "--share: 0.38"]


@pytest.mark.parametrize("query", [-1, 3])
def test_there_is_no_such_query(query: int):
    with raises(ValueError, query, 3):
        attention_text(NAMES, ONE, query)


def test_the_map_is_a_triangle():
    root = ET.fromstring(attention_map(NAMES, ONE))
    rects = list(root.iter("rect"))
    assert [rect.get("fill-opacity") for rect in rects] == [
        "1.000",
        "0.250",
        "0.750",
        "0.500",
        "0.125",
        "0.375",
    ]
    places = {(float(rect.get("x", 0)), float(rect.get("y", 0))) for rect in rects}
    left = min(x for x, _ in places)
    assert places == {(left + 12 * column, 12 * row) for row in range(3) for column in range(row + 1)}


def test_the_map_says_what_it_shows():
    root = ET.fromstring(attention_map(NAMES, ONE))
    assert (root.tag, root.get("role")) == ("svg", "img")
    assert root.get("aria-label") == "attention of 3 tokens to those before them"
    titles = [one.text for one in root.iter("title")]
    assert titles[1] == "␣Mia looks at <b>: 25.0%"
    assert titles[5] == "⏎ looks at ⏎: 37.5%"
    assert [one.text for one in root.iter("text")] == ["<b>", "␣Mia", "⏎"]


def test_long_names_are_cut_before_they_are_escaped():
    names = ["&&&&&&&&&&", "abcdefghijk"]
    root = ET.fromstring(attention_map(names, np.array([[1.0, 0.0], [0.5, 0.5]])))
    assert [one.text for one in root.iter("text")] == ["&&&&&&&&&&", "abcdefghij…"]


def test_a_long_text_shows_its_end():
    time = MOST_SHOWN + 5
    weights = attention(1, 1, time)[0, 0]
    names = [f"t{number}" for number in range(time)]
    root = ET.fromstring(attention_map(names, weights))
    shown = [one.text for one in root.iter("text")]
    assert shown == names[5:]
    found = [rect.get("fill-opacity") for rect in root.iter("rect")]
    expected = [f"{weights[row, key]:.3f}" for row in range(5, time) for key in range(5, row + 1)]
    assert found == expected
    assert root.get("aria-label") == f"attention of {MOST_SHOWN} tokens to those before them"


def test_a_text_of_the_most_tokens_is_whole():
    weights = attention(1, 1, MOST_SHOWN)[0, 0]
    names = [f"t{number}" for number in range(MOST_SHOWN)]
    root = ET.fromstring(attention_map(names, weights))
    assert [one.text for one in root.iter("text")] == names
