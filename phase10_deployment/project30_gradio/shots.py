"""Takes the README's pictures of the page: ladder run 30 shots

It serves tiny-chat, opens the page in a browser without a window, talks a little, and photographs what it sees.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from phase10_deployment.project30_gradio.given.browser import Window, browser, eventually, why_not
from phase10_deployment.project30_gradio.given.launch import PAGE, SERVE, started
from shared.command import exits_with_message
from shared.files import replacing
from shared.options import run_command

FOLDER = Path(__file__).parent / "pictures"


def main(
    model: Annotated[str, typer.Option(help="What to serve.")] = "tiny-chat",
    out: Annotated[Path, typer.Option(help="Where the pictures go.")] = FOLDER,
) -> None:
    """Photograph the page."""
    with exits_with_message(Console(stderr=True), ValueError):
        if reason := why_not():
            raise ValueError(f"no pictures can be taken: {reason}")
        with (
            started(SERVE, "--model", model, "--port", "0", "--debug", "--blocks", "96") as server,
            started(PAGE, "--server", server.url, "--port", "0") as shown,
            browser() as opened,
        ):
            desktop(opened, shown.url, out)
            phone(opened, shown.url, out)
            gone(opened, server.url, out)


def desktop(opened, url: str, out: Path) -> None:
    """A conversation with each of the tabs, in light; the engine once more in dark, at work."""
    window = Window(opened, url, 1280, 880)
    for question in ("Hello! Who are you?", "What is 27 plus 35?"):
        talk(window, question)
    window.tab("Tokens")
    window.page.locator("#odds button").nth(2).click()
    window.page.wait_for_timeout(600)
    photograph(window, out / "tokens.png")
    window.tab("Attention")
    window.press("Look at the last answer")
    eventually(lambda: window.page.locator("#map rect").count() > 10, window=window)
    window.page.set_viewport_size({"width": 1280, "height": 1100})
    window.page.wait_for_timeout(1500)  # what is being drawn is grey
    photograph(window, out / "attention.png")
    window.page.close()

    window = Window(opened, url, 1280, 880, color_scheme="dark")
    others = [Window(opened, url, 600, 500) for _ in range(3)]
    for other in others:
        long_answers(other)
    for other, whom in zip(others, ("a dog", "a boat", "Mia"), strict=True):
        other.say(f"Tell me a long story about {whom}.")
    window.say("Tell me a story about the sea.")
    eventually(lambda: window.page.locator("#engine ol.running li").count() > 2, window=window)
    eventually(window.answer, window=window)
    photograph(window, out / "engine.png")
    for other in [*others, window]:
        other.press("Stop")
        other.page.close()


def phone(opened, url: str, out: Path) -> None:
    """The same on a phone."""
    window = Window(opened, url, 390, 844, has_touch=True, is_mobile=True, device_scale_factor=2)
    talk(window, "What is the opposite of hot?")
    photograph(window, out / "phone.png")
    window.page.close()


def gone(opened, server: str, out: Path) -> None:
    """A page whose own server is gone."""
    with started(PAGE, "--server", server, "--port", "0") as shown:
        window = Window(opened, shown.url, 1000, 640)
        talk(window, "Hello!")
        shown.stop()
        eventually(window.page.locator("#page-gone").is_visible, window=window)
        photograph(window, out / "gone.png")
        window.page.close()


def long_answers(window: Window) -> None:
    """Let answers be long, so that there is something to see."""
    window.tab("Settings")
    for label in ("Shortest answer, in tokens", "Longest answer, in tokens"):
        window.page.get_by_label(label).fill("330")
        window.page.get_by_label(label).press("Tab")
    window.page.wait_for_timeout(200)


def talk(window: Window, question: str) -> None:
    """Ask, and wait for the whole answer."""
    count = len(window.messages()) + 2
    window.say(question)
    eventually(lambda: len(window.messages()) == count and "cached" in window.notes(), window=window)
    window.page.wait_for_timeout(500)


def photograph(window: Window, file: Path) -> None:
    """The window as it is, into a file, whole or not at all."""
    with replacing(file) as temporary:
        window.page.evaluate("scrollTo(0, 0)")
        window.page.screenshot(path=str(temporary), type="png")
    print(file)


if __name__ == "__main__":
    run_command(main)
