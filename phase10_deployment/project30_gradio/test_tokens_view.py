"""Task 4: tokens with their probabilities, and another way to go on. A browser's parser says what the HTML is."""

import math
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase10_deployment.project30_gradio.given.answer import Candidate, Reply, Written
from phase10_deployment.project30_gradio.tokens_view import (
    go_on_from,
    percent,
    probability_table,
    ranked,
    text_before,
    token_strip,
    visible,
)
from shared.testing import raises

pytestmark = pytest.mark.task(4)

EVIL = "<img src=x onerror=alert(1)> \"'&"


def candidate(text: str, chance: float, data: bytes | None = None) -> Candidate:
    return Candidate(text, math.log(chance), text.encode() if data is None else data)


def written(text: str, chance: float, *others: Candidate) -> Written:
    return Written(text, math.log(chance), text.encode(), (*others,))


class Elements(HTMLParser):
    """All elements of a piece of HTML: name, attributes, and the text in each."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self.open: list[int] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(len(self.found))
        self.found.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        name, _, _ = self.found[self.open.pop()]
        assert name == tag, f"</{tag}> closes <{name}>"

    def handle_data(self, data: str) -> None:
        for place in self.open:
            name, attributes, text = self.found[place]
            self.found[place] = (name, attributes, text + data)


def rows(table: str) -> list[tuple[str, str, str, bool]]:
    """Of each row of a table's body: token, probability, the bar's style, whether it is the written one's."""
    found = Elements(table).found
    cells = [text for name, _, text in found if name == "td"]
    bars = [attributes["style"] or "" for name, attributes, _ in found if attributes.get("class") == "bar"]
    kinds = [attributes.get("class") == "written" for name, attributes, text in found if name == "tr"][1:]
    return [(cells[3 * row], cells[3 * row + 1], bars[row], kinds[row]) for row in range(len(bars))]


def test_what_cannot_be_seen_is_made_visible():
    assert visible(" the\n\tend") == "␣the⏎⇥end"
    assert visible("") == "∅"
    assert visible("é∅") == "é∅"


def test_markup_is_text():
    assert visible("<b>") == "&lt;b&gt;"
    assert visible("\"'&") == "&quot;&#x27;&amp;"


def test_probabilities_in_words():
    chances = (1.0, 0.9305, 0.01, 0.0099, 0.0002, 0.000101)
    assert [percent(math.log(chance)) for chance in chances] == [
        "100.0%", "93.0%", "1.0%", "0.99%", "0.02%", "0.01%",
    ]  # fmt: skip
    assert percent(math.log(0.00009)) == "< 0.01%"
    assert percent(-1000.0) == "< 0.01%"
    assert percent(-math.inf) == "< 0.01%"
    assert percent(math.nan) == "?"


def test_each_token_is_a_button():
    strip = token_strip([written(" Mia", 0.43), written(".", 1.0)], chosen=1)
    buttons = Elements(strip).found
    assert [(name, text) for name, _, text in buttons] == [("button", "␣Mia"), ("button", ".")]
    first, second = (attributes for _, attributes, _ in buttons)
    assert first == {
        "type": "button",
        "class": "token",
        "data-index": "0",
        "style": "--share: 0.43",
        "aria-pressed": "false",
        "title": "43.0%",
        "aria-label": "token 1, ␣Mia, 43.0%",
    }
    assert (second["data-index"], second["aria-pressed"], second["style"]) == ("1", "true", "--share: 1.00")
    assert second["aria-label"] == "token 2, ., 100.0%"


def test_no_tokens_no_buttons():
    assert token_strip([]) == ""


def test_none_is_chosen():
    pressed = [
        attributes["aria-pressed"] for _, attributes, _ in Elements(token_strip([written("a", 0.5)])).found
    ]
    assert pressed == ["false"]


def test_a_token_without_a_probability():
    [(_, attributes, _)] = Elements(token_strip([Written("a", math.nan, b"a")])).found
    assert (attributes["style"], attributes["title"]) == ("--share: 0.00", "?")


@given(st.text())
def test_no_token_makes_an_element_or_an_attribute(text: str):
    for evil in (text, EVIL + text):
        buttons = Elements(token_strip([written(evil, 0.5)])).found
        assert [name for name, _, _ in buttons] == ["button"]
        assert set(buttons[0][1]) == {
            "type", "class", "data-index", "style", "aria-pressed", "title", "aria-label",
        }  # fmt: skip


def test_the_written_one_is_told_by_its_bytes():
    half, other = candidate("�", 0.5, b"\xe2"), candidate("�", 0.3, b"\xf0")
    token = Written("�", math.log(0.3), b"\xf0", (half, other))
    assert ranked(token) == [(half, False), (other, True)]


def test_one_that_was_drawn_from_further_down_is_appended():
    top = candidate(" a", 0.9)
    token = written(" z", 0.001, top)
    assert ranked(token) == [(top, False), (token, True)]


def test_the_table():
    mia, leo = candidate(" Mia", 0.5), candidate(" Leo", 0.3)
    table = probability_table(written(" Leo", 0.3, mia, leo))
    assert rows(table) == [
        ("␣Mia", "50.0%", "width: 50.0%", False),
        ("␣Leo ✓", "30.0%", "width: 30.0%", True),
        ("all others", "20.0%", "width: 20.0%", False),
    ]


def test_the_table_has_a_caption_and_heads():
    found = Elements(probability_table(written("a", 1.0))).found
    assert [name for name, _, _ in found if name in ("table", "caption", "thead", "tbody")] == [
        "table", "caption", "thead", "tbody",
    ]  # fmt: skip
    heads = [(attributes.get("scope"), text) for name, attributes, text in found if name == "th"]
    assert heads == [("col", "token"), ("col", "probability"), ("col", "")]


def test_what_is_left_is_shown_where_there_is_something():
    assert rows(probability_table(written("a", 1.0, candidate("a", 1.0)))) == [
        ("a ✓", "100.0%", "width: 100.0%", True)
    ]
    names = [name for name, *_ in rows(probability_table(written("a", 0.9999, candidate("a", 0.9999))))]
    assert names == ["a ✓", "all others"]
    names = [name for name, *_ in rows(probability_table(written("a", 0.99999, candidate("a", 0.99999))))]
    assert names == ["a ✓"]


def test_sums_that_are_rounded_above_one_leave_nothing():
    over = Written("a", 0.001, b"a", (Candidate("a", 0.001, b"a"),))
    assert len(rows(probability_table(over))) == 1


def test_a_table_of_what_is_not_known():
    assert rows(probability_table(Written("a", math.nan, b"a"))) == [("a ✓", "?", "width: 0.0%", True)]


def test_the_drawn_one_takes_its_share_of_what_is_left():
    table = probability_table(written("z", 0.25, candidate("a", 0.5)))
    assert [(name, said) for name, said, *_ in rows(table)] == [
        ("a", "50.0%"), ("z ✓", "25.0%"), ("all others", "25.0%"),
    ]  # fmt: skip


def test_markup_in_a_table_is_text():
    table = probability_table(written(EVIL, 0.5, candidate(EVIL, 0.5), candidate("<script>", 0.2)))
    found = Elements(table).found
    assert {name for name, _, _ in found} == {"table", "caption", "thead", "tbody", "tr", "th", "td", "span"}
    assert [name for name, *_ in rows(table)][:2] == [EVIL.replace(" ", "␣") + " ✓", "<script>"]


def test_going_on_from_another_token():
    reply = Reply(ids=(10, 11, 12), prompt_ids=(1, 2))
    assert go_on_from(reply, 0, 99) == [1, 2, 99]
    assert go_on_from(reply, 2, 99) == [1, 2, 10, 11, 99]


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_such_token(index: int):
    with raises(ValueError, index, 3):
        go_on_from(Reply(ids=(10, 11, 12), prompt_ids=(1,)), index, 9)


def test_without_the_prompts_tokens_nobody_goes_on():
    with raises(ValueError):
        go_on_from(Reply(ids=(10,)), 0, 9)


def test_the_text_that_is_kept():
    reply = Reply(tokens=(written(" Mia", 0.5), written(" sat", 0.5)))
    assert text_before(reply, 0, candidate(" Leo", 0.1)) == " Leo"
    assert text_before(reply, 1, candidate(" ran", 0.1)) == " Mia ran"


def test_characters_that_are_cut_over_tokens():
    euro = "€".encode()
    first = Written("�", -1.0, euro[:1])
    reply = Reply(tokens=(written("1 ", 0.5), first, Written("�", -1.0, euro[1:])))
    assert text_before(reply, 2, Candidate("�", -1.0, euro[1:])) == "1 €"
    assert text_before(reply, 2, Candidate("�", -1.0, euro[1:2])) == "1 "
    assert text_before(reply, 1, Candidate("�", -1.0, euro[:1])) == "1 "
    assert text_before(reply, 2, candidate("!", 0.1)) == "1 �!"


@given(st.text(), st.integers(1, 4))
def test_any_cut_of_a_text_is_its_beginning(text: str, size: int):
    data = text.encode()
    cut = [data[start : start + size] for start in range(0, len(data), size)]
    tokens = tuple(Written("?", -1.0, part) for part in cut)
    for index, part in enumerate(cut):
        begun = text_before(Reply(tokens=tokens), index, Candidate("?", -1.0, part))
        assert text.startswith(begun)
        assert len(b"".join(cut[: index + 1])) - len(begun.encode()) < 4
