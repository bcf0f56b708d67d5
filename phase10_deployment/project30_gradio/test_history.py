"""Task 2: what a person does to a conversation gives a new one, and shares nothing with the old one."""

import copy
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase10_deployment.project30_gradio.history import (
    answer,
    ask,
    edit,
    forget,
    plain,
    request_messages,
    retry,
    shown,
    undo,
)
from shared.phase02 import check_messages
from shared.testing import raises

pytestmark = pytest.mark.task(2)


def talk(*contents: str, system: str = "") -> list[dict[str, str]]:
    """A conversation in turns, the user first."""
    found = [{"role": "system", "content": system}] if system else []
    for number, content in enumerate(contents):
        found.append({"role": "assistant" if number % 2 else "user", "content": content})
    return found


WORDS = st.text(min_size=1).filter(lambda text: bool(text.strip()))
TALKS = st.lists(WORDS, max_size=7).map(lambda contents: talk(*contents))


def test_plain_joins_the_texts_of_parts():
    parts = [
        {"type": "text", "text": "Who "},
        {"type": "file", "file": {}},
        {"type": "text", "text": "is it?"},
    ]
    window = [
        {"role": "user", "content": parts, "metadata": None, "options": []},
        {"role": "assistant", "content": "Mia.", "metadata": {"title": "x"}},
        {"role": "tool", "content": "no"},
        {"role": "system", "content": []},
    ]
    kept = [("user", "Who is it?"), ("assistant", "Mia."), ("system", "")]
    assert plain(window) == [{"role": role, "content": content} for role, content in kept]


def elements(text: str) -> list[str]:
    """What a parser of HTML finds in a text that is no text."""
    found: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            found.append(tag)

        def handle_endtag(self, tag: str) -> None:
            found.append("/" + tag)

        def handle_comment(self, data: str) -> None:
            found.append("!" + data)

        def handle_decl(self, decl: str) -> None:
            found.append("!" + decl)

        def handle_pi(self, data: str) -> None:
            found.append("?" + data)

        def handle_entityref(self, name: str) -> None:
            found.append("&" + name)

        def handle_charref(self, name: str) -> None:
            found.append("&#" + name)

    parser = Parser(convert_charrefs=False)
    parser.feed(text)
    parser.close()
    return found


EVIL = st.text(st.sampled_from("<>&/!?#;abx12 -\u2060")) | st.text()


@pytest.mark.parametrize(
    "evil", ["<b>a</b>", "<img src=x>", "<!-- a -->", "<?a?>", "&lt;b&gt;", "&#60;", "</a>", "&amp", "<"]
)
def test_what_is_shown_is_text(evil: str):
    [message] = shown([{"role": "assistant", "content": evil}])
    assert elements(message["content"]) == []
    assert message["content"].replace("\u2060", "") == evil


@given(st.lists(EVIL, max_size=3))
def test_what_was_shown_comes_back_as_it_was(contents: list[str]):
    history = talk(*contents)
    window = shown(history)
    assert plain(window) == history
    assert [elements(message["content"]) for message in window] == [[] for _ in contents]


def test_what_somebody_types_comes_back_as_it_is():
    typed = [{"role": "user", "content": "a <b> & &lt;c"}]
    assert plain(typed) == typed


def test_parts_are_brought_back_too():
    parts = [{"type": "text", "text": "a <\u2060b>"}]
    assert plain([{"role": "user", "content": parts}]) == talk("a <b>")


def test_plain_of_nothing():
    assert plain(None) == []
    assert plain([]) == []


def test_a_question_is_appended():
    assert ask(talk("a", "b"), " c ") == talk("a", "b", " c ")
    assert ask([], "a") == talk("a")


def test_an_unanswered_question_gives_way():
    assert ask(talk("a", "b", "c"), "d") == talk("a", "b", "d")


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_an_empty_question_is_refused(text: str):
    with raises(ValueError):
        ask(talk("a", "b"), text)


def test_an_answer_grows():
    history = answer(talk("a"), "M")
    assert history == talk("a", "M")
    assert answer(history, "Mia") == talk("a", "Mia")
    assert answer(talk("a", "b", "c"), "") == talk("a", "b", "c", "")


def test_there_is_no_answer_without_a_question():
    for history in ([], [{"role": "system", "content": "s"}], [{"role": "assistant", "content": "Hello"}]):
        with raises(ValueError):
            answer(history, "Mia")


def test_retry_ends_with_the_question():
    history = talk("a", "b", "c", "d")
    assert retry(history) == talk("a", "b", "c")
    assert retry(history, 3) == talk("a", "b", "c")
    assert retry(history, 2) == talk("a", "b", "c")
    assert retry(history, 1) == talk("a")
    assert retry(history, 0) == talk("a")
    assert retry(talk("a", "b", "c")) == talk("a", "b", "c")


@pytest.mark.parametrize("index", [4, -1, 100])
def test_retry_where_there_is_no_message(index: int):
    with raises(ValueError, index, 4):
        retry(talk("a", "b", "c", "d"), index)


def test_retry_where_there_is_no_question():
    with raises(ValueError):
        retry([])
    with raises(ValueError):
        retry([{"role": "system", "content": "s"}, *talk("a")], 0)


def test_edit_ends_with_what_was_edited():
    history = talk("a", "b", "c", "d")
    assert edit(history, 0, "A") == talk("A")
    assert edit(history, 1, "B") == talk("a", "B")
    assert edit(history, 2, "C") == talk("a", "b", "C")
    assert edit(history, 3, "D") == talk("a", "b", "c", "D")


def test_edit_refuses():
    for index in (-1, 2, 9):
        with raises(ValueError, index, 2):
            edit(talk("a", "b"), index, "x")
    with raises(ValueError):
        edit(talk("a", "b"), 0, " \n")


def test_undo_gives_the_question_back():
    assert undo(talk("a", "b", "c", "d")) == (talk("a", "b"), "c")
    assert undo(talk("a", "b", "c")) == (talk("a", "b"), "c")
    assert undo(talk("a")) == ([], "a")
    assert undo([]) == ([], "")
    assert undo([{"role": "assistant", "content": "Hello"}]) == (
        [{"role": "assistant", "content": "Hello"}],
        "",
    )


def test_the_systems_prompt_goes_first():
    assert request_messages(talk("a"), "Be brief.") == talk("a", system="Be brief.")
    assert request_messages(talk("a"), " \n") == talk("a")
    assert request_messages(talk("a", system="old"), "new") == talk("a", system="new")
    assert request_messages(talk("a", system="old")) == talk("a")


def test_empty_answers_are_not_sent():
    assert request_messages(talk("a", "", "c")) == talk("c")
    assert request_messages(talk("a", "b", "c", " \n", "e")) == talk("a", "b", "e")
    assert request_messages([{"role": "assistant", "content": ""}, *talk("a")], "s") == talk("a", system="s")


def test_the_oldest_exchange_is_forgotten():
    assert forget(talk("a", "b", "c", "d", "e")) == talk("c", "d", "e")
    assert forget(talk("a", "b", "c", system="s")) == talk("c", system="s")
    for only in (talk("a"), talk("a", "b"), talk("a", system="s"), []):
        with raises(ValueError):
            forget(only)


@given(TALKS, WORDS)
def test_what_is_sent_is_a_conversation(history: list[dict[str, str]], text: str):
    sent = request_messages(ask(history, text), "Be brief.")
    check_messages(sent)
    assert sent[-1] == {"role": "user", "content": text}


@given(TALKS, WORDS)
def test_undo_takes_an_exchange_back(history: list[dict[str, str]], text: str):
    whole = history if len(history) % 2 == 0 else history[:-1]
    assert undo(answer(ask(whole, text), "x")) == (whole, text)


def everything(history: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """What each function makes of a conversation of four messages or more."""
    return [
        plain(history),
        shown(history),
        ask(history, "x"),
        answer(history, "x"),
        retry(history),
        edit(history, 1, "x"),
        undo(history)[0],
        undo([{"role": "assistant", "content": "x"}, *history[1:2]])[0],
        request_messages(history, "s"),
        forget(history),
    ]


def test_nothing_that_comes_in_is_changed():
    history = talk("a", "b", "c", "d", "e", "f")
    before = copy.deepcopy(history)
    everything(history)
    assert history == before


def test_nothing_that_goes_out_is_shared():
    history = talk("a", "b", "c", "d", "e", "f")
    mine = {id(history), *map(id, history)}
    shared = [number for number, made in enumerate(everything(history)) if mine & {id(made), *map(id, made)}]
    assert shared == []


def test_two_windows_are_two_conversations():
    first, second = ask([], "one"), ask([], "two")
    first = answer(first, "1")
    assert (first, second) == (talk("one", "1"), talk("two"))
