"""The page in a real browser: in front of a server that pretends, and of project 28's with tiny-chat."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phase10_deployment.project30_gradio.given.browser import Window, browser, eventually, running, why_not
from phase10_deployment.project30_gradio.given.launch import PAGE, PRETEND, SERVE, Started, started
from shared.phase02 import read_records

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "-"),
    pytest.mark.timeout(300),  # on a busy machine a page takes half a minute to start
    pytest.mark.filterwarnings("ignore"),  # the libraries' own, of processes that are ended
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pretend() -> Iterator[Started]:
    with started(PRETEND, "--pause", "0.03") as server:
        yield server


@pytest.fixture(scope="module")
def page(pretend: Started) -> Iterator[Started]:
    with started(PAGE, "--server", pretend.url, "--port", "0") as server:
        yield server


@pytest.fixture(scope="module")
def real() -> Iterator[tuple[Started, Started]]:
    """Project 28's server with tiny-chat, and a page in front of it."""
    with (
        started(SERVE, "--model", "tiny-chat", "--port", "0", "--debug") as server,
        started(PAGE, "--server", server.url, "--port", "0") as shown,
    ):
        yield server, shown


@pytest.fixture
def window(chromium: Any, page: Started) -> Iterator[Window]:
    opened = Window(chromium, page.url)
    yield opened
    opened.page.close()


def test_a_conversation_with_tiny_chat(chromium: Any, real: tuple[Started, Started], tmp_path: Path):
    window = Window(chromium, real[1].url)
    window.say("What is the opposite of hot?")
    assert eventually(lambda: "cached" in window.notes(), window=window)
    first = window.answer()
    assert first
    window.say("And of big?")
    assert eventually(lambda: len(window.messages()) == 4 and "cached" in window.notes(), window=window)
    said = window.messages()
    assert said[:3] == ["What is the opposite of hot?", first, "And of big?"]
    window.tab("Export")
    with window.page.expect_download() as download:
        window.press("JSON, to fine-tune on (project 4)")
    download.value.save_as(tmp_path / "talk.json")
    [talk] = read_records(tmp_path / "talk.json")
    assert [message["content"].strip() for message in talk] == said
    assert json.loads((tmp_path / "talk.json").read_text())[0]["source"]["model"] == "tiny-chat"
    assert window.hosts == {f"127.0.0.1:{real[1].port}"}  # and nobody else
    window.page.close()


def test_a_stop_frees_the_engine(chromium: Any, real: tuple[Started, Started]):
    server, shown = real
    window = Window(chromium, shown.url)
    window.tab("Settings")
    for label in ("Shortest answer, in tokens", "Longest answer, in tokens"):
        window.page.get_by_label(label).fill("450")
        window.page.get_by_label(label).press("Tab")
    window.say("Tell me a long story.")
    assert eventually(lambda: len(window.answer()) > 5, window=window)
    window.press("Stop")
    assert eventually(lambda: running(server.url) == 0, window=window)
    kept = window.answer()
    window.page.wait_for_timeout(700)
    assert window.answer() == kept
    assert 0 < int(window.notes().split(" token")[0]) < 450
    window.page.close()


def test_another_token_and_the_engine_and_attention(chromium: Any, real: tuple[Started, Started]):
    window = Window(chromium, real[1].url)
    window.say("Is 5 more than 3?")
    assert eventually(lambda: "cached" in window.notes(), window=window)
    answer = window.answer()
    window.tab("Tokens")
    strip = window.page.locator("#odds button")
    assert eventually(lambda: strip.count() > 0, window=window)
    strip.first.focus()
    window.page.keyboard.press("Enter")
    rows = window.page.locator("#chances tbody tr")
    assert eventually(lambda: rows.count() >= 5, window=window)
    choices = window.page.locator("#others input[type=radio]")
    choices.nth(1).check()
    window.press("Go on from this one")
    assert eventually(lambda: window.answer() not in ("", answer), window=window)
    other = window.page.locator("#chances tbody tr.written td").first
    assert eventually(lambda: "✓" in other.inner_text(), window=window)
    window.tab("Attention")
    window.press("Look at the last answer")
    assert eventually(lambda: window.page.locator("#map rect").count() > 10, window=window)
    window.page.locator("#looks button").nth(3).click()
    assert eventually(
        lambda: window.page.locator("#looks button[aria-pressed=true]").get_attribute("data-index") == "3",
        window=window,
    )
    window.tab("Engine")
    assert window.page.locator("#engine .block").count() > 10
    window.page.close()


def test_a_stop_is_passed_on(window: Window, pretend: Started):
    window.say("a long one")
    assert eventually(lambda: running(pretend.url) == 1, window=window)
    assert eventually(lambda: "word2" in window.answer(), window=window)
    window.press("Stop")
    assert eventually(lambda: running(pretend.url) == 0, window=window)
    kept = window.answer()
    window.say("say it is well")
    assert eventually(lambda: window.answer() == "it is well", window=window)
    assert window.messages() == ["a long one", kept, "say it is well", "it is well"]


def test_a_window_that_is_closed_frees_the_engine(chromium: Any, page: Started, pretend: Started):
    window = Window(chromium, page.url)
    window.say("a long one")
    assert eventually(lambda: running(pretend.url) == 1, window=window)
    window.page.close()
    assert eventually(lambda: running(pretend.url) == 0)


def test_the_next_question_ends_the_answer_before(window: Window, pretend: Started):
    window.say("a long one")
    assert eventually(lambda: "word2" in window.answer(), window=window)
    window.say("say something else")
    assert eventually(lambda: window.answer() == "something else", window=window)
    assert running(pretend.url) == 0
    assert [text[:5] for text in window.messages()] == ["a lon", "word0", "say s", "somet"]


def test_what_a_model_writes_is_text(window: Window):
    window.say("html <i>please</i>")
    assert eventually(lambda: window.answer().endswith("${7*7}"), window=window)
    assert window.messages()[0] == "html <i>please</i>"
    assert window.answer().startswith('<b>bold</b> <img src=x onerror="document.title=')
    inside = window.page.locator("[data-testid=bot], [data-testid=user]")
    assert inside.locator("img, script, b, i").count() == 0
    assert window.page.title() == "LLM Ladder: chat"
    window.tab("Tokens")
    assert eventually(lambda: window.page.locator("#odds button").count() > 20, window=window)
    assert "⏎" not in window.page.locator("#odds").inner_text()
    assert window.page.locator("#odds :is(img, script, b)").count() == 0


def test_retry_edit_and_taking_back(window: Window):
    window.say("say one")
    assert eventually(lambda: window.answer() == "one", window=window)
    window.say("say two")
    assert eventually(lambda: window.answer() == "two", window=window)
    window.press("Undo")
    assert eventually(lambda: window.messages() == ["say one", "one"], window=window)
    assert window.box.input_value() == "say two"
    window.press("Retry")
    assert eventually(lambda: window.messages() == ["say one", "one"], window=window)
    window.page.get_by_role("button", name="Edit").first.click()
    window.page.locator("[data-testid=user] textarea, textarea[aria-label*=dit], .edit-textarea").first.fill(
        "say three <b>"
    )
    window.page.get_by_role("button", name="Submit").first.click()
    assert eventually(lambda: window.messages() == ["say three <b>", "three <b>"], window=window)


def test_two_windows_are_two_conversations(chromium: Any, page: Started):
    first, second = Window(chromium, page.url), Window(chromium, page.url)
    first.say("a long one")
    second.say("say here")
    assert eventually(lambda: second.answer() == "here", window=second)
    assert eventually(lambda: "word3" in first.answer(), window=first)
    assert second.messages() == ["say here", "here"]
    assert first.messages()[0] == "a long one"
    first.press("Stop")
    first.page.close()
    second.page.close()


@pytest.mark.parametrize(
    ("question", "said"),
    [("busy", "in 7 seconds"), ("break here", "middle of the answer"), ("fail now", "the engine stumbled")],
)
def test_errors_are_said(window: Window, question: str, said: str):
    window.say(question)
    assert eventually(lambda: said in window.notes(), window=window)
    assert window.page.get_by_role("alert").first.is_visible()
    kept = eventually(lambda: window.messages(), window=window)
    assert kept[0] == question
    assert len(kept) == (1 if question == "busy" else 2)


def test_a_server_that_goes_away_and_comes_back(chromium: Any):
    with started(PRETEND) as server, started(PAGE, "--server", server.url, "--port", "0") as shown:
        window = Window(chromium, shown.url)
        window.say("say one")
        assert eventually(lambda: window.answer() == "one", window=window)
        server.stop()
        window.say("say two")
        assert eventually(lambda: "cannot be reached" in window.notes(), window=window)
        assert server.url in window.notes()
        assert window.messages() == ["say one", "one", "say two"]
        with started(PRETEND, "--port", server.port):
            window.press("Retry")
            assert eventually(lambda: window.answer() == "two", window=window)
            assert "cannot be reached" not in window.notes()
            assert window.messages() == ["say one", "one", "say two", "two"]
        window.page.close()


def test_the_pages_own_server_goes_away_and_comes_back(chromium: Any, pretend: Started):
    with started(PAGE, "--server", pretend.url, "--port", "0") as shown:
        window = Window(chromium, shown.url)
        window.say("say one")
        assert eventually(lambda: window.answer() == "one", window=window)
        gone = window.page.locator("#page-gone")
        assert not gone.is_visible()
        shown.stop()
        assert eventually(gone.is_visible, window=window)
        assert "does not answer" in gone.inner_text()
        assert window.messages() == ["say one", "one"]
        with started(PAGE, "--server", pretend.url, "--port", shown.port):
            assert eventually(lambda: not gone.is_visible(), window=window)
            window.page.wait_for_timeout(3000)  # gradio loads the page anew
            assert eventually(lambda: window.messages() == ["say one", "one"], window=window)
            window.say("say two")
            assert eventually(lambda: window.answer() == "two", window=window)
            assert window.messages() == ["say one", "one", "say two", "two"]
        window.page.close()


def test_nothing_sticks_out_on_a_phone(chromium: Any, page: Started):
    window = Window(chromium, page.url, 390, 844, has_touch=True, is_mobile=True)
    window.say("say " + "verylongword" * 30 + " " + "html ".replace("html", "x") * 40)
    assert eventually(lambda: window.answer().endswith("x"), window=window)
    for tab in ("Engine", "Tokens", "Attention", "Settings", "Export"):
        window.tab(tab)
        window.page.wait_for_timeout(200)
        widths = window.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert (tab, widths[0]) == (tab, 390)
    window.page.close()


def test_everything_has_a_name(window: Window):
    """Each button and each field can be told by who cannot see it."""
    nameless = """
        [...document.querySelectorAll('button, input, textarea, select')].filter((one) => {
          if (!one.checkVisibility()) return false;
          const label = one.closest('label') || (one.id && document.querySelector(`label[for="${one.id}"]`));
          const said = [one.getAttribute('aria-label'), one.title, one.innerText, label && label.innerText];
          const by = one.getAttribute('aria-labelledby');
          if (by) said.push(...by.split(' ').map((id) => document.getElementById(id)?.innerText));
          return !said.some((text) => text && text.trim());
        }).map((one) => one.outerHTML.slice(0, 120))
    """
    window.say("say one")
    assert eventually(lambda: window.answer() == "one", window=window)
    for tab in ("Engine", "Tokens", "Attention", "Settings", "Export"):
        window.tab(tab)
        window.page.wait_for_timeout(200)
        assert (tab, window.page.evaluate(nameless)) == (tab, [])


def test_two_servers_side_by_side(chromium: Any, pretend: Started):
    with (
        started(PRETEND, "--model", "other", "--pause", "0.01") as other,
        started(PAGE, "--server", pretend.url, "--server", other.url, "--port", "0") as shown,
    ):
        window = Window(chromium, shown.url)
        window.say("say both")
        assert eventually(lambda: window.messages() == ["say both", "both"] * 2, window=window)
        window.page.close()


def test_the_engine_is_followed_and_can_be_stepped_back(window: Window):
    window.say("a long one")
    blocks = window.page.locator("#engine .block.used")
    assert eventually(lambda: blocks.count() >= 2, window=window)
    follow = window.page.get_by_label("Follow the engine")
    follow.uncheck()
    slider = window.page.get_by_label("Step of those that are kept").last
    assert eventually(slider.is_visible, window=window)
    assert eventually(lambda: window.page.locator("#engine .step").count() > 5, window=window)
    slider.focus()
    before = window.page.locator("#engine .step").count()
    for _ in range(3):
        window.page.keyboard.press("ArrowLeft")
    assert eventually(
        lambda: window.page.locator("#engine .step").count() == before - 3 or before == 60, window=window
    )
    window.press("Stop")
