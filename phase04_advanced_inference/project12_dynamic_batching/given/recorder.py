"""The engine's steps as JSON lines, one a step, to be drawn later (draw.py) or read by anything else.

    {"step": 7, "time": 0.0123, "scheduled": [{"key": 3, "count": 1, "start": 20, "chunk": false}], "waiting": [5, 6],
     "finished": {"3": "length"}, "aborted": [], "preempted": []}

`start` is how many tokens of the sequence had been computed before, `chunk` says that its text was not computed to
the end. Whoever records more, as blocks or acceptances, gives it to `record` by name: readers skip what they do not
know.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled


class Recorder:
    """Writes a line a step to a file, or, without a path, keeps them in `lines`. To be closed, or used by `with`."""

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.perf_counter):
        self.lines: list[dict[str, Any]] = []
        self.file = None if path is None else path.open("w", encoding="utf-8")
        self.clock, self.begin = clock, clock()
        self.planned: list[dict[str, Any]] = []

    def plan(self, scheduled: Iterable[Scheduled]) -> None:
        """A step is about to be made: what is scheduled is noted now, since sequences change with it."""
        self.planned = [
            {
                "key": sequence.key,
                "count": count,
                "start": sequence.num_computed,
                "chunk": sequence.num_computed + count < len(sequence.tokens),
            }
            for sequence, count in scheduled
        ]

    def record(
        self,
        step: int,
        waiting: Iterable[int],
        finished: Mapping[int, str],
        aborted: Iterable[int] = (),
        preempted: Iterable[int] = (),
        **more: object,
    ) -> None:
        """The step that was planned has been made; all are keys, `finished` with why."""
        line = {
            "step": step,
            "time": round(self.clock() - self.begin, 6),
            "scheduled": self.planned,
            "waiting": list(waiting),
            "finished": {str(key): why for key, why in finished.items()},
            "aborted": list(aborted),
            "preempted": list(preempted),
            **more,
        }
        if self.file is None:
            self.lines.append(line)
        else:
            self.file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Nothing more will come."""
        if self.file is not None:
            self.file.close()

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def read_recording(path: Path) -> list[dict[str, Any]]:
    """The lines of a recording. Raises ValueError, naming file and line, for what is none, and for an empty one."""
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            line = json.loads(text)
            keys = [part["key"] for part in line["scheduled"]]
            assert all(isinstance(key, int) for key in keys)
            assert isinstance(line["step"], int)
        except (ValueError, KeyError, TypeError, AssertionError):
            raise ValueError(f"{path}, line {number}, is no step of an engine's recording") from None
        lines.append(line)
    if not lines:
        raise ValueError(f"{path} is empty: there is no step in it")
    return lines
