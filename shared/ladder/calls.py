"""Records calls as they happen, with arguments and results, by Python's profiling hook.

No function is wrapped or replaced, so methods, generators, decorated functions and names imported before the
recording began are all seen.
"""

import dis
import inspect
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from shared.ladder.describe import describe


@dataclass
class Call:
    """One call: what went in, what came out, and the recorded calls made meanwhile."""

    function: str
    module: str
    file: str
    line: int
    arguments: dict[str, str]
    inner: "deque[Call]"
    result: str = ""
    raised: bool = False
    yields: int = 0


@contextmanager
def recording(
    wanted: Callable[[CodeType], bool], last: int | None = None, numbers: int = 0
) -> Iterator[deque[Call]]:
    """Record the outermost calls of functions whose code is `wanted`, and the calls inside them.

    Of the outermost, and of those inside each call, only the `last` are kept (None: all). `numbers` is how
    many values of a tensor are kept; its shape always is. Only this thread is recorded.
    """
    outermost: deque[Call] = deque(maxlen=last)
    running: list[Call] = []  # recorded calls not yet returned from, outermost first
    generators: dict[FrameType, Call] = {}
    known: dict[CodeType, bool] = {}

    # Python switches tracing off inside the hook, so coverage cannot see it run.
    def hook(frame: FrameType, event: str, value: Any) -> None:  # pragma: no cover
        if event not in ("call", "return"):
            return
        code = frame.f_code
        keep = known.get(code)
        if keep is None:
            keep = known[code] = wanted(code)
        if not keep:
            return
        if event == "call":
            call = generators.get(frame)
            if call is None:
                call = _begun(frame, numbers, last)
                (running[-1].inner if running else outermost).append(call)
                if code.co_flags & inspect.CO_GENERATOR:
                    generators[frame] = call
            running.append(call)
        elif running:
            _ended(running.pop(), frame, value, numbers)

    before = sys.getprofile()
    sys.setprofile(hook)
    try:
        yield outermost
    finally:
        sys.setprofile(before)


def _begun(frame: FrameType, numbers: int, last: int | None) -> Call:  # pragma: no cover
    code, given = frame.f_code, inspect.getargvalues(frame)
    values = {name: given.locals[name] for name in given.args if name in given.locals}
    if given.args and given.args[0] in ("self", "cls"):
        values.pop(given.args[0], None)
    for stars, name in (("*", given.varargs), ("**", given.keywords)):
        if name and given.locals.get(name):
            values[stars + name] = given.locals[name]
    arguments = {name: describe(value, numbers) for name, value in values.items()}
    module = frame.f_globals.get("__name__", "").rpartition(".")[2]
    return Call(
        code.co_qualname,
        module,
        code.co_filename,
        code.co_firstlineno,
        arguments,
        inner=deque(maxlen=last),
    )


def _ended(call: Call, frame: FrameType, value: Any, numbers: int) -> None:  # pragma: no cover
    # A call that raises also "returns" to the hook, with None: the instruction it stopped at tells.
    stopped = dis.opname[frame.f_code.co_code[frame.f_lasti]]
    if stopped == "YIELD_VALUE":
        call.yields += 1
        call.result = describe(value, numbers)
    elif not stopped.startswith("RETURN"):
        call.raised = True
    elif not call.yields:
        call.result = describe(value, numbers)
