"""Values are shown by shape, calls are recorded as they were made, failures become plain facts."""

import contextlib
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis.errors import FlakyFailure
from jaxtyping import Float, jaxtyped
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from shared.ladder.calls import Call, recording
from shared.ladder.describe import describe
from shared.ladder.failure import explain, told


@dataclass
class Pair:
    """A small dataclass."""

    left: int
    right: Tensor


@dataclass
class Many:
    """A dataclass with more fields than are shown."""

    a: int = 1
    b: int = 2
    c: int = 3
    d: int = 4
    e: int = 5


class Odd(dict):
    """Cannot be looked into."""

    def items(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (torch.zeros(2, 3), "f32[2,3] 0, 0, 0, …"),
        (torch.arange(3), "i64[3] 0, 1, 2"),
        (torch.arange(9), "i64[9] 0, 1, 2, 3, …"),
        (torch.tensor(1 / 3), "f32[] 0.3333"),
        (torch.ones(2, 0), "f32[2,0]"),
        (torch.ones(1, 2, dtype=torch.bfloat16), "bf16[1,2] 1, 1"),
        (torch.tensor([True]), "bool[1] True"),
        (np.array([[1.5, 2.0]]), "f64[1,2] 1.5, 2"),
        (None, "None"),
        (1.5, "1.5"),
        ("a" * 100, "'" + "a" * 58 + "…"),
        ([1, 2], "[1, 2]"),
        ((torch.zeros(1), 2), "(f32[1] 0, 2)"),
        ({3}, "{3}"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, 6, 7, … 100 in all]"),
        (["b" * 50] * 5, "['" + "b" * 50 + "', '" + "b" * 50 + "', … 5 in all]"),
        ({"a": 1, "b": 2, "c": 3, "d": 4}, "{'a': 1, 'b': 2, 'c': 3, … 4 in all}"),
        (Pair(1, torch.zeros(4)), "Pair(left=1, right=f32[4])"),
        (Many(), "Many(a=1, b=2, c=3, d=4, …)"),
        (Path("a/b"), "'a/b'"),
        (int, "int"),
        (len, "len"),
        (torch.nn.Linear(2, 2), "Linear(…)"),
        (Odd(), "Odd(…)"),
    ],
)
def test_describe(value, expected):
    assert describe(value, numbers=4) == expected


def test_shapes_alone_without_numbers():
    assert describe(torch.zeros(2, 3)) == "f32[2,3]"
    assert describe(torch.tensor(1.0)) == "f32[]"


def outer(x, *rest, flag=False, **named):
    return inner(x) + inner(x + 1)


def inner(x):
    if x > 100:
        raise ValueError(x)
    return x * 2


def counting(upto):
    for i in range(upto):  # noqa: UP028 (a loop of its own is the point)
        yield i


class Box:
    def held(self, thing):
        return lambda: (self, thing)


HERE = Path(__file__)


def record(run, names, **options):
    def wanted(code):
        return code.co_filename == str(HERE) and code.co_qualname in names

    with contextlib.suppress(ValueError), recording(wanted, **options) as calls:
        run()
    return list(calls)


def test_a_call_with_all_kinds_of_arguments():
    (call,) = record(lambda: outer(1, 2, 3, flag=True, size=4), ["outer"])
    assert told(call) == ("outer(x=1, flag=True, *rest=(2, 3), **named={'size': 4})", "returned 6")
    assert (call.module, call.file) == ("test_ladder_calls", str(HERE))


def test_calls_nest():
    (call,) = record(lambda: outer(1), ["outer", "inner"])
    assert [told(part) for part in call.inner] == [("inner(x=1)", "returned 2"), ("inner(x=2)", "returned 4")]


def test_a_raising_call_is_told_from_one_that_returns_none():
    (call,) = record(lambda: outer(100), ["outer", "inner"])
    assert [part.raised for part in call.inner] == [False, True]
    assert told(call) == ("outer(x=100, flag=False)", "raised an error")


def test_only_the_last_calls_are_kept():
    calls = record(lambda: [inner(i) for i in range(10)], ["inner"], last=2)
    assert [call.arguments["x"] for call in calls] == ["8", "9"]


def test_generators_count_what_they_yield():
    (call,) = record(lambda: list(counting(3)), ["counting"])
    assert told(call) == ("counting(upto=3)", "yielded 3 times, last 2")


def test_two_generators_in_turn_are_two_calls():
    calls = record(lambda: list(zip(counting(2), counting(2), strict=True)), ["counting"])
    assert [call.yields for call in calls] == [2, 2]


def test_methods_do_not_show_self_even_when_a_closure_holds_it():
    (call,) = record(lambda: Box().held(torch.zeros(2)), ["Box.held"], numbers=2)
    assert call.arguments == {"thing": "f32[2] 0, 0"}


def test_values_are_those_at_the_time_of_the_call():
    values = [1]
    (call,) = record(lambda: extend(values), ["extend"])
    assert call.arguments == {"values": "[1]"}
    assert call.result == "[1, 2]"


def extend(values):
    values.append(2)
    return values


def caught(run):
    with pytest.raises(BaseException) as raised:  # noqa: PT011
        run()
    return raised.value


def explained(run, **options):
    return explain(caught(run), [HERE.parent / "nowhere"], test_file=str(HERE), **options)


def beartyped(function):
    from beartype import beartype

    return jaxtyped(typechecker=beartype)(function)


@beartyped
def scores(
    q: Float[Tensor, "batch time dim"], k: Float[Tensor, "batch time dim"]
) -> Float[Tensor, "batch time"]:
    return q[0]


def test_a_wrong_argument_shape_reads_plainly():
    failure = explained(lambda: scores(torch.zeros(2, 3), torch.zeros(2, 3, 4)))
    assert failure.kind == "shape"
    assert (
        failure.message == "scores: argument q should be Float[Tensor, 'batch time dim'], but it is f32[2,3]"
    )


def test_sizes_that_disagree_name_the_others():
    failure = explained(lambda: scores(torch.zeros(2, 3, 4), torch.zeros(2, 5, 4)))
    assert failure.message.splitlines() == [
        "scores: argument k should be Float[Tensor, 'batch time dim'], but it is f32[2,5,4]",
        "sizes known from the other arguments: batch=2, time=3, dim=4",
    ]


def test_a_wrong_result_shape_reads_plainly():
    failure = explained(lambda: scores(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4)))
    assert failure.message.startswith(
        "scores: the result should be Float[Tensor, 'batch time'], but it is f32[3,4]"
    )


def test_a_shape_error_of_another_form_is_shown_as_it_is():
    error = type("TypeCheckError", (TypeError,), {})("quite new")
    assert explain(error, []).message == "quite new"


def test_a_stub_is_told_from_other_unwritten_code():
    def stub():
        raise NotImplementedError("project 8, task 2: KVCache.append — Keeps a step.")

    def other():
        raise NotImplementedError("later")

    failure = explained(stub)
    assert (failure.kind, failure.stub) == ("stub", (8, 2, "KVCache.append"))
    assert explained(other).kind == "error"


@pytest.mark.parametrize("compare", [torch.testing.assert_close, np.testing.assert_allclose])
def test_a_comparison_shows_both_sides(compare):
    make = torch.tensor if compare is torch.testing.assert_close else np.array
    failure = explained(lambda: compare(make([1.0, 2.0]), make([1.0, 3.0])))
    assert failure.kind == "mismatch"
    assert failure.came_back.endswith("[2] 1, 2")
    assert failure.expected.endswith("[2] 1, 3")
    assert failure.test is not None
    assert failure.test.source.startswith("failure = explained(lambda: compare")


def test_frames_are_the_learners_only(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def f():\n    return g()\n\ndef g():\n    return 1 / 0\n")
    names = {}
    exec(compile(file.read_text(), str(file), "exec"), names)
    failure = explain(caught(names["f"]), [tmp_path])
    assert [(frame.line, frame.function, frame.source) for frame in failure.yours] == [
        (2, "f", "return g()"),
        (5, "g", "return 1 / 0"),
    ]
    assert (failure.kind, failure.error, failure.message) == (
        "error",
        "ZeroDivisionError",
        "division by zero",
    )


def test_notes_groups_and_addresses():
    error = ValueError("wrong: <built-in method equal of type object at 0x7f00>(1, <function f at 0x1a>)")
    error.add_note("Falsifying example: x=3")
    failure = explain(ExceptionGroup("two", [error, KeyError("b")]), [])
    assert failure.message == "wrong: equal(1, f)\nFalsifying example: x=3"


def test_a_time_limit_is_no_mismatch():
    Failed = type("Failed", (BaseException,), {})  # noqa: N806 (as pytest names it)
    assert explain(Failed("Timeout (>5.0s) from pytest-timeout."), []).kind == "timeout"
    assert explain(Failed("DID NOT RAISE <class 'ValueError'>"), []).kind == "mismatch"


def test_hypothesis_hides_no_time_limit():
    """Where an example that took too long passes the second time: it wraps what is no Exception twice."""
    Failed = type("Failed", (BaseException,), {})  # noqa: N806 (as pytest names it)
    ended: Any = Failed("Timeout (>5.0s)")
    failure = explain(FlakyFailure("unreliable", [ended]), [])
    assert (failure.kind, failure.error, failure.message) == ("timeout", "Failed", "Timeout (>5.0s)")


def test_the_last_calls_are_told():
    calls = [Call(f"f{i}", "m", "m.py", 1, {}, deque(), result=str(i)) for i in range(4)]
    assert explain(ValueError(), [], calls).calls == [("f2()", "returned 2"), ("f3()", "returned 3")]


def test_recording_is_not_seen_by_who_watches_torch(monkeypatch):
    """A test may count which numbers are read, or put something of its own in the place of `item`."""
    seen = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.append(str(function))
            return function(*args, **(kwargs or {}))

    def refuse(tensor):
        raise AssertionError("read")

    for name in ("item", "tolist", "__float__"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    total = torch.tensor([1.0, 2.0]).sum()
    with recording(lambda code: code.co_name == "same", numbers=6) as calls, Watch():
        same(total)
    assert seen == []
    assert told(calls[0]) == ("same(value=f32[] 3)", "returned f32[] 3")


def same(value):
    return value
