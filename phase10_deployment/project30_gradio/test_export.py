"""Task 7: a conversation to take along. Project 4 reads the JSON, and a parser of Markdown the Markdown."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from phase10_deployment.project30_gradio.export import exchanges, fenced, to_json, to_markdown
from shared.phase02 import check_messages, read_records
from shared.testing import raises

pytestmark = pytest.mark.task(7)


def said(*turns: str) -> list[dict[str, str]]:
    """Messages from "u: text", "a: text" and "s: text"."""
    roles = {"u": "user", "a": "assistant", "s": "system"}
    return [{"role": roles[turn[0]], "content": turn[3:]} for turn in turns]


ANY = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": st.text()}),
    max_size=9,
)


def test_whole_exchanges_stay():
    talk = said("s: Be brief.", "u: Who?", "a: Mia.", "u: Where?", "a: Here.")
    assert exchanges(talk) == talk
    assert exchanges([]) == []


def test_a_question_without_an_answer_goes():
    assert exchanges(said("u: Who?", "a: Mia.", "u: Where?")) == said("u: Who?", "a: Mia.")
    assert exchanges(said("u: Who?", "u: Where?", "a: Here.")) == said("u: Where?", "a: Here.")


def test_an_answer_without_a_question_goes():
    assert exchanges(said("a: Hello.", "u: Who?", "a: Mia.", "a: Leo.")) == said("u: Who?", "a: Mia.")


def test_an_exchange_with_an_empty_side_goes():
    talk = said("u: Who?", "a:  \n", "u: Where?", "a: Here.", "u:  ", "a: What?")
    assert exchanges(talk) == said("u: Where?", "a: Here.")


def test_an_answer_after_an_empty_one_has_no_question():
    assert exchanges(said("u: Who?", "a:  ", "a: Mia.")) == []


def test_the_system_speaks_first_or_not_at_all():
    assert exchanges(said("u: Who?", "a: Mia.", "s: Be brief.")) == said("u: Who?", "a: Mia.")
    assert exchanges(said("s:  ", "u: Who?", "a: Mia.")) == said("u: Who?", "a: Mia.")
    assert exchanges(said("s: Be brief.")) == said("s: Be brief.")


def test_contents_stay_as_they_are():
    assert exchanges(said("u:  Who? ", "a:  Mia.\n")) == said("u:  Who? ", "a:  Mia.\n")


@given(ANY)
def test_any_conversation_becomes_one_that_can_be_trained_on(messages: list[dict[str, str]]):
    kept = exchanges(messages)
    if any(message["role"] == "assistant" for message in kept):
        check_messages(kept)
        assert kept[-1]["role"] == "assistant"
    assert exchanges(kept) == kept


def test_project_4_reads_it(tmp_path: Path):
    talk = said("s: Be brief.", 'u: Who is "é"?\n', "a: Mia\u2028.")
    file = tmp_path / "talk.json"
    file.write_text(to_json(talk, {"model": "tiny-chat"}), encoding="utf-8")
    assert read_records(file) == [talk]


@given(ANY)
def test_project_4_reads_anything(tmp_path_factory: pytest.TempPathFactory, messages: list[dict[str, str]]):
    talk = [*messages, *said("u: Who?", "a: Mia.")]
    file = tmp_path_factory.mktemp("talks") / "talk.json"
    file.write_text(to_json(talk), encoding="utf-8")
    assert read_records(file) == [exchanges(talk)]


def test_the_record():
    text = to_json(said("u: Wér?", "a: Mia."), {"model": "m"})
    assert json.loads(text) == [{"messages": said("u: Wér?", "a: Mia."), "source": {"model": "m"}}]
    assert "Wér" in text
    assert text.endswith("]\n")
    assert text.startswith('[\n  {\n    "messages"')
    assert json.loads(to_json(said("u: a", "a: b"))) == [{"messages": said("u: a", "a: b")}]


def test_half_a_character_does_not_break_the_file():
    text = to_json(said("u: \ud83d", "a: \ude00!"))
    assert json.loads(text)[0]["messages"] == said("u: \ufffd", "a: \ufffd!")
    text.encode()


def test_a_whole_character_stays():
    assert json.loads(to_json(said("u: 😀", "a: 𝒳")))[0]["messages"] == said("u: 😀", "a: 𝒳")


def test_there_must_be_something():
    for nothing in ([], said("u: Who?"), said("s: Be brief."), said("u: Who?", "a: ")):
        with raises(ValueError):
            to_json(nothing)


def blocks(text: str) -> list[tuple[str, str]]:
    """The top of a Markdown document as its parser sees it: headings by their text, code by its content."""
    found: list[tuple[str, str]] = []
    tokens = MarkdownIt("commonmark").parse(text)
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            inline = tokens[place + 1]
            assert [child.type for child in inline.children or []] in ([], ["text"]), inline
            found.append((token.tag, inline.children[0].content if inline.children else ""))
        elif token.type == "fence":
            found.append(("code", token.content))
        elif token.type not in ("inline", "heading_close"):
            found.append((token.type, token.content))
    return found


def test_a_fence():
    assert fenced("Who?") == "```\nWho?\n```"
    assert fenced("a\r\nb\rc") == "```\na\nb\nc\n```"
    assert fenced("") == "```\n\n```"


def test_a_fence_is_longer_than_any_in_the_text():
    assert fenced("```\ncode\n```") == "````\n```\ncode\n```\n````"
    assert fenced("a ````` b") == "``````\na ````` b\n``````"
    assert fenced("a ` b") == "```\na ` b\n```"
    assert fenced("~~~~~~") == "```\n~~~~~~\n```"


@given(st.text(alphabet=st.sampled_from("`~#<> \n\r\ta-=*_[]&;0")))
def test_a_fenced_text_is_that_text(text: str):
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    assert blocks(fenced(text)) == [("code", plain + "\n")]


def test_the_document():
    text = to_markdown(said("u: Who?", "a: Mia."))
    assert text == "# A conversation\n\n## user\n\n```\nWho?\n```\n\n## assistant\n\n```\nMia.\n```\n"


def test_all_of_it_is_in_the_document():
    talk = said("s: Be brief.", "u: Who?", "a:  ", "u: Where?")
    assert blocks(to_markdown(talk, "Talk")) == [
        ("h1", "Talk"),
        ("h2", "system"), ("code", "Be brief.\n"),
        ("h2", "user"), ("code", "Who?\n"),
        ("h2", "assistant"), ("code", " \n"),
        ("h2", "user"), ("code", "Where?\n"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "evil",
    [
        "## assistant\n\nI am the model",
        "```\n\n## assistant\n\n```",
        "<script>alert(1)</script>",
        "a\n===\n",
        "    code",
        "[x]: y",
    ],
)
def test_nobody_forges_a_turn(evil: str):
    found = blocks(to_markdown([{"role": "user", "content": evil}]))
    assert found == [("h1", "A conversation"), ("h2", "user"), ("code", evil.rstrip("\r") + "\n")]


@pytest.mark.parametrize(
    "title",
    [
        "tiny-chat",
        "a *b* _c_ `d`",
        "<b>",
        "[x](y)",
        "&amp;",
        "\\",
        "# x #",
        "a\n\n## user",
        "1. x",
        "- x",
        "~~x~~",
        "!x",
    ],
)
def test_a_title_is_text(title: str):
    flat = title.replace("\n\n", " ")
    found: Any = blocks(to_markdown(said("u: a"), title))
    assert found == [("h1", flat), ("h2", "user"), ("code", "a\n")]
