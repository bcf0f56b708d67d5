"""A real browser without a window, and what one does with the page in it."""

import importlib.util
import re
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from phase10_deployment.project30_gradio.history import JOINER

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def why_not() -> str:
    """Why there is no browser to test the page in, or no page; "" where there are both."""
    for package in ("gradio", "playwright"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed"
    return "" if program() else f"there is no browser: none of {', '.join(NAMES)}"


def program() -> str | None:
    """The browser's path."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browser() -> "Iterator[Browser]":
    """A browser, closed with the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as engine:
        opened = engine.chromium.launch(executable_path=program(), args=["--no-sandbox"])
        try:
            yield opened
        finally:
            opened.close()


class Window:
    """A window with the page in it."""

    def __init__(self, browser: "Browser", url: str, width: int = 1280, height: int = 900, **more: Any):
        self.page: Page = browser.new_page(viewport={"width": width, "height": height}, **more)
        self.page.set_default_timeout(30_000)
        self.hosts: set[str] = set()
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        self.page.goto(url)
        self.box.wait_for()
        self.page.wait_for_function("window.ladderRecalled")  # its first events are on their way

    @property
    def box(self) -> Any:
        return self.page.get_by_label("Your message")

    def say(self, text: str) -> None:
        """Type a message and press Enter."""
        self.box.fill(text)
        self.box.press("Enter")

    def press(self, name: str) -> None:
        """A button by its name."""
        self.page.get_by_role("button", name=name, exact=True).last.click()

    def tab(self, name: str) -> None:
        """One of the tabs on the right."""
        found = self.page.get_by_role("tab", name=name, exact=True)
        if not found.count():  # tabs that have no room are in a menu
            self.page.get_by_role("button", name="More tabs").click()
            found = self.page.locator(".overflow-dropdown button", has_text=name)
        found.first.click()
        self.page.locator(f"#{name.lower()}-tab").wait_for()

    def messages(self) -> list[str]:
        """All that is said in the windows, by both sides, as somebody reads it."""
        found = self.page.locator("[data-testid=user],[data-testid=bot]").all_inner_texts()
        return [text.replace(JOINER, "").strip() for text in found]

    def answer(self) -> str:
        """The last message, if it is the model's; "" if it is not."""
        found = self.page.locator("[data-testid=bot]").all_inner_texts()
        count = self.page.locator("[data-testid=user]").count()
        return found[-1].replace(JOINER, "").strip() if len(found) == count and found else ""

    def notes(self) -> str:
        """What is said below the conversation."""
        return self.page.locator(".notes").first.inner_text()


def eventually(look: Callable[[], Any], seconds: float = 30.0, window: "Window | None" = None) -> Any:
    """What `look` gives, as soon as it is true; or the last it gave, when the time is over.

    With a window, its browser goes on meanwhile.
    """
    end = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < end:
        if window is None:
            time.sleep(0.05)
        else:
            window.page.wait_for_timeout(50)
    return found


def running(url: str) -> int:
    """How many requests the server says it is working on."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return int(float(re.findall(r"^vllm:num_requests_running(?:\{.*\})? (\S+)$", text, re.MULTILINE)[0]))
