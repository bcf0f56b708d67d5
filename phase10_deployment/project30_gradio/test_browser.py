"""The page in a real browser: in front of a server that pretends, and of project 28's with tiny-chat."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from phase10_deployment.project30_gradio.given.browser import Window, browser, eventually, running, why_not
from phase10_deployment.project30_gradio.given.launch import PAGE, PRETEND, SERVE, Started, started
from phase10_deployment.project30_gradio.given.server import ServerLink
from phase10_deployment.project30_gradio.given.talk import answer_turns
from phase10_deployment.project30_gradio.history import ask
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
def real() -> Iterator[Started]:
    """Project 28's server with tiny-chat."""
    with started(SERVE, "--model", "tiny-chat", "--port", "0", "--debug") as server:
        yield server


@pytest.fixture(scope="module")
def both(real: Started, pretend: Started) -> Iterator[Started]:
    """A page in front of two servers, the first of which is the real one."""
    with started(PAGE, "--server", real.url, "--server", pretend.url, "--port", "0") as server:
        yield server


@pytest.fixture
def tiny(chromium: Any, both: Started) -> Iterator[Window]:
    """A window in which only tiny-chat answers."""
    opened = Window(chromium, both.url)
    opened.tab("Settings")
    opened.page.get_by_label("1", exact=True).check()
    assert eventually(lambda: opened.page.locator("[role=log]:visible").count() == 1, window=opened)
    yield opened
    opened.page.close()


@pytest.fixture
def window(chromium: Any, page: Started) -> Iterator[Window]:
    opened = Window(chromium, page.url)
    yield opened
    opened.page.close()


def test_a_conversation_with_tiny_chat(tiny: Window, both: Started, tmp_path: Path):
    window = tiny
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
    assert window.hosts == {f"127.0.0.1:{both.port}"}  # and nobody else


def test_a_stop_frees_the_engine(real: Started):
    """What the page's handler does when it is closed; in a browser tiny-chat may have ended before somebody clicks."""
    values = {"min_tokens": 450, "max_tokens": 450}

    async def stop_early() -> int:
        link = ServerLink(real.url)
        turns = answer_turns(link, "tiny-chat", ask([], "Tell me a long story."), "", values)
        turn = await anext(turns)
        await turns.aclose()
        await link.close()
        return len(turn.reply.ids)

    with ThreadPoolExecutor(1) as thread:  # in this one runs the browser's loop
        assert 0 < thread.submit(asyncio.run, stop_early()).result() < 450
    assert eventually(lambda: running(real.url) == 0)


def test_another_token_and_attention(tiny: Window):
    window = tiny
    window.page.get_by_label("Temperature").first.fill("0")
    window.page.get_by_label("Temperature").first.press("Tab")
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
    assert eventually(lambda: window.page.locator("#engine .block").count() > 10, window=window)


def test_a_stop_is_passed_on(window: Window, pretend: Started):
    window.say("hold it")
    assert eventually(lambda: running(pretend.url) == 1, window=window)
    assert eventually(lambda: "word9" in window.answer(), window=window)
    window.press("Stop")
    assert eventually(lambda: running(pretend.url) == 0, window=window)
    kept = window.answer()
    window.say("say it is well")
    assert eventually(lambda: window.answer() == "it is well", window=window)
    assert window.messages() == ["hold it", kept, "say it is well", "it is well"]


def test_a_window_that_is_closed_frees_the_engine(chromium: Any, page: Started, pretend: Started):
    window = Window(chromium, page.url)
    window.say("a long one")
    assert eventually(lambda: running(pretend.url) == 1, window=window)
    window.page.close()
    assert eventually(lambda: running(pretend.url) == 0)


def test_the_next_question_ends_the_answer_before(window: Window, pretend: Started):
    window.say("hold it")
    assert eventually(lambda: "word9" in window.answer(), window=window)
    window.say("say something else")
    assert eventually(lambda: window.answer() == "something else", window=window)
    assert running(pretend.url) == 0
    assert [text[:5] for text in window.messages()] == ["hold ", "word0", "say s", "somet"]


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
    first.say("hold it")
    second.say("say here")
    assert eventually(lambda: second.answer() == "here", window=second)
    assert eventually(lambda: "word9" in first.answer(), window=first)
    assert second.messages() == ["say here", "here"]
    assert first.messages()[0] == "hold it"
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


def test_what_goes_away_comes_back(chromium: Any):
    """First the server that answers, then the page's own."""
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
            talk = ["say one", "one", "say two", "two"]
            assert window.messages() == talk

            gone = window.page.locator("#page-gone")
            assert not gone.is_visible()
            window.page.evaluate("window.before = true")
            shown.stop()
            assert eventually(gone.is_visible, window=window)
            assert "does not answer" in gone.inner_text()
            assert window.messages() == talk
            with started(PAGE, "--server", server.url, "--port", shown.port):
                # gradio loads the page anew, and what this tab remembers comes back into it
                again = "!window.before && window.ladderRecalled"
                window.page.wait_for_function(again, timeout=90_000)
                assert eventually(lambda: window.messages() == talk, window=window)
                assert not gone.is_visible()
                window.say("say three")
                assert eventually(lambda: window.answer() == "three", window=window)
                assert window.messages() == [*talk, "say three", "three"]
        window.page.close()


def test_nothing_sticks_out_on_a_phone(chromium: Any, page: Started):
    window = Window(chromium, page.url, 390, 844, has_touch=True, is_mobile=True)
    window.say("say " + "verylongword" * 30 + " " + "html ".replace("html", "x") * 40)
    assert eventually(lambda: window.answer().endswith("x"), window=window)
    for tab in ("Engine", "Tokens", "Attention", "Settings", "Export"):
        window.tab(tab)
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
        assert (tab, window.page.evaluate(nameless)) == (tab, [])


def test_two_servers_side_by_side(chromium: Any, both: Started):
    window = Window(chromium, both.url)
    window.say("say both")
    assert eventually(lambda: window.messages()[-1:] == ["both"], window=window)
    assert eventually(lambda: len(said := window.messages()) == 4 and said[1], window=window)
    said = window.messages()
    assert [said[0], *said[2:]] == ["say both", "say both", "both"]
    assert said[1]
    window.page.close()


def test_the_engine_is_followed_and_can_be_stepped_back(window: Window):
    engine = window.page.locator("#engine")
    assert eventually(lambda: "live" in engine.inner_text(), window=window)
    window.say("hold it")
    assert eventually(lambda: window.page.locator("#engine .block.used").count() >= 2, window=window)
    assert eventually(lambda: window.page.locator("#engine .step").count() > 5, window=window)
    window.page.get_by_label("Follow the engine").uncheck()
    slider = window.page.get_by_label("Step of those that are kept").last
    assert eventually(slider.is_visible, window=window)
    slider.focus()
    step = engine_step(window)
    for _ in range(3):
        window.page.keyboard.press("ArrowLeft")
    assert eventually(lambda: engine_step(window) == step - 3, window=window)
    window.press("Stop")


def engine_step(window: Window) -> int:
    """The number of the step that is shown."""
    facts = window.page.locator("#engine .engine-facts span", has_text="step").first
    return int(facts.locator("b").inner_text().replace(",", ""))
