"""Turns a failure into the facts a learner needs: what was called, what came back, what was expected."""

import errno
import linecache
import os
import re
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from shared.ladder.calls import Call
from shared.ladder.describe import describe
from shared.ladder.limits import LARGEST_FILE, TooLong
from shared.ladder.source import STUB

SHAPE_CHECK = re.compile(
    r"Type-check error whilst checking the (?P<what>parameters|return value) of (?P<function>\S+)\.\n"
    r"(?:The problem arose whilst typechecking parameter '(?P<parameter>\w+)'\.\n)?"
    r"Actual value: (?P<actual>.*?)\n"
    r"Expected type: (?:<class '(?P<expected_class>.*?)'>|(?P<expected>.*?))\.\n",
    re.DOTALL,
)
SIZES = re.compile(r"axis annotation are as follows\.\n(.*)", re.DOTALL)
ADDRESS = re.compile(r"<(?:built-in method|function|bound method) (\S+)(?: of [^>]*)? at 0x[0-9a-f]+>")
WHERE = re.compile(r" *\+ +(where|and) ")
NOISE = re.compile(r"(Explanation:| *Use -v to get more diff|You can reproduce this example by|Draw \d)")
NOISE_BEGINS = re.compile(rf"{WHERE.pattern}|{NOISE.pattern}")
COMPARISONS = {"assert_close": ("actual", "expected"), "assert_allclose": ("actual", "desired")}
NUMBERS = 6


@dataclass
class Frame:
    """A line of somebody's code that was running when the error came."""

    file: str
    line: int
    function: str
    source: str
    is_whole: bool = False
    """it stands for a whole function: no line of it was running"""


@dataclass
class Failure:
    """Why a test failed. `kind` is stub, shape, mismatch (an assertion), timeout or error (any exception)."""

    kind: str
    error: str
    message: str
    yours: list[Frame] = field(default_factory=list)
    test: Frame | None = None
    calls: list[tuple[str, str]] = field(default_factory=list)
    came_back: str = ""
    expected: str = ""
    stub: tuple[int, int, str] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def explain(
    error: BaseException, folders: Iterable[Path], calls: Sequence[Call] = (), test_file: str = ""
) -> Failure:
    """The failure behind `error`. Files in `folders` are the learner's; `calls` were made by the test."""
    while isinstance(error, BaseExceptionGroup):  # hypothesis reports several failures at once
        error = error.exceptions[0]
        if type(error).__name__ == "_WrappedBaseException":  # its own, around what is no Exception
            error = error.__cause__ or error
    frames = list(traceback.walk_tb(error.__traceback__))
    message = "\n".join([str(error), *getattr(error, "__notes__", [])]).strip()
    message = without_noise(ADDRESS.sub(r"\1", message))
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        message += f": a run may write and print {LARGEST_FILE // 2**20} MiB"
    failure = Failure(_kind(error, message), type(error).__name__, message)
    roots = [f"{folder}{os.sep}" for folder in folders]
    failure.yours = [_frame(frame, line) for frame, line in frames if _is_in(frame, roots)]
    tests = [_frame(frame, line) for frame, line in frames if frame.f_code.co_filename == test_file]
    failure.test = tests[-1] if tests else None
    failure.calls = [told(call) for call in calls[-2:]]
    if calls and not failure.yours:
        last = calls[-1]
        source = linecache.getline(last.file, last.line).strip()
        failure.yours = [Frame(last.file, last.line, last.function, source, is_whole=True)]
    if failure.kind == "stub" and (found := STUB.match(message)):
        failure.stub = (int(found[1]), int(found[2]), found[3])
    elif failure.kind == "shape":
        failure.message = plain_shape_error(error)
    elif failure.kind == "mismatch":
        _add_comparison(failure, error.__traceback__)
    return failure


def without_noise(message: str) -> str:
    """A message without what pytest and Hypothesis say to people who look for faults in tests.

    Which values a comparison got by what call stays where it is short; whole tensors go, and so do hints at
    decorators and at lines that were only run by failing examples.
    """
    kept: list[str] = []
    part: list[str] = []
    for line in [*message.splitlines(), None]:
        if line is None or NOISE_BEGINS.match(line) or not line.startswith(" "):
            if part and not (NOISE.match(part[0]) or (WHERE.match(part[0]) and _is_bulky(part))):
                kept += part
            part = []
        if line is not None:
            part.append(line)
    return "\n".join(kept).strip()


def _is_bulky(part: Sequence[str]) -> bool:
    return len(part) > 1 or "tensor(" in part[0] or "array(" in part[0] or " object at 0x" in part[0]


def told(call: Call) -> tuple[str, str]:
    """A call in two texts: `causal_attention(q=f32[2,4,8,16], …)` and `returned f32[2,4,8,16]`."""
    arguments = ", ".join(f"{name}={value}" for name, value in call.arguments.items())
    if call.raised:
        result = "raised an error"
    elif call.yields:
        result = f"yielded {call.yields} times, last {call.result}"
    else:
        result = f"returned {call.result}"
    return f"{call.function}({arguments})", result


def plain_shape_error(error: BaseException) -> str:
    """A shape check's message as one or two sentences; the message itself where its form is not known."""
    found = SHAPE_CHECK.match(f"{error}\n")
    if not found:
        return str(error)
    expected = found["expected"] or found["expected_class"]
    subject = f"argument {found['parameter']}" if found["parameter"] else "the result"
    text = f"{subject} should be {expected}, but it is {found['actual'].replace('(torch)', '')}"
    if sizes := SIZES.search(str(error)):
        text += f"\nsizes known from the other arguments: {', '.join(sizes[1].split())}"
    return f"{found['function'].rpartition('.')[2]}: {text}"


def _kind(error: BaseException, message: str) -> str:
    if isinstance(error, NotImplementedError) and STUB.match(message):
        return "stub"
    if isinstance(error, TooLong):
        return "timeout"
    if type(error).__name__ == "TypeCheckError":  # jaxtyping's
        return "shape"
    if (
        type(error).__name__ == "Failed"
    ):  # pytest.fail, pytest.raises, and the time limit's way to stop a test
        return "timeout" if message.startswith("Timeout") else "mismatch"
    return "mismatch" if isinstance(error, AssertionError) else "error"


def _is_in(frame: FrameType, roots: Iterable[str]) -> bool:
    file = frame.f_code.co_filename
    return file.startswith(tuple(roots)) and not Path(file).name.startswith(("test_", "conftest"))


def _frame(frame: FrameType, line: int) -> Frame:
    code = frame.f_code
    linecache.checkcache(code.co_filename)
    return Frame(code.co_filename, line, code.co_qualname, linecache.getline(code.co_filename, line).strip())


def _add_comparison(failure: Failure, tb: TracebackType | None) -> None:
    # torch's and numpy's comparisons say how far apart two tensors are, but not what they are.
    for frame, _ in traceback.walk_tb(tb):
        names = COMPARISONS.get(frame.f_code.co_name)
        if names and all(name in frame.f_locals for name in names):
            failure.came_back, failure.expected = (describe(frame.f_locals[name], NUMBERS) for name in names)
            return
