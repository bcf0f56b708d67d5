"""Watching the engine: a thread that reads a server's /debug/steps while somebody looks at the page."""

import json
import threading
import time
from collections import deque

import httpx2

from phase10_deployment.project30_gradio.engine_view import Event, Places, assign_places
from phase10_deployment.project30_gradio.given.server import ServerLink

KEPT = 240
"""steps that can be looked at again"""
NOBODY = 15.0
"""seconds after which nobody looks any more"""


class Watch:
    """The last steps of one engine. All windows share it: an engine is nobody's own, and it names no text."""

    def __init__(self, server: ServerLink):
        self.server = server
        self.state = "nobody has looked yet"
        self._steps: deque[tuple[Event, Places]] = deque(maxlen=KEPT)
        self._looked = 0.0
        self._look = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._run, daemon=True, name=f"watch {server.name}").start()

    def look(self) -> list[tuple[Event, Places]]:
        """The steps that are known, the oldest first. Who looks makes it read on."""
        self._looked = time.monotonic()
        self._look.set()
        with self._lock:
            return list(self._steps)

    def add(self, event: Event) -> None:
        """One more step."""
        with self._lock:
            places = self._steps[-1][1] if self._steps else {}
            if self._steps and event["step"] < self._steps[-1][0]["step"]:
                self._steps.clear()  # another engine: the server was started anew
            if self._steps and event["step"] == self._steps[-1][0]["step"]:
                self._steps.pop()  # the same step again, with what has left since
            self._steps.append((event, assign_places(places, event)))

    def _run(self) -> None:
        while True:
            self._look.wait()
            self._look.clear()
            try:
                self._read()
            except (httpx2.HTTPError, ValueError, KeyError):
                self.state = "cannot be reached"
                time.sleep(0.5)

    def _read(self) -> None:
        """Read events until the stream ends or nobody looks."""
        timeout = httpx2.Timeout(None, connect=5.0)
        url = f"{self.server.url}/debug/steps"
        with httpx2.stream("GET", url, headers=self.server.headers, timeout=timeout) as answer:
            if not answer.is_success:
                self.state = {404: "not shown: start it with --debug", 401: "wants another key"}.get(
                    answer.status_code, f"answered {answer.status_code}"
                )
                time.sleep(2.0)
                return
            self.state = "live"
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    self.add(json.loads(line.removeprefix("data:")))
                if time.monotonic() - self._looked > NOBODY:
                    return
            self.state = "cannot be reached"
